"""Reading of a picture file: recognised by its content, decoded by the reader of its format."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path

from atelier_shared.messages import MAX_SIDE_PX

from . import deep_reading, heic, pillow_reading, profiles, svg
from .decoded import Check, Decoded
from .errors import DAMAGED, PictureFileError, reading
from .formats import Format, identify
from .pixels import MODES
from .streams import seekable

MAX_MEGAPIXELS = 250
"""Larger pictures are refused unless the user raises the limit: a few bytes can claim a gigabyte."""
READERS: Mapping[str, Callable[[Path, Format, Check], Decoded]] = {
    "PNG": deep_reading.read_png,
    "TIFF": deep_reading.read_tiff,
    "PNM": deep_reading.read_pnm,
    "JPEG XL": deep_reading.read_jpeg_xl,
    "EXR": deep_reading.read_light,
    "HDR": deep_reading.read_light,
    "JPEG 2000": pillow_reading.read_jpeg_2000,
    "AVIF": pillow_reading.read_avif,
    "HEIC": heic.read,
    "SVG": svg.read,
}
"""The readers of formats beyond Pillow, or beyond its depths."""


def read(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Decoded:
    """Read a picture file.

    Raises:
        PictureFileError: there is no such file, it is in no known format, damaged, or too large.
    """

    def check(width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise ValueError(_("it has no pixels"))
        if max(width, height) > MAX_SIDE_PX:
            raise ValueError(_("its longer side has more than {count} pixels").format(count=MAX_SIDE_PX))
        if width * height > max_megapixels * 1e6:
            template = _(
                "{file} has {count} megapixels, above the limit of {limit}. "
                "If you trust the file, raise the limit with --max-megapixels."
            )
            megapixels, limit = f"{width * height / 1e6:.0f}", f"{max_megapixels:g}"
            raise PictureFileError(template, file=path, count=megapixels, limit=limit)

    with reading(path), seekable(path) as file, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind = identify(file)
        decoded = _with_usable_profile(READERS.get(kind.name, pillow_reading.read)(file, kind, check))
    if any("corrupt" in str(each.message).lower() for each in caught):
        decoded = decoded.with_note(_("Its damaged metadata is left out."))
    return decoded


def _with_usable_profile(decoded: Decoded) -> Decoded:
    """Drop a profile that is damaged or of another colour space, and note if the values are light."""
    profile = decoded.metadata.profile
    if profile is None:
        return decoded
    mode = MODES[decoded.pixels.channels]
    try:
        if profiles.fits(profile, mode):
            return replace(decoded, linear=decoded.linear or profiles.is_linear(profile))
    except DAMAGED:
        pass
    without = replace(decoded, metadata=replace(decoded.metadata, profile=None))
    return without.with_note(_("Its colour profile does not fit the picture and is left out."))
