"""The names of ImageNet's classes, their look-up by number or name, and suggestions for unknown names."""

from __future__ import annotations

import pytest

from atelier_shared.imagenet_classes import CLASSES, class_index, class_indices, similar_classes
from backend.compat.torchvision_import import torchvision


def test_the_names_are_torchvision_s() -> None:
    assert list(CLASSES) == torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]


def test_a_list_of_names_can_be_split_again() -> None:
    assert class_indices(", ".join(CLASSES)) == list(range(1000))


@pytest.mark.parametrize(
    ("text", "index"), [("tench", 0), ("Golden Retriever", 207), (" 207 ", 207), ("toilet tissue", 999)]
)
def test_a_class_is_found_by_name_or_number(text: str, index: int) -> None:
    assert class_index(text) == index


def test_several_classes_keep_their_order() -> None:
    assert class_indices(" starfish,banana , 701,, Screw") == [327, 954, 701, 783]


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("retriever", "golden retriever"),
        ("goldn retriver", "golden retriever"),
        ("egyptian", "Egyptian cat"),
        ("1000", "no class with a similar name"),
    ],
)
def test_an_unknown_class_is_refused_with_suggestions(text: str, offered: str) -> None:
    with pytest.raises(ValueError, match=f"no class “{text}”.*{offered}"):
        class_indices(f"tench, {text}")


@pytest.mark.parametrize("text", ["", " ", ", ,"])
def test_a_missing_class_has_an_error_of_its_own(text: str) -> None:
    with pytest.raises(ValueError, match="from 0 to 999"):
        class_indices(text)


def test_names_that_contain_the_text_are_offered_first() -> None:
    assert list(similar_classes("Screw", most=3)) == ["screw", "screwdriver", "corkscrew"]
    assert list(similar_classes("cat", most=3)) == ["tiger cat", "Persian cat", "Siamese cat"]
