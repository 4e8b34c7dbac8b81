"""A picture file to change: its pixels for the backend, and blending of the result into them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from gettext import gettext as _
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atelier_shared.colour_space import Matrix
from atelier_shared.messages import Picture, Region

from ...jobs.picture_arrays import as_array, as_picture, crop, inside
from . import profiles, safe_writing, streams
from .blending import Array, blend
from .decoded import Compression, Decoded
from .errors import PictureFileError, writing
from .formats import BY_SUFFIX, Format, for_writing
from .metadata import Metadata
from .pixels import WHITE, Pixels, coded, in_depth, light, split_alpha
from .reading import MAX_MEGAPIXELS, read
from .writing import Encoding, write

STRIP_ROWS = 256
"""Rows to blend at a time, to limit the memory for their floats."""


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
    """A picture file: its pixels, metadata and compression, to write them back unchanged."""

    file: Decoded

    @classmethod
    def load(cls, path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Canvas:
        """Read a picture, rotated upright as its Exif data says.

        Raises:
            PictureFileError: there is no such file, or it is no picture of a known format, or too large.
        """
        return cls(read(path, max_megapixels))

    @classmethod
    def of(cls, values: NDArray[Any]) -> Canvas:
        """Return an array (H, W, channels) as a picture in sRGB."""
        return cls(Decoded(Pixels.of(values), Metadata(), Compression(BY_SUFFIX[".png"], True)))

    @cached_property
    def picture(self) -> Picture:
        """The pixels for the backend: with sRGB's curve, the file's primaries, and straight alpha."""
        pixels = self.file.pixels
        if self._is_recoded:
            own = pixels.values
            strips = (own[start : start + STRIP_ROWS] for start in range(0, len(own), STRIP_ROWS))
            pixels = Pixels(np.concatenate([self._coded(Pixels(strip)).values for strip in strips]))
        return as_picture(pixels.values, pixels.channels, pixels.depth, self._to_srgb)

    @property
    def whole(self) -> Region:
        """The region of the whole picture."""
        height, width = self.file.pixels.values.shape[:2]
        return Region(0, 0, width, height)

    def content_of(self, region: Region) -> tuple[Picture, Region]:
        """Return the pixels of a region with their context, and the region's position among them."""
        around = region.with_context(self.whole.width, self.whole.height)
        return crop(self.picture, around), region.within(around)

    def notes(self, region: Region) -> list[str]:
        """Return notes: unused parts of the file, and losses of its pixels where `region` changes."""
        values = split_alpha(Pixels(self.file.pixels.values[inside(region)]))[0]
        limited = self.file.pixels.depth == "f32" and bool((values > 1).any() or (values < 0).any())
        beyond = _("Values above white and below black are limited to them where the picture changes.")
        return [*self.file.notes, *([beyond] if limited else [])]

    # ── Masks and styles ─────────────────────────────────────────────────────────────────────────

    def load_mask(self, path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Mask:
        """Read a picture of the same size as a mask: white changes a pixel; black or transparent keeps it.

        Raises:
            PictureFileError: it cannot be read, has another size, or keeps every pixel.
        """
        pixels = read(path, max_megapixels).pixels
        height, width = pixels.values.shape[:2]
        if (width, height) != (self.whole.width, self.whole.height):
            template = _(
                "The mask {file} has {size} pixels and the picture {own_size}. "
                "Scale the mask to the picture's size."
            )
            own_size = f"{self.whole.width}×{self.whole.height}"
            raise PictureFileError(template, file=path, size=f"{width}×{height}", own_size=own_size)
        mask = Mask(_brightness(pixels))
        if not mask.values.any():
            template = _("The mask {file} is completely black. Paint the part to change in white.")
            if "A" in pixels.channels:
                template = _(
                    "The mask {file} is completely black or transparent. Paint the part to change in white."
                )
            raise PictureFileError(template, file=path)
        return mask

    def in_colours_of(self, other: Canvas) -> Canvas:
        """Return the picture such that equal colours look equal to the backend as those of another one.

        The backend knows the colours of all profiles but those with tables. A picture with such a profile
        is seen as it is, and others are converted into this profile.
        """
        wanted = other.file.metadata.profile
        if profiles.coding(wanted):
            if profiles.coding(self.file.metadata.profile):
                return self
            wanted = None
        pixels = self._in_profile(wanted)
        return Canvas(
            replace(
                self.file,
                pixels=pixels,
                metadata=replace(self.file.metadata, profile=wanted),
                linear=profiles.is_linear(wanted),
                premultiplied=False,
            )
        )

    def in_srgb(self) -> Pixels:
        """Return the pixels in sRGB."""
        return self._in_profile(None)

    def _in_profile(self, wanted: bytes | None) -> Pixels:
        own = self.file.metadata.profile
        return profiles.converted(self.file.pixels if own else self._coded(self.file.pixels), own, wanted)

    def seen_through(self, mask: Mask) -> Picture:
        """Return the pixels with their alpha multiplied by the mask; without alpha they count as opaque."""
        pixels = Pixels(as_array(self.picture))
        colours, alpha = split_alpha(pixels)
        shown = (alpha if alpha.size else WHITE[pixels.depth]) * mask.values[..., None]
        if pixels.depth != "f32":
            shown = np.rint(shown)
        values = np.concatenate([colours, shown.astype(colours.dtype)], axis=-1)
        return as_picture(values, f"{pixels.channels.removesuffix('A')}A", pixels.depth, self._to_srgb)

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────

    def encoding(self, path: Path, quality: int | None = None, format: Format | None = None) -> Encoding:
        """Return how to write a file: in the format of its name, or in `format`.

        Raises:
            PictureFileError: no format has such a name.
        """
        return Encoding(format or for_writing(path), self.file.compression, quality)

    def losses(self, encoding: Encoding) -> list[str]:
        """Return notes about losses of the picture in a file."""
        return encoding.losses(self.file.pixels, self.file.metadata)

    def check_savable(self, path: Path, encoding: Encoding | None = None) -> None:
        """Check with a draft of one pixel if `save` can write `path`; `path` itself stays as it is.

        Raises:
            PictureFileError: it cannot.
        """
        encoding = encoding or self.encoding(path)
        one = Pixels(self.file.pixels.values[:1, :1])
        with _explained(path):
            if streams.is_stream(path):
                return
            with safe_writing.draft_beside(path, encoding.format.suffixes[0]) as draft:
                write(draft, one, self.file.metadata, encoding)

    def save(
        self, path: Path, result: Picture, region: Region, mask: Mask | None, encoding: Encoding | None = None
    ) -> None:
        """Write the picture with `result` blended into its region through the mask.

        Raises:
            PictureFileError: the file's ending is no known format, or the format cannot hold such a
                picture, or the file cannot be written. An older file of this name then stays.
        """
        encoding = encoding or self.encoding(path)
        made = self._blended(result, region, mask)
        if "profile" not in encoding.format.metadata and not encoding.format.linear:
            made = profiles.converted(made, self.file.metadata.profile, None)
        with _explained(path), safe_writing.replacing(path, encoding.format.suffixes[0]) as draft:
            write(draft, _for_format(made, self.file, encoding.format), self.file.metadata, encoding)

    def _blended(self, result: Picture, region: Region, mask: Mask | None) -> Pixels:
        """Return the pixels in the file's own coding, with the result in its region."""
        values, over = self.file.pixels.values.copy(), as_array(result)
        for start in range(0, region.height, STRIP_ROWS):
            strip = slice(start, min(start + STRIP_ROWS, region.height))
            rows = slice(region.y + strip.start, region.y + strip.stop)
            part = (rows, slice(region.x, region.x + region.width))
            under, above = values[part], over[strip]
            opacity = mask.values[part][..., None] if mask else np.ones((*above.shape[:2], 1))
            mixed = blend(self._coded(Pixels(under)).values, above, opacity, self.file.pixels.colours)
            values[part] = np.where(opacity == 0, under, self._stored(Pixels(mixed)).values)
        return Pixels(values)

    def _coded(self, pixels: Pixels) -> Pixels:
        """Return stored pixels with sRGB's curve and straight alpha; with more bits if this changes them."""
        if not self._is_recoded:
            return pixels
        colours, alpha = split_alpha(in_depth(pixels, "f32"))
        if self.file.premultiplied:
            colours = np.divide(colours, alpha, out=colours.copy(), where=alpha > 0)
        if self.file.linear:
            colours = coded(colours)
        elif self._coding.curves:
            colours = self._coding.with_srgb_s_curve(colours, pixels.depth)
        return in_depth(Pixels(np.concatenate([colours, alpha], axis=-1)), self._coded_depth)

    def _stored(self, pixels: Pixels) -> Pixels:
        """Return pixels as the file stores them: the inverse of `_coded`."""
        if self._is_recoded:
            colours, alpha = split_alpha(in_depth(pixels, "f32"))
            if self.file.linear:
                colours = light(colours)
            elif self._coding.curves:
                colours = self._coding.with_own_curve(colours, pixels.depth)
            if self.file.premultiplied:
                colours = colours * alpha
            pixels = Pixels(np.concatenate([colours, alpha], axis=-1))
        return in_depth(pixels, self.file.pixels.depth)

    @property
    def _is_recoded(self) -> bool:
        """Whether the backend gets other values than the file's."""
        return bool(self.file.linear or self.file.premultiplied or self._coding.curves)

    @property
    def _coding(self) -> profiles.ProfileCoding:
        """The coding of the profile. The values of a profile with tables are sent as they are."""
        return profiles.coding(self.file.metadata.profile) or profiles.ProfileCoding()

    @property
    def _coded_depth(self) -> str:
        """The depth after `_coded`: 16 bits hold all 8-bit values without loss under another curve."""
        is_light = self.file.linear or self.file.premultiplied
        return "f32" if is_light or self.file.pixels.depth != "u8" else "u16"

    @property
    def _to_srgb(self) -> Matrix:
        return self._coding.to_srgb if self.file.pixels.colours == 3 else ()


def _for_format(pixels: Pixels, file: Decoded, format: Format) -> Pixels:
    """Return pixels stored as in `file` as a file of another format stores them."""
    is_light = file.linear and not file.metadata.profile
    has_alpha = "A" in pixels.channels
    premultiplies = format.linear and has_alpha
    if is_light == format.linear and file.premultiplied == premultiplies:
        return pixels
    colours, alpha = split_alpha(in_depth(pixels, "f32"))
    if file.premultiplied:
        colours = np.divide(colours, alpha, out=colours.copy(), where=alpha > 0)
    if is_light != format.linear:
        colours = light(colours) if format.linear else coded(colours)
    if premultiplies:
        colours = colours * alpha
    values = Pixels(np.concatenate([colours, alpha], axis=-1))
    return values if is_light != format.linear else in_depth(values, pixels.depth)


def _brightness(pixels: Pixels) -> Array:
    """Return the mean of the colours, multiplied by alpha: (H, W), in [0, 1]."""
    colours, alpha = split_alpha(pixels)
    white = WHITE[pixels.depth]
    grey = (colours[..., 0] if pixels.colours == 1 else _luma(colours)) / white
    return np.clip(grey * (alpha[..., 0] / white) if alpha.size else grey, 0, 1)


def _luma(colours: NDArray[Any]) -> Array:
    """Return the brightness of colours, rounded as Pillow does (ITU-R BT.601-7, 2.5.1)."""
    luma: Array = colours @ np.array([0.299, 0.587, 0.114])
    return luma if colours.dtype.kind == "f" else np.rint(luma)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the errors of writing to `path` into a PictureFileError."""
    if not path.parent.is_dir():
        template = _("There is no folder {folder}. Create it, or choose another one.")
        raise PictureFileError(template, folder=path.parent)
    with writing(path):
        yield
