"""install.py with folders made by the tests, and once completely: fresh checkout, empty home, real GIMPs."""

from __future__ import annotations

import ast
import gettext
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CACHE, prepared, stop_backend
from gimp_session import Gimp, make_profile
from PIL import Image, ImageChops, ImageStat
from run import digest_of

from atelier_shared.deepdream import DeepDream
from atelier_shared.estimate import estimate, read_slowness
from atelier_shared.gallery_styles import GALLERY
from atelier_shared.presets import PRESETS
from atelier_shared.style_transfer import StyleTransfer
from backend.command import gimp_installations
from installer import (
    command,
    environment,
    offline,
    plugin,
    process,
    self_check,
    service,
    thumbnails,
    tracked_files,
    weights,
)
from installer.paths import CHECKOUT, Home, Plan
from installer.process import InstallError
from installer.uninstall import uninstall

MADE_EVERY_TIME = ("style-woodcut.png", "preset-snouts.png", "woodcut.jpg")
PROGRAMS = ("sh", "id", "mkdir", "touch", "sleep", "mount", "unshare", "git")


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home folder of a user with few programs and without GIMP."""
    folder, programs = tmp_path / "user", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is not on the PATH"))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PATH", str(programs))
    for name in ("GIMP3_DIRECTORY", "XDG_CONFIG_HOME", "ATELIER_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def home(user: Path) -> Home:
    """Return Atelier's home in it, with the folder of an environment's programs."""
    home = Home(user / ".atelier")
    home.python.parent.mkdir(parents=True)
    return home


def listing(folder: Path) -> dict[str, str]:
    """Return every path in a folder, with a link's target or a file's content."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else content(path)
        for path in sorted(folder.rglob("*"))
    }


def content(path: Path) -> str:
    return path.read_bytes().hex() if path.is_file() else "folder"


# ── The plug-in ──────────────────────────────────────────────────────────────────────────────────


def test_the_plugin_is_installed_into_every_profile(home: Home, user: Path) -> None:
    profiles = [user / ".config/GIMP" / version for version in ("3.0", "3.2")]
    for profile in profiles:
        profile.mkdir(parents=True)
    plugin.install_plugin(Plan(home), [])
    for profile in profiles:
        folder = profile / "plug-ins/atelier"
        assert os.access(folder / "atelier.py", os.X_OK)
        assert (folder / "atelier-home.txt").read_text() == f"{home.folder}\n{CHECKOUT}\n"
        assert home.plugin_fingerprint.read_text() == gimp_installations.fingerprint(folder)
        assert gettext.translation("atelier", folder / "locale", ["de"]).gettext("Layers") == "Ebenen"
        assert not [*folder.rglob("__pycache__"), *folder.rglob("*.po")]
        assert list((profile / "plug-ins").iterdir()) == [folder]


