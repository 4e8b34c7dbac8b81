"""Says what an installation or its removal would do, and does nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence

from backend import gimps
from backend.gimps import Gimp

from .environment import backend_state, is_needed, is_to_be_made_anew
from .home import Home, Plan
from .packages import lock_entries, state
from .programs import say
from .service import unit_file
from .traces import is_ours, remembered


def preview(plan: Plan, found: Sequence[Gimp]) -> None:
    """Say what install.py would do with this plan."""
    for sentence in (*environment(plan), *weights(plan), *plugins(found)):
        say(f"Would {sentence}")
    if plan.service:
        say(f"Would have systemd keep a backend running, as {unit_file()}")
    say(f"Would link the command {plan.home.command} and paint {plan.home.picture}")
    say("Nothing was changed.")


def environment(plan: Plan) -> Iterator[str]:
    """What would become of the environment."""
    venv, anew = plan.home.venv, is_to_be_made_anew(plan)
    if anew:
        yield f"make an environment with Python {platform.python_version()} in {venv}"
    if anew or is_needed(venv / "requirements.lock", state()):
        where = plan.offline or plan.torch_index or "pip's index"
        yield f"install torch, and what is needed of {len(lock_entries())} locked packages, from {where}"
    if plan.repair and not anew:
        yield "compare all files of the packages with what was installed, and replace the damaged"
    if anew or plan.repair or is_needed(venv / "backend.txt", backend_state(plan)):
        yield f"install the backend, {'linked to' if plan.link else 'copied from'} this checkout"


def weights(plan: Plan) -> Iterator[str]:
    """What would become of the weights; whether one is damaged, the environment alone can tell."""
    there = sorted(file.stem for file in plan.home.models.glob("*.safetensors"))
    yield f"fetch the weights that are missing or damaged; there are: {', '.join(there) or 'none'}"


def plugins(found: Sequence[Gimp]) -> Iterator[str]:
    """Where the plug-in would go."""
    for gimp in found:
        if not gimp.profile.exists():
            yield f"start {gimp} once, without windows, to make {gimp.profile}"
    profiles = dict.fromkeys([*gimps.find_profiles(), *(gimp.profile for gimp in found)])
    yield from (f"put the plug-in into {profile}" for profile in profiles)


def preview_removal(home: Home) -> None:
    """Say what --uninstall would remove."""
    outside = [path for path in remembered(home) if is_ours(path, home)]
    for path in (*outside, *filter(os.path.lexists, home.everything())):
        say(f"Would remove {path}")
    say("Nothing was changed.")
