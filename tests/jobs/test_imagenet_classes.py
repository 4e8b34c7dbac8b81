"""A class of ImageNet by its number or its name, and the names that are offered where there is none."""

from __future__ import annotations

import pytest

from backend.compat.torchvision_import import torchvision
from backend.jobs.imagenet_classes import class_index

CLASSES = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]


@pytest.mark.parametrize(
    ("text", "index"), [("tench", 0), ("Golden Retriever", 207), (" 207 ", 207), ("toilet tissue", 999)]
)
def test_a_class_has_a_name_and_a_number(text: str, index: int) -> None:
    assert class_index(text, CLASSES) == index


@pytest.mark.parametrize(
    ("text", "offered"),
    [("retriever", "golden retriever"), ("goldn retriver", "golden retriever"), ("1000", "none is called")],
)
def test_an_unknown_class_gets_a_list_of_those_that_are_called_much_the_same(text: str, offered: str) -> None:
    with pytest.raises(ValueError, match=f"no class “{text}”; .*{offered}"):
        class_index(text, CLASSES)


def test_no_class_and_no_classifier_are_told_apart() -> None:
    with pytest.raises(ValueError, match="from 0 to 999"):
        class_index(" ", CLASSES)
    with pytest.raises(ValueError, match="choose one with a classifier"):
        class_index("tench", ())
