"""The removal of everything installed, outside of the home folder and in it, and of nothing else."""

from __future__ import annotations

from .environment import stop_backend
from .output import report
from .paths import Home
from .service import remove_service
from .tracked_files import remove, remove_if_ours, tracked_paths


def uninstall(home: Home) -> None:
    """Remove the installation; the home folder is kept if other files are in it."""
    if not home.folder.exists():
        report(f"Atelier is not installed in {home.folder}.")
        return
    remove_service(home)
    stop_backend(home)
    for path in reversed(tracked_paths(home)):
        remove_if_ours(path, home)
    for path in home.everything():
        remove(path)
    if any(home.folder.iterdir()):
        report(f"{home.folder} is kept because other files are in it.")
    else:
        home.folder.rmdir()
    report("Atelier was removed.")
