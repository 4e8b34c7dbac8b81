"""Reading of HEIC files: 8 bits, or 10 and 12 bits as 16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

from . import metadata
from .decoded import Check, Compression, Decoded, note_of_frames
from .formats import Format
from .pixels import Pixels


def read(path: Path, kind: Format, check: Check) -> Decoded:
    """Read a HEIC file; its 10 or 12 bits become 16. libheif turns it upright."""
    with path.open("rb") as file:
        heif = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
        check(*heif.size)
        values, notes = np.asarray(heif), note_of_frames(len(heif), kind)
    if values.dtype == np.uint16:
        bits = heif.info["bit_depth"]
        values = np.rint((values >> (16 - bits)) * (65535 / (2**bits - 1))).astype(np.uint16)
    image = Image.new("L", (1, 1))
    image.info.update(heif.info)
    found = metadata.of_image(image).upright(turned=False)
    return Decoded(Pixels.of(values), found, Compression(kind, False), notes=notes)
