"""Says what an installation, the filling of a folder or a removal would do, and does nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from backend.command import gimp_installations
from backend.command.gimp_installations import Gimp

from .environment import backend_state, is_needed, is_to_be_made_anew
from .packages import lock_entries, state
from .paths import Home, Plan
from .process import say
from .service import unit_file
from .tracked_files import is_ours, remembered


def preview(sentences: Iterable[str]) -> None:
    """Say what would be done, and that it was not."""
    for sentence in sentences:
        say(f"Would {sentence}")
    say("Nothing was changed.")


def installation(plan: Plan, found: Sequence[Gimp]) -> Iterator[str]:
    """What install.py would do with this plan."""
    yield from (*environment(plan), *weights(plan), *thumbnails(plan), *plugins(found))
    if plan.service:
        yield f"have systemd keep a backend running, as {unit_file()}"
    yield f"link the command {plan.home.command} and paint {plan.home.picture}"
    yield "measure how fast this computer paints and dreams"


def preparation(plan: Plan, folder: Path) -> Iterator[str]:
    """What --prepare-offline would do."""
    yield from (*environment(plan), *weights(plan))
    yield f"fill {folder} with these weights and all packages"


def removal(home: Home) -> Iterator[str]:
    """What --uninstall would do."""
    outside = [path for path in remembered(home) if is_ours(path, home)]
    yield from (f"remove {path}" for path in (*outside, *filter(os.path.lexists, home.everything())))


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


def thumbnails(plan: Plan) -> Iterator[str]:
    """What would become of the small pictures; whether one is damaged, the environment alone can tell."""
    there = len(list(plan.home.thumbnails.glob("*.png")))
    yield f"make the small pictures of styles and presets that are missing or damaged; there are {there}"


def plugins(found: Sequence[Gimp]) -> Iterator[str]:
    """Where the plug-in would go."""
    for gimp in found:
        if not gimp.profile.exists():
            yield f"start {gimp} once, without windows, to make {gimp.profile}"
    profiles = dict.fromkeys([*gimp_installations.find_profiles(), *(gimp.profile for gimp in found)])
    yield from (f"put the plug-in into {profile}" for profile in profiles)
