"""Presets of DeepDream: their settings are valid, and each preset sets every setting of the others."""

from __future__ import annotations

from typing import Any

import pytest

from atelier_shared.deepdream import DeepDream
from atelier_shared.presets import CONTROLLED, PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_valid_settings_and_changes_the_dream(name: str) -> None:
    values: dict[str, Any] = dict(PRESETS[name].settings)
    assert DeepDream(**values) != DeepDream()


def test_presets_control_every_setting_of_the_objective() -> None:
    """A preset of a layer's channels would do nothing while a class or a guide is the objective."""
    assert {"objective", "network", "layers", "channels"} <= CONTROLLED
