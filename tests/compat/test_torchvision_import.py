"""torchvision can be imported beside any build of torch; other errors of its import are not hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backend.compat import torchvision_import

CHECKOUT = Path(__file__).parents[2]
AS_THE_BACKEND = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "plugin/atelier")])
}


def import_torchvision(fake_torchvision: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Import torchvision by our module in a new Python in which torchvision is `source`."""
    (fake_torchvision / "torchvision.py").write_text(source)
    places = os.pathsep.join([str(fake_torchvision), str(CHECKOUT)])
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from backend.compat.torchvision_import import torchvision; print(torchvision.answer)",
        ],
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )


def test_networks_of_torchvision_run() -> None:
    with torch.no_grad():
        features = torchvision_import.torchvision.models.squeezenet1_1(weights=None).features(
            torch.zeros(1, 3, 64, 64)
        )
    assert features.shape == (1, 512, 3, 3)


def test_operators_are_defined_only_if_the_binary_is_not_loaded() -> None:
    loaded = torchvision_import.torchvision.extension._has_ops()
    assert hasattr(torchvision_import, "_library") is not loaded


@pytest.mark.slow
def test_the_compiler_is_not_imported_and_works_afterwards() -> None:
    """Neither with the job's modules nor when a network of torchvision is built."""
    source = """
import sys
import torch
from backend.jobs import run
from backend.networks import torchvision_models
for name in ("vgg16", "vgg19", "squeezenet1_1", "resnet50"):
    torchvision_models._without_values(getattr(torchvision_models.torchvision.models, name))
print("torch._dynamo" in sys.modules)
print(int(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1))))
"""
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=CHECKOUT,
        env=AS_THE_BACKEND,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["nms", "qnms"])
def test_a_missing_operator_is_defined_and_the_import_repeated(tmp_path: Path, operator: str) -> None:
    source = f"""
import torch
if not hasattr(torch.ops.torchvision, {operator!r}):
    raise RuntimeError("operator torchvision::nms does not exist")
answer = 42
"""
    assert import_torchvision(tmp_path, source).stdout.split() == ["42"]


@pytest.mark.slow
def test_other_errors_of_torchvision_are_not_hidden(tmp_path: Path) -> None:
    done = import_torchvision(tmp_path, "raise RuntimeError('the disk is on fire')")
    assert done.returncode == 1
    assert "the disk is on fire" in done.stderr
