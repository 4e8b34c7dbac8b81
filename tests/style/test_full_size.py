"""Repainting at the layer's own size: new strokes, the painting's colours, parts that fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from atelier_shared.gallery_styles import GALLERY
from atelier_shared.sizes import doubled_sizes
from backend.compat.torchvision_import import torchvision
from backend.imaging import framed_tiles
from backend.imaging.resize import resize, size_of
from backend.imaging.style_image import Style
from backend.imaging.tiles import Rectangle, reflected_part
from backend.networks.registry import load_gallery
from backend.networks.style_painter import PartPainter, paint
from backend.style.full_size import Brush, repaint
from backend.style.gallery import mixture

CPU = torch.device("cpu")
SAMPLES = Path(__file__).parents[2] / "samples"
GREY = torch.full((1, 3, 200, 200), 0.5)


@pytest.fixture(scope="module")
def brush(models: Path) -> Brush:
    return Brush(load_gallery(models, CPU), mixture([float(name == "great wave") for name in GALLERY]))


def smooth(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def photograph(width: int, height: int) -> Tensor:
    with Image.open(SAMPLES / "chelsea.jpg") as picture:
        pixels = torchvision.transforms.functional.pil_to_tensor(picture.resize((width, height)))
    return torch.as_tensor(pixels[None] / 255)


def painted(content: Tensor, brush: Brush, longest_px: int = 100_000) -> Tensor:
    *_, last = paint(content, brush.style, painter=brush.painter, longest_px=longest_px)
    return last.image


def with_style(brush: Brush, style: Tensor) -> Brush:
    return brush._replace(styles=[Style(style)], styles_px=200)


def repainted(painting: Tensor, content: Tensor, brush: Brush, kept_px: int = 64, **given: Any) -> Tensor:
    given = {"visible": None} | given
    *_, last = repaint(painting, content, brush, kept_px=kept_px, **given)
    assert last.index == last.total
    return last.image


def detail_of(image: Tensor) -> float:
    """Return the mean square of what disappears at half the size."""
    height, width = size_of(image)
    return (image - resize(resize(image, (height // 2, width // 2)), (height, width))).square().mean().item()


def test_a_reflected_part_continues_beyond_the_edges() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert reflected_part(image, Rectangle(1, 1, 3, 3)).tolist() == [[[[5, 6], [9, 10]]]]
    assert reflected_part(image, Rectangle(-2, 2, 0, 6)).tolist() == [[[[10, 11, 10, 9], [6, 7, 6, 5]]]]
    assert reflected_part(image[..., :1, :1], Rectangle(-3, -2, 2, 1)).eq(0).all()
    for margin in (1, 3):
        padded = nn.functional.pad(image[0], [margin] * 2, mode="reflect")[None]
        assert reflected_part(image, Rectangle(0, -margin, 3, 4 + margin)).equal(padded)


def test_a_part_that_is_the_whole_picture_is_painted_like_it(brush: Brush) -> None:
    content = smooth(96, 128, seed=1)
    visible = (smooth(96, 128, seed=2)[:, :1] > 0.5).float()
    for weights in (None, visible):
        *_, expected = paint(content, brush.style, painter=brush.painter, visible=weights, longest_px=128)
        made = PartPainter(brush.painter, brush.style, content, weights)(content)
        torch.testing.assert_close(made, expected.image, atol=1e-3, rtol=0)


def test_the_halo_is_as_far_as_a_pixel_has_an_effect(brush: Brush) -> None:
    content = smooth(8, 400, seed=1)
    paint_part = PartPainter(brush.painter, brush.style, content)
    changed = content.clone()
    changed[..., 200:] = 1 - changed[..., 200:]
    difference = (paint_part(content) - paint_part(changed)).abs().amax(dim=(0, 1, 2))
    halo = brush.painter.halo_px
    assert difference[: 200 - halo].max() == 0
    assert difference[200 - halo : 200 - halo + 16].max() > 0


@pytest.mark.slow
def test_tiles_make_the_same_picture_as_one_piece(brush: Brush, monkeypatch: pytest.MonkeyPatch) -> None:
    content = photograph(302, 201)
    painting = painted(content, brush, 150)
    whole = repainted(painting, content, brush)
    monkeypatch.setattr(framed_tiles, "TILE_PX", 64)
    torch.testing.assert_close(repainted(painting, content, brush), whole, atol=1e-4, rtol=0)


def test_the_finest_strokes_come_from_the_style_pictures(
    brush: Brush, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, grain = photograph(302, 201), torch.rand(1, 3, 200, 200)
    painting, grains, grey = painted(content, brush, 150), with_style(brush, grain), with_style(brush, GREY)
    rough, flat = (repainted(painting, content, each, kept_px=150) for each in (grains, grey))
    assert detail_of(flat) < 0.1 * detail_of(rough)
    assert detail_of(rough) == pytest.approx(detail_of(grain), rel=0.3)
    half = repainted(painting, content, grains._replace(strength=0.5), kept_px=150)
    photo = repainted(painting, content, grains._replace(strength=0.0), kept_px=150)
    assert detail_of(photo) < detail_of(half) < detail_of(rough)
    assert detail_of(photo) == pytest.approx(detail_of(content), rel=0.2)
    monkeypatch.setattr(framed_tiles, "TILE_PX", 64)
    torch.testing.assert_close(repainted(painting, content, grains, kept_px=150), rough, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_the_finest_strokes_of_smaller_sizes_come_from_the_style_pictures_too(
    brush: Brush, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, grain = photograph(304, 200), torch.rand(1, 3, 200, 200)
    painting, grains, grey = painted(content, brush, 76), with_style(brush, grain), with_style(brush, GREY)
    whole, smoother = (repainted(painting, content, each, kept_px=76) for each in (grains, grey))
    halved, smoother = (resize(image, (100, 152)) for image in (whole, smoother))
    assert detail_of(halved) > 10 * detail_of(smoother), (
        "with such strokes at the last size alone it would be 3 times"
    )
    monkeypatch.setattr(framed_tiles, "TILE_PX", 64)
    torch.testing.assert_close(repainted(painting, content, grains, kept_px=76), whole, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_there_are_new_strokes_in_the_colours_of_the_painting(brush: Brush) -> None:
    content = photograph(768, 512)
    painting = painted(content, brush, 192)
    made = repainted(painting, content, brush, kept_px=96)
    enlarged = resize(painting, size_of(content))
    strokes = detail_of(painted(content, brush))
    assert detail_of(made) > 0.25 * strokes > 5 * detail_of(enlarged)
    reduced, kept = (resize(image, (64, 96)) for image in (made, painting))
    assert (reduced - kept).abs().mean() < 0.01  # the difference is the clipping of white and black


def test_the_photo_s_own_texture_does_not_show(brush: Brush) -> None:
    """Stripes as fine as a pixel change the result less than the content."""
    content = smooth(256, 256, seed=1) * 0.5 + 0.25
    stripes = 0.02 * torch.tensor([1.0, -1.0]).repeat(128)
    plain, striped = (
        repainted(painted(content, brush, 64), image, brush) for image in (content, content + stripes)
    )
    assert ((striped - plain) * stripes.sign()).mean() < 0.5 * stripes.abs().mean()


def test_photo_detail_lays_the_photo_s_texture_over_the_painting(brush: Brush) -> None:
    content = photograph(256, 256)
    painting = painted(content, brush, 64)
    none, half, full = (repainted(painting, content, brush, photo_detail=share) for share in (0.0, 0.5, 1.0))
    detail = content - resize(resize(content, (64, 64)), (256, 256))
    torch.testing.assert_close(half, (none + 0.5 * detail).clamp(0, 1))
    torch.testing.assert_close(full, (none + detail).clamp(0, 1))


def test_a_painting_of_the_content_s_size_stays(brush: Brush) -> None:
    content, painting = smooth(40, 50, seed=1), smooth(40, 50, seed=2)
    assert repainted(painting, content, brush, kept_px=25, photo_detail=1.0).equal(painting)


@pytest.mark.parametrize("size", [(1, 60), (75, 64), (150, 101), (5, 300)])
def test_every_size_can_be_repainted(brush: Brush, size: tuple[int, int]) -> None:
    content = smooth(*size, seed=1)
    made = repainted(resize(content, doubled_sizes(size, 16)[0]), content, brush, kept_px=16)
    assert size_of(made) == size
    assert made.isfinite().all() and made.min() >= 0 and made.max() <= 1


def test_hidden_pixels_have_no_effect(brush: Brush) -> None:
    """The hidden pixels are outside the receptive fields of the compared ones."""
    content = smooth(64, 640, seed=1)
    painting = resize(content, (32, 320))
    visible = torch.zeros(1, 1, 64, 640)
    visible[..., :256] = 1
    made = []
    for hidden in (0.0, 1.0):
        changed = content.clone()
        changed[..., 448:] = hidden
        made.append(repainted(painting, changed, brush, kept_px=160, visible=visible)[..., :128])
    torch.testing.assert_close(made[0], made[1], atol=2e-3, rtol=0)


def test_a_small_visible_part_is_among_the_samples(brush: Brush) -> None:
    content = smooth(300, 2000, seed=1)
    visible = torch.zeros(1, 1, 300, 2000)
    visible[..., 150:160, 330:340] = 1
    made = repainted(resize(content, (150, 1000)), content, brush, visible=visible)
    assert made.isfinite().all()


def test_steps_count_the_tiles(brush: Brush) -> None:
    content = smooth(600, 520, seed=1)
    steps = list(repaint(resize(content, (300, 260)), content, brush, visible=None, kept_px=150))
    assert [(step.index, step.total) for step in steps] == [(index, 5) for index in range(1, 6)]
