"""The command `atelier`, in the home folder and in the user's folder of programs."""

from __future__ import annotations

import os
from pathlib import Path

from atelier_shared.home import replacing

from .output import report
from .paths import WINDOWS, Home
from .tracked_files import is_ours, make_folder, track
from .translations import compile_translations


def install_command(home: Home) -> None:
    """Install the command `atelier` with its translations, and on Unix a link to it in ~/.local/bin."""
    home.command.parent.mkdir(exist_ok=True)
    compile_translations(home.translations)
    if WINDOWS:
        home.command.write_text('@"%~dp0..\\venv\\Scripts\\atelier.exe" %*\n', encoding="utf-8")
        report(f"The command line is {home.command}")
        return
    link(home.command, home.program("atelier"))
    users = Path.home() / ".local" / "bin" / "atelier"
    if os.path.lexists(users) and not is_ours(users, home):
        report(f"{users} is another program and is kept. Atelier's command is {home.command}")
        return
    make_folder(users.parent, home)
    track(users, home)
    link(users, home.command)
    report(f"The command line is {users}")
    if str(users.parent) not in os.get_exec_path():
        report(f"To run it as 'atelier', add {users.parent} to the PATH.")


def link(place: Path, target: Path) -> None:
    """Make `place` a link to `target`, replacing an earlier link in one step."""
    with replacing(place) as draft:
        draft.symlink_to(target)
