"""Removes what was made outside of the home, then what was made in it, and nothing else."""

from __future__ import annotations

from .environment import stop_backend
from .paths import Home
from .process import say
from .service import end_service
from .tracked_files import remembered, remove, remove_if_ours


def uninstall(home: Home) -> None:
    """Remove all of it; other files in the home's folder stay, and the folder with them."""
    if not home.folder.exists():
        say(f"Atelier is not installed in {home.folder}.")
        return
    end_service(home)
    stop_backend(home)
    for path in reversed(remembered(home)):
        remove_if_ours(path, home)
    for path in home.everything():
        remove(path)
    if any(home.folder.iterdir()):
        say(f"{home.folder} stays, for there are other files in it.")
    else:
        home.folder.rmdir()
    say("Atelier is gone.")
