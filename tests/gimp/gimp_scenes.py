"""The table of images on which the filters are tested in GIMP. It imports nothing of GIMP."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """An image with a backdrop and, above it, the layer for the filter.

    `precision` is a name in Gimp.Precision, `profile` a constructor of Gimp.ColorProfile. `offset` is the
    layer's position; the layer is smaller than the image. `grouped`: the layer is in a layer group.
    """

    precision: str = "U8_NON_LINEAR"
    gray: bool = False
    profile: str = ""
    alpha: bool = False
    offset: tuple[int, int] = (0, 0)
    grouped: bool = False
    selection: str = ""
    masked: bool = False


SCENES = {
    "16 bits, AdobeRGB, off the corner, feathered ellipse": Scene(
        precision="U16_NON_LINEAR", profile="new_rgb_adobe", offset=(-17, 11), selection="feathered ellipse"
    ),
    "plain": Scene(),
    "alpha": Scene(alpha=True),
    "a rectangle": Scene(selection="rectangle"),
    "alpha, in a group, a rectangle": Scene(alpha=True, grouped=True, selection="rectangle"),
    "smaller than the image, in a group": Scene(offset=(25, -20), grouped=True),
    "gray": Scene(gray=True),
    "gray, alpha, off the corner, feathered ellipse": Scene(
        gray=True, alpha=True, offset=(9, 14), selection="feathered ellipse"
    ),
    "gray, 16 bits, in a group": Scene(gray=True, precision="U16_NON_LINEAR", grouped=True),
    "gray, float": Scene(gray=True, precision="FLOAT_LINEAR", alpha=True),
    "8 bits, AdobeRGB": Scene(profile="new_rgb_adobe", alpha=True, selection="feathered ellipse"),
    "8 bits, linear": Scene(precision="U8_LINEAR", selection="rectangle"),
    "8 bits, perceptual": Scene(precision="U8_PERCEPTUAL", profile="new_rgb_adobe"),
    "8 bits, linear profile": Scene(profile="new_rgb_srgb_linear", alpha=True),
    "16 bits": Scene(precision="U16_NON_LINEAR", alpha=True, selection="feathered ellipse"),
    "16 bits, linear": Scene(precision="U16_LINEAR", offset=(3, 5)),
    "16 bits, perceptual, linear profile": Scene(precision="U16_PERCEPTUAL", profile="new_rgb_srgb_linear"),
    "32 bits": Scene(precision="U32_NON_LINEAR", selection="feathered ellipse"),
    "half": Scene(precision="HALF_NON_LINEAR", alpha=True),
    "float, linear, AdobeRGB": Scene(
        precision="FLOAT_LINEAR", profile="new_rgb_adobe", alpha=True, selection="feathered ellipse"
    ),
    "float, in a group, off the corner": Scene(precision="FLOAT_NON_LINEAR", grouped=True, offset=(-30, -30)),
    "double": Scene(precision="DOUBLE_LINEAR", selection="rectangle"),
    "a layer mask": Scene(masked=True, offset=(6, 2)),
    "a layer mask and a feathered ellipse": Scene(
        masked=True, alpha=True, grouped=True, offset=(-6, 8), selection="feathered ellipse"
    ),
    "a layer mask and a feathered ellipse, float": Scene(
        masked=True, precision="FLOAT_LINEAR", selection="feathered ellipse"
    ),
}
