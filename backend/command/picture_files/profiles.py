"""Colour profiles (ICC): conversion of pictures from one to another, by LittleCMS in Pillow.

LittleCMS in Pillow has 8 bits only. A profile made of primaries and curves needs no such conversion: its
pictures are coded with sRGB's curve, without loss, and the backend converts the primaries.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from atelier_shared.colour_space import Matrix, colour_space

from .pixels import MODES, WHITE, Pixels, coded, split_alpha

COLOUR_SPACES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK", "Lab ": "LAB"}
"""Pillow's mode for the colour space of a profile, as its header names it."""
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LIGHTEST_CODED_GREY = 160
"""sRGB's value of a profile's middle grey: 128 if coded like sRGB, 188 if proportional to light."""
GRID = np.linspace(0, 1, 2**16)
"""Every value of 8 and of 16 bits."""


@dataclass(frozen=True, eq=False)
class ProfileCoding:
    """A profile's coding of colours.

    Attributes:
        to_srgb: the matrix of its primaries, as in a `Picture`.
        curves: for each value of GRID, the value with sRGB's curve instead of the profile's own, of each
            channel; none if both curves are alike.
    """

    to_srgb: Matrix = ()
    curves: tuple[NDArray[np.float64], ...] = ()

    def with_srgb_s_curve(self, colours: NDArray[np.float32], depth: str) -> NDArray[np.float32]:
        """Replace the profile's own curve in colours, (H, W, channels) in [0, 1], stored with a depth."""
        return _mapped(colours, depth, [(GRID, curve) for curve in self.curves])

    def with_own_curve(self, colours: NDArray[np.float32], depth: str) -> NDArray[np.float32]:
        """Undo `with_srgb_s_curve`."""
        return _mapped(colours, depth, [(curve, GRID) for curve in self.curves])


def _mapped(
    colours: NDArray[np.float32], depth: str, curves: list[tuple[NDArray[Any], NDArray[Any]]]
) -> NDArray[np.float32]:
    """Map each channel by a curve, given as values and their results; floats beyond 0 to 1 stay."""
    made = colours.copy()
    for channel, (given, result) in zip(np.moveaxis(made, -1, 0), curves, strict=True):
        if depth == "f32":
            inside = (channel > 0) & (channel < 1)
            channel[inside] = np.interp(channel[inside], given, result)
        else:
            table = np.interp(GRID, given, result).astype(np.float32)
            levels = np.rint(channel.clip(0, 1) * np.float32(GRID.size - 1))
            channel[...] = table[levels.astype(np.uint16)]
    return made


@functools.lru_cache(maxsize=4)
def coding(profile: bytes | None) -> ProfileCoding | None:
    """Return a profile's coding; None if it has tables of colours."""
    if profile is None:
        return ProfileCoding()
    space = colour_space(profile)
    if space is None:
        return None
    if space.gamma == 0 and not space.to_srgb:
        return ProfileCoding()
    light = [np.array([curve(x) for x in GRID.tolist()]) for curve in space.curves]
    return ProfileCoding(space.to_srgb, tuple(coded(np.maximum.accumulate(values)) for values in light))


def fits(profile: bytes, mode: str) -> bool:
    """Return whether a profile can be read and describes pictures of a mode of Pillow."""
    try:
        return COLOUR_SPACES.get(_opened(profile).profile.xcolor_space) == mode.removesuffix("A")
    except (OSError, ImageCms.PyCMSError):
        return False


@functools.lru_cache(maxsize=8)
def is_linear(profile: bytes | None) -> bool:
    """Return whether a profile's values are proportional to light."""
    if profile is None:
        return False
    mode = COLOUR_SPACES[_opened(profile).profile.xcolor_space]
    grey = Image.new(mode, (1, 1), 128 if mode == "L" else (128, 128, 128))
    coded = to_profile(grey, profile, None).convert("L").getpixel((0, 0))
    return isinstance(coded, int | float) and coded > LIGHTEST_CODED_GREY


def to_profile(image: Image.Image, own: bytes | None, wanted: bytes | None) -> Image.Image:
    """Convert an image without alpha to another profile; None is sRGB.

    Raises:
        PyCMSError: a profile cannot be used.
    """
    if own is None and image.mode in ("L", "1"):
        image = image.convert("RGB")
    target = _opened(wanted)
    mode = COLOUR_SPACES[target.profile.xcolor_space]
    converted = ImageCms.profileToProfile(image, _own(own, image.mode), target, outputMode=mode)
    assert converted is not None, "None is only returned when converting in place"
    return converted


def converted(pixels: Pixels, own: bytes | None, wanted: bytes | None) -> Pixels:
    """Return pixels in the colours of another profile, with 8 bits; unchanged if it is the same profile."""
    if (own or SRGB) == (wanted or SRGB):
        return pixels
    colours, alpha = split_alpha(pixels)
    scale = 255 / WHITE[pixels.depth]
    narrow = np.rint(np.clip(colours * np.float32(scale), 0, 255)).astype(np.uint8)
    mode = MODES[pixels.channels.removesuffix("A")]
    image = Image.fromarray(narrow if mode == "RGB" else narrow[..., 0])
    made = np.asarray(to_profile(image, own, wanted))
    made = made.reshape(*made.shape[:2], -1)
    if alpha.size:
        made = np.concatenate([made, np.rint(alpha * np.float32(scale)).astype(np.uint8)], axis=-1)
    return Pixels.of(made)


def _own(profile: bytes | None, mode: str) -> ImageCms.ImageCmsProfile:
    if profile is None and mode == "LAB":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return _opened(profile)


def _opened(profile: bytes | None) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile or SRGB))
