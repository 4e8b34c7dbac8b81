"""In a worker process, the threads of PyTorch's operators sleep while they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
WORKER = """
import sys
from backend.serving.worker_process import started

def load():
    import torch
    sys.exit()

if __name__ == "__main__":
    process, pipe = started(load)
    process.join()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("chosen", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "active"}, "ACTIVE")])
def test_threads_sleep_unless_the_user_chooses(chosen: dict[str, str], policy: str, tmp_path: Path) -> None:
    script = tmp_path / "start_worker.py"
    script.write_text(WORKER)
    path = os.pathsep.join(map(str, (CHECKOUT, CHECKOUT / "plugin" / "atelier")))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_DISPLAY_ENV": "true", **chosen}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr, done.stderr
