"""The error of a picture file, made from the errors of several libraries."""

from __future__ import annotations

import contextlib
import difflib
import struct
import zlib
from collections.abc import Iterator
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
        raise PictureFileError(f"There is no file {path}. {_advice(path)}") from error
    except MemoryError as error:
        raise PictureFileError(f"{path} does not fit into memory. Scale it down first.") from error
    except DAMAGED as error:
        reason = getattr(error, "strerror", None) or str(error).strip().removesuffix(".") or "it is damaged"
        raise PictureFileError(f"{path} cannot be read as a picture: {reason}.") from error


def _advice(path: Path) -> str:
    """Return a similar name in the same folder as a question, or general advice."""
    others = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    similar = difflib.get_close_matches(path.name, others, 1)
    return f"Did you mean {similar[0]}?" if similar else "Check its name."


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of writing `path` into a PictureFileError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except MemoryError as error:
        raise PictureFileError(
            f"There is not enough memory to write {path}. Close other programs."
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno:
            raise PictureFileError(f"{path} cannot be written: {error.strerror}.") from error
        advice = "Choose another format, for example a name that ends in .png"
        reason = str(error.args[0]).strip().removesuffix(".") if error.args else type(error).__name__
        raise PictureFileError(f"{path} cannot be written ({reason}). {advice}.") from error
