"""Look-up of ImageNet classes by number or name, and suggestions for unknown names."""

from __future__ import annotations

import pytest

from backend.compat.torchvision_import import torchvision
from backend.jobs.imagenet_classes import class_index

CLASSES = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]


@pytest.mark.parametrize(
    ("text", "index"), [("tench", 0), ("Golden Retriever", 207), (" 207 ", 207), ("toilet tissue", 999)]
)
def test_a_class_is_found_by_name_or_number(text: str, index: int) -> None:
    assert class_index(text, CLASSES) == index


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("retriever", "golden retriever"),
        ("goldn retriver", "golden retriever"),
        ("1000", "no class with a similar name"),
    ],
)
def test_an_unknown_class_is_refused_with_suggestions(text: str, offered: str) -> None:
    with pytest.raises(ValueError, match=f"no class “{text}”.*{offered}"):
        class_index(text, CLASSES)


def test_a_missing_class_and_a_missing_classifier_have_their_own_errors() -> None:
    with pytest.raises(ValueError, match="from 0 to 999"):
        class_index(" ", CLASSES)
    with pytest.raises(ValueError, match="Choose a network with classes"):
        class_index("tench", ())
