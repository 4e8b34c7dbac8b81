"""The folder of an unfinished animation: its finished frames, to go on after any interruption.

Files appear as a whole, so a file that exists is complete. The folder belongs to one call, with the same
settings and the same files; another call begins anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from atelier_shared.messages import Picture

from ...jobs.picture_arrays import as_array
from ..picture_files import Canvas, PictureFileError
from ..picture_files.errors import writing
from ..picture_files.safe_writing import replacing

RECORD, FINISHED = "call.txt", "finished.txt"
"""The digest of the call, and the number of the last frame written for it."""


@dataclass(frozen=True)
class WorkFolder:
    """The folder beside an output."""

    folder: Path

    @classmethod
    def beside(cls, output: Path) -> WorkFolder:
        """Return the folder for an output; it may not exist yet."""
        return cls(output.with_name(f"{output.name}.frames"))

    def is_for(self, call: dict[str, Any]) -> bool:
        """Return whether the folder exists and belongs to a call, given by its settings and files."""
        record = self.folder / RECORD
        return record.exists() and record.read_text(encoding="utf-8") == _digest(call)

    def prepare(self, call: dict[str, Any]) -> None:
        """Make the folder for a call; empty it if it belongs to another one.

        Raises:
            PictureFileError: it cannot be made, or has files of others.
        """
        if self.is_for(call):
            return
        if self.folder.exists() and not (self.folder / RECORD).exists() and any(self.folder.iterdir()):
            template = _(
                "{folder} has other files. Atelier keeps unfinished frames there: rename that folder."
            )
            raise PictureFileError(template, folder=self.folder)
        with writing(self.folder):
            self.remove()
            self.folder.mkdir()
            (self.folder / RECORD).write_text(_digest(call), encoding="utf-8")

    def note(self, number: int) -> None:
        """Note that the frames up to this one are written.

        Raises:
            PictureFileError: the note cannot be written.
        """
        note = self.folder / FINISHED
        with writing(note), replacing(note, note.suffix) as draft:
            draft.write_text(str(number), encoding="utf-8")

    def written(self) -> int:
        """Return the number of the last frame noted as written; 0 for none."""
        note = self.folder / FINISHED
        return int(note.read_text(encoding="utf-8")) if note.exists() else 0

    def frame(self, number: int, suffix: str) -> Path:
        """Return the file of a frame, counted from 1."""
        return self.folder / f"{number:06}{suffix}"

    # ── The last result ──────────────────────────────────────────────────────────────────────────

    def keep_result(self, number: int, result: Picture) -> None:
        """Store the result of a frame without loss, for the one after it.

        Raises:
            PictureFileError: it cannot be written.
        """
        canvas = Canvas.of(as_array(result))
        canvas.save(self._result(number, result.depth), canvas.picture, canvas.whole, None)

    def forget_result(self, number: int) -> None:
        """Remove the stored result of a frame."""
        for depth in ("u8", "f32"):
            self._result(number, depth).unlink(missing_ok=True)

    def result(self, number: int, depth: str) -> Picture:
        """Return the stored result of a frame, for contents of a depth.

        Raises:
            PictureFileError: it is missing.
        """
        return Canvas.load(self._result(number, depth)).picture

    def has_result(self, number: int, depth: str) -> bool:
        """Return whether the result of a frame is stored."""
        return self._result(number, depth).exists()

    def _result(self, number: int, depth: str) -> Path:
        return self.folder / f"result-{number:06}{'.tif' if depth == 'f32' else '.png'}"

    def remove(self) -> None:
        """Remove the folder."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)


def _digest(call: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(call, sort_keys=True, default=str).encode()).hexdigest()


def state_of(path: Path) -> list[Any]:
    """Return the name, the size and the time of a file, to notice changes of it."""
    try:
        status = path.stat()
    except OSError:
        return [str(path)]
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]
