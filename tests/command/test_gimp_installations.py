"""Finding GIMPs and their profiles, with folders and programs made by the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import gimp_root
import pytest

from backend.command import gimp_installations


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home folder of a user with only a folder `bin` on the PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("GIMP3_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("output", "version", "profile"),
    [
        ("GNU Image Manipulation Program version 3.0.4", "3.0.4", "3.0"),
        ("GNU-Bildbearbeitungsprogramm Version 3.2.6", "3.2.6", "3.2"),
    ],
)
def test_a_gimp_on_the_path_is_found_with_its_profile(
    user: Path, output: str, version: str, profile: str
) -> None:
    console = program(user / "bin/gimp-console", f"echo '{output}'")
    assert gimp_installations.find_gimps() == [gimp_installations.Gimp((console,), version)]
    assert gimp_installations.find_gimps()[0].profile == user / ".config/GIMP" / profile


def test_the_output_of_gimp_may_have_another_encoding(user: Path) -> None:
    console = program(user / "bin/gimp-console", r"printf 'GNU \204\245 \377 3.2.6\n'")
    assert gimp_installations.find_gimps() == [gimp_installations.Gimp((console,), "3.2.6")]


def test_duplicates_older_versions_and_broken_programs_are_ignored(user: Path) -> None:
    first = program(user / "bin/gimp-console", "echo version 3.0.4")
    program(user / "bin/gimp-console-3.0", "echo version 3.0.4")
    program(user / "bin/gimp-console-2.10", "echo version 2.10.34")
    program(user / "bin/gimp-console-broken", "exit 127")
    other = program(user / "bin/gimp-console-3.2", "echo version 3.2.6")
    assert [gimp.command for gimp in gimp_installations.find_gimps()] == [(first,), (other,)]


def test_a_flatpak_is_found_beside_the_distributions_own(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user / "settings"))
    program(user / "bin/gimp-console", "echo version 3.2.6")
    asked = "run --command=gimp-console org.gimp.GIMP --version"
    program(user / "bin/flatpak", f'[ "$*" = "{asked}" ] && echo version 3.2.6')
    own, flatpak = gimp_installations.find_gimps()
    assert flatpak.is_flatpak
    assert not own.is_flatpak
    assert own.profile == user / "settings/GIMP/3.2"
    assert flatpak.profile == user / ".config/GIMP/3.2", "a Flatpak ignores XDG_CONFIG_HOME"


def test_an_appimage_among_the_users_programs_is_found(user: Path) -> None:
    (user / "Applications").mkdir()
    image = program(user / "Applications/GIMP-3.2.6-x86_64.AppImage", "echo version 3.2.6")
    program(user / "Applications/GIMP-2.10.AppImage", "echo version 2.10.38")
    (user / "Applications/GIMP-3.0.4-x86_64.AppImage").touch()
    (found,) = gimp_installations.find_gimps()
    assert found == gimp_installations.Gimp((image,), "3.2.6")
    assert found.profile == user / ".config/GIMP/3.2"


@pytest.fixture
def windows(user: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set the variables with the user's folders on Windows."""
    monkeypatch.setattr(sys, "platform", "win32")
    for name, folder in {
        "APPDATA": "AppData/Roaming",
        "LOCALAPPDATA": "AppData/Local",
        "PROGRAMFILES": "Program Files",
    }.items():
        monkeypatch.setenv(name, str(user / folder))
    return user


@pytest.mark.parametrize("folder", ["Program Files", "AppData/Local/Programs"])
def test_on_windows_gimp_is_found_for_all_users_and_for_one(windows: Path, folder: str) -> None:
    programs = windows / folder / "GIMP 3/bin"
    programs.mkdir(parents=True)
    console = program(programs / "gimp-console-3.2.exe", "echo version 3.2.6")
    (found,) = gimp_installations.find_gimps()
    assert found == gimp_installations.Gimp((console,), "3.2.6")
    assert found.profile == windows / "AppData/Roaming/GIMP/3.2"


def test_the_profile_of_the_microsoft_store_s_gimp_is_found(windows: Path) -> None:
    assert not list(gimp_installations.package_warnings())
    store = windows / "AppData/Local/Packages/GIMP.GIMP_1a2b3c/LocalCache/Roaming/GIMP"
    for profile in (windows / "AppData/Roaming/GIMP/3.2", store / "3.2", store / "2.10"):
        profile.mkdir(parents=True)
    assert gimp_installations.find_profiles() == [windows / "AppData/Roaming/GIMP/3.2", store / "3.2"]
    assert "Microsoft Store" in " ".join(gimp_installations.package_warnings())


