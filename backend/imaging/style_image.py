"""A style picture: its weight, its visible part, and its size relative to the content.

Source: Gatys et al. 2017, *Controlling Perceptual Factors in Neural Style Transfer*, CVPR, sections 4
and 6: the user chooses the part of the style to use and its size relative to the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import Wrong
from atelier_shared.sizes import Size, scaled

from .resize import resize, size_of

MAX_ENLARGEMENT = 2.0
"""A style is not enlarged further than this, because it would be blurred."""
MAX_FRAME = 0.1
"""Widest frame as a part of the side. A wider border of one colour belongs to the picture."""
FRAME_TOLERANCE = 0.1
"""Largest difference between a value of a frame and the frame's colour: a scan has noise."""


class Style(NamedTuple):
    """A style picture.

    Attributes:
        image: image tensor (1, 3, H, W) of any size.
        weight: relative to the weights of the other styles; at least 0.
        visible: visibility (1, 1, H, W) in [0, 1]; None for 1 everywhere.
        scale: longest side of the style as a multiple of the content's; half of it halves the strokes.
        stretch: whether the style takes on the content's proportions or keeps its own.
    """

    image: Tensor
    weight: float = 1.0
    visible: Tensor | None = None
    scale: float = 1.0
    stretch: bool = False

    def fitted(self, content_size: Size, minimum_px: int) -> Style:
        """Resize the style to suit a content of `content_size`, according to `scale` and `stretch`.

        The style is enlarged to MAX_ENLARGEMENT times its own size at most, except where a side would be
        shorter than `minimum_px`.

        Raises:
            ValueError: the style is fully transparent.
        """
        refuse_hidden(self)
        own = size_of(self.image)
        longest_px = min(round(self.scale * max(content_size)), round(MAX_ENLARGEMENT * max(own)))
        size = scaled(content_size if self.stretch else own, longest_px, minimum_px)
        visible = None if self.visible is None else resize(self.visible, size).clamp(0, 1)
        return self._replace(image=resize(self.image, size).clamp(0, 1), visible=visible)


def without_frame(style: Style) -> Style:
    """Remove a frame of one colour, such as a scan's black border, which would be painted as bars.

    A style with a transparent part stays as it is, because the user has chosen the visible part.
    """
    if style.visible is not None:
        return style
    height, width = size_of(style.image)
    top, bottom = map(_frame_px, _edges(style.image[0]))
    left, right = map(_frame_px, _edges(style.image[0].mT))
    return style._replace(image=style.image[..., top : height - bottom, left : width - right])


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and last rows of an image (C, H, W), each (C, n, W) from the edge inwards.

    They are one row more than the widest frame has.
    """
    rows = 1 + int(MAX_FRAME * image.shape[1])
    return image[:, :rows], image[:, -rows:].flip(1)


def _frame_px(rows: Tensor) -> int:
    """Count the rows of a frame in rows (C, n, W), given from the edge inwards.

    In a frame more than half of each row, and more than 95 % of the first one, have the median colour of
    the first row. If all rows are like this, the picture has no frame, but a ground of this colour.
    """
    colour = rows[:, 0].median(dim=-1).values  # (C,)
    same = (rows - colour[:, None, None]).abs().amax(dim=0) < FRAME_TOLERANCE  # (n, W)
    same_parts = same.float().mean(dim=-1).tolist()
    inner_rows = (row for row, part in enumerate(same_parts) if part <= 0.5)
    return next(inner_rows, 0) if same_parts[0] > 0.95 else 0


def refuse_hidden(style: Style) -> None:
    """Raise ValueError if the style is fully transparent."""
    if style.visible is not None and not style.visible.any():
        raise Wrong(N_("The style picture is fully transparent. Choose another picture or another area."))


def shares(styles: Sequence[Style]) -> list[float]:
    """Return the styles' weights, scaled to a sum of 1.

    Raises:
        ValueError: all weights are 0.
    """
    total = sum(style.weight for style in styles)
    if not total > 0:
        raise Wrong(N_("The weights of all styles are 0. Give at least one style a weight above 0."))
    return [style.weight / total for style in styles]
