"""The optional systemd unit of the user: a backend for GIMPs in a sandbox, which cannot start it.

Source: systemd.service(5), systemd.unit(5), loginctl(1)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .output import report
from .paths import Home
from .tracked_files import is_ours, make_folder, remove, signature, track

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
    """Return the place of the unit."""
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings, "systemd", "user", "atelier.service")


def update_service(home: Home, *, requested: bool) -> None:
    """Write and restart the unit if it is requested or exists; systemd starts it at every login."""
    unit, program = unit_file(), home.program("atelier")
    if not requested and not is_ours(unit, home):
        return
    if not shutil.which("systemctl"):
        report(f"This computer has no systemd. Let your desktop run '{program} serve' at login instead.")
    elif unit.exists() and not is_ours(unit, home):
        report(f"{unit} is not Atelier's and is kept. Move it elsewhere and run install.py --service again.")
    else:
        write_unit(unit, home)
        systemctl("daemon-reload")
        if systemctl("enable", unit.name) and systemctl("restart", unit.name):
            report(f"The backend runs as {unit.name}, now and after every login.")


def write_unit(unit: Path, home: Home) -> None:
    """Write the unit; systemd needs percent signs doubled."""
    make_folder(unit.parent, home)
    track(unit, home)
    places = {"home": str(home.folder), "program": str(home.program("atelier"))}
    text = UNIT.format(**{name: place.replace("%", "%%") for name, place in places.items()})
    unit.write_text(f"{signature(home)}\n{text}", encoding="utf-8")


def remove_service(home: Home) -> None:
    """Stop and remove the unit if it belongs to this home."""
    unit = unit_file()
    if is_ours(unit, home):
        systemctl("disable", "--now", unit.name)
        remove(unit)
        systemctl("daemon-reload")


def systemctl(*arguments: str) -> bool:
    """Run a command of the user's systemd; print its error and return False if it fails."""
    command = ["systemctl", "--user", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        report(f"'{' '.join(command)}' failed: {done.stderr.strip() or 'no error message'}")
    return done.returncode == 0
