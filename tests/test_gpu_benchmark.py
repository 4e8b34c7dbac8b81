"""`benchmarks/gpu.py` on the CPU, at small sizes: a machine with a graphics card is lent for minutes only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.weights import store
from benchmarks import gpu

WORDS = ["--device", "cpu", "--sizes", "64", "--good", "0", "--large", "96", "128", "--huge", "64", "96"]


@pytest.mark.slow
def test_every_measurement_is_printed_also_with_packed_weights(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "ROUNDS", 1)
    load = store.load
    gpu.main(["--models", str(models), "--pack", str(tmp_path / "packed")])
    assert sum(file.stat().st_size for file in (tmp_path / "packed").iterdir()) < 60 * 2**20
    gpu.main(["--models", str(tmp_path / "packed"), *WORDS])
    assert store.load is load
    lines = capsys.readouterr().out
    for what in ("64 px fine step", "64 px dream step", "fast", "light", "gallery", "fine step 96 × 64 px"):
        assert re.search(rf"^{what} .*\d s", lines, re.MULTILINE), lines
    errors = [float(error) for error in re.findall(r"gradient: error (\S+)", lines)]
    assert len(errors) == 2 and max(errors) < 2e-2
    assert re.findall(r"difference to the CPU's (\S+)", lines) == ["0.000"] * 3
