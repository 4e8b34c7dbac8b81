"""`python -m backend.remote`: started by `launcher` in the place of a backend if another machine computes."""

from __future__ import annotations

import logging
import os
import sys

from filelock import Timeout

from atelier_shared import remote
from atelier_shared.errors import AtelierError
from atelier_shared.home import atelier_home, check_home

from ..__main__ import end_on_signals, lock_of
from . import keeper


def main() -> int:
    """Keep the connection until the other backend ends, and return the exit status."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    end_on_signals()
    os.umask(0o077)  # notes and logs are for this user only
    home = atelier_home()
    try:
        check_home(home)
        with lock_of(home):
            if machine := remote.machine():  # otherwise it was unset meanwhile
                keeper.keep(machine)
    except Timeout:
        logging.info("a connection or a backend exists already")
    except AtelierError as error:
        logging.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
