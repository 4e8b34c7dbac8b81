"""Picture files of the command line, read and written with Pillow. In GIMP, GIMP does this."""

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

import numpy as np
from PIL import Image, ImageCms, ImageOps

from atelier_shared.errors import AtelierError
from atelier_shared.home import replacing
from atelier_shared.messages import CHANNELS, MAX_SIDE_PX, Picture, Region

from ..jobs.picture_arrays import DTYPES, as_array, as_picture, crop, inside
from .blending import Array, blend

MODES = {"L": "Y", "LA": "YA", "RGB": "RGB", "RGBA": "RGBA", "I;16": "Y"}
"""The channels of a `Picture` for each mode of Pillow that is used here."""

DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(struct.error, zlib.error, ImageCms.PyCMSError),
)
"""Errors that Pillow raises for damaged or crafted files, found by tests/fuzz/pictures.py."""


class PictureFileError(AtelierError):
    """A file could not be read or written as a picture; the text says why and how to continue."""


@dataclass(frozen=True)
class Mask:
    """Opacity of the result at each pixel: (H, W), in [0, 1]."""

    values: Array

    @property
    def region(self) -> Region:
        """The smallest rectangle around all pixels with an opacity above 0."""
        rows, columns = (np.flatnonzero(self.values.any(axis=axis)) for axis in (1, 0))
        x, y = int(columns[0]), int(rows[0])
        return Region(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y)


@dataclass(frozen=True)
class Canvas:
    """A picture file's pixels, with the mode and colour profile to write them back unchanged."""

    picture: Picture
    mode: str
    profile: bytes | None

    @classmethod
    def load(cls, path: Path) -> Canvas:
        """Read a picture, rotated upright as its Exif data says.

        Raises:
            PictureFileError: there is no such file, or it is not a picture.
        """
        image = _read(path)
        depth = "u16" if image.mode == "I;16" else "u8"
        picture = Picture(*image.size, MODES[image.mode], depth, image.tobytes())
        return cls(picture, image.mode, image.info.get("icc_profile"))

    @property
    def whole(self) -> Region:
        """The region of the whole picture."""
        return Region(0, 0, self.picture.width, self.picture.height)

    def content_of(self, region: Region) -> tuple[Picture, Region]:
        """Return the pixels of a region with their context, and the region's position among them."""
        around = region.with_context(self.picture.width, self.picture.height)
        return crop(self.picture, around), region.within(around)

    def load_mask(self, path: Path) -> Mask:
        """Read a picture of the same size as a mask: white changes a pixel, black keeps it.

        Raises:
            PictureFileError: it cannot be read, has another size, or is completely black.
        """
        image = _read(path)
        if image.size != (self.picture.width, self.picture.height):
            raise PictureFileError(
                f"The mask {path} has {image.width}×{image.height} pixels and the picture "
                f"{self.picture.width}×{self.picture.height}. Scale the mask to the picture's size."
            )
        levels = np.asarray(image if image.mode == "I;16" else image.convert("L"))
        if not levels.any():
            raise PictureFileError(f"The mask {path} is completely black. Paint the part to change in white.")
        return Mask(levels / np.iinfo(levels.dtype).max)

    def seen_through(self, mask: Mask) -> Picture:
        """Return the pixels with their alpha multiplied by the mask; without alpha they count as opaque."""
        values, white = as_array(self.picture), np.iinfo(DTYPES[self.picture.depth]).max
        colours, alpha = np.split(values, [self._colours], axis=-1)
        shown = np.rint((alpha if alpha.size else white) * mask.values[..., None])
        model = self.picture.channels.removesuffix("A")
        return as_picture(
            np.concatenate([colours, shown.astype(values.dtype)], axis=-1), f"{model}A", self.picture.depth
        )

    def check_savable(self, path: Path) -> None:
        """Check with a file of one pixel beside `path` if `save` can write `path`.

        Raises:
            PictureFileError: it cannot.
        """
        probe = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
        with _errors_explained(path):
            try:
                Image.new(self.mode, (1, 1)).save(probe, icc_profile=self.profile)
            finally:
                probe.unlink(missing_ok=True)

    def save(self, path: Path, result: Picture, region: Region, mask: Mask | None) -> None:
        """Write the picture with `result` blended into its region through the mask.

        Raises:
            PictureFileError: the file's ending is no known format, or the format cannot hold such a
                picture, or the file cannot be written. An older file of this name then stays.
        """
        pixels = as_array(self.picture).copy()
        part = inside(region)
        opacity = mask.values[part] if mask else np.ones((region.height, region.width))
        pixels[part] = blend(pixels[part], as_array(result), opacity[..., None], self._colours)
        size = (self.picture.width, self.picture.height)
        with _errors_explained(path), replacing(path) as draft:
            Image.frombytes(self.mode, size, pixels.tobytes()).save(draft, icc_profile=self.profile)

    @property
    def _colours(self) -> int:
        """The number of channels without alpha."""
        return CHANNELS[self.picture.channels.removesuffix("A")]


def _read(path: Path) -> Image.Image:
    """Read a file's picture, upright and in one of MODES."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if max(image.size) > MAX_SIDE_PX:
                    raise ValueError(f"its longer side has more than {MAX_SIDE_PX} pixels")
                return _in_a_known_mode(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureFileError(f"{path} is too large to open safely: {error}") from error
    except FileNotFoundError as error:
        raise PictureFileError(f"There is no file {path}. Check its name.") from error
    except DAMAGED as error:
        raise PictureFileError(f"{path} cannot be read as a picture: {error}.") from error


def _in_a_known_mode(image: Image.Image) -> Image.Image:
    """Convert a picture to one of MODES; raise ValueError if it fits none of them."""
    if image.mode == "F":
        raise ValueError("float images have no defined white level; save it as 16-bit")
    if image.mode.startswith("I"):
        return _in_16_bits(image)
    if image.mode == "CMYK" and "icc_profile" in image.info:
        image = _in_srgb(image)
    model = "L" if Image.getmodebase(image.mode) == "L" else "RGB"
    mode = model + "A" if image.has_transparency_data else model
    return image if image.mode == mode else image.convert(mode)


def _in_16_bits(image: Image.Image) -> Image.Image:
    """Convert a gray picture of integers of any width and byte order to 16 bits."""
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > np.iinfo(np.uint16).max:
        raise ValueError("its values exceed 16 bits; save it as 16-bit")
    known = Image.fromarray(levels.astype(DTYPES["u16"]))
    known.info = image.info
    return known


def _in_srgb(image: Image.Image) -> Image.Image:
    """Convert a picture with a colour profile to sRGB."""
    own = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    converted = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None, "None is only returned when converting in place"
    return converted


@contextlib.contextmanager
def _errors_explained(path: Path) -> Iterator[None]:
    """Turn the errors of writing to `path` into a PictureFileError."""
    if not path.parent.is_dir():
        raise PictureFileError(f"There is no folder {path.parent}. Create it, or choose another one.")
    if path.is_dir():
        raise PictureFileError(f"{path} cannot be written because it is a folder. Name a file in it.")
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno:
            raise PictureFileError(f"{path} cannot be written: {error.strerror}.") from error
        advice = "Choose another format, for example a name that ends in .png"
        raise PictureFileError(f"{path} cannot be written ({error.args[0]}). {advice}.") from error
