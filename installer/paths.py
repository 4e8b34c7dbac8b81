"""The places of an installation, and the options of an installer's run."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

from atelier_shared.home import (
    COMMAND_FOLDER,
    CONNECTION_FILE,
    INSTALL_LOG,
    KERNELS_FILE,
    LOCK_FILE,
    LOG_FILE,
    MODELS_FOLDER,
    PACKAGES_FILE,
    PLUGIN_FILE,
    PRESETS_FILE,
    REMOTE_FILE,
    REMOTE_SLOWNESS_FILE,
    REMOTE_STATE_FILE,
    SCHEDULER_CERTIFICATE_FILE,
    SELF_CHECK_LOG,
    SLOWNESS_FILE,
    STYLES_FILE,
    STYLES_FOLDER,
    THUMBNAILS_FOLDER,
    TRANSLATIONS_FOLDER,
    VENV_FOLDER,
    WORKER_CERTIFICATE_FILE,
)

CHECKOUT = Path(__file__).resolve().parent.parent
WINDOWS = sys.platform == "win32"
INDEX_NOTE = "torch-index.txt"
"""In the home and in an offline folder: the package index of torch, unless it is the usual one."""
WHEELS_FOLDER = "wheels"
"""In an offline folder: the packages."""


@dataclass(frozen=True)
class Home:
    """Atelier's home folder, and the places in it."""

    folder: Path
    venv_folder: str = VENV_FOLDER

    @property
    def venv(self) -> Path:
        """The backend's own Python environment."""
        return self.folder / self.venv_folder

    @property
    def earlier_venv(self) -> Path:
        """The earlier environment while a new one takes its place."""
        return self.folder / "venv-earlier"

    def with_new_venv(self) -> Home:
        """Return this home with the place of a new environment before it takes the earlier one's."""
        return Home(self.folder, "venv-new")

    @property
    def note(self) -> str:
        """The text of NOTE_OF_THE_HOME: this home, and the folder of install.py."""
        return f"{self.folder}\n{CHECKOUT}\n"

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.program("python")

    @property
    def packages(self) -> Path:
        """The list of the installed packages."""
        return self.venv / PACKAGES_FILE

    @property
    def models(self) -> Path:
        """The networks' weights."""
        return self.folder / MODELS_FOLDER

    @property
    def thumbnails(self) -> Path:
        """The thumbnails of built-in styles and presets."""
        return self.folder / THUMBNAILS_FOLDER

    @property
    def styles(self) -> Path:
        """The style pictures in the gallery's styles."""
        return self.folder / STYLES_FOLDER

    @property
    def translations(self) -> Path:
        """The catalogues of the command line."""
        return self.folder / TRANSLATIONS_FOLDER

    @property
    def command(self) -> Path:
        """The command `atelier`."""
        return self.folder / COMMAND_FOLDER / ("atelier.cmd" if WINDOWS else "atelier")

    @property
    def picture(self) -> Path:
        """The picture painted by the self-check."""
        return self.folder / "self-check.png"

    @property
    def log(self) -> Path:
        """GIMP's messages during the self-check."""
        return self.folder / SELF_CHECK_LOG

    @property
    def install_log(self) -> Path:
        """The installer's complete log."""
        return self.folder / INSTALL_LOG

    @property
    def backend_log(self) -> Path:
        """The backend's messages."""
        return self.folder / LOG_FILE

    @property
    def connection(self) -> Path:
        """The connection file of a running backend."""
        return self.folder / CONNECTION_FILE

    @property
    def plugin_fingerprint(self) -> Path:
        """The fingerprint of the plug-in in GIMP's profiles."""
        return self.folder / PLUGIN_FILE

    @property
    def outside(self) -> Path:
        """The list of files made outside of the home."""
        return self.folder / "outside.txt"

    def program(self, name: str) -> Path:
        """Return a program of the environment."""
        return self.venv / "Scripts" / f"{name}.exe" if WINDOWS else self.venv / "bin" / name

    def everything(self) -> list[Path]:
        """List all places in the home that the installer and the backend use."""
        environments = (self.venv, self.earlier_venv, self.with_new_venv().venv)
        kept = (self.models, self.thumbnails, self.styles, self.translations)
        folders = (*environments, *kept, self.command.parent)
        logs = (self.log, self.install_log, self.backend_log)
        made = (self.picture, self.plugin_fingerprint, self.outside, *logs)
        notes = (
            *(SLOWNESS_FILE, STYLES_FILE, PRESETS_FILE, KERNELS_FILE, CONNECTION_FILE, LOCK_FILE),
            *(REMOTE_FILE, REMOTE_STATE_FILE, REMOTE_SLOWNESS_FILE, INDEX_NOTE),
            *(SCHEDULER_CERTIFICATE_FILE, WORKER_CERTIFICATE_FILE),
        )
        files = (*made, *(self.folder / name for name in notes))
        drafts = (self.folder.glob(f".{file.stem}-*{file.suffix}") for file in files)
        return [*folders, *files, *itertools.chain.from_iterable(drafts)]


@dataclass(frozen=True)
class Plan:
    """The options of a run.

    `offline` is the folder in place of the network, `torch_index` the package index of torch, given or
    noted, unless it is the usual one. A `client` leaves the pictures to another machine.
    """

    home: Home
    link: bool = False
    device: str = "auto"
    torch_index: str | None = None
    official_weights: bool = False
    video: bool = False
    cluster: bool = False
    offline: Path | None = None
    upgrade: bool = False
    repair: bool = False
    service: bool = False
    verbose: bool = False
    client: bool = False

    @property
    def torch_device(self) -> str:
        """The device by PyTorch's name: AMD's cards have the name of NVIDIA's."""
        return "cuda" if self.device == "rocm" else self.device
