"""A real GIMP for tests, unpacked by `gimp_root`: its profile with the plug-in, and runs without windows."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from installer.translations import compile_translations

PLUGIN = Path(__file__).parents[2] / "plugin" / "atelier"
FILL_BABL_CACHE = Path(__file__).parent / "fill_babl_cache.py"
CACHES, CACHES_OF_PLUGINS = "caches", "caches-of-plug-ins"
"""Folders of a user's home for XDG_CACHE_HOME. Babl's conversions are in the first one only, because a
plug-in would take longer to read them than to do without them."""
PYTHON_PATH = {"PYTHONPATH": f"{Path(__file__).parent}:{PLUGIN}"}
"""Lets code in GIMP import the modules of the tests and of the plug-in."""
KEPT_VARIABLES = ("OMP_NUM_THREADS",)
"""tests/run.py sets it for the backends."""
FEW_PLUGINS = ("python-eval", "file-png", "file-jpeg", "file-tiff", "file-gif-export", "file-webp")
# No welcome dialog and no question about a colour profile may cover the image window.
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
    """One GIMP with its own user: `gimp_root` made `folder`, and `user` is the home with the profile."""

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
        """GIMP's variables, no more than necessary, so that nothing of the tests leaks into it."""
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        return {
            **kept,
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.user),
            "XDG_CACHE_HOME": str(self.user / CACHES),
            "GIMP3_DIRECTORY": str(self.profile),
            "ATELIER_HOME": str(self.atelier_home),
        }

    def run_python(
        self,
        code: str,
        *,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 180,
        with_data: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run Python code inside GIMP; the exit status is 0 unless the code raised or GIMP crashed.

        GIMP itself writes warnings to stderr even if all is well.
        """
        return subprocess.run(
            self.command(code, with_data=with_data),
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def command(self, code: str, *, with_data: bool = False) -> list[str]:
        """Return the command line of a GIMP without windows that runs `code` and ends.

        Without GIMP's data, such as patterns, brushes and gradients, it starts in half the time.
        """
        batch = ("--quit", "--batch-interpreter=python-fu-eval", "-b", code)
        return [str(self.folder / "gimp-console"), "-i", *(() if with_data else ("-d",)), *batch]


@contextlib.contextmanager
def started(gimp: Gimp, code: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Start a GIMP that runs `code`, which can import `gimp_cases`; end it with the block."""
    env = {**gimp.environment, **PYTHON_PATH, **(env or {})}
    with subprocess.Popen(gimp.command(code), env=env, stderr=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()


def make_profile(gimp: Gimp, *, few_plugins: bool, plugin: bool = True) -> None:
    """Make a profile with the plug-in and all or few of GIMP's own; with few, GIMP starts much faster.

    The profile is a copy of one that GIMP has used before, in which it has noted its plug-ins, so that it
    asks only ours what it offers. The user's cache of conversions is filled.
    """
    used = _used_home(gimp, few_plugins)
    shutil.copytree(used / "profile", gimp.profile)
    shutil.copytree(used / CACHES / "babl", gimp.user / CACHES / "babl")
    environ = gimp.profile / "environ"
    environ.mkdir(exist_ok=True)
    (environ / "caches.env").write_text(f"XDG_CACHE_HOME={gimp.user / CACHES_OF_PLUGINS}\n")
    if not plugin:
        return
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(PLUGIN, gimp.profile / "plug-ins" / "atelier", ignore=ignored)


def add_languages(gimp: Gimp, folder: Path) -> dict[str, str]:
    """Compile the plug-in's translations, and return the variables with which LANGUAGE chooses one.

    gettext ignores LANGUAGE in the locale C.UTF-8, the only one in this GIMP. A copy by another name is made
    in `folder`.
    """
    compile_translations(gimp.profile / "plug-ins" / "atelier" / "locale")
    shutil.copytree(gimp.folder / "root/usr/lib/locale/C.utf8", folder / "en_US.utf8")
    return {"LOCPATH": str(folder), "LC_ALL": "en_US.UTF-8"}


def _used_home(gimp: Gimp, few_plugins: bool) -> Path:
    """Return a user's home without our plug-in in which GIMP has run once; it is kept beside GIMP."""
    ingredients = SETTINGS, FEW_PLUGINS, FILL_BABL_CACHE.read_text(encoding="utf-8")
    kind = hashlib.sha256(repr(ingredients).encode()).hexdigest()[:8]
    kept = gimp.folder / f"home-{'few' if few_plugins else 'all'}-{kind}"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            draft = Gimp(gimp.version, gimp.folder, kept.with_suffix(".part"), gimp.folder)
            shutil.rmtree(draft.user, ignore_errors=True)
            _write_new_profile(draft, few_plugins)
            done = draft.run_python("print()")
            assert done.returncode == 0, done.stderr
            fill = str(gimp.folder / "enter"), "python3", str(FILL_BABL_CACHE)
            subprocess.run(fill, env=draft.environment, check=True)
            draft.user.rename(kept)
    return kept


def _write_new_profile(gimp: Gimp, few_plugins: bool) -> None:
    plugins = gimp.profile / "plug-ins"
    plugins.mkdir(parents=True)
    settings = SETTINGS + f'(config-version "{full_version(gimp)}")\n'
    if few_plugins:
        (installed,) = gimp.folder.glob("root/usr/lib/*/gimp/3.0/plug-ins")
        for name in FEW_PLUGINS:
            shutil.copytree(installed / name, plugins / name)
        settings += '(plug-in-path "${gimp_dir}/plug-ins")\n'
    (gimp.profile / "gimprc").write_text(settings)


def save_settings(gimp: Gimp, procedure: str, **values: str | int | float) -> None:
    """Write the file that Load Saved Settings in a procedure's dialog reads."""
    write_settings(settings_file(gimp, procedure, "default"), values)


def write_settings(file: Path, values: Mapping[str, str | int | float]) -> None:
    """Write a file with a procedure's settings."""
    file.parent.mkdir(exist_ok=True)
    written = {name: f'"{value}"' if isinstance(value, str) else value for name, value in values.items()}
    file.write_text("".join(f"({name.replace('_', '-')} {value})\n" for name, value in written.items()))


def last_values(gimp: Gimp, procedure: str) -> str:
    """Return the settings of a procedure's last run, which GIMP keeps for the next session."""
    file = settings_file(gimp, procedure, "last")
    return file.read_text() if file.exists() else ""


def settings_file(gimp: Gimp, procedure: str, kind: str) -> Path:
    """Return the file with a procedure's settings."""
    return gimp.profile / "plug-in-settings" / f"GimpProcedureConfigRun-{procedure}.{kind}"


def filters_in(gimp: int) -> list[psutil.Process]:
    """Return the processes of the filters that run in the GIMP with this process number."""
    found = []
    for process in psutil.Process(gimp).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if "-run" in words and any(word.endswith("atelier.py") for word in words):
                found.append(process)
    return found


def filter_of(gimp: subprocess.Popen[bytes]) -> psutil.Process:
    """Wait until a filter runs in a GIMP, and return its process."""
    while gimp.poll() is None:
        for process in filters_in(gimp.pid):
            return process
        time.sleep(0.02)
    raise AssertionError("GIMP ended before it ran the filter.")


def full_version(gimp: Gimp) -> str:
    """Return the version with all its numbers, such as 3.0.4.

    GIMP takes a profile without it for one of an older GIMP.
    """
    return subprocess.check_output([gimp.folder / "gimp-console", "--version"], text=True).split()[-1]
