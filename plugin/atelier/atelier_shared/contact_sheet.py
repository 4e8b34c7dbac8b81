"""The layout of a contact sheet: pictures of one size in rows and columns. Pure numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .sizes import Size, fit


@dataclass(frozen=True)
class ContactSheet:
    """A sheet of `rows` × `columns` pictures of `cell` pixels, a height and a width, filled row by row."""

    rows: int
    columns: int
    cell: Size

    @property
    def size(self) -> Size:
        """Height and width of the sheet in pixels."""
        return self.rows * self.cell[0], self.columns * self.cell[1]

    def place_of(self, number: int) -> tuple[slice, slice]:
        """Return the rows and columns of pixels of a picture, counted from 0."""
        row, column = divmod(number, self.columns)
        height, width = self.cell
        return slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)


def contact_sheet(count: int, size: Size, longest_px: int, shortest_px: int = 1) -> ContactSheet:
    """Lay out `count` pictures on a sheet with the proportions of `size`, as squarely as possible.

    Args:
        count: number of pictures, at least 1.
        size: height and width of the picture that the sheet is enlarged or reduced to.
        longest_px: longest side of a picture.
        shortest_px: shortest side of a picture, the least that a network accepts.
    """
    height, width = size
    grids = ((math.ceil(count / columns), columns) for columns in range(count, 0, -1))
    rows, columns = max(grids, key=lambda grid: min(height / grid[0], width / grid[1]))
    cell = max(1, round(height / rows)), max(1, round(width / columns))
    return ContactSheet(rows, columns, fit(cell, longest_px, shortest_px))
