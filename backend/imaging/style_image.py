"""A style picture: how much it weighs, which part of it counts, and the size at which it is looked at.

Knows image tensors; nothing of networks, nor of what is learnt from a style.

Source: Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*, CVPR, sections 4
and 6: the part of the style that is used, and its size beside the content's, are the painter's choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from .resize import Size, resize, scaled, size_of

MOST_ENLARGED = 2.0
"""A style is enlarged so far for strokes of the intended size; beyond that it would be a blur."""
MOST_FRAME = 0.1
"""Part of a side that a frame takes at most; what is wider is the style's own ground."""
FRAME_CHANGE = 0.1
"""How far a value of a frame is from the frame's colour at most: a scan has noise."""


class Style(NamedTuple):
    """A picture to learn from.

    `image` is an image tensor. `weight` counts beside the other styles' weights. `visible`,
    (1, 1, H, W) in [0, 1], is how much each pixel counts; None stands for all of them in full.
    """

    image: Tensor
    weight: float = 1.0
    visible: Tensor | None = None


def fitted(style: Style, content_size: Size, *, style_size: float, stretch: bool, minimum_px: int) -> Style:
    """The style at the size that suits a content of `content_size`.

    Args:
        style: of any size.
        content_size: height and width of the content as it is painted.
        style_size: the style's longest side as a multiple of the content's: half of it has strokes
            of half the size. The style is enlarged to MOST_ENLARGED times its own size at most.
        stretch: whether the style takes on the content's proportions; else it keeps its own.
        minimum_px: least side, even where the style must be enlarged for it.

    Raises:
        ValueError: nothing of the style is visible.
    """
    refuse_hidden(style)
    image, weight, visible = style
    own = size_of(image)
    longest_px = min(round(style_size * max(content_size)), round(MOST_ENLARGED * max(own)))
    size = scaled(content_size if stretch else own, longest_px, minimum_px)
    if visible is not None:
        visible = resize(visible, size).clamp(0, 1)
    return Style(resize(image, size).clamp(0, 1), weight, visible)


def without_frame(style: Style) -> Style:
    """The style without a flat frame, such as a scan's black border, which would be painted as bars.

    One of which only a part is visible stays as it is, for what counts of it has been chosen.
    """
    if style.visible is not None:
        return style
    height, width = size_of(style.image)
    top, bottom = map(_frame_px, _edges(style.image[0]))
    left, right = map(_frame_px, _edges(style.image[0].mT))
    return style._replace(image=style.image[..., top : height - bottom, left : width - right])


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last rows of (C, H, W), from the edge inwards: one more than a frame can have."""
    rows = 1 + int(MOST_FRAME * image.shape[1])
    return image[:, :rows], image[:, -rows:].flip(1)


def _frame_px(rows: Tensor) -> int:
    """How many of the rows (C, n, W), from the edge inwards, are mostly of the first one's one colour."""
    colour = rows[:, 0].median(dim=-1).values
    same = (rows - colour[:, None, None]).abs().amax(dim=0) < FRAME_CHANGE
    shares = same.float().mean(dim=-1).tolist()
    inside = (row for row, share in enumerate(shares) if share <= 0.5)
    return next(inside, 0) if shares[0] > 0.95 else 0


def refuse_hidden(style: Style) -> None:
    """Raise ValueError if nothing of the style is visible."""
    if style.visible is not None and not style.visible.any():
        raise ValueError("Nothing of the style picture is visible; choose another, or another part of it.")


def shares(styles: Sequence[Style]) -> list[float]:
    """What each style counts, so that all of them together count 1.

    Raises:
        ValueError: none of them has a weight.
    """
    total = sum(style.weight for style in styles)
    if not total > 0:
        raise ValueError("The styles' weights are all 0; give at least one style a weight.")
    return [style.weight / total for style in styles]
