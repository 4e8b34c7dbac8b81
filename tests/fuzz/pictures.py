"""Picture files: any file is read completely or refused with a sentence."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from backend.command.picture_files import Canvas, PictureFileError

FILE = Path(tempfile.mkdtemp(prefix="atelier-fuzz-"), "style")
WORDS = [
    *(b"\x89PNG\r\n\x1a\n", b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"zTXt", b"IEND", b"acTL"),
    *(b"\xff\xd8", b"\xff\xe1", b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda", b"\xff\xd9", b"Exif\0\0"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"\x12\x01\x03\0", b"\xff\xff\xff\xff", b"ICC_PROFILE\0"),
    *(b"GIF89a", b"RIFF", b"WEBPVP8 ", b"WEBPVP8L", b"BM", b"P5\n", b"P6\n", b"#?RADIANCE\n", b"v/1\x01"),
    *(
        b"ftypheic",
        b"ftypavif",
        b"\xff\x4f\xff\x51",
        b"\xff\x0a",
        b"<svg ",
        b'width="9"',
        b"<path d='M0 0h9v9'/>",
    ),
]


def one_input(data: bytes) -> None:
    FILE.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on damaged metadata
        try:
            canvas = Canvas.load(FILE)
        except PictureFileError as error:
            assert str(error).endswith(".")
            return
    assert len(canvas.picture.pixels) == canvas.whole.width * canvas.whole.height * canvas.picture.pixel_bytes
