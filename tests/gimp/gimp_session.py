"""A real GIMP for tests: a profile of its own with the plug-in in it, run without windows.

Knows where `gimp_root` put GIMP; how it got there is not its business.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

PLUGIN = Path(__file__).parents[2] / "plugin" / "atelier"
PYTHON_PATH = {"PYTHONPATH": f"{Path(__file__).parent}:{PLUGIN}"}
"""What code in GIMP needs to import the tests' modules and the plug-in's."""
FEW_PLUGINS = ("python-eval", "file-png", "file-jpeg", "file-tiff")
# Nothing may come between a test and the image window: no welcome, no question about a colour profile.
SETTINGS = """
(show-welcome-dialog no)
(color-profile-policy keep)
(check-updates no)
(restore-session no)
(save-session-info no)
(save-document-history no)
"""


@dataclass(frozen=True)
class Gimp:
    """One GIMP with a user of its own: `folder` is what `gimp_root` made, `user` its home and profile."""

    version: str
    folder: Path
    user: Path
    atelier_home: Path

    @property
    def profile(self) -> Path:
        """GIMP's settings and plug-ins."""
        return self.user / "profile"

    @property
    def environment(self) -> dict[str, str]:
        """What GIMP is started with: no more than it needs, so that nothing of the tests leaks in."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.user),
            "GIMP3_DIRECTORY": str(self.profile),
            "ATELIER_HOME": str(self.atelier_home),
        }

    def run_python(
        self, code: str, *, env: Mapping[str, str] | None = None, timeout_s: float = 180
    ) -> subprocess.CompletedProcess[str]:
        """Run Python code inside GIMP; the exit status is 0 unless it raised or GIMP died.

        GIMP says much on stderr when all is well, so only what the code prints there means something.
        """
        return subprocess.run(
            self.command(code),
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def command(self, code: str) -> list[str]:
        """The command line of a GIMP without windows that runs `code` and ends."""
        batch = ("--quit", "--batch-interpreter=python-fu-eval", "-b", code)
        return [str(self.folder / "gimp-console"), "-i", *batch]


@contextlib.contextmanager
def started(gimp: Gimp, code: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A GIMP that runs `code`, which can import `gimp_cases`; it has ended when the block is left."""
    env = {**gimp.environment, **PYTHON_PATH, **(env or {})}
    with subprocess.Popen(gimp.command(code), env=env, stderr=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()


def make_profile(gimp: Gimp, *, few_plugins: bool) -> None:
    """A new profile with the plug-in; with few of GIMP's own, it starts in a quarter of the time."""
    plugins = gimp.profile / "plug-ins"
    shutil.copytree(PLUGIN, plugins / "atelier", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    settings = SETTINGS + f'(config-version "{full_version(gimp)}")\n'
    if few_plugins:
        (installed,) = gimp.folder.glob("root/usr/lib/*/gimp/3.0/plug-ins")
        for name in FEW_PLUGINS:
            shutil.copytree(installed / name, plugins / name)
        settings += '(plug-in-path "${gimp_dir}/plug-ins")\n'
    (gimp.profile / "gimprc").write_text(settings)


def save_settings(gimp: Gimp, procedure: str, **values: str | int | float) -> None:
    """Write what Load Saved Settings in a procedure's dialog loads."""
    file = settings_file(gimp, procedure, "default")
    file.parent.mkdir(exist_ok=True)
    written = {name: f'"{value}"' if isinstance(value, str) else value for name, value in values.items()}
    file.write_text("".join(f"({name.replace('_', '-')} {value})\n" for name, value in written.items()))


def last_values(gimp: Gimp, procedure: str) -> str:
    """What GIMP keeps of a procedure's last run, for the next session."""
    file = settings_file(gimp, procedure, "last")
    return file.read_text() if file.exists() else ""


def settings_file(gimp: Gimp, procedure: str, kind: str) -> Path:
    """Where GIMP keeps a procedure's settings."""
    return gimp.profile / "plug-in-settings" / f"GimpProcedureConfigRun-{procedure}.{kind}"


def filters_in(gimp: int) -> list[psutil.Process]:
    """The processes of the filters that run in the GIMP of that process number."""
    found = []
    for process in psutil.Process(gimp).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if "-run" in words and any(word.endswith("atelier.py") for word in words):
                found.append(process)
    return found


def filter_of(gimp: subprocess.Popen[bytes]) -> psutil.Process:
    """The process of the filter that runs in a GIMP, once it does."""
    while gimp.poll() is None:
        for process in filters_in(gimp.pid):
            return process
        time.sleep(0.02)
    raise AssertionError("GIMP ended before it ran the filter.")


def full_version(gimp: Gimp) -> str:
    """The version as in 3.0.4: a profile that does not name it is taken for one of an older GIMP."""
    return subprocess.check_output([gimp.folder / "gimp-console", "--version"], text=True).split()[-1]
