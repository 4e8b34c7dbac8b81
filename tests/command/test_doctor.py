"""Each finding of the doctor, well and ill, on parts that are really there or really broken."""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from atelier_shared.errors import AtelierError
from backend.command import doctor, gimp_installations
from installer.paths import Home, Plan
from installer.plugin import PLUGIN, install_plugin


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder of a user with nothing on the PATH."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("GIMP3_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    return tmp_path


# ── Environment, device, weights ─────────────────────────────────────────────────────────────────


def test_the_versions_that_were_installed_are_well(tmp_path: Path) -> None:
    numpy = importlib.metadata.version("numpy")
    (tmp_path / "packages.txt").write_text(f"numpy=={numpy}\n")
    finding = doctor.examine_environment(tmp_path / "packages.txt")
    assert finding.ok
    assert f"numpy {numpy}" in finding.sentence


@pytest.mark.parametrize("package", ["numpy", "no-such-package"])
def test_other_versions_and_missing_packages_are_named(tmp_path: Path, package: str) -> None:
    (tmp_path / "packages.txt").write_text(f"{package}==1.0\npyzmq=={importlib.metadata.version('pyzmq')}\n")
    finding = doctor.examine_environment(tmp_path / "packages.txt")
    assert not finding.ok
    assert f": {package} not as installed; run 'python3 install.py --repair'" in finding.sentence


def test_a_package_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "packages.txt").write_text("no-such-package==1.0\n")
    assert "no-such-package missing" in doctor.examine_environment(tmp_path / "packages.txt").sentence


