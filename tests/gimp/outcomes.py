"""What became of cases that are tried inside GIMP's Python, written into the file named by OUTCOMES."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

Check = Callable[[], None]


def cases_in(module: Mapping[str, object]) -> dict[str, Check]:
    """The functions of a module's `globals()` that are cases, by name."""
    return {name: check for name, check in module.items() if name.startswith("case_") and callable(check)}


def write_outcomes(checks: Mapping[str, Check]) -> None:
    """Try every check, and write what became of it: nothing where all is well, else a traceback."""
    outcomes = {name: _outcome(check) for name, check in checks.items()}
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(outcomes))


def _outcome(check: Check) -> str:
    try:
        check()
    except Exception:
        return traceback.format_exc()
    return ""
