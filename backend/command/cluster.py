"""The commands `atelier cluster` and `atelier worker`."""

from __future__ import annotations

import functools
import logging
import os
from gettext import gettext as _

from atelier_shared.home import (
    MODELS_FOLDER,
    SCHEDULER_CERTIFICATE_FILE,
    WORKER_CERTIFICATE_FILE,
    atelier_home,
    check_home,
)

from ..__main__ import end_on_signals, load_filters
from ..cluster import address, certificates, worker


def new() -> str:
    """Make the certificates of a new cluster; return what to do with them.

    Raises:
        AtelierError: there is a cluster already, or a package is missing.
    """
    home = atelier_home()
    check_home(home)
    certificates.make(home)
    return _(
        "{scheduler} is for this machine. Copy {worker} into Atelier's folder on every worker, for example "
        "with scp. A machine with one of these files belongs to the cluster."
    ).format(scheduler=home / SCHEDULER_CERTIFICATE_FILE, worker=home / WORKER_CERTIFICATE_FILE)


def work(scheduler: str) -> None:
    """Run the jobs of a scheduler until this process is ended.

    Raises:
        AtelierError: the address or the certificate is wrong; the text is the remedy.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    end_on_signals()
    os.umask(0o077)  # notes are for this user only
    home = atelier_home()
    check_home(home)
    place, tls = address.parse(scheduler), certificates.worker_context(home / WORKER_CERTIFICATE_FILE)
    worker.run(place, tls, functools.partial(load_filters, home / MODELS_FOLDER))
