"""The command `atelier remote`, and its counterpart there, `atelier serve --print-connection`."""

from __future__ import annotations

import sys
from gettext import gettext as _

from atelier_shared import launcher, remote
from atelier_shared.errors import AtelierError
from atelier_shared.estimate import read_slowness
from atelier_shared.home import atelier_home, check_home
from atelier_shared.messages import PROTOCOL_VERSION

from ..remote import ssh
from . import doctor
from .stop_backend import stop_backend


def use(machine: str) -> str:
    """Have `machine` compute from now on, once a connection to its backend works; return a sentence.

    In a terminal, ssh may ask there whether to trust the machine. If the connection fails, nothing changes.

    Raises:
        AtelierError: there is no connection; the text is the remedy.
    """
    if not remote.is_machine(machine):
        raise AtelierError(
            _("{name} is not the name of a machine. Give it as for ssh: user@host."), name=machine
        )
    check_home(atelier_home())
    device = ssh.ask(machine, with_device=True, may_prompt=sys.stdin.isatty()).device
    stop_backend()
    earlier = _machine_before()
    remote.set_machine(machine)
    try:
        launcher.connect().close()
    except AtelierError:
        stop_backend()
        remote.set_machine(earlier)
        raise
    return _(
        "{machine} computes from now on: {device} 'atelier remote --off' uses this computer again."
    ).format(machine=machine, device=device)


def _machine_before() -> str:
    """Return the machine noted so far; none if the note is damaged."""
    try:
        return remote.machine()
    except AtelierError:
        return ""


def use_this_computer() -> str:
    """Have this computer compute from now on; return a sentence."""
    stop_backend()
    remote.set_machine("")
    return _("This computer computes from now on.")


def state() -> str:
    """Return a sentence with the machine that computes."""
    machine = remote.machine()
    if not machine:
        return _("This computer computes.")
    with launcher.connect():
        return _("{machine} computes, and the connection works.").format(machine=machine)


def connection(*, with_device: bool) -> str:
    """Return a line with the connection of this computer's backend, which is started if none is running.

    The name of the device loads PyTorch, which takes seconds.

    Raises:
        AtelierError: no backend can be started, or another machine computes for this computer.
    """
    launcher.connect().close()
    found = launcher.read_connection()
    if found is None or found.machine:
        raise AtelierError(_("Another machine computes for this computer. Use that machine directly."))
    notes = read_slowness(atelier_home())
    device = doctor.default_device() if with_device else ""
    return ssh.RemoteBackend(found, PROTOCOL_VERSION, device, notes).as_json()
