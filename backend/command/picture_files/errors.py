"""The error of a picture file, made from the errors of several libraries."""

from __future__ import annotations

import contextlib
import difflib
import struct
import zlib
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

from PIL import ImageCms

from atelier_shared.errors import AtelierError

DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(RuntimeError, struct.error, zlib.error, ImageCms.PyCMSError),
)
"""Errors of the decoders for damaged or crafted files, found by tests/fuzz/pictures.py."""


class PictureFileError(AtelierError):
    """A file could not be read or written as a picture; the text says why and how to continue."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors of reading `path` into a PictureFileError."""
    try:
        yield
    except FileNotFoundError as error:
        raise _missing(path) from error
    except MemoryError as error:
        template = _("{file} does not fit into memory. Scale it down first.")
        raise PictureFileError(template, file=path) from error
    except DAMAGED as error:
        reason = (
            getattr(error, "strerror", None) or str(error).strip().removesuffix(".") or _("it is damaged")
        )
        template = _("{file} cannot be read as a picture: {reason}.")
        raise PictureFileError(template, file=path, reason=reason) from error


def _missing(path: Path) -> PictureFileError:
    """Return the error of a missing file, with a similar name in the same folder if there is one."""
    others = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    similar = difflib.get_close_matches(path.name, others, 1)
    if similar:
        return PictureFileError(
            _("There is no file {file}. Did you mean {similar}?"), file=path, similar=similar[0]
        )
    return PictureFileError(_("There is no file {file}. Check its name."), file=path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of writing `path` into a PictureFileError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except MemoryError as error:
        template = _("There is not enough memory to write {file}. Close other programs.")
        raise PictureFileError(template, file=path) from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno:
            template = _("{file} cannot be written: {reason}.")
            raise PictureFileError(template, file=path, reason=error.strerror) from error
        template = _(
            "{file} cannot be written ({reason}). "
            "Choose another format, for example a name that ends in .png."
        )
        reason = str(error.args[0]).strip().removesuffix(".") if error.args else type(error).__name__
        raise PictureFileError(template, file=path, reason=reason) from error