def test_without_a_profile_no_folder_of_gimp_is_made(
    home: Home, user: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.install_plugin(Plan(home), [])
    assert not (user / ".config").exists()
    assert "No GIMP 3 was found" in capsys.readouterr().out


def test_a_new_gimp_is_started_to_make_its_profile(home: Home, user: Path) -> None:
    profile = user / ".config/GIMP/3.2"
    console = user / "gimp-console"
    console.write_text(f"#!/bin/sh\nmkdir -p {profile}\ntouch {profile}/made-by-gimp\n")
    console.chmod(0o755)
    plugin.install_plugin(Plan(home), [gimp_installations.Gimp((str(console),), "3.2.6")])
    assert (profile / "made-by-gimp").exists()
    assert (profile / "plug-ins/atelier/atelier.py").exists()


def test_an_older_plugin_is_replaced_completely(home: Home, user: Path) -> None:
    folder = user / "plug-ins/atelier"
    plugin.place_plugin(folder, Plan(home))
    (folder / "left-over.py").touch()
    os.utime(folder / "atelier.py", (0, 0))
    plugin.place_plugin(folder, Plan(home))
    assert not (folder / "left-over.py").exists()
    assert time.time() - (folder / "atelier.py").stat().st_mtime < 60, "GIMP reloads only a newer file"


def test_a_plugin_of_an_earlier_version_is_replaced(home: Home, user: Path) -> None:
    """Before the package `atelier_shared` there were single modules, and the same note of the home."""
    folder = user / "plug-ins/atelier"
    folder.mkdir(parents=True)
    (folder / "atelier-home.txt").write_text(f"{home.folder}\n")
    (folder / "atelier_protocol.py").touch()
    plugin.place_plugin(folder, Plan(home))
    assert (folder / "atelier_shared").is_dir()
    assert not (folder / "atelier_protocol.py").exists()


def test_an_interrupted_replacement_is_completed(home: Home, user: Path) -> None:
    plugins = user / "plug-ins"
    plugin.place_plugin(plugins / "atelier", Plan(home))
    (plugins / "atelier").rename(plugins / ".atelier-old")
    (plugins / ".atelier-new").mkdir()
    plugin.place_plugin(plugins / "atelier", Plan(home))
    assert list(plugins.iterdir()) == [plugins / "atelier"]


@pytest.mark.parametrize(
    ("script", "timeout_s", "reason"),
    [
        ("exec sleep 60", 0.3, "did not finish within 0 seconds"),
        ("echo RuntimeError: no display; exit 3", self_check.GIMP_S, "no display"),
    ],
)
def test_a_gimp_that_makes_no_profile_is_reported(
    home: Home, user: Path, monkeypatch: pytest.MonkeyPatch, script: str, timeout_s: float, reason: str
) -> None:
    console = user / "gimp-console"
    console.write_text(f"#!/bin/sh\n{script}\n")
    console.chmod(0o755)
    monkeypatch.setattr(self_check, "GIMP_S", timeout_s)
    with pytest.raises(InstallError, match=reason):
        plugin.install_plugin(Plan(home), [gimp_installations.Gimp((str(console),), "3.2.6")])


def test_a_broken_link_of_another_plugin_is_kept(home: Home, user: Path) -> None:
    folder = user / "plug-ins/atelier"
    folder.parent.mkdir()
    folder.symlink_to(user / "on-another-disk")
    with pytest.raises(InstallError, match="is another plug-in"):
        plugin.place_plugin(folder, Plan(home))
    assert folder.readlink() == user / "on-another-disk"


def test_another_plugin_of_the_same_name_is_kept(home: Home, user: Path) -> None:
    folder = user / "plug-ins/atelier"
    folder.mkdir(parents=True)
    (folder / "atelier.py").write_text("somebody else's")
    before = listing(user / "plug-ins")
    with pytest.raises(InstallError, match="is another plug-in"):
        plugin.place_plugin(folder, Plan(home))
    assert listing(user / "plug-ins") == before


def test_a_copy_replaces_a_link_to_the_checkout(
    home: Home, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = user / "checkout"
    shutil.copytree(plugin.PLUGIN, source, ignore=environment.IGNORED)
    monkeypatch.setattr(plugin, "PLUGIN", source)
    folder = user / "plug-ins/atelier"
    plugin.place_plugin(folder, Plan(home, link=True))
    assert folder.readlink() == source
    plugin.place_plugin(folder, Plan(home))
    assert not folder.is_symlink()
    assert (source / "atelier.py").exists()


@pytest.fixture
def on_windows(user: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Simulate Windows, and return its folder of GIMP's profiles."""
    monkeypatch.setattr(plugin, "WINDOWS", True)
    monkeypatch.setattr(gimp_installations, "profiles_folder", lambda: user / "Roaming/GIMP")
    return user / "Roaming/GIMP"


def test_on_windows_the_plugin_requests_the_python_of_its_gimp(
    home: Home, user: Path, on_windows: Path
) -> None:
    found = []
    for version in ("3.0", "3.2"):
        (on_windows / version).mkdir(parents=True)
        found.append(
            gimp_installations.Gimp((str(user / f"GIMP {version}" / "gimp-console.exe"),), f"{version}.0")
        )
    before = listing(on_windows)
    plugin.install_plugin(Plan(home), found)
    for gimp in found:
        main = gimp_installations.plugin_folder(gimp.profile) / "atelier.py"
        assert main.read_text().startswith('#!atelier-gimp-python\n"""')
        assert (
            main.read_text().partition("\n")[2]
            == (plugin.PLUGIN / "atelier.py").read_text().partition("\n")[2]
        )
        for suffix, program in (("", "python.exe"), ("_win", "pythonw.exe")):
            definition = (gimp.profile / f"interpreters/atelier-gimp-python{suffix}.interp").read_text()
            python = Path(gimp.command[0]).with_name(program).as_posix()
            assert definition.splitlines()[1:] == [f"atelier-gimp-python={python}"]
    assert home.plugin_fingerprint.read_text() == gimp_installations.fingerprint(
        gimp_installations.plugin_folder(on_windows / "3.0")
    )
    uninstall(home)
    assert listing(on_windows) == before


@pytest.mark.slow
def test_a_real_gimp_finds_the_interpreter_by_its_name(home: Home, tmp_path: Path) -> None:
    """GIMP reads these definitions on every system."""
    gimp = Gimp("3.2", prepared("gimp-3.2"), tmp_path / "gimp", home.folder)
    make_profile(gimp, few_plugins=True)
    plugin.place_plugin(
        gimp_installations.plugin_folder(gimp.profile), Plan(home), shebang=f"#!{plugin.INTERPRETER}"
    )
    taken = "assert Gimp.get_pdb().procedure_exists('plug-in-atelier-deepdream')"
    assert gimp.run_python(taken).returncode
    plugin.name_interpreter(gimp.profile, Path("/usr/bin/python3"), home)
    assert gimp.run_python(taken).returncode == 0


# ── The command ──────────────────────────────────────────────────────────────────────────────────


def test_the_command_is_linked_to_the_user_s_programs(home: Home, user: Path) -> None:
    command.install_command(home)
    command.install_command(home)
    assert (user / ".local/bin/atelier").readlink() == home.command
    assert home.command.readlink() == home.program("atelier")


@pytest.mark.parametrize("foreign", ["file", "/bin/true", "/on-another-disk/atelier"])
def test_another_program_with_the_name_of_the_command_is_kept(home: Home, user: Path, foreign: str) -> None:
    place = user / ".local/bin/atelier"
    place.parent.mkdir(parents=True)
    if foreign == "file":
        place.write_text("somebody else's")
    else:
        place.symlink_to(foreign)
    before = listing(place.parent)
    command.install_command(home)
    assert listing(place.parent) == before
    uninstall(home)
    assert listing(place.parent) == before


# ── The service ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def systemctl(user: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a systemctl that logs its arguments, and return the log."""
    log = user / "systemctl.log"
    (user / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    (user / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(user), prepend=os.pathsep)
    return log


def test_the_service_is_started_and_uninstalled(home: Home, user: Path, systemctl: Path) -> None:
    before = listing(user)
    service.update_service(home, requested=True)
    unit = user / ".config/systemd/user/atelier.service"
    assert f'ExecStart="{home.program("atelier")}" serve\n' in unit.read_text()
    assert f'Environment="ATELIER_HOME={home.folder}"\n' in unit.read_text()
    commands = "daemon-reload|enable atelier.service|restart atelier.service"
    assert systemctl.read_text() == "".join(f"--user {line}\n" for line in commands.split("|"))
    service.update_service(home, requested=False)
    assert systemctl.read_text().count("restart") == 2, "a running backend may be of an earlier version"
    uninstall(home)
    assert "--user disable --now atelier.service\n" in systemctl.read_text()
    systemctl.unlink()
    assert listing(user).items() <= before.items()


def test_the_service_is_made_only_on_request(home: Home, user: Path, systemctl: Path) -> None:
    before = listing(user)
    service.update_service(home, requested=False)
    assert listing(user) == before


def test_without_systemd_the_service_is_explained(
    home: Home, user: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(user))
    before = listing(user)
    service.update_service(home, requested=True)
    assert f"'{home.program('atelier')} serve' at login" in capsys.readouterr().out
    assert listing(user) == before


def test_another_unit_of_the_same_name_is_kept(
    home: Home, user: Path, systemctl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.unit_file().parent.mkdir(parents=True)
    service.unit_file().write_text("somebody else's")
    service.update_service(home, requested=True)
    assert "is not Atelier's" in capsys.readouterr().out
    uninstall(home)
    assert service.unit_file().read_text() == "somebody else's"
    assert not systemctl.exists()


# ── Uninstall ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("linked", [False, True])
def test_uninstall_restores_the_previous_state(
    home: Home, user: Path, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = user / "checkout"
    shutil.copytree(plugin.PLUGIN, source, ignore=environment.IGNORED)
    monkeypatch.setattr(plugin, "PLUGIN", source)
    (user / ".config/GIMP/3.0/plug-ins/another").mkdir(parents=True)
    (user / ".config/GIMP/3.2").mkdir(parents=True)
    (user / ".config/GIMP/3.0/gimprc").write_text("the user's")
    tracked_files.remove(home.folder)
    before = listing(user)
    home.venv.mkdir(parents=True)
    home.models.mkdir()
    if linked:
        environment.write_home_note(source, home)
    plugin.install_plugin(Plan(home, link=linked), [])
    command.install_command(home)
    assert listing(user) != before
    uninstall(home)
    assert listing(user) == before


def test_uninstall_keeps_files_of_others_in_place_of_its_own(home: Home, user: Path) -> None:
    folder = user / ".config/GIMP/3.0/plug-ins/atelier"
    folder.parent.mkdir(parents=True)
    plugin.install_plugin(Plan(home), [])
    command.install_command(home)
    (folder / "atelier-home.txt").write_text("/another/installation\n")
    (user / ".local/bin/atelier").unlink()
    (user / ".local/bin/atelier").write_text("the user's own")
    uninstall(home)
    assert (folder / "atelier.py").exists()
    assert (user / ".local/bin/atelier").read_text() == "the user's own"


def test_uninstall_removes_thumbnails_and_notes(home: Home) -> None:
    home.thumbnails.mkdir()
    home.styles.mkdir()
    for place in (
        home.thumbnails / "style-woodcut.png",
        home.styles / "woodcut.jpg",
        home.folder / "styles.json",
        home.folder / ".styles-1.json",
    ):
        place.touch()
    uninstall(home)
    assert not home.folder.exists()


def test_uninstall_keeps_other_files_in_the_home_folder(home: Home) -> None:
    foreign = home.folder / "thesis.txt"
    foreign.write_text("ten years of work")
    uninstall(home)
    assert list(home.folder.iterdir()) == [foreign]


def test_uninstall_without_an_installation_is_reported(
    user: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uninstall(Home(user / ".atelier"))
    assert "not installed" in capsys.readouterr().out
    assert not listing(user)


# ── Steps ────────────────────────────────────────────────────────────────────────────────────────


def test_a_step_is_repeated_only_after_a_change_or_a_failure(home: Home) -> None:
    def needed(state: str, *, fails: bool = False) -> bool:
        with environment.step_done_once(home, "note.txt", state) as is_needed:
            if fails:
                raise InstallError("stopped half-way")
        return is_needed

    assert needed("one")
    assert not needed("one")
    with pytest.raises(InstallError):
        needed("two", fails=True)
    assert needed("two")
    assert needed("one")


def test_the_note_of_the_home_does_not_change_the_state_of_the_backend(
    home: Home, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --link the note of the home is in the checkout."""
    for folder in ("backend", "plugin"):
        shutil.copytree(CHECKOUT / folder, user / folder, ignore=environment.IGNORED)
    monkeypatch.setattr(environment, "CHECKOUT", user)
    before = environment.backend_state(Plan(home, link=True))
    environment.write_home_note(user / "plugin/atelier", home)
    assert environment.backend_state(Plan(home, link=True)) == before
    (user / "backend/cli.py").write_text("")
    assert environment.backend_state(Plan(home, link=True)) != before


def test_a_backend_that_cannot_be_imported_is_reported(home: Home) -> None:
    home.python.write_text(
        "#!/bin/sh\necho 'ModuleNotFoundError: No module named atelier_shared' >&2; exit 1\n"
    )
    home.python.chmod(0o755)
    with pytest.raises(InstallError, match="No module named atelier_shared"):
        environment.packages_folder(home)


def test_stopping_the_backend_works_without_the_environment_s_python(home: Home) -> None:
    home.python.symlink_to("/python/that/was/uninstalled")
    home.program("atelier").write_text(f"#!{home.python}\n")
    home.program("atelier").chmod(0o755)
    (home.folder / "connection.json").touch()
    environment.stop_backend(home)


# ── The home folder ──────────────────────────────────────────────────────────────────────────────


def test_nothing_is_installed_into_a_folder_that_others_may_have_changed(home: Home) -> None:
    home.folder.chmod(0o777)
    before = listing(home.folder)
    done = run_installer()
    assert done.returncode == 1
    assert done.stderr.startswith(f"install.py: {home.folder} is not trusted, because")
    assert listing(home.folder) == before
    shutil.rmtree(home.venv)
    environment.make_home(home)
    assert home.folder.stat().st_mode & 0o777 == 0o700, "an empty folder is made private"


# ── The environment as a whole ───────────────────────────────────────────────────────────────────


def test_the_earlier_environment_stays_in_place_until_a_new_one_is_complete(home: Home, user: Path) -> None:
    """So it works if the installation fails, and even if it is killed."""
    (home.venv / "earlier").touch()
    before = listing(user)
    with pytest.raises(InstallError), environment.new_environment(home) as new:
        new.python.parent.mkdir(parents=True)
        assert listing(home.venv) == {"bin": "folder", "earlier": ""}
        raise InstallError("the network is gone")
    assert listing(user) == before


@pytest.mark.parametrize("is_complete", [True, False])
def test_an_interrupted_exchange_of_environments_is_completed(home: Home, is_complete: bool) -> None:
    (home.venv / "earlier").touch()
    home.venv.rename(home.earlier_venv)
    home.venv.mkdir()
    if is_complete:
        (home.venv / environment.BACKEND_NOTE).touch()
    environment.restore_earlier(home)
    assert (home.venv / "earlier").exists() != is_complete
    assert list(home.folder.iterdir()) == [home.venv]


def test_a_new_environment_replaces_the_earlier_one_and_its_scripts_run(home: Home) -> None:
    (home.venv / "earlier").touch()
    left = home.with_new_venv().venv
    left.mkdir()
    (left / "of-a-killed-installation").touch()
    with environment.new_environment(home) as new:
        assert not new.venv.exists()
        new.python.parent.mkdir(parents=True)
        new.python.symlink_to(sys.executable)
        new.program("atelier").write_text(f"#!{new.python}\nprint('it runs')\n")
        new.program("atelier").chmod(0o755)
    assert list(home.folder.iterdir()) == [home.venv]
    assert subprocess.check_output([home.program("atelier")], text=True) == "it runs\n"


@pytest.mark.slow
@pytest.mark.parametrize("linked", [False, True])
def test_a_backend_without_pip_s_record_of_it_is_installed_again(
    home: Home, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment has the test environment's packages, by a path file, to build the backend."""
    tracked_files.remove(home.venv)
    venv.create(home.venv, symlinks=True)
    (site,) = home.venv.glob("lib/python3*/site-packages")
    (site / "tests.pth").write_text(sysconfig.get_path("purelib"))
    monkeypatch.setattr(environment, "write_home_note", lambda *_: None)
    environment.install_backend(Plan(home, link=linked))
    (record,) = site.glob("atelier-*.dist-info/RECORD")
    record.unlink()
    (site / "backend").mkdir(exist_ok=True)
    (site / "backend" / "of_an_earlier_version.py").touch()
    environment.install_backend(Plan(home, link=linked))
    assert record.exists() and home.program("atelier").exists()
    assert not (site / "backend" / "of_an_earlier_version.py").exists()


# ── The offline folder ───────────────────────────────────────────────────────────────────────────


def test_an_incomplete_folder_and_one_of_another_kind_are_refused(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InstallError, match="is not complete"):
        offline.open_folder(folder, home)
    (folder / "kind.txt").write_text("Python 3.10 on Windows ARM64\n")
    with pytest.raises(
        InstallError, match=r"is for Python 3\.10 on Windows ARM64, but this computer has Python"
    ):
        offline.open_folder(folder, home)
    assert not home.models.exists()


def test_only_missing_and_different_weights_are_copied(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "models"
    source.mkdir()
    for name in ("same", "damaged", "missing"):
        (source / f"{name}.safetensors").write_bytes(b"weights")
    home.models.mkdir()
    for name, content in {"same": b"weights", "damaged": b"weight?", "own": b"official"}.items():
        (home.models / f"{name}.safetensors").write_bytes(content)
    os.utime(home.models / "same.safetensors", (0, 0))
    offline.copy_weights(source, home.models)
    files = {file.stem: file.read_bytes() for file in home.models.iterdir()}
    assert files == {"same": b"weights", "damaged": b"weights", "missing": b"weights", "own": b"official"}
    assert (home.models / "same.safetensors").stat().st_mtime == 0


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"\xff" * 100, None], ids=["changed", "missing"])
def test_weights_with_another_hash_are_refused(
    home: Home, models: Path, tmp_path: Path, content: bytes | None
) -> None:
    """The hash is verified before the file is parsed: the content here is not even valid."""
    folder, decoder = tmp_path / "folder", "adain-decoder.safetensors"
    for place in (folder / "models", folder / "wheels", home.models):
        place.mkdir(parents=True)
    for file in models.glob("*.safetensors"):
        if file.name != decoder:
            (home.models / file.name).symlink_to(file)
    if content:
        (folder / "models" / decoder).write_bytes(content)
    (folder / "kind.txt").write_text(offline.kind())
    link_environment(home)
    offline.open_folder(folder, home)
    with pytest.raises(InstallError, match="weights are missing or damaged"):
        weights.fetch_weights(Plan(home, offline=folder))


def link_environment(home: Home) -> None:
    """Use the tests' environment in place of an installed one."""
    tracked_files.remove(home.venv)
    home.venv.symlink_to(sys.prefix)


# ── Dry runs ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("options", [(), ("--upgrade", "--service"), ("--uninstall",)])
def test_a_dry_run_changes_nothing(home: Home, user: Path, options: tuple[str, ...]) -> None:
    (user / ".config/GIMP/3.2").mkdir(parents=True)
    plugin.install_plugin(Plan(home), [])
    command.install_command(home)
    before = listing(user)
    done = run_installer("--dry-run", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Nothing was changed."
    steps = [line for line in done.stdout.splitlines() if line.startswith("Would ")]
    assert any(str(user / ".config/GIMP/3.2") in line for line in steps)
    assert any(str(home.venv) in line for line in steps)
    assert "--uninstall" in options or any("thumbnails" in line for line in steps)
    assert listing(user) == before


def test_a_dry_run_of_an_offline_folder_does_not_mention_gimp(user: Path) -> None:
    (user / ".config/GIMP/3.2").mkdir(parents=True)
    before = listing(user)
    done = run_installer("--dry-run", "--prepare-offline", str(user / "folder"))
    assert done.returncode == 0, done.stderr
    *_, last_part, end = done.stdout.splitlines()
    assert last_part.startswith(f"Would fill {user / 'folder'} with ")
    assert end == "Nothing was changed."
    assert "GIMP" not in done.stdout
    assert listing(user) == before


def test_a_dry_run_without_an_installation_makes_nothing(user: Path) -> None:
    assert run_installer("--dry-run").returncode == 0
    assert not listing(user)


# ── Failures ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("NewConnectionError(...)\nERROR: No matching distribution found for torch", "network"),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0", "64-bit Python"),
        ("ERROR: [Errno 30] Read-only file system: '/x'", "ATELIER_HOME"),
        ("FileNotFoundError: no certificates\nsubprocess.CalledProcessError: Command ...", "certificates$"),
        (
            "OSError: no certificates\nsubprocess.CalledProcessError: Command ...\n     stderr=stderr)",
            "certificates$",
        ),
        ("working …\natelier: The style picture is empty; choose another.", "^The style picture is empty"),
    ],
)
def test_the_failure_of_a_program_is_explained(output: str, advice: str) -> None:
    with pytest.raises(InstallError, match=advice) as caught:
        process.run([sys.executable, "-c", f"import sys; sys.exit({output!r})"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pretence", "problem"),
    [("sys.version_info = (3, 9, 18)", "3.10 or newer"), ("sys.maxsize = 2**31 - 1", "64-bit")],
)
def test_an_unsuitable_python_is_reported(user: Path, pretence: str, problem: str) -> None:
    code = f"import runpy, sys; {pretence}; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = run(sys.executable, "-c", code, str(CHECKOUT / "install.py"))
    assert done.returncode == 1
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not listing(user)


def test_any_python_3_can_report_that_it_is_unsuitable() -> None:
    tree = ast.parse((CHECKOUT / "install.py").read_text(), feature_version=(3, 4))
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.JoinedStr, ast.AnnAssign))]
    first, second, look, *rest = tree.body[1:]
    assert [ast.unparse(node) for node in (first, second)] == ["import platform", "import sys"]
    assert isinstance(look, ast.If)
    assert rest


def test_a_home_that_cannot_be_written_is_reported(user: Path) -> None:
    (user / "file").touch()
    done = run_installer(ATELIER_HOME=str(user / "file" / "home"))
    assert done.returncode == 1
    assert done.stderr.startswith("install.py: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_read_only_home_is_reported(user: Path) -> None:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    unshare = ["unshare", "--mount", "--propagation", "private", *as_root]
    mount = 'mount -t tmpfs -o ro none "$HOME" && exec "$0" "$1"'
    done = run(*unshare, "sh", "-c", mount, sys.executable, str(CHECKOUT / "install.py"))
    assert done.returncode == 1
    message = f"install.py: {user / '.atelier'} is write-protected. Make it writable, or name another"
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


def test_a_python_without_venv_is_reported(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InstallError, match="python3-venv"):
        environment.make_venv(home)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_debian_s_python_without_the_package_python3_venv_is_reported(user: Path, version: str) -> None:
    """The roots of the GIMPs have Debian's Python 3.13 and 3.14, and not this package."""
    enter = str(prepared(f"gimp-{version}") / "enter")
    assert run(enter, "python3", "-c", "import ensurepip").returncode == 1
    done = run(enter, "python3", str(CHECKOUT / "install.py"))
    assert done.returncode == 1
    assert "/usr/bin/python3 cannot make environments" in done.stderr
    assert "run 'sudo apt install python3-venv'. Then run install.py again." in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [file.name for file in (user / ".atelier").iterdir()] == ["install.log"]


def test_the_speed_is_measured_again_only_with_other_packages_or_on_another_device(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = list[object]()
    monkeypatch.setattr(self_check, "run", commands.append)

    def measures(packages: str, device: str = "auto") -> bool:
        home.packages.write_text(packages)
        commands.clear()
        self_check.measure_speed(Plan(home, device=device))
        return len(commands) == len(self_check.SPEED_TESTS)

    assert measures("torch==1")
    assert not measures("torch==1")
    assert measures("torch==2")
    assert measures("torch==2", "cpu")


def test_an_unchanged_photo_fails_the_self_check(home: Home) -> None:
    home.python.symlink_to(sys.executable)
    Image.open(self_check.PHOTO).save(home.picture)
    with pytest.raises(InstallError, match="did not change the picture"):
        self_check.check_painted(home)


def test_the_reason_of_a_failure_is_found_in_gimp_s_messages(home: Home) -> None:
    home.log.write_text("noise\nTraceback:\nRuntimeError: GIMP did not load the plug-in\nmore noise\n")
    assert self_check.failure_in(home.log) == "GIMP did not load the plug-in"
    home.log.write_text("noise\n")
    assert str(home.log) in self_check.failure_in(home.log)


# ── A complete installation───────────────────────────────────────────────────────────────────────


WITHOUT_NETWORK = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:  # SIOCSIFFLAGS: only the loopback is up
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_complete_installation_and_its_removal(
    user: Path, clone: Path, atelier_home: Path, gimp_consoles: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = clone.with_name("a folder")
    monkeypatch.setenv("PATH", f"{user}/.local/bin:{gimp_consoles}", prepend=os.pathsep)
    offline.fill(folder, Plan(Home(atelier_home)))
    home, pictures = Home(user / ".atelier"), pictures_of_this_version()
    if pictures.exists():
        begin_with(pictures, home)

    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    alone = ["unshare", "--net", *as_root, sys.executable, "-c", WITHOUT_NETWORK]
    done = run(*alone, sys.executable, str(clone / "install.py"), "--offline", str(folder))
    check_installed(done, clone, user)
    if not pictures.exists():
        keep(pictures, home)
    assert run("atelier", "stop").returncode == 0, "its loopback cannot be reached from outside"
    done = run_installer(checkout=clone)
    check_installed(done, clone, user)
    assert "Installing" not in done.stdout, "the second run must keep everything"
    assert "Measuring" not in done.stdout, "the speed is known"

    assert run("atelier", "doctor").returncode == 0
    (user / ".config/GIMP/3.0/plug-ins/atelier/atelier.py").chmod(0o644)
    assert run("atelier", "doctor").returncode == 1

    done = run_installer("--uninstall", checkout=clone)
    assert done.returncode == 0, done.stdout + done.stderr
    left = {str(path.relative_to(user)) for path in [*user.glob("*"), *user.glob(".local/*")]}
    assert left <= {".config", ".cache", ".local", ".local/share"}, "only GIMP's own folders may stay"
    assert not list(user.rglob("atelier*"))


def pictures_of_this_version() -> Path:
    """Return the place of the dialogs' pictures in the cache; it depends on the code that makes them."""
    folders = CHECKOUT / "backend", CHECKOUT / "plugin/atelier/atelier_shared"
    sources = sorted(file for folder in folders for file in folder.rglob("*.py"))
    others = self_check.PHOTO, thumbnails.STYLES_PHOTO, CHECKOUT / "requirements.lock"
    return CACHE / f"pictures-{digest_of(*sources, *others)[:8]}"


def begin_with(pictures: Path, home: Home) -> None:
    """Begin an installation with the pictures of an earlier one, except for one of each kind.

    All of them take half a minute of processor time.
    """
    home.folder.mkdir(mode=0o700)
    for folder in (home.thumbnails, home.styles):
        shutil.copytree(pictures / folder.name, folder, ignore=shutil.ignore_patterns(*MADE_EVERY_TIME))


def keep(pictures: Path, home: Home) -> None:
    """Keep the pictures of a complete installation in place of those of an earlier version."""
    for earlier in CACHE.glob("pictures-*"):
        shutil.rmtree(earlier)
    draft = CACHE / "pictures-of-an-interrupted-test"
    for folder in (home.thumbnails, home.styles):
        shutil.copytree(folder, draft / folder.name)
    draft.rename(pictures)


@pytest.fixture
def clone(user: Path) -> Iterator[Path]:
    """Return a copy of the checkout; remove large files and stop the backend afterwards."""
    clone, home = user.parent / "clone", Home(user / ".atelier")
    copy_checkout(clone)
    yield clone
    stop_backend(home.folder)
    for folder in (clone, clone.with_name("a folder"), home.venv, home.earlier_venv, home.models):
        tracked_files.remove(folder)


def copy_checkout(folder: Path) -> None:
    """Copy all tracked and new files of the checkout, even if it belongs to another user."""
    settings = folder.with_name("gitconfig")
    settings.write_text("[safe]\n\tdirectory = *\n")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    trusting = os.environ | {"GIT_CONFIG_GLOBAL": str(settings)}
    listed = subprocess.check_output(listing, cwd=CHECKOUT, env=trusting, text=True)
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)


def check_installed(done: subprocess.CompletedProcess[str], clone: Path, user: Path) -> None:
    """Check that both GIMPs painted a picture and that the checkout is clean."""
    assert done.returncode == 0, done.stdout + done.stderr
    picture = Path(done.stdout.splitlines()[-1])
    assert picture == user / ".atelier/self-check.png"
    assert change(clone / "samples/chelsea.jpg", picture) > 20
    assert len(list((user / ".atelier/thumbnails").glob("*.png"))) == len(GALLERY) + len(PRESETS)
    assert {file.stem for file in (user / ".atelier/styles").iterdir()} == set(GALLERY)
    assert done.stdout.count(" paints chelsea.jpg") == 2, "in GIMP 3.0 and in 3.2"
    slowness = read_slowness(user / ".atelier")
    for request in (StyleTransfer(), DeepDream()):
        assert estimate(request, 4000, 3000, slowness)
        assert any(job.startswith(f"{request.kind_of_job('auto')} ") for job in slowness), "measured itself"
    assert not [*clone.glob("build"), *clone.rglob("*.egg-info")]


@pytest.fixture
def gimp_consoles(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the PATH of a real GIMP 3.0 and 3.2, and set a lasting cache for pip.

    pip need not compile every module of PyTorch, because Python compiles those that are imported.
    """
    monkeypatch.setenv("PIP_CACHE_DIR", str(CACHE / "pip"))
    monkeypatch.setenv("PIP_NO_COMPILE", "1")
    return f"{prepared('gimp-3.0')}:{prepared('gimp-3.2')}"


def change(photo: Path, picture: Path) -> float:
    """Return the mean difference of two pictures of the same size, from 0 to 255."""
    with Image.open(photo) as before, Image.open(picture) as after:
        assert before.size == after.size
        difference = ImageChops.difference(before.convert("RGB"), after.convert("RGB"))
        return sum(ImageStat.Stat(difference).mean) / 3


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run_installer(
    *options: str, checkout: Path = CHECKOUT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run install.py as a user does, but from another folder."""
    command = [sys.executable, str(checkout / "install.py"), *options]
    environment = os.environ | variables
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
