"""Plain areas have the strokes of the style; where the content has detail, the painting stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from backend.imaging.resize import resize, size_of
from backend.imaging.style_image import Style
from backend.style.plain_areas import DETAILED, LEAST_PX, with_strokes

HEIGHT, WIDTH = 128, 192
INNER = slice(32, -32)


def noise(seed: int, strength: float) -> Tensor:
    random = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))
    return 0.5 + strength * (random - 0.5)


def weave() -> Tensor:
    """A pattern with a period of eight pixels, as the small network paints it."""
    down, across = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)[None]
    pattern = (down * torch.pi / 4).sin() * (across * torch.pi / 4).sin()
    return (0.5 + 0.2 * pattern).expand(1, 3, HEIGHT, WIDTH).contiguous()


def amount(image: Tensor, pattern: Tensor) -> float:
    """Return how much of a pattern an image has, 1 for the pattern itself."""
    ours, theirs = ((part - part.mean())[..., INNER, INNER] for part in (image, pattern))
    return float((ours * theirs).sum() / theirs.square().sum())


def painted(content: Tensor, style: Tensor, **given: Any) -> Tensor:
    return with_strokes(weave(), content, [Style(style)], **given)


def test_the_network_s_weave_gives_way_to_the_style_where_the_content_is_plain() -> None:
    rough, flat = (painted(torch.full_like(weave(), 0.4), noise(1, strength)) for strength in (0.6, 0))
    assert abs(amount(rough, weave())) < 0.1 and abs(amount(flat, weave())) < 0.1
    assert flat[..., INNER, INNER].std() < 0.02
    finest = [
        (image - resize(resize(image, (64, 96)), size_of(image))).std() for image in (rough, noise(1, 0.6))
    ]
    assert finest[0] == pytest.approx(finest[1], rel=0.25)


def test_where_the_content_has_detail_the_painting_stays() -> None:
    detailed = noise(2, 100 * DETAILED)
    torch.testing.assert_close(painted(detailed, noise(1, 0.6)), weave(), atol=1e-3, rtol=0)
    half = torch.cat([detailed[..., :96], torch.full_like(detailed[..., 96:], 0.5)], dim=3)
    made = painted(half, noise(1, 0.0))
    torch.testing.assert_close(made[..., :64], weave()[..., :64], atol=0.01, rtol=0)
    assert made[..., 32:-32, -64:-32].std() < 0.02 < weave()[..., :64].std()


def test_strength_is_the_share_of_the_style() -> None:
    plain = torch.full_like(weave(), 0.4)
    half, none = (painted(plain, noise(1, 0.6), strength=strength) for strength in (0.5, 0.0))
    assert amount(half, weave()) == pytest.approx(0.5, abs=0.1)
    torch.testing.assert_close(none, weave(), atol=1e-4, rtol=0)


def test_tiles_of_any_size_give_the_same_picture() -> None:
    plain, style = torch.full_like(weave(), 0.4), noise(1, 0.6)
    small = painted(plain, style, tile_scale=0.1)
    torch.testing.assert_close(small, painted(plain, style), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(LEAST_PX - 1, 300), (LEAST_PX, 41), (33, 35)])
def test_small_pictures_are_painted(size: tuple[int, int]) -> None:
    painting, content = torch.rand(1, 3, *size), torch.rand(1, 3, *size)
    made = with_strokes(painting, content, [Style(noise(1, 1.0))])
    assert size_of(made) == size and made.isfinite().all()
