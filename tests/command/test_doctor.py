"""The findings of `atelier doctor`, with real parts, intact and broken."""

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
    """Return an empty home folder of a user with nothing on the PATH."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("GIMP3_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    return tmp_path


# ── Environment, device, weights ─────────────────────────────────────────────────────────────────


def test_the_installed_versions_are_ok(tmp_path: Path) -> None:
    numpy = importlib.metadata.version("numpy")
    (tmp_path / "packages.txt").write_text(f"numpy=={numpy}\n")
    finding = doctor.examine_environment(tmp_path / "packages.txt")
    assert finding.ok
    assert f"numpy {numpy}" in finding.explanation


@pytest.mark.parametrize("package", ["numpy", "no-such-package"])
def test_changed_and_missing_packages_are_listed(tmp_path: Path, package: str) -> None:
    (tmp_path / "packages.txt").write_text(f"{package}==1.0\npyzmq=={importlib.metadata.version('pyzmq')}\n")
    finding = doctor.examine_environment(tmp_path / "packages.txt")
    assert not finding.ok
    assert f"not the installed version: {package}. Run 'python3 install.py --repair'" in finding.explanation


def test_a_missing_package_is_reported_as_missing(tmp_path: Path) -> None:
    (tmp_path / "packages.txt").write_text("no-such-package==1.0\n")
    assert "no-such-package missing" in doctor.examine_environment(tmp_path / "packages.txt").explanation


@pytest.mark.parametrize("error", ["ImportError", "OSError", "RuntimeError"])
def test_a_broken_torch_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    (tmp_path / "torch.py").write_text(f"raise {error}('libcudart.so.13 is missing')")
    examine = "from pathlib import Path; from backend.command import doctor as d; print(d.{}); print(d.{})"
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}")
    code = examine.format("examine_device()", "examine_weights(Path())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.count("NO ") == done.stdout.count("libcudart.so.13 is missing") == 2


def test_an_unfinished_environment_is_not_ok(tmp_path: Path) -> None:
    assert not doctor.examine_environment(tmp_path / "packages.txt").ok


def test_the_device_is_named() -> None:
    finding = doctor.examine_device()
    assert finding.ok
    assert finding.explanation.startswith(("cpu", "cuda", "mps", "xpu"))


def test_installed_weights_are_ok(models: Path) -> None:
    finding = doctor.examine_weights(models)
    assert finding.ok
    assert {"vgg19,", "adain-decoder,", "inception-v3,"} <= set(finding.explanation.split())


def test_missing_and_damaged_weights_are_listed(models: Path, tmp_path: Path) -> None:
    shutil.copy(models / "adain-decoder.safetensors", tmp_path)
    with (tmp_path / "adain-decoder.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    finding = doctor.examine_weights(tmp_path)
    assert not finding.ok
    listed = finding.explanation.removeprefix(f"Missing or damaged in {tmp_path}: ").partition(".")[0]
    assert {"vgg19", "adain-decoder", "inception-v3"} <= set(listed.split(", "))


# ── Backend ──────────────────────────────────────────────────────────────────────────────────────


def test_a_working_backend_is_ok(atelier_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(atelier_home))
    finding = doctor.examine_backend()
    assert finding.ok, finding.explanation


def test_a_missing_backend_is_not_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    finding = doctor.examine_backend()
    assert not finding.ok
    assert "install.py" in finding.explanation


# ── GIMPs and the plug-in ────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("user")
def test_a_computer_without_gimp_is_ok() -> None:
    finding = doctor.examine_gimps()
    assert finding.ok
    assert "No GIMP 3" in finding.explanation


def test_a_gimp_without_plugins_is_mentioned(user: Path) -> None:
    (user / "snap/gimp").mkdir(parents=True)
    assert "Snap" in doctor.examine_gimps().explanation


def test_a_gimp_installed_after_atelier_has_no_plugin_yet(user: Path) -> None:
    console = user / "bin/gimp-console"
    console.write_text("#!/bin/sh\necho version 3.2.6\n")
    console.chmod(0o755)
    assert not doctor.examine_gimps().ok
    (user / ".config/GIMP/3.2").mkdir(parents=True)
    assert doctor.examine_gimps().ok


@pytest.fixture
def profile(user: Path) -> Path:
    """Return a profile with the plug-in, of a GIMP that has loaded it."""
    profile = user / ".config/GIMP/3.0"
    profile.mkdir(parents=True)
    home = Home(user / ".atelier")
    home.folder.mkdir()
    install_plugin(Plan(home), [])
    (profile / "pluginrc").write_text("".join(f'(proc-def "{name}" 1\n' for name in doctor.PROCEDURES))
    return profile


def test_a_loaded_plugin_is_ok(profile: Path, user: Path) -> None:
    finding = doctor.examine_plugin(profile, user / ".atelier")
    assert finding.ok
    assert "GIMP has loaded it" in finding.explanation


def test_a_plugin_newer_than_the_last_start_of_gimp_is_ok(profile: Path, user: Path) -> None:
    os.utime(profile / "pluginrc", (0, 0))
    finding = doctor.examine_plugin(profile, user / ".atelier")
    assert finding.ok
    assert "next start" in finding.explanation


def test_a_plugin_rejected_by_gimp_is_not_ok(profile: Path, user: Path) -> None:
    *loaded, rejected = sorted(doctor.PROCEDURES)
    (profile / "pluginrc").write_text("".join(f'(proc-def "{name}" 1\n' for name in loaded))
    finding = doctor.examine_plugin(profile, user / ".atelier")
    assert not finding.ok
    assert f"GIMP did not load {rejected}." in finding.explanation


def test_a_plugin_without_the_executable_bit_is_not_ok(profile: Path, user: Path) -> None:
    (gimp_installations.plugin_folder(profile) / "atelier.py").chmod(0o644)
    assert "not executable" in doctor.examine_plugin(profile, user / ".atelier").explanation


def test_a_plugin_of_another_version_is_not_ok(profile: Path, user: Path) -> None:
    (gimp_installations.plugin_folder(profile) / "zmtp.py").write_text("")
    assert "last one installed" in doctor.examine_plugin(profile, user / ".atelier").explanation


def test_a_linked_plugin_is_always_current(profile: Path, user: Path, tmp_path: Path) -> None:
    folder = gimp_installations.plugin_folder(profile)
    shutil.rmtree(folder)
    checkout = shutil.copytree(PLUGIN, tmp_path / "checkout")
    (checkout / "atelier.py").chmod(0o755)
    folder.symlink_to(checkout)
    assert doctor.examine_plugin(profile, user / ".atelier").ok


def test_a_profile_without_the_plugin_is_not_ok(user: Path) -> None:
    assert not doctor.examine_plugin(user / ".config/GIMP/3.0", user / ".atelier").ok


# ── Command ──────────────────────────────────────────────────────────────────────────────────────


def test_the_command_is_recognised_through_its_link(user: Path) -> None:
    own = user / ".atelier/bin/atelier"
    own.parent.mkdir(parents=True)
    assert "Add " in doctor.examine_command(user / ".atelier").explanation
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    (user / "bin/atelier").symlink_to(own)
    assert doctor.examine_command(user / ".atelier").ok


def test_another_program_with_the_name_of_the_command_is_not_ok(user: Path) -> None:
    (user / "bin/atelier").write_text("#!/bin/sh\n")
    (user / "bin/atelier").chmod(0o755)
    finding = doctor.examine_command(user / ".atelier")
    assert not finding.ok
    assert "another program" in finding.explanation


# ── The bundle ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", [0o600, 0o644], ids=["trusted", "not trusted"])
def test_the_bundle_contains_neither_the_key_nor_the_name_of_the_user(
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


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("connected to jane.doe@gpu.example, port 5.", "connected to (a user's machine), port 5."),
        (
            "proxy http://me:secret@proxy.example:8080 refused",
            "proxy http://(a password)@proxy.example:8080 refused",
        ),
        ("see /media/alice/DISK/photo.png", "see /media/(a user)/DISK/photo.png"),
        ("see /run/media/alice/DISK/x", "see /run/media/(a user)/DISK/x"),
        ("file:/home/bob/.config of:/Users/carol", "file:/home/(a user)/.config of:/Users/(a user)"),
        (r"C:\Users\dave\AppData", r"C:\Users\(a user)\AppData"),
        ("/usr/lib/python3/home/x.py: 64 media", "/usr/lib/python3/home/(a user): 64 media"),
    ],
)
def test_the_bundle_contains_no_password_and_no_user_s_name(
    user: Path, tmp_path_factory: pytest.TempPathFactory, line: str, kept: str
) -> None:
    file = tmp_path_factory.mktemp("reports") / "bundle.zip"
    doctor.write_bundle([doctor.Finding("GIMP", True, line)], file)
    with zipfile.ZipFile(file) as bundle:
        assert bundle.read("findings.txt").decode() == f"ok  GIMP: {kept}\n"


def test_a_bundle_is_written_with_the_clock_at_1970(
    user: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    file = tmp_path_factory.mktemp("reports") / "bundle.zip"
    doctor.write_bundle([], file)
    assert zipfile.is_zipfile(file)


def test_a_bundle_that_cannot_be_written_is_reported(user: Path) -> None:
    with pytest.raises(AtelierError, match=r"could not be written .* Choose another file"):
        doctor.write_bundle([], user / "nowhere" / "bundle.zip")
