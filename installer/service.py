"""On request, a backend that is always there, for GIMPs that may not start it: a systemd unit of the user's.

Source: systemd.service(5), systemd.unit(5), loginctl(1)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .paths import Home
from .process import say
from .tracked_files import is_ours, make_folder, remember, remove, signature

UNIT = """\
[Unit]
Description=Atelier's backend

[Service]
Environment="ATELIER_HOME={home}"
ExecStart="{program}" serve
Restart=on-failure

[Install]
WantedBy=default.target
"""


def unit_file() -> Path:
    """Where systemd looks for it."""
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings, "systemd", "user", "atelier.service")


def keep_service(home: Home, *, wanted: bool) -> None:
    """Write the unit if it is wanted or there already, and start it anew, now and at every login."""
    unit, program = unit_file(), home.program("atelier")
    if not wanted and not is_ours(unit, home):
        return
    if not shutil.which("systemctl"):
        say(f"There is no systemd here: have your system run '{program} serve' at login instead.")
    elif unit.exists() and not is_ours(unit, home):
        say(f"{unit} is not Atelier's and stays: move it away and run install.py --service again.")
    else:
        write_unit(unit, home)
        systemctl("daemon-reload")
        if systemctl("enable", unit.name) and systemctl("restart", unit.name):
            say(f"The backend runs as {unit.name}, now and after every login.")


def write_unit(unit: Path, home: Home) -> None:
    """Write the unit; systemd wants a percent sign twice."""
    make_folder(unit.parent, home)
    remember(unit, home)
    places = {"home": str(home.folder), "program": str(home.program("atelier"))}
    text = UNIT.format(**{name: place.replace("%", "%%") for name, place in places.items()})
    unit.write_text(f"{signature(home)}\n{text}", encoding="utf-8")


def end_service(home: Home) -> None:
    """Stop the unit and remove it, if it is this home's."""
    unit = unit_file()
    if is_ours(unit, home):
        systemctl("disable", "--now", unit.name)
        remove(unit)
        systemctl("daemon-reload")


def systemctl(*arguments: str) -> bool:
    """Tell the user's systemd something; say so if it will not have it."""
    command = ["systemctl", "--user", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        say(f"'{' '.join(command)}' failed: {done.stderr.strip() or 'it did not say why'}")
    return done.returncode == 0
