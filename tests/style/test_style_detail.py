"""The finest strokes of large paintings: patches of the style, chosen by what lies below them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.imaging.resize import resize, size_of
from backend.imaging.style_image import Style
from backend.style.style_detail import PATCH_PX, PATCHES, StyleDetail, _blended, style_detail


def noise(height: int, width: int, seed: int = 1) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def without_finest_octave(image: Tensor) -> Tensor:
    height, width = size_of(image)
    return resize(resize(image, (height // 2, width // 2)), (height, width))


def stripes(height: int, width: int) -> Tensor:
    """A vertical stripe of four pixels, smooth across, with fine horizontal lines on its bright half."""
    x = torch.arange(width) * torch.pi / 16
    ground = (0.5 + 0.3 * x.sin()).expand(height, width)
    lines = 0.1 * torch.tensor([1.0, -1.0]).repeat(height // 2)[:, None]
    return (ground + lines * (ground > 0.5)).expand(1, 3, height, width).contiguous()


def test_the_style_without_its_finest_octave_gets_that_back() -> None:
    """Each patch finds itself: all are among the candidates, because the small style has only 289 places."""
    image = 0.5 * noise(48, 48) + 0.5 * resize(noise(12, 12), (48, 48))
    made = style_detail([Style(image)], 48, reduction=2)(without_finest_octave(image))
    inner = slice(StyleDetail.halo_px, -StyleDetail.halo_px)
    lost, missing = ((image - one)[..., inner, inner] for one in (without_finest_octave(image), made))
    assert missing.abs().mean() < 0.1 * lost.abs().mean()


def test_detail_follows_what_lies_below_it() -> None:
    """The lines are on the bright half of the stripes alone, also on stripes at other places."""
    detail = style_detail([Style(stripes(128, 128))], 128, reduction=2)
    shifted = without_finest_octave(stripes(128, 128).roll(5, dims=3))
    added = (detail(shifted) - shifted)[0, 0, 16:-16, 16:-16].square()
    is_bright = shifted[0, 0, 16:-16, 16:-16] > 0.55
    is_dark = shifted[0, 0, 16:-16, 16:-16] < 0.45
    assert added[is_bright].mean() > 4 * added[is_dark].mean()


def test_blending_keeps_the_power_of_detail() -> None:
    random = torch.randn(1, 3 * PATCH_PX**2, 40, 40, generator=torch.Generator().manual_seed(1))
    inner = slice(StyleDetail.halo_px, -StyleDetail.halo_px)
    image = _blended(random)[..., inner, inner]
    assert image.var().item() == pytest.approx(1, abs=0.05)
    by_place = image.reshape(3, -1, 8, image.shape[3] // 8, 8).var(dim=(0, 1, 3))
    assert by_place.sub(1).abs().max() < 0.25  # at every place of the patches' grid


def test_patches_that_agree_are_not_changed() -> None:
    image = noise(64, 64)[0]
    patches = image.unfold(1, PATCH_PX, 8).unfold(2, PATCH_PX, 8).permute(0, 3, 4, 1, 2).flatten(0, 2)[None]
    made, inner = _blended(patches), slice(16, -16)
    torch.testing.assert_close(made[0, :, inner, inner], image[:, inner, inner], atol=1e-5, rtol=0)


def test_a_part_has_the_detail_of_the_whole_image() -> None:
    detail = style_detail([Style(noise(64, 64))], 64, reduction=2)
    image = without_finest_octave(noise(80, 96, seed=2))
    part = detail(image[..., 8:64, 16:80].contiguous())
    inner = slice(StyleDetail.halo_px, -StyleDetail.halo_px)
    whole = detail(image)[..., 8:64, 16:80]
    torch.testing.assert_close(part[..., inner, inner], whole[..., inner, inner], atol=1e-5, rtol=0)


def test_each_style_gives_patches_by_its_weight() -> None:
    red, blue = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    red[:, 0], blue[:, 2] = noise(64, 64)[:, 0], noise(64, 64)[:, 2]
    detail = style_detail([Style(red, 3.0), Style(blue, 1.0), Style(blue, 0.0)], 64, reduction=2)
    energy = detail.patches.view(3, PATCH_PX**2, -1).square().sum(dim=1)  # (3, n)
    assert energy[1].max() == 0
    red_patches, blue_patches = (int((energy[channel] > 0).sum()) for channel in (0, 2))
    assert (red_patches, blue_patches) == (3 * PATCHES // 4, PATCHES // 4)


def test_hidden_parts_of_a_style_give_no_patches() -> None:
    image, visible = torch.zeros(1, 3, 96, 160), torch.zeros(1, 1, 96, 160)
    image[:, 0, :, 80:] = noise(96, 80)[:, 0]
    visible[..., :64] = 1
    assert style_detail([Style(image, visible=visible)], 160, reduction=2).patches.abs().max() == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (20, 20), (300, 17)])
def test_every_size_of_style_gives_patches(size: tuple[int, int]) -> None:
    visible = torch.zeros(1, 1, *size)
    visible[..., -1, -1] = 1
    for style in (Style(noise(*size)), Style(noise(*size), visible=visible)):
        detail = style_detail([style], 100, reduction=1.3)
        assert detail(noise(32, 40)).isfinite().all()


def test_strokes_have_the_size_of_the_setting_and_are_never_enlarged() -> None:
    """Lines two pixels wide are the finest octave of the style at its own size alone."""
    lines = torch.tensor([0.3, 0.7]).repeat(128)[:, None].expand(1, 3, 256, 256).contiguous()

    def energy(longest_px: int, scale: float) -> float:
        return style_detail([Style(lines, scale=scale)], longest_px, 2).patches.square().mean().item()

    own = energy(256, 1.0)
    assert energy(4000, 1.0) == own == energy(512, 0.5)
    assert energy(128, 1.0) < 0.01 * own > energy(256, 0.5)


def test_strength_scales_the_detail() -> None:
    full, half = (style_detail([Style(noise(64, 64))], 64, 2, strength) for strength in (1.0, 0.5))
    image = noise(64, 64, seed=2)
    torch.testing.assert_close(half(image) - image, (full(image) - image) / 2, atol=1e-6, rtol=0)
    assert isinstance(full, StyleDetail)