def test_on_macos_gimp_is_found_in_the_user_s_applications(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    programs = user / "Applications/GIMP.app/Contents/MacOS"
    programs.mkdir(parents=True)
    console = program(programs / "gimp-console", "echo version 3.2.6")
    profile = user / "Library/Application Support/GIMP/3.2"
    profile.mkdir(parents=True)
    assert gimp_installations.find_gimps() == [gimp_installations.Gimp((console,), "3.2.6")]
    assert gimp_installations.find_gimps()[0].profile == profile
    assert gimp_installations.find_profiles() == [profile]


def test_there_is_a_warning_for_the_snap_s_gimp(user: Path) -> None:
    (user / "snap/gimp/99/.config/GIMP/3.2").mkdir(parents=True)
    assert gimp_installations.find_profiles() == []
    assert "Snap" in " ".join(gimp_installations.package_warnings())


def test_only_profiles_of_gimp_3_are_found(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("2.10", "3.0", "3.2", "3.9"):
        (user / ".config/GIMP" / version).mkdir(parents=True)
    (user / ".config/GIMP/3.4").touch()
    named = user / "portable"
    named.mkdir()
    monkeypatch.setenv("GIMP3_DIRECTORY", "portable")
    versions = [user / ".config/GIMP" / version for version in ("3.0", "3.2", "3.9")]
    assert gimp_installations.find_profiles() == [*versions, named]


def test_the_profile_of_the_variable_is_used_by_every_gimp(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIMP3_DIRECTORY", str(user / "portable"))
    assert gimp_installations.Gimp(("gimp-console",), "3.0.4").profile == user / "portable"


def test_gimp_runs_without_this_virtual_environment_on_the_path(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    console = program(user / "bin/gimp-console", 'echo "$PATH"')
    with (user / "output").open("w") as output:
        assert gimp_installations.Gimp((console,), "3.0.4").run("", output, timeout_s=60) == 0
    assert (user / "output").read_text() == "/usr/bin:/bin\n"


def test_a_fingerprint_depends_on_names_and_contents_but_not_on_caches(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1")
    first = gimp_installations.fingerprint(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "one.pyc").touch()
    assert gimp_installations.fingerprint(tmp_path) == first
    (tmp_path / "one.py").write_text("2")
    second = gimp_installations.fingerprint(tmp_path)
    (tmp_path / "one.py").rename(tmp_path / "two.py")
    assert len({first, second, gimp_installations.fingerprint(tmp_path)}) == 3


def test_a_fingerprint_can_be_limited_to_some_files(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1")
    first = gimp_installations.fingerprint(tmp_path, "*.py")
    (tmp_path / "note.txt").write_text("2")
    assert (
        gimp_installations.fingerprint(tmp_path, "*.py") == first != gimp_installations.fingerprint(tmp_path)
    )


def test_registered_procedures_are_read_from_gimp_s_cache(tmp_path: Path) -> None:
    assert not gimp_installations.registered_procedures(tmp_path)
    (tmp_path / "pluginrc").write_text('(proc-def "plug-in-atelier-deepdream" 1\n(proc-def "plug-in-x" 1\n')
    assert gimp_installations.registered_procedures(tmp_path) == {"plug-in-atelier-deepdream"}


@pytest.mark.parametrize("version", ["3.2.0-RC1", "3.2.6", "3.4.0", "3.10.2"])
def test_the_tests_accept_the_requested_version_of_gimp_and_newer_ones(tmp_path: Path, version: str) -> None:
    program(tmp_path / "gimp-console", f"echo GNU Image Manipulation Program version {version}")
    gimp_root.check_version("3.2", tmp_path)


@pytest.mark.parametrize("version", ["2.10.38", "3.0.4", "4.0.0", ""])
def test_the_tests_reject_older_versions_of_gimp_and_other_major_versions(
    tmp_path: Path, version: str
) -> None:
    program(tmp_path / "gimp-console", f"echo GNU Image Manipulation Program version {version}")
    with pytest.raises(gimp_root.NoGimp, match=r"should contain GIMP 3\.2"):
        gimp_root.check_version("3.2", tmp_path)


def test_a_machine_without_mounts_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gimp_root.check_machine()
    program(tmp_path / "unshare", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(gimp_root.NoGimp, match=r"root or in a user namespace.*unshare --mount .*must work"):
        gimp_root.check_machine()
