"""Style pictures: their size relative to the content, weights, visibility and frames."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from atelier_shared.sizes import Size
from backend.imaging.resize import size_of
from backend.imaging.style_image import Style, shares, without_frame


@pytest.fixture
def painting() -> Tensor:
    return torch.rand(1, 3, 80, 120, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("scale", "stretch", "expected"),
    [
        (1.0, False, (40, 60)),
        (0.5, False, (20, 30)),
        (3.0, False, (120, 180)),
        (8.0, False, (160, 240)),  # limited to twice its own size
        (1.0, True, (60, 30)),
        (8.0, True, (240, 120)),
        (0.25, False, (17, 17)),  # 10 × 15 would be too small for the network
    ],
)
def test_a_style_is_fitted_to_the_content(
    painting: Tensor, scale: float, stretch: bool, expected: Size
) -> None:
    style = Style(painting, scale=scale, stretch=stretch).fitted((60, 30), minimum_px=17)
    assert size_of(style.image) == expected
    assert style.image.min() >= 0 and style.image.max() <= 1


def test_its_visibility_is_resized_with_it(painting: Tensor) -> None:
    visible = torch.zeros(1, 1, 80, 120)
    visible[..., :60] = 1
    style = Style(painting, 2.0, visible).fitted((60, 30), minimum_px=17)
    assert style.weight == 2.0
    assert style.visible is not None and size_of(style.visible) == (40, 60)
    assert style.visible[..., :25].min() > 0.99 and style.visible[..., 35:].max() < 0.01


def test_a_style_of_one_pixel_is_enlarged_to_the_minimum() -> None:
    style = Style(torch.rand(1, 3, 1, 1)).fitted((60, 30), minimum_px=17)
    assert size_of(style.image) == (17, 17)


def test_a_fully_transparent_style_is_an_error(painting: Tensor) -> None:
    hidden = Style(painting, 1.0, torch.zeros(1, 1, 80, 120))
    with pytest.raises(ValueError, match="style picture is fully transparent"):
        hidden.fitted((60, 30), minimum_px=17)


def test_shares_are_in_proportion_to_the_weights(painting: Tensor) -> None:
    assert shares([Style(painting, 3.0), Style(painting, 1.0)]) == [0.75, 0.25]
    with pytest.raises(ValueError, match="Give at least one style a weight"):
        shares([Style(painting, 0.0)])


@pytest.mark.parametrize("colour", [0.0, 0.9])
def test_the_frame_of_a_scan_is_removed(painting: Tensor, colour: float) -> None:
    grain = 0.03 * torch.rand(1, 3, 95, 140, generator=torch.Generator().manual_seed(2))
    scan = colour + grain
    scan[..., 6:86, 9:129] = painting
    torch.testing.assert_close(without_frame(Style(scan)).image, painting)


def test_a_picture_without_a_frame_is_unchanged(painting: Tensor) -> None:
    flat = torch.full((1, 3, 80, 120), 0.3)
    ground = flat.clone()
    ground[..., 20:60, 30:90] = painting[..., :40, :60]
    for image in (painting, flat, ground, torch.rand(1, 3, 1, 1)):
        assert without_frame(Style(image)).image.equal(image)


def test_the_frame_of_a_partly_visible_style_stays(painting: Tensor) -> None:
    scan = torch.zeros(1, 3, 100, 140)
    scan[..., 10:90, 10:130] = painting
    chosen = Style(scan, 1.0, torch.rand(1, 1, 100, 140))
    assert without_frame(chosen) is chosen
