"""Keeping the content's colours: in the style, by its moments, or in the pastiche, by its chrominance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.command.picture_files import Canvas
from backend.imaging.colours import YIQ_LUMA, matched, subdued, with_colours_of
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


# ── Colours that a style lacks ─────────────────────────────────────────────────────────────────────


def grey(image: Tensor) -> Tensor:
    return torch.einsum("c,bchw->bhw", torch.tensor(YIQ_LUMA), image)[:, None].expand(-1, 3, -1, -1)


def test_a_grey_style_takes_all_colours_away(content: Tensor, painting: Tensor) -> None:
    torch.testing.assert_close(
        subdued(content, None, [Style(grey(painting))]), grey(content), atol=1e-4, rtol=0
    )


def test_a_colourful_style_changes_nothing(content: Tensor, painting: Tensor) -> None:
    assert torch.equal(subdued(content, None, [Style(painting)]), content)
    assert torch.equal(subdued(content, None, [Style(grey(painting)), Style(painting)]), content)


def test_a_tinted_style_leaves_its_tint(content: Tensor, painting: Tensor) -> None:
    tint = torch.tensor([0.05, 0.0, -0.05])[:, None, None]
    made = subdued(content, None, [Style(grey(painting) + tint)])
    torch.testing.assert_close(made - made.mean(dim=1, keepdim=True), tint.expand_as(made), atol=0.01, rtol=0)


def test_at_half_the_strength_half_of_the_colours_stay(content: Tensor, painting: Tensor) -> None:
    made = subdued(content, None, [Style(grey(painting))], strength=0.5)
    torch.testing.assert_close(made, (content + grey(content)) / 2, atol=1e-4, rtol=0)


def test_colours_of_hidden_pixels_are_no_colours(content: Tensor, painting: Tensor) -> None:
    visible = torch.zeros(1, 1, 60, 90)
    visible[..., :45] = 1
    style = torch.cat([grey(painting)[..., :45], painting[..., 45:]], dim=-1)
    assert torch.equal(subdued(content, None, [Style(style)]), content)
    made = subdued(content, None, [Style(style, 1.0, visible)])
    torch.testing.assert_close(made, grey(content), atol=1e-4, rtol=0)
