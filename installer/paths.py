"""Where everything lies, and what a person asked for. Does nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
WINDOWS = sys.platform == "win32"
INDEX_NOTE = "torch-index.txt"
"""Names the package index that torch is taken from, where that is not the usual one."""


@dataclass(frozen=True)
class Home:
    """The folder that holds all of Atelier, and the places in it."""

    folder: Path

    @property
    def venv(self) -> Path:
        """The backend's own Python environment."""
        return self.folder / "venv"

    @property
    def earlier_venv(self) -> Path:
        """The environment before, for as long as a new one is being made."""
        return self.folder / "venv-earlier"

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.program("python")

    @property
    def models(self) -> Path:
        """The networks' weights."""
        return self.folder / "models"

    @property
    def thumbnails(self) -> Path:
        """Small pictures of what is built in, for GIMP's dialogs."""
        return self.folder / "thumbnails"

    @property
    def command(self) -> Path:
        """The command `atelier`."""
        return self.folder / "bin" / ("atelier.cmd" if WINDOWS else "atelier")

    @property
    def picture(self) -> Path:
        """What the self-check paints."""
        return self.folder / "self-check.png"

    @property
    def log(self) -> Path:
        """What GIMP said meanwhile."""
        return self.folder / "self-check.log"

    @property
    def plugin_fingerprint(self) -> Path:
        """A digest of the plug-in as it was copied into GIMP's profiles."""
        return self.folder / "plugin.txt"

    @property
    def outside(self) -> Path:
        """The list of what was made outside of this folder."""
        return self.folder / "outside.txt"

    def program(self, name: str) -> Path:
        """A program of the environment."""
        return self.venv / "Scripts" / f"{name}.exe" if WINDOWS else self.venv / "bin" / name

    def everything(self) -> list[Path]:
        """All that the installer and the backend make in this folder."""
        folders = (self.venv, self.earlier_venv, self.models, self.thumbnails, self.folder / "bin")
        made = (*folders, self.picture, self.log, self.plugin_fingerprint, self.outside)
        notes = [self.folder / name for name in ("speeds.json", "styles.json", "kernels.json", INDEX_NOTE)]
        return [*made, *notes, *self.folder.glob("connection.json*"), *self.folder.glob("backend.lo[cg]*")]


@dataclass(frozen=True)
class Plan:
    """What is to be installed, where, and how.

    `offline` is the folder that stands for the network, `torch_index` the address that torch is taken from
    where that is not the usual index, be it given or noted.
    """

    home: Home
    link: bool = False
    device: str = "auto"
    torch_index: str | None = None
    official_weights: bool = False
    offline: Path | None = None
    upgrade: bool = False
    repair: bool = False
    service: bool = False

    @property
    def computes_on(self) -> str:
        """What PyTorch calls the device: AMD's cards have the name of NVIDIA's."""
        return "cuda" if self.device == "rocm" else self.device
