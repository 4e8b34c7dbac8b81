"""Picture files for the command line: read, blended through a mask, written whole.

GIMP does all of this for the filters in it. Pillow reads and writes here, within its limits on
decompression bombs; nothing of the wire or of networks is known but what a `Picture` is.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from atelier_shared.errors import AtelierError
from atelier_shared.messages import CHANNELS, MAX_SIDE_PX, Picture, Region

from ..jobs.picture_arrays import DTYPES, as_array, as_picture, crop, inside

MODES = {"L": "Y", "LA": "YA", "RGB": "RGB", "RGBA": "RGBA", "I;16": "Y"}

DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(struct.error, zlib.error, ImageCms.PyCMSError),
)
"""What Pillow raises at files that are damaged or crafted, as tests/fuzz/pictures.py found."""

Array = NDArray[np.float64]


class PictureFileError(AtelierError):
    """A file could not be read or written as a picture; the text is one sentence."""


@dataclass(frozen=True)
class Mask:
    """How much of the result is laid over each pixel: (H, W), in [0, 1]."""

    values: Array

    @property
    def region(self) -> Region:
        """The smallest rectangle that holds every pixel that is to change."""
        rows, columns = (np.flatnonzero(self.values.any(axis=axis)) for axis in (1, 0))
        x, y = int(columns[0]), int(rows[0])
        return Region(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y)


@dataclass(frozen=True)
class Canvas:
    """A picture file's pixels, with what is needed to write them back as they were."""

    picture: Picture
    mode: str
    profile: bytes | None

    @classmethod
    def load(cls, path: Path) -> Canvas:
        """Read a picture, upright.

        Raises:
            PictureFileError: there is none, or what there is is no picture.
        """
        image = _read(path)
        depth = "u16" if image.mode == "I;16" else "u8"
        picture = Picture(*image.size, MODES[image.mode], depth, image.tobytes())
        return cls(picture, image.mode, image.info.get("icc_profile"))

    @property
    def whole(self) -> Region:
        """The region that is the whole picture."""
        return Region(0, 0, self.picture.width, self.picture.height)

    def content_of(self, region: Region) -> tuple[Picture, Region]:
        """The pixels of a region with their context, and where in them the region lies."""
        around = region.with_context(self.picture.width, self.picture.height)
        return crop(self.picture, around), region.within(around)

    def load_mask(self, path: Path) -> Mask:
        """Read a picture of this one's size as a mask, upright, white for change.

        Raises:
            PictureFileError: it cannot be read, has another size, or is black all over.
        """
        image = _read(path)
        if image.size != (self.picture.width, self.picture.height):
            raise PictureFileError(
                f"The mask {path} is {image.width}×{image.height} pixels large and the picture "
                f"{self.picture.width}×{self.picture.height}: make them the same size."
            )
        levels = np.asarray(image if image.mode == "I;16" else image.convert("L"))
        if not levels.any():
            raise PictureFileError(
                f"The mask {path} is black all over: paint white where to change the picture."
            )
        return Mask(levels / np.iinfo(levels.dtype).max)

    def seen_through(self, mask: Mask) -> Picture:
        """The pixels with their alpha, which is full where there is none, times the mask."""
        values, white = as_array(self.picture), np.iinfo(DTYPES[self.picture.depth]).max
        colours, alpha = np.split(values, [self._colours], axis=-1)
        shown = np.rint((alpha if alpha.size else white) * mask.values[..., None])
        model = self.picture.channels.removesuffix("A")
        return as_picture(
            np.concatenate([colours, shown.astype(values.dtype)], axis=-1), f"{model}A", self.picture.depth
        )

    def check_savable(self, path: Path) -> None:
        """Find out with a single pixel whether `save` could write a file of that name.

        Raises:
            PictureFileError: it could not.
        """
        with _draft(path) as draft:
            Image.new(self.mode, (1, 1)).save(draft, icc_profile=self.profile)

    def save(self, path: Path, made: Picture, region: Region, mask: Mask | None) -> None:
        """Write the picture with `made` in its region, through the mask, as a whole file or not at all.

        Raises:
            PictureFileError: the file's ending names no format, or none for such a picture, or it cannot
                be written.
        """
        pixels = as_array(self.picture).copy()
        part = inside(region)
        share = mask.values[part] if mask else np.ones((region.height, region.width))
        pixels[part] = _blend(pixels[part], as_array(made), share[..., None], self._colours)
        size = (self.picture.width, self.picture.height)
        with _draft(path) as draft:
            Image.frombytes(self.mode, size, pixels.tobytes()).save(draft, icc_profile=self.profile)
            draft.replace(path)

    @property
    def _colours(self) -> int:
        """How many channels there are but alpha."""
        return CHANNELS[self.picture.channels.removesuffix("A")]


