"""Tiles with a whole halo on all sides. Beyond the edges of the picture, its pixels are reflected."""

from __future__ import annotations

from atelier_shared.sizes import Size

from .samples import ALIGNMENT_PX, aligned
from .tiles import Rectangle, Tile, tile_side, tiles

TILE_PX = 512


def framed_tiles(size: Size, halo_px: int, tile_scale: float) -> list[Tile]:
    """Tile a picture of `size`. Take the outer parts by `tiles.reflected_part`.

    Args:
        size: height and width.
        halo_px: least width of the halo.
        tile_scale: factor for the side of tiles, in (0, 1].
    """
    halo, side = aligned(halo_px), tile_side(TILE_PX, tile_scale, ALIGNMENT_PX)
    return [
        Tile(tile.inner, _framed(tile.inner, halo))
        for tile in tiles(*size, side=side, halo=0, stride=ALIGNMENT_PX)
    ]


def _framed(inner: Rectangle, halo: int) -> Rectangle:
    """Return `inner` with a halo; its sides are rounded up to ALIGNMENT_PX."""
    return Rectangle(
        inner.top - halo,
        inner.left - halo,
        inner.top + aligned(inner.bottom - inner.top) + halo,
        inner.left + aligned(inner.right - inner.left) + halo,
    )
