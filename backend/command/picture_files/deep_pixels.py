"""Pixels of 16 bits and floats, read and written with OpenImageIO, because Pillow cannot hold them in colour.

It was preferred to pyvips (no wheel of the Python part) and to tifffile with imagecodecs (13 to 42 MB, no
new version for Python 3.10): one wheel of 8 MB for each Python on each system, by the Academy Software
Foundation, for PNG, TIFF, JPEG XL, OpenEXR and Radiance.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import tempfile
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import OpenImageIO
from numpy.typing import NDArray

MOST_PICTURES = 1000
MOST_CHUNK_BYTES = 2**24
TYPES = {"u8": OpenImageIO.UINT8, "u16": OpenImageIO.UINT16, "f32": OpenImageIO.FLOAT}
COLOUR_NAMES = (["R", "G", "B", "A"], ["R", "G", "B"], ["Y", "A"], ["Y"])


class DeepPicture(NamedTuple):
    """Pixels (H, W, channels) as stored, and a colour profile if the file has one.

    `premultiplied`: the colours are multiplied by alpha. `left_out`: names of other channels. `pictures`:
    the number of pictures in the file.
    """

    values: NDArray[Any]
    profile: bytes | None
    premultiplied: bool
    left_out: list[str]
    pictures: int


def read(path: Path, check: Any) -> DeepPicture:
    """Read the first picture of a file. `check` is given width and height before it is decoded.

    Raises:
        OSError: it cannot be read.
    """
    wanted = OpenImageIO.ImageSpec()
    wanted["oiio:UnassociatedAlpha"] = 1
    with _openable(path) as name:
        file = OpenImageIO.ImageInput.open(name, wanted)
        if file is None:
            raise OSError(OpenImageIO.geterror())
        with contextlib.closing(file):
            spec = file.spec()
            check(spec.width, spec.height)
            return _read_opened(file, spec)


def _read_opened(file: Any, spec: Any) -> DeepPicture:
    names = [name.rpartition(".")[2] for name in spec.channelnames]
    wanted = next((each for each in COLOUR_NAMES if set(each) <= set(names)), None)
    if wanted is None:
        text = _("its channels are {names}, and no colours are among them")
        raise OSError(text.format(names=", ".join(names)))
    depth = {"uint8": "u8", "uint16": "u16"}.get(str(spec.format), "f32")
    values = file.read_image(TYPES[depth])
    if values is None:
        raise OSError(file.geterror())
    values = values.reshape(spec.height, spec.width, -1)[..., [names.index(name) for name in wanted]]
    is_straight = spec.getattribute("oiio:UnassociatedAlpha") or file.format_name() in ("png", "jpegxl")
    profile = spec.getattribute("ICCProfile")
    return DeepPicture(
        values,
        None if profile is None else bytes(np.asarray(profile, np.uint8)),
        "A" in wanted and not is_straight,
        [name for name in names if name not in wanted],
        _count_pictures(file),
    )


def _count_pictures(file: Any) -> int:
    """Return the number of pictures in a file, at most MOST_PICTURES."""
    count = 1
    while count < MOST_PICTURES and file.seek_subimage(count, 0):
        count += 1
    file.geterror()  # otherwise it is printed at the end
    return count


def write(path: Path, values: NDArray[Any], depth: str, attributes: dict[str, Any]) -> None:
    """Write an array (H, W, channels) in the format of the path's ending.

    Raises:
        OSError: it cannot be written.
    """
    height, width, channels = values.shape
    spec = OpenImageIO.ImageSpec(width, height, channels, TYPES[depth])
    spec.channelnames = next(names for names in COLOUR_NAMES if len(names) == channels)
    if channels in (2, 4):
        spec.alpha_channel = channels - 1
    for name, value in attributes.items():
        if isinstance(value, bytes):
            spec.attribute(name, OpenImageIO.TypeDesc(f"uint8[{len(value)}]"), np.frombuffer(value, np.uint8))
        else:
            spec[name] = value
    file = OpenImageIO.ImageOutput.create(path.suffix[1:])
    if file is None:
        raise OSError(OpenImageIO.geterror())
    with _openable(path, write=True) as name:
        if (
            not file.open(name, spec)
            or not file.write_image(np.ascontiguousarray(values))
            or not file.close()
        ):
            raise OSError(file.geterror())


@contextlib.contextmanager
def _openable(path: Path, *, write: bool = False) -> Iterator[str]:
    """Yield a name in UTF-8, as OpenImageIO needs it. A file of another name is copied."""
    try:
        str(path).encode()
        yield str(path)
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            copy = Path(folder, f"picture{path.suffix}")
            if not write:
                shutil.copyfile(path, copy)
            yield str(copy)
            if write:
                shutil.copyfile(copy, path)


# ── Metadata of files that OpenImageIO has written ───────────────────────────────────────────────


def png_header(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk of a PNG before its pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IDAT" or length > MOST_CHUNK_BYTES:
            return
        yield name, file.read(length)
        file.seek(4, 1)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name of each chunk of a PNG, and the chunk with its length and checksum.

    Source: PNG (Third Edition), 5.3
    """
    position = 8
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        yield name, data[position:end]
        position = end


def add_png_metadata(path: Path, model: bytes) -> None:
    """Give a PNG file the metadata of another PNG, the bytes `model`."""
    data = path.read_bytes()
    own: dict[bytes, list[bytes]] = {b"IHDR": [], b"IDAT": [], b"IEND": []}
    for name, chunk in png_chunks(data):
        if name in own:
            own[name].append(chunk)
    others = [chunk for name, chunk in png_chunks(model) if name not in own]
    path.write_bytes(b"".join([data[:8], *own[b"IHDR"], *others, *own[b"IDAT"], *own[b"IEND"]]))
