"""The command `atelier`, in the home and among the user's own programs."""

from __future__ import annotations

import os
from pathlib import Path

from .paths import WINDOWS, Home
from .process import say
from .tracked_files import is_ours, make_folder, remember


def install_command(home: Home) -> None:
    """The command `atelier`, and on Unix a link to it among the user's own."""
    home.command.parent.mkdir(exist_ok=True)
    if WINDOWS:
        home.command.write_text('@"%~dp0..\\venv\\Scripts\\atelier.exe" %*\n', encoding="utf-8")
        say(f"The command is {home.command}")
        return
    link(home.command, home.program("atelier"))
    users = Path.home() / ".local" / "bin" / "atelier"
    if os.path.lexists(users) and not is_ours(users, home):
        say(f"{users} is another program and stays; Atelier's command is {home.command}")
        return
    make_folder(users.parent, home)
    remember(users, home)
    link(users, home.command)
    say(f"The command is {users}")
    if str(users.parent) not in os.get_exec_path():
        say(f"To run it as 'atelier', add {users.parent} to your PATH.")


def link(place: Path, target: Path) -> None:
    """Make `place` a link to `target`, at once."""
    new = place.with_name(f".{place.name}-new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(place)
