"""Files outside of the home folder: each is noted before it is made, so that --uninstall finds it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from atelier_shared.home import NOTE_OF_THE_HOME

from .output import report
from .paths import Home


def track(path: Path, home: Home) -> None:
    """Note a path outside of the home, before it is made."""
    paths = [*tracked_paths(home), path]
    home.outside.write_text("".join(f"{p}\n" for p in dict.fromkeys(paths)), encoding="utf-8")


def tracked_paths(home: Home) -> list[Path]:
    """Return the noted paths, oldest first."""
    lines = home.outside.read_text(encoding="utf-8") if home.outside.exists() else ""
    return [Path(line) for line in lines.splitlines()]


def make_folder(folder: Path, home: Home) -> None:
    """Make a folder outside of the home, and note it and its parents if they are new."""
    for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
        track(missing, home)
        missing.mkdir()


def remove_if_ours(path: Path, home: Home) -> None:
    """Remove a plug-in, link or file of this home, or an empty folder."""
    if is_ours(path, home):
        remove(path)
    elif path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    elif os.path.lexists(path) and not path.is_dir():
        report(f"{path} is no longer Atelier's and is kept.")


def is_ours(path: Path, home: Home) -> bool:
    """Return True if a plug-in, home note, signed file or link to the command belongs to this home."""
    if path.is_symlink() and not path.is_dir():
        return path.readlink() == home.command
    file = path / NOTE_OF_THE_HOME if path.is_dir() else path
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as text:
        return text.readline().rstrip("\n") in (str(home.folder), signature(home))


def signature(home: Home) -> str:
    """Return the comment at the top of files made outside of the home."""
    return f"# made by Atelier in {home.folder}"


def remove(path: Path) -> None:
    """Remove a file, a link (not its target) or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
