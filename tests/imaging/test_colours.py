"""Keeping the content's colours: in the style, by its moments, or in the pastiche, by its chrominance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.command.picture_files import Canvas
from backend.imaging.colours import YIQ_LUMA, matched, with_colours_of
from backend.imaging.resize import resize
from backend.imaging.style_image import Style
from backend.jobs.picture_tensors import read

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture(scope="module")
def content() -> Tensor:
    return photograph("coffee.jpg")


@pytest.fixture(scope="module")
def painting() -> Tensor:
    return photograph("starry_night.jpg")


def photograph(name: str) -> Tensor:
    """Load a photograph with low contrast, so that no value is clipped."""
    return 0.4 + 0.2 * resize(read(Canvas.load(SAMPLES / name).picture).image, (60, 90)).clamp(0, 1)


def covariance(image: Tensor) -> Tensor:
    return torch.cov(image.flatten(start_dim=2)[0], correction=0)


def test_a_matched_style_has_the_contents_mean_and_covariance(content: Tensor, painting: Tensor) -> None:
    style = matched(Style(painting, 2.0), content, None)
    assert style.weight == 2.0
    torch.testing.assert_close(style.image.mean(dim=(2, 3)), content.mean(dim=(2, 3)), atol=2e-3, rtol=0)
    torch.testing.assert_close(covariance(style.image), covariance(content), atol=2e-4, rtol=0)
    assert (covariance(painting) - covariance(content)).abs().max() > 1e-3


def test_a_style_with_the_contents_colours_is_unchanged(content: Tensor) -> None:
    torch.testing.assert_close(matched(Style(content), content, None).image, content, atol=1e-3, rtol=0)


def test_hidden_pixels_do_not_count_in_the_colours(content: Tensor, painting: Tensor) -> None:
    visible = torch.zeros(1, 1, 60, 90)
    visible[..., :45] = 1
    style = matched(Style(painting, 1.0, visible), content, visible)
    expected = matched(Style(painting[..., :45]), content[..., :45], None)
    torch.testing.assert_close(style.image[..., :45], expected.image, atol=1e-4, rtol=0)


def test_a_style_of_one_colour_gets_the_contents_mean(content: Tensor) -> None:
    style = matched(Style(torch.full((1, 3, 1, 1), 0.9)), content, None)
    torch.testing.assert_close(style.image[..., 0, 0], content.mean(dim=(2, 3)), atol=1e-3, rtol=0)


def test_a_fully_transparent_style_is_an_error(content: Tensor, painting: Tensor) -> None:
    with pytest.raises(ValueError, match="style picture is fully transparent"):
        matched(Style(painting, 1.0, torch.zeros(1, 1, 60, 90)), content, None)


def test_luminance_comes_from_the_picture_and_chrominance_from_the_content(
    content: Tensor, painting: Tensor
) -> None:
    made = with_colours_of(painting, content)
    luma = torch.tensor(YIQ_LUMA)[:, None, None]
    torch.testing.assert_close((made * luma).sum(dim=1), (painting * luma).sum(dim=1))
    for channel in (0, 2):  # R - G and B - G do not depend on the luminance
        torch.testing.assert_close(made[:, channel] - made[:, 1], content[:, channel] - content[:, 1])


def test_a_content_of_another_size_is_resized(content: Tensor, painting: Tensor) -> None:
    assert with_colours_of(resize(painting, (31, 17)).clamp(0, 1), content).shape == (1, 3, 31, 17)