def _read(path: Path) -> Image.Image:
    """A file's picture, upright and in one of MODES."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if max(image.size) > MAX_SIDE_PX:
                    raise ValueError(f"its longer side has more than {MAX_SIDE_PX} pixels")
                return _in_a_known_mode(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureFileError(f"{path} is too large to be opened safely: {error}") from error
    except FileNotFoundError as error:
        raise PictureFileError(f"There is no file {path}: check its name.") from error
    except DAMAGED as error:
        raise PictureFileError(f"{path} cannot be read as a picture: {error}.") from error


def _in_a_known_mode(image: Image.Image) -> Image.Image:
    """The picture in one of MODES; raises ValueError where it fits into none."""
    if image.mode == "F":
        raise ValueError("its pixels are floats, of which none is sure to be white; save it with 16 bits")
    if image.mode.startswith("I"):
        return _in_16_bits(image)
    if image.mode == "CMYK" and "icc_profile" in image.info:
        image = _in_srgb(image)
    model = "L" if Image.getmodebase(image.mode) == "L" else "RGB"
    mode = model + "A" if image.has_transparency_data else model
    return image if image.mode == mode else image.convert(mode)


def _in_16_bits(image: Image.Image) -> Image.Image:
    """A gray picture of whole numbers, whatever their width and order of bytes."""
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > np.iinfo(np.uint16).max:
        raise ValueError("its numbers are larger than 16 bits hold; save it with 16 bits")
    known = Image.fromarray(levels.astype(DTYPES["u16"]))
    known.info = image.info
    return known


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture with its colours, and its profile, changed to sRGB."""
    own = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    converted = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None, "it is, unless told to convert in place"
    return converted


@contextlib.contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A place beside `path` for what is to be written there; it is empty again in the end."""
    if not path.parent.is_dir():
        raise PictureFileError(f"There is no folder {path.parent}: make it, or name another one.")
    if path.is_dir():
        raise PictureFileError(f"{path} cannot be written, for it is a folder: name a file in it.")
    draft = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        yield draft
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno:
            raise PictureFileError(f"{path} cannot be written: {error.strerror}.") from error
        advice = "let its name end in .png, for example"
        raise PictureFileError(f"{path} cannot be written ({error.args[0]}): {advice}.") from error
    finally:
        draft.unlink(missing_ok=True)


def _blend(under: NDArray[Any], over: NDArray[Any], share: Array, colours: int) -> NDArray[Any]:
    """Lay `over` upon `under` in linear light, as GIMP does; where `share` is 0 or 1, not a bit differs.

    Alpha, if it comes after the `colours` channels, is no light, and says how much its colour counts.
    """
    largest = np.iinfo(under.dtype).max
    (below, below_alpha), (above, above_alpha) = (
        np.split(pixels / largest, [colours], axis=-1) for pixels in (under, over)
    )
    alpha = (1 - share) * below_alpha + share * above_alpha
    part = np.divide(share * above_alpha, alpha, out=share.copy(), where=alpha > 0) if alpha.size else share
    light = (1 - part) * _to_linear(below) + part * _to_linear(above)
    mixed = np.concatenate([_from_linear(light), alpha], axis=-1)
    blended = np.rint(largest * mixed).astype(under.dtype)
    return np.where(share == 0, under, np.where(share == 1, over, blended))


def _to_linear(coded: Array) -> Array:
    """IEC 61966-2-1, sRGB."""
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def _from_linear(linear: Array) -> Array:
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
