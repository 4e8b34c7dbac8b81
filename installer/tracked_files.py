"""What is made outside of the home: noted before it is made, and removed with all the rest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .paths import Home
from .process import say


def remember(path: Path, home: Home) -> None:
    """Note something outside of the home, before it is made."""
    paths = [*remembered(home), path]
    home.outside.write_text("".join(f"{p}\n" for p in dict.fromkeys(paths)), encoding="utf-8")


def remembered(home: Home) -> list[Path]:
    """What was made outside of the home, oldest first."""
    noted = home.outside.read_text(encoding="utf-8") if home.outside.exists() else ""
    return [Path(line) for line in noted.splitlines()]


def make_folder(folder: Path, home: Home) -> None:
    """Make a folder outside of the home and those above it, and note the ones that were not there."""
    for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
        remember(missing, home)
        missing.mkdir()


def remove_if_ours(path: Path, home: Home) -> None:
    """Remove a plug-in, link or file of this home, or a folder made for them that is empty again."""
    if is_ours(path, home):
        remove(path)
    elif path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    elif os.path.lexists(path) and not path.is_dir():
        say(f"{path} is no longer Atelier's and stays.")


def is_ours(path: Path, home: Home) -> bool:
    """Whether a plug-in, a note of the home, a signed file or a link to the command is of this home."""
    if path.is_symlink() and not path.is_dir():
        return path.readlink() == home.command
    file = path / "atelier-home.txt" if path.is_dir() else path
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as text:
        return text.readline().rstrip("\n") in (str(home.folder), signature(home))


def signature(home: Home) -> str:
    """The first line of a file that is made outside of the home for programs that skip such lines."""
    return f"# made by Atelier in {home.folder}"


def remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to) or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
