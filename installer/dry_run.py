"""Descriptions of an installation, a preparation for offline use and a removal, for --dry-run."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from backend.command import gimp_installations
from backend.command.gimp_installations import Gimp

from .environment import backend_state, is_needed, needs_new_environment
from .output import report
from .packages import lock_entries, state
from .paths import Home, Plan
from .self_check import is_speed_known
from .service import unit_file
from .tracked_files import is_ours, tracked_paths


def print_preview(sentences: Iterable[str]) -> None:
    """Print the steps without doing them."""
    for sentence in sentences:
        report(f"Would {sentence}")
    report("Nothing was changed.")


def installation(plan: Plan, found: Sequence[Gimp]) -> Iterator[str]:
    """Describe an installation."""
    painting = () if plan.client else (*weights(plan), *thumbnails(plan))
    yield from (*environment(plan), *painting, *plugins(found))
    if plan.service:
        yield f"keep a backend running with systemd, as {unit_file()}"
    yield f"link the command {plan.home.command}"
    if not plan.client:
        yield f"paint {plan.home.picture}"
        if needs_new_environment(plan) or not is_speed_known(plan):
            yield "measure this computer's speed"


def preparation(plan: Plan, folder: Path) -> Iterator[str]:
    """Describe --prepare-offline."""
    yield from (*environment(plan), *weights(plan))
    yield f"fill {folder} with these weights and with all packages"


def removal(home: Home) -> Iterator[str]:
    """Describe --uninstall."""
    outside = [path for path in tracked_paths(home) if is_ours(path, home)]
    yield from (f"remove {path}" for path in (*outside, *filter(os.path.lexists, home.everything())))


def environment(plan: Plan) -> Iterator[str]:
    """Describe the changes to the environment."""
    venv, is_new = plan.home.venv, needs_new_environment(plan)
    if is_new:
        yield f"make a new environment with Python {platform.python_version()} in {venv}"
    if is_new or is_needed(venv / "requirements.lock", state(plan)):
        source = plan.offline or plan.torch_index or "pip's package index"
        packages = f"the required ones of {len(lock_entries())} packages"
        yield f"install {packages}{'' if plan.client else ', among them PyTorch,'} from {source}"
    if plan.repair and not is_new:
        yield "check all files of the installed packages, and replace damaged packages"
    if is_new or plan.repair or is_needed(venv / "backend.txt", backend_state(plan)):
        yield f"install the backend, {'linked to' if plan.link else 'copied from'} this checkout"


def weights(plan: Plan) -> Iterator[str]:
    """Describe the downloads of weights; only the environment can find damaged ones."""
    present = sorted(file.stem for file in plan.home.models.glob("*.safetensors"))
    yield f"download the weights if missing or damaged; present: {', '.join(present) or 'none'}"


def thumbnails(plan: Plan) -> Iterator[str]:
    """Describe the making of thumbnails; only the environment can find damaged ones."""
    present = len(list(plan.home.thumbnails.glob("*.png")))
    yield f"make the thumbnails of styles and presets if missing or damaged; present: {present}"
    present = len(list(plan.home.styles.glob("*.jpg")))
    yield f"make style pictures in the gallery's styles if missing or damaged; present: {present}"


def plugins(found: Sequence[Gimp]) -> Iterator[str]:
    """Describe the changes to GIMP's profiles."""
    for gimp in found:
        if not gimp.profile.exists():
            yield f"start {gimp} once without windows, so that it makes {gimp.profile}"
    profiles = dict.fromkeys([*gimp_installations.find_profiles(), *(gimp.profile for gimp in found)])
    yield from (f"install the plug-in into {profile}" for profile in profiles)
