"""Colour profiles (ICC): conversion of pictures from one to another, by LittleCMS in Pillow."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image, ImageCms

from .pixels import MODES, WHITE, Pixels, split_alpha

COLOUR_SPACES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK", "Lab ": "LAB"}
"""Pillow's mode for the colour space of a profile, as its header names it."""
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LIGHTEST_CODED_GREY = 160
"""sRGB's value of a profile's middle grey: 128 if coded like sRGB, 188 if proportional to light."""


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
