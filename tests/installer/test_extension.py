"""GIMP's extension: its content, and real GIMPs that unpack it and load the plug-in from it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import prepared
from gimp_session import Gimp, make_profile

from installer import extension
from installer.extension import IDENTIFIER
from installer.paths import CHECKOUT

OPEN = """
from gi.repository import Gimp, Gio
procedure = Gimp.get_pdb().lookup_procedure("file-gex-load")
config = procedure.create_config()
config.set_property("file", Gio.File.new_for_path({file!r}))
result = procedure.run(config)
print("RESULT", result.index(0).value_nick, *([result.index(1)] if result.length() > 1 else []))
"""
HAS_FILTERS = "assert Gimp.get_pdb().procedure_exists('plug-in-atelier-deepdream')"


@pytest.fixture(scope="module")
def gex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the extension by the command."""
    file = tmp_path_factory.mktemp("extension") / "atelier.gex"
    subprocess.run([sys.executable, str(CHECKOUT / "install.py"), "--make-extension", str(file)], check=True)
    return file


def test_the_extension_contains_the_plugin_and_the_installer(gex: Path) -> None:
    with zipfile.ZipFile(gex) as archive:
        names = archive.namelist()
        assert archive.testzip() is None and len(names) == len(set(names))
        metadata = ElementTree.fromstring(archive.read(f"{IDENTIFIER}/{IDENTIFIER}.metainfo.xml"))
    assert all(name.startswith(f"{IDENTIFIER}/") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".egg-info"))]
    wanted = (
        "install.py",
        "installer/steps.py",
        "backend/__main__.py",
        "requirements.lock",
        *(file.name for file in CHECKOUT.glob("requirements*.txt")),
        "samples/coffee.jpg",
    )
    assert {f"{IDENTIFIER}/{name}" for name in wanted} <= set(names)
    assert metadata.findtext("id") == IDENTIFIER and metadata.findtext("extends") == "org.gimp.GIMP"
    assert f"{IDENTIFIER}/{metadata.findtext('custom/value')}" in names


def test_the_same_sources_make_the_same_extension(gex: Path, tmp_path: Path) -> None:
    extension.make_extension(tmp_path / "again.gex")
    assert (tmp_path / "again.gex").read_bytes() == gex.read_bytes()


def test_the_unpacked_plugin_finds_its_installer(
    gex: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATELIER_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with zipfile.ZipFile(gex) as archive:
        archive.extractall(tmp_path)
    code = "from atelier_shared import home; print(home.installer()); print(home.atelier_home())"
    plugin = tmp_path / IDENTIFIER / "plugin/atelier"
    found = subprocess.check_output([sys.executable, "-c", code], cwd=plugin, text=True).splitlines()
    assert found == [str(tmp_path / IDENTIFIER / "install.py"), str(tmp_path / ".atelier")]
    installer = [sys.executable, found[0], "--dry-run"]
    assert "Would make a new environment" in subprocess.check_output(installer, text=True)


@pytest.mark.slow
def test_gimp_unpacks_the_extension_and_loads_it_once_it_is_active(
    gimp_version: str, gex: Path, tmp_path: Path
) -> None:
    """Releases of GIMP have no dialog that makes an extension active: only a line in a file does."""
    gimp = Gimp(gimp_version, prepared(f"gimp-{gimp_version}"), tmp_path / "gimp", tmp_path / "home")
    make_profile(gimp, few_plugins=True, plugin=False)
    done = gimp.run_python(OPEN.format(file=str(gex)))
    assert "RESULT success" in done.stdout, done.stdout + done.stderr
    unpacked = gimp.profile / "extensions" / IDENTIFIER
    assert (unpacked / "install.py").read_bytes() == (CHECKOUT / "install.py").read_bytes()
    settings = gimp.profile / "extensionrc"
    assert f'(GimpExtension "{IDENTIFIER}"' in settings.read_text() and "(active no)" in settings.read_text()
    assert gimp.run_python(HAS_FILTERS).returncode, "an opened extension is not active"
    settings.write_text(f'(GimpExtension "{IDENTIFIER}"\n    (active yes))\n')
    assert gimp.run_python(HAS_FILTERS).returncode == 0
