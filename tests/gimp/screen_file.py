"""The pixels of a virtual screen, read from the file in which Xvfb keeps them.

Reading it takes some milliseconds. A program that asks the server for them, and saves them as PNG, takes a
third of a second of processor time.

Sources:
    Xvfb(1), -fbdir; the format XWD: X11/XWDFile.h
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from PIL import Image

NAME = "Xvfb_screen0"
WORDS = 25
"""32-bit big-endian numbers in the header. The first is the length of the header with the window's name."""
COLOUR_BYTES = 12
"""The length of an entry in the table of colours between the header and the pixels."""


class Header(NamedTuple):
    """The numbers of a header that give the places of the pixels."""

    length: int
    width: int
    height: int
    row_bytes: int
    colours: int


def read_screen(folder: Path) -> Image.Image:
    """Read the screen of the Xvfb with `-fbdir FOLDER` and 24 bits a pixel; return it as RGB."""
    content = (folder / NAME).read_bytes()
    words = struct.unpack_from(f">{WORDS}I", content)
    header = Header(length=words[0], width=words[4], height=words[5], row_bytes=words[12], colours=words[19])
    pixels = content[header.length + COLOUR_BYTES * header.colours :]
    size = header.width, header.height
    return Image.frombuffer("RGB", size, pixels, "raw", "BGRX", header.row_bytes, 1)
