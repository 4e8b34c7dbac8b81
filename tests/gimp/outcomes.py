"""Test cases run by GIMP's Python; their outcomes go into the file named by OUTCOMES."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

Case = Callable[[], None]


def cases_in(module: Mapping[str, object]) -> dict[str, Case]:
    """Return the test cases in a module's `globals()`, by name."""
    return {name: case for name, case in module.items() if name.startswith("case_") and callable(case)}


def write_outcomes(cases: Mapping[str, Case]) -> None:
    """Run every case, and write its outcome: a traceback, or an empty text if it has passed."""
    outcomes = {name: _outcome(case) for name, case in cases.items()}
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(outcomes))


def _outcome(case: Case) -> str:
    try:
        case()
    except Exception:
        return traceback.format_exc()
    return ""
