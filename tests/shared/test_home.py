"""The home folder, and the command of the installer in messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atelier_shared import home

CHECKOUT = Path(__file__).parents[2]
START = "from atelier_shared import launcher; launcher.start_backend()"


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that atelier_shared is installed, and return the place of the installer's note."""
    (tmp_path / "plugin").mkdir()
    monkeypatch.setattr(home, "__file__", str(tmp_path / "plugin" / "atelier_shared" / "home.py"))
    monkeypatch.delenv("ATELIER_HOME", raising=False)
    return tmp_path / "plugin" / home.NOTE_OF_THE_HOME


def test_without_a_note_messages_name_the_command_alone(note: Path) -> None:
    assert home.installer() is None
    assert home.install_command() == "python3 install.py"
    assert home.install_command("--repair") == "python3 install.py --repair"


@pytest.mark.parametrize(
    ("folder", "command"), [("Atelier", "python3 {}"), ("my own folder", 'python3 "{}"'), ("ü$x", None)]
)
def test_the_command_names_the_noted_folder(
    note: Path, tmp_path: Path, folder: str, command: str | None
) -> None:
    (tmp_path / folder).mkdir()
    note.write_text(f"/somebody's/.atelier\n{tmp_path / folder}\n", encoding="utf-8")
    assert home.atelier_home() == Path("/somebody's/.atelier")
    assert home.install_command() == "python3 install.py", "there is no install.py in the folder"
    file = tmp_path / folder / "install.py"
    file.write_text("print('installed')")
    if command:
        assert home.install_command() == command.format(file)
        shown = subprocess.run(["sh", "-c", home.install_command()], capture_output=True, text=True)
        assert shown.stdout == "installed\n"
    assert str(file) in home.install_command("--repair")


def test_the_note_of_an_earlier_version_has_one_line(note: Path) -> None:
    note.write_text("/somebody's/.atelier\n")
    assert home.atelier_home() == Path("/somebody's/.atelier")
    assert home.install_command() == "python3 install.py"


def test_every_message_names_the_folder_of_the_installer() -> None:
    """Otherwise a user who has installed Atelier long ago does not know where install.py is."""
    sources = [file for folder in ("backend", "plugin") for file in (CHECKOUT / folder).rglob("*.py")]
    assert len(sources) > 100
    naming = [file.name for file in sources if "python3 install.py" in file.read_text(encoding="utf-8")]
    assert naming == ["remote.py"], "whose messages are about the installer on another machine"


def test_a_missing_backend_names_the_folder_that_contains_install_py(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As GIMP's plug-in does, also when Atelier's home was removed."""
    monkeypatch.delenv("ATELIER_HOME", raising=False)
    plugin = tmp_path / "plug-ins" / "atelier"
    plugin.mkdir(parents=True)
    (plugin / "atelier_shared").symlink_to(CHECKOUT / "plugin" / "atelier" / "atelier_shared")
    (plugin / home.NOTE_OF_THE_HOME).write_text(f"{tmp_path / 'removed'}\n{CHECKOUT}\n")
    started = subprocess.run([sys.executable, "-c", START], cwd=plugin, capture_output=True, text=True)
    problem = f"Atelier's backend is not installed in {tmp_path / 'removed'}."
    assert f"{problem} Run 'python3 {CHECKOUT / 'install.py'}' first." in started.stderr
