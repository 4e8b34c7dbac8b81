"""The visible part of the selection: its place and its enlargement."""

from __future__ import annotations

from typing import NamedTuple

from atelier_shared.messages import Region
from atelier_shared.sizes import Size

SMALLEST_SIDE_PX = 85
"""Longest side of the smallest visible part, in pixels of the layer."""


class View(NamedTuple):
    """A part of the selection's bounding box, of which the methods take the size, as height and width.

    `x` and `y` are the part's centre as fractions of the width and height. At `zoom` 1 the part is the
    whole box. At larger values it is a square, or a part of one if the box is narrower.
    """

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0

    def box(self, whole: Size) -> Region:
        """Return the visible part."""
        height, width = whole
        side = max(whole) / self.zoom
        across, down = (max(1, min(length, round(side))) for length in (width, height))
        left = min(max(0, round(self.x * width - across / 2)), width - across)
        top = min(max(0, round(self.y * height - down / 2)), height - down)
        return Region(left, top, across, down)

    def moved(self, right_px: float, down_px: float, whole: Size) -> View:
        """Return the view of a part further right and down, by pixels of the layer."""
        height, width = whole
        return View(self.x + right_px / width, self.y + down_px / height, self.zoom)._clamped(whole)

    def zoomed(self, factor: float, x: float, y: float, whole: Size) -> View:
        """Return the view enlarged by a factor around the point at the fractions `x`, `y` of the part."""
        height, width = whole
        before = self.box(whole)
        zoom = min(most_zoom(whole), max(1.0, self.zoom * factor))
        after = View(zoom=zoom).box(whole)
        left = before.x + x * (before.width - after.width)
        top = before.y + y * (before.height - after.height)
        centre = (left + after.width / 2) / width, (top + after.height / 2) / height
        return View(*centre, zoom)._clamped(whole)

    def _clamped(self, whole: Size) -> View:
        """Return the nearest view that lies within the box."""
        box = self.box(whole)
        height, width = whole
        margins = box.width / width / 2, box.height / height / 2
        x, y = (min(1 - at, max(at, value)) for at, value in zip(margins, self[:2], strict=True))
        return View(x, y, self.zoom)


WHOLE = View()


def most_zoom(whole: Size) -> float:
    """Return the largest zoom; 1 if the box is already small."""
    return max(1.0, max(whole) / SMALLEST_SIDE_PX)