@pytest.mark.parametrize("error", ["ImportError", "OSError", "RuntimeError"])
def test_a_torch_that_cannot_be_imported_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    (tmp_path / "torch.py").write_text(f"raise {error}('libcudart.so.13 is missing')")
    examine = "from pathlib import Path; from backend import doctor as d; print(d.{}); print(d.{})"
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}")
    code = examine.format("examine_device()", "examine_weights(Path())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.count("NO ") == done.stdout.count("libcudart.so.13 is missing") == 2


def test_an_environment_that_was_never_finished_is_not_whole(tmp_path: Path) -> None:
    assert not doctor.examine_environment(tmp_path / "packages.txt").ok


def test_the_device_is_named() -> None:
    finding = doctor.examine_device()
    assert finding.ok
    assert finding.sentence.startswith(("cpu", "cuda", "mps", "xpu"))


def test_installed_weights_are_well(models: Path) -> None:
    finding = doctor.examine_weights(models)
    assert finding.ok
    assert "vgg19, adain-decoder, inception-v3" in finding.sentence


def test_missing_and_damaged_weights_are_named(models: Path, tmp_path: Path) -> None:
    shutil.copy(models / "adain-decoder.safetensors", tmp_path)
    with (tmp_path / "adain-decoder.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    finding = doctor.examine_weights(tmp_path)
    assert not finding.ok
    missing, _, _ = finding.sentence.partition(" missing or damaged")
    assert {"vgg19", "adain-decoder", "inception-v3"} <= set(missing.split(", "))


# ── Backend ──────────────────────────────────────────────────────────────────────────────────────


def test_a_backend_that_works_is_well(atelier_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(atelier_home))
    finding = doctor.examine_backend()
    assert finding.ok, finding.sentence


def test_a_backend_that_is_not_installed_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    finding = doctor.examine_backend()
    assert not finding.ok
    assert "install.py" in finding.sentence


# ── GIMPs and the plug-in ────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("user")
def test_no_gimp_is_no_fault() -> None:
    finding = doctor.examine_gimps()
    assert finding.ok
    assert "no GIMP 3" in finding.sentence


def test_a_gimp_that_takes_no_plugins_is_named(user: Path) -> None:
    (user / "snap/gimp").mkdir(parents=True)
    assert "Snap" in doctor.examine_gimps().sentence


def test_a_gimp_that_came_after_the_installation_has_no_plugin_yet(user: Path) -> None:
    console = user / "bin/gimp-console"
    console.write_text("#!/bin/sh\necho version 3.2.6\n")
    console.chmod(0o755)
    assert not doctor.examine_gimps().ok
    (user / ".config/GIMP/3.2").mkdir(parents=True)
    assert doctor.examine_gimps().ok


@pytest.fixture
def profile(user: Path) -> Path:
    """A profile with the plug-in, of a GIMP that has looked at it."""
    profile = user / ".config/GIMP/3.0"
    profile.mkdir(parents=True)
    home = Home(user / ".atelier")
    home.folder.mkdir()
    install_plugin(Plan(home), [])
    (profile / "pluginrc").write_text(
        "".join(f'(proc-def "{name}" 1\n' for name in gimp_installations.PROCEDURES)
    )
    return profile


def test_a_plugin_that_gimp_has_taken_is_well(profile: Path, user: Path) -> None:
    finding = doctor.examine_plugin(profile, user / ".atelier")
    assert finding.ok
    assert "GIMP has taken it" in finding.sentence


def test_a_plugin_that_gimp_has_not_looked_at_yet_is_well(profile: Path, user: Path) -> None:
    os.utime(profile / "pluginrc", (0, 0))
    finding = doctor.examine_plugin(profile, user / ".atelier")
    assert finding.ok
    assert "next start" in finding.sentence


def test_a_plugin_that_gimp_did_not_take_is_not(profile: Path, user: Path) -> None:
    (profile / "pluginrc").write_text(f'(proc-def "{gimp_installations.PROCEDURES[0]}" 1\n')
    finding = doctor.examine_plugin(profile, user / ".atelier")
    assert not finding.ok
    assert gimp_installations.PROCEDURES[1] in finding.sentence


def test_a_plugin_that_is_not_executable_is_not(profile: Path, user: Path) -> None:
    (gimp_installations.plugin_folder(profile) / "atelier.py").chmod(0o644)
    assert "not executable" in doctor.examine_plugin(profile, user / ".atelier").sentence


def test_a_plugin_of_another_version_is_not(profile: Path, user: Path) -> None:
    (gimp_installations.plugin_folder(profile) / "zmtp.py").write_text("")
    assert "installed last" in doctor.examine_plugin(profile, user / ".atelier").sentence


def test_a_linked_plugin_is_always_the_newest(profile: Path, user: Path, tmp_path: Path) -> None:
    folder = gimp_installations.plugin_folder(profile)
    shutil.rmtree(folder)
    checkout = shutil.copytree(PLUGIN, tmp_path / "checkout")
    (checkout / "atelier.py").chmod(0o755)
    folder.symlink_to(checkout)
    assert doctor.examine_plugin(profile, user / ".atelier").ok


def test_a_profile_without_the_plugin_is_not(user: Path) -> None:
    assert not doctor.examine_plugin(user / ".config/GIMP/3.0", user / ".atelier").ok


# ── Command ──────────────────────────────────────────────────────────────────────────────────────


def test_the_command_is_known_through_its_link(user: Path) -> None:
    own = user / ".atelier/bin/atelier"
    own.parent.mkdir(parents=True)
    assert "no folder of the PATH" in doctor.examine_command(user / ".atelier").sentence
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    (user / "bin/atelier").symlink_to(own)
    assert doctor.examine_command(user / ".atelier").ok


def test_another_program_of_that_name_is_named(user: Path) -> None:
    (user / "bin/atelier").write_text("#!/bin/sh\n")
    (user / "bin/atelier").chmod(0o755)
    finding = doctor.examine_command(user / ".atelier")
    assert not finding.ok
    assert "another program" in finding.sentence


# ── The bundle ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", [0o600, 0o644], ids=["trusted", "not trusted"])
def test_the_bundle_says_all_but_the_key_and_who_one_is(
    user: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    home, key = user / ".atelier", secrets.token_hex(32)
    home.mkdir()
    monkeypatch.setenv("ATELIER_HOME", str(home))
    (home / "connection.json").write_text(json.dumps({"port": 1, "pid": 1, "key": key}))
    (home / "connection.json").chmod(mode)
    (home / "self-check.png").write_bytes(b"pixels")
    (home / "backend.log").write_text("old\n" * 100_000 + f"the newest, in {home}, with {key}\n")
    file = tmp_path_factory.mktemp("reports") / "bundle.zip"
    doctor.write_bundle([doctor.Finding("GIMP", False, f"it is missing in {user}.")], file)
    with zipfile.ZipFile(file) as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert texts.keys() == {"findings.txt", "versions.txt", "backend.log"}
    assert texts["findings.txt"] == "NO  GIMP: it is missing in ~.\n"
    assert f"numpy {importlib.metadata.version('numpy')}\n" in texts["versions.txt"]
    assert texts["backend.log"].endswith("the newest, in ~/.atelier, with (a key)\n")
    assert len(texts["backend.log"]) <= 100_000
    assert not [text for text in texts.values() if key in text or str(user) in text or "pixels" in text]


def test_a_bundle_that_cannot_be_written_is_a_sentence(user: Path) -> None:
    with pytest.raises(AtelierError, match=r"could not be written .* name another file"):
        doctor.write_bundle([], user / "nowhere" / "bundle.zip")
