"""The software bill of materials: every package and every file of weights, with its version or hash."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path

import pytest

from atelier_shared.errors import AtelierError
from backend.command import cli, sbom
from backend.weights import store


def test_the_bill_lists_every_package_and_all_weights(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(models.parent))
    sbom.write(tmp_path / "sbom.json")
    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = {(each["type"], each["name"]): each for each in bill["components"]}
    packages = {package.name.lower().replace("_", "-") for package in importlib.metadata.distributions()}
    assert packages <= {name for kind, name in components if kind == "library"}
    numpy = components["library", "numpy"]
    assert numpy["purl"] == f"pkg:pypi/numpy@{importlib.metadata.version('numpy')}"
    content = store.file_of("adain-decoder", models).read_bytes()
    (digest,) = components["machine-learning-model", "adain-decoder"]["hashes"]
    assert digest == {"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}


def test_the_doctor_writes_the_bill_without_other_checks(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(models.parent))
    assert cli.main(["doctor", "--sbom", str(tmp_path / "sbom.json")]) == 0
    assert (tmp_path / "sbom.json").exists() and capsys.readouterr().out == ""


def test_a_bill_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AtelierError, match=r"could not be written .* Choose another file"):
        sbom.write(tmp_path / "nowhere" / "sbom.json")
