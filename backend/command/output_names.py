"""Which files a call reads and writes: contents from folders and patterns, a file name for each result."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from atelier_shared.errors import AtelierError

from .picture_files import formats
from .picture_files.streams import STANDARD_STREAM, is_stream

FIELDS = ("name", "style", "folder", "number", "ending")
FIELD = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class PlannedResult:
    """One result to make: a content, the styles for it, and the file to write."""

    content: Path
    styles: tuple[Path, ...]
    output: Path


def contents(paths: Sequence[Path]) -> list[Path]:
    """Return the files that paths name: a folder stands for the pictures in it, `*` for any part of a name.

    Files of a folder or a pattern are in natural order.

    Raises:
        AtelierError: a folder or pattern has no picture.
    """
    found = [file for path in paths for file in _files_of(path)]
    return list(dict.fromkeys(found))


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        files = natural_order(file for file in path.iterdir() if _is_picture(file))
    elif not path.exists() and glob.has_magic(str(path)):
        start = Path(path.anchor)
        matches = start.glob(str(path.relative_to(start)))
        files = natural_order(file for file in matches if _is_picture(file))
    else:
        return [path]
    if not files:
        raise AtelierError(_("There is no picture in {place}."), place=path)
    return files


def natural_order(files: Iterable[Path]) -> list[Path]:
    """Sort files by the numbers in their names: 2, 10, 100."""

    def key(file: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", str(file))
        return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]

    return sorted(files, key=key)


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in formats.BY_SUFFIX and file.is_file() and not file.name.startswith(".")


def pieces(
    files: Sequence[Path], styles: Sequence[tuple[Path, ...]], output: str, ending: str | None
) -> list[PlannedResult]:
    """Return a piece for each content and each group of styles.

    `output` is a file, a folder, or a pattern with FIELDS; `ending` is that of the files where `output`
    has none.

    Raises:
        AtelierError: a file would be written twice, or a content would be overwritten by one of several.
    """
    folder, pattern = _split(output, many_styles=len(styles) > 1)
    count = len(files) * len(styles)
    if not pattern and count > 1:
        template = _(
            "{file} is one file, and there are {count} results. "
            "Name a folder, such as out/, or a pattern, such as '{{name}}-new.png'."
        )
        raise AtelierError(template, file=output, count=count)
    made: list[PlannedResult] = []
    for file in files:
        for group in styles:
            name = _filled(pattern, _fields(file, group, len(made) + 1, ending)) if pattern else output
            made.append(PlannedResult(file, group, Path(folder, name)))
    _check(made, by_name=not pattern)
    return made


def _split(output: str, *, many_styles: bool) -> tuple[str, str]:
    """Return a folder, and a pattern for names in it; an empty pattern for a single file."""
    if output == str(STANDARD_STREAM):
        return "", ""
    if output.endswith(("/", os.sep)) or Path(output).is_dir():
        return output, "{name}-{style}{ending}" if many_styles else "{name}{ending}"
    if not FIELD.search(output):
        return "", ""
    return "", output if Path(output).suffix or output.endswith("{ending}") else output + "{ending}"


def _fields(file: Path, styles: Sequence[Path], number: int, ending: str | None) -> Mapping[str, str]:
    own = file.suffix if _can_write(file.suffix) else ".png"
    return {
        "name": "stdin" if file == STANDARD_STREAM else file.stem,
        "style": "+".join(style.stem for style in styles),
        "folder": file.absolute().parent.name,
        "number": f"{number:03}",
        "ending": ending or own,
    }


def _can_write(suffix: str) -> bool:
    chosen = formats.BY_SUFFIX.get(suffix.lower())
    return chosen is not None and bool(chosen.depths)


def _filled(pattern: str, fields: Mapping[str, str]) -> str:
    """Fill the fields of a pattern.

    Raises:
        AtelierError: a field is unknown.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in fields:
            known = ", ".join("{" + name + "}" for name in FIELDS)
            template = _("{field} is no part of a file name. Use {known}.")
            raise AtelierError(template, field=match[0], known=known)
        return fields[match[1]]

    return FIELD.sub(value, pattern)


def _check(made: Sequence[PlannedResult], *, by_name: bool) -> None:
    """Refuse to write a file twice, or over a picture that is read, unless it is the one file named."""
    files = {piece: os.path.realpath(piece.output) for piece in made if not is_stream(piece.output)}
    for file, count in Counter(files.values()).items():
        if count > 1:
            raise AtelierError(
                _("{file} would be written {count} times. Use a pattern with {{name}} or {{number}}."),
                file=file,
                count=count,
            )
    sources = {os.path.realpath(path) for piece in made for path in (piece.content, *piece.styles)}
    if not by_name and (overwritten := sources & set(files.values())):
        template = _("{file} would be overwritten. Choose another folder or pattern.")
        raise AtelierError(template, file=min(overwritten))


def make_folders(output: str, made: Sequence[PlannedResult]) -> None:
    """Make the missing folder, or the last missing folder of a pattern, for each file.

    Raises:
        AtelierError: it cannot be made.
    """
    if not (output.endswith(("/", os.sep)) or FIELD.search(output)):
        return
    for folder in {piece.output.parent for piece in made}:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            template = _("The folder {folder} cannot be made: {reason}.")
            raise AtelierError(template, folder=folder, reason=error.strerror) from error


def numbered(output: Path, count: int) -> Iterator[Path]:
    """Yield the file for a result, or the numbered files for its frames."""
    if count == 1:
        yield output
        return
    for number in range(1, count + 1):
        yield output.with_name(f"{output.stem}-{number:03}{output.suffix}")
