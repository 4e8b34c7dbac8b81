"""The lock, and a real pip with packages made by the tests: damaged, interrupted, and on a full disk."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from installer import builds, environment, offline, packages, progress, steps
from installer.paths import CHECKOUT, Home, Plan
from installer.process import InstallError

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
SYSTEMS = ("linux", "win32", "darwin")


# ── The lock ─────────────────────────────────────────────────────────────────────────────────────


def requirements(lines: list[str]) -> list[Requirement]:
    return [Requirement(line.partition(" #")[0]) for line in lines if line and not line.startswith("#")]


FILES = (packages.REQUIREMENTS, packages.VIDEO_REQUIREMENTS, packages.CLUSTER_REQUIREMENTS)
DIRECT = requirements([line for file in FILES for line in file.read_text().splitlines()])
LOCKED = requirements([packages.pin(entry) for entry in packages.lock_entries()])


def test_the_lock_has_all_direct_requirements() -> None:
    direct = {(r.name, str(r.specifier)) for r in DIRECT}
    assert direct <= {(r.name, str(r.specifier)) for r in LOCKED}


def test_the_lock_has_torch_s_build_for_each_python_and_system() -> None:
    """One hash for each wheel in pip's usual index: five Pythons, Linux on two processors, Windows, Mac."""
    for name in packages.TORCH:
        (entry,) = [entry for entry in packages.lock_entries() if entry.startswith(f"{name}==")]
        assert entry.count("--hash=sha256:") >= 4 * len(PYTHONS)


def test_only_exact_names_may_be_unlocked() -> None:
    usual, other = Plan(Home(Path())), Plan(Home(Path()), torch_index="an address")
    assert packages.may_be_unlocked("torch==2.13.0+cpu", usual)
    for package in ("torch==2.13.0", "torch-evil==1.0+cpu", "torchaudio==2.13.0+cpu", "triton==3.0"):
        assert not packages.may_be_unlocked(package, usual)
    for package in ("torch==2.13.0", "torchvision==0.28.0+cu126", "nvidia-cublas-cu12==12.6", "triton==3.0"):
        assert packages.may_be_unlocked(package, other)
    for package in (
        "torch-evil==1.0",
        "nvidia-evil==1.0",
        "triton-evil==1.0",
        "numpy==1.0",
        "pillow==12.3.0",
    ):
        assert not packages.may_be_unlocked(package, other)


def test_every_package_of_the_lock_for_graphics_cards_may_come_from_another_index() -> None:
    names = {r.name for r in LOCKED if r.name.startswith(("nvidia-", "cuda-", "triton"))}
    assert names and names <= packages.BUILD_REQUIREMENTS


def test_the_lock_has_all_requirements_of_this_environment() -> None:
    needed, seen = [r.name for r in DIRECT], set[str]()
    while needed:
        name = canonicalize_name(needed.pop())
        if name not in seen:
            seen.add(name)
            further = map(Requirement, importlib.metadata.requires(name) or [])
            needed += [r.name for r in further if not r.marker or r.marker.evaluate({"extra": ""})]
    assert len(seen) > len({r.name for r in DIRECT})
    assert seen <= {r.name for r in LOCKED}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_has_one_version_of_each_package_for_each_python_and_system(
    python: str, system: str
) -> None:
    here = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": system}
    names = [r.name for r in LOCKED if not r.marker or r.marker.evaluate(here)]
    assert len(names) == len(set(names))
    assert {"numpy", "pillow", "pyzmq", "jinja2", "networkx"} <= set(names)


def test_every_entry_of_the_lock_has_hashes_and_no_address() -> None:
    entries = packages.lock_entries()
    assert len(entries) > 20
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "//" not in packages.LOCK.read_text()


# ── A pip for the tests ──────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def pip_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with only the pip of the tests' environment in it."""
    folder = tmp_path_factory.mktemp("pip")
    site = Path(sysconfig.get_path("purelib"))
    for source in site.glob("pip*"):
        shutil.copytree(source, folder / source.name)
    return folder


@pytest.fixture
def plan(tmp_path: Path, pip_alone: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Return a plan for an empty environment, whose pip uses a folder of packages, and set its lock."""
    home = Home(tmp_path / "home")
    venv.create(home.venv, symlinks=True)
    (site,) = home.venv.glob("lib/python3*/site-packages")
    (site / "pip.pth").write_text(f"{pip_alone}\n")
    (tmp_path / "wheels").mkdir()
    monkeypatch.setattr(packages, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(packages, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(packages, "VIDEO_REQUIREMENTS", tmp_path / "requirements-video.txt")
    monkeypatch.setattr(packages, "CLUSTER_REQUIREMENTS", tmp_path / "requirements-cluster.txt")
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_RETRIES": "1",
        "PIP_CACHE_DIR": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    return Plan(home)


def make_wheel(folder: Path, name: str, requires: str = "", size: int = 10, version: str = "1.0") -> str:
    """Write a package with one module and these requirements, and return its entry for a lock."""
    info, module = f"{name}-{version}.dist-info", b"#" * size
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", module)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        digest = base64.urlsafe_b64encode(hashlib.sha256(module).digest()).decode().rstrip("=")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,sha256={digest},{size}\n{info}/RECORD,,\n")
    whole = hashlib.sha256(Path(str(wheel.filename)).read_bytes()).hexdigest()
    return f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{whole}\n"


def make_packages(folder: Path) -> None:
    """Write two locked packages; the first requires the second."""
    wheels = folder / "wheels"
    lines = [make_wheel(wheels, "painter", "Requires-Dist: brush\n"), make_wheel(wheels, "brush")]
    packages.LOCK.write_text("# made by hand\n" + "".join(lines))
    packages.REQUIREMENTS.write_text("painter==1.0\n")
    packages.VIDEO_REQUIREMENTS.write_text("av==1.0\n")
    packages.CLUSTER_REQUIREMENTS.write_text("cryptography==1.0\n")


def module_of(plan: Plan, name: str) -> Path:
    (site,) = plan.home.venv.glob("lib/python3*/site-packages")
    return site / f"{name}.py"


def test_indirect_requirements_are_installed(plan: Plan, tmp_path: Path) -> None:
    make_packages(tmp_path)
    packages.install_packages(plan)
    assert module_of(plan, "painter").exists()
    assert module_of(plan, "brush").exists()
    assert packages.missing_packages(plan) == []
    assert packages.damaged_packages(plan) == []


@pytest.mark.parametrize(("option", "package"), [("video", "av"), ("cluster", "cryptography")])
def test_optional_packages_are_installed_on_request_and_kept(
    plan: Plan, tmp_path: Path, option: str, package: str
) -> None:
    def installed() -> list[str]:
        has = {"video": packages.has_video, "cluster": packages.has_cluster}
        return [name for name, is_installed in has.items() if is_installed(plan.home)]

    make_packages(tmp_path)
    with packages.LOCK.open("a") as lock:
        lock.write(make_wheel(tmp_path / "wheels", package))
    packages.install_packages(plan)
    assert not module_of(plan, package).exists() and not installed()
    with_option = dataclasses.replace(plan, **{option: True})  # type: ignore[arg-type]
    assert packages.state(with_option) != packages.state(plan)
    packages.install_packages(with_option)
    assert module_of(plan, package).exists() and installed() == [option]


def test_a_package_with_another_hash_is_refused(plan: Plan, tmp_path: Path) -> None:
    make_packages(tmp_path)
    make_wheel(tmp_path / "wheels", "brush", size=11)
    with pytest.raises(InstallError, match="refused"):
        packages.install_packages(plan)
    assert not module_of(plan, "brush").exists()
    assert not module_of(plan, "painter").exists()


def test_a_package_missing_from_the_lock_is_refused(plan: Plan, tmp_path: Path) -> None:
    make_packages(tmp_path)
    packages.LOCK.write_text(re.sub(r"^brush(.*\n){2}", "", packages.LOCK.read_text(), flags=re.M))
    with pytest.raises(InstallError, match=r"brush==1\.0 is not in requirements\.lock"):
        packages.install_packages(plan)
    assert not module_of(plan, "painter").exists()


def test_torch_of_another_build_need_not_be_locked(plan: Plan, tmp_path: Path) -> None:
    make_packages(tmp_path)
    make_wheel(tmp_path / "wheels", "torch", version="1.0+cpu")
    packages.REQUIREMENTS.write_text("torch==1.0\npainter==1.0\n")
    packages.install_packages(plan)
    assert module_of(plan, "torch").exists()


def test_a_damaged_package_is_found_and_replaced(plan: Plan, tmp_path: Path) -> None:
    make_packages(tmp_path)
    packages.install_packages(plan)
    module_of(plan, "brush").write_text("damaged")
    assert packages.damaged_packages(plan) == ["brush==1.0"]
    packages.repair_packages(plan)
    assert module_of(plan, "brush").read_text() == "#" * 10
    module_of(plan, "painter").unlink()
    packages.repair_packages(plan)
    assert module_of(plan, "painter").exists()
    assert packages.damaged_packages(plan) == []


@pytest.mark.parametrize("lost", ["RECORD", "METADATA", ""], ids=["files", "name", "everything"])
def test_a_package_without_its_description_is_repaired(plan: Plan, tmp_path: Path, lost: str) -> None:
    make_packages(tmp_path)
    packages.install_packages(plan)
    info = module_of(plan, "brush").with_name("brush-1.0.dist-info")
    (info / lost).unlink() if lost else shutil.rmtree(info)
    packages.repair_packages(plan)
    assert packages.damaged_packages(plan) == []
    assert (info / "RECORD").exists() and (info / "METADATA").exists()


def test_an_installation_over_a_package_without_its_record_recommends_the_repair(
    plan: Plan, tmp_path: Path
) -> None:
    make_packages(tmp_path)
    packages.install_packages(plan)
    module_of(plan, "brush").with_name("brush-1.0.dist-info").joinpath("RECORD").unlink()
    with pytest.raises(InstallError, match=r"is damaged\. Run install\.py --repair"):
        packages.run_pip_on(plan, ["brush==1.0"], "install", "--force-reinstall")


# ── Which torch ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def torch_for_nvidia(plan: Plan, tmp_path: Path) -> Home:
    """Make a package torch with a requirement for NVIDIA cards."""
    torch = make_wheel(tmp_path / "wheels", "torch", "Requires-Dist: nvidia-cublas\n")
    packages.LOCK.write_text(torch + make_wheel(tmp_path / "wheels", "nvidia_cublas"))
    packages.REQUIREMENTS.write_text("torch==1.0\n")
    return plan.home


@pytest.fixture(params=builds.CARDS)
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Simulate a computer with the driver of one kind of device, and return the kind."""
    device = str(request.param)
    monkeypatch.setattr("shutil.which", {"cuda": lambda name: name}.get(device, lambda _: None))
    libraries = {"ze_intel_gpu": "libze_intel_gpu.so.1"} if device == "xpu" else {}
    monkeypatch.setattr("ctypes.util.find_library", libraries.get)
    monkeypatch.setattr(builds, "AMD_DRIVER", tmp_path / "kfd")
    if device == "rocm":
        (tmp_path / "kfd").touch()
    if device == "mps":
        monkeypatch.setattr("sys.platform", "darwin")
        monkeypatch.setattr("platform.machine", lambda: "arm64")
    return device


FOR_NVIDIA = ["torch==1.0", "nvidia-cublas==1.0"]
RECOMMENDATION = {
    "cuda": "",
    "rocm": "a driver for AMD graphics cards, but pip installs PyTorch for NVIDIA graphics cards",
    "xpu": "a driver for Intel graphics cards, but pip installs PyTorch for NVIDIA graphics cards",
    "mps": "a driver for Apple graphics, but pip installs PyTorch for NVIDIA graphics cards",
    "cpu": "It works on the processor too, but it contains gigabytes",
}


def test_a_more_suitable_build_is_recommended(machine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert builds.detect_device() == machine
    builds.check_build(Plan(Home(Path())), FOR_NVIDIA)
    output = capsys.readouterr().out
    assert RECOMMENDATION[machine] in output
    assert ("with --torch-index and the address" in output) == (machine != "cuda")


def test_any_build_is_accepted_for_the_processor(
    torch_for_nvidia: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    packages.install_packages(Plan(torch_for_nvidia, device="cpu"))
    assert module_of(Plan(torch_for_nvidia), "nvidia_cublas").exists()
    assert RECOMMENDATION["cpu"] in capsys.readouterr().out


@pytest.mark.parametrize("device", ["rocm", "xpu", "mps"])
def test_a_build_for_another_card_than_requested_is_refused_before_the_download(
    torch_for_nvidia: Home, device: str
) -> None:
    advice = "needs a Mac" if device == "mps" else "would install PyTorch for NVIDIA graphics cards"
    with pytest.raises(InstallError, match=advice):
        packages.install_packages(Plan(torch_for_nvidia, device=device))
    assert not module_of(Plan(torch_for_nvidia), "torch").exists()


@pytest.mark.parametrize(
    ("installed", "device", "index", "is_accepted"),
    [
        ("torch==1.0", "cuda", None, False),
        ("torch==1.0", "cuda", "an address", True),
        ("torch==1.0+cpu", "cuda", "an address", False),
        ("torch==1.0+cu130", "cuda", "an address", True),
        ("torch==1.0+rocm6.4", "rocm", "an address", True),
        ("torch==1.0+rocm6.4", "cuda", "an address", True),
        ("torch==1.0+xpu", "xpu", "an address", True),
        ("torch==1.0+xpu", "rocm", "an address", False),
        ("torch==1.0+xpu", "cpu", "an address", True),
        ("brush==1.0", "rocm", None, True),
    ],
)
def test_a_build_is_accepted_if_it_can_use_the_device(
    installed: str, device: str, index: str | None, is_accepted: bool
) -> None:
    plan = Plan(Home(Path()), device=device, torch_index=index)
    if is_accepted:
        builds.check_build(plan, [installed])
    else:
        with pytest.raises(InstallError, match="needs PyTorch for"):
            builds.check_build(plan, [installed])


def test_torch_for_the_processor_is_installed_without_a_recommendation(
    torch_for_nvidia: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_wheel(tmp_path / "wheels", "torch", version="1.0+cpu")
    packages.install_packages(Plan(torch_for_nvidia, device="cpu"))
    assert not module_of(Plan(torch_for_nvidia), "nvidia_cublas").exists()
    assert "--torch-index" not in capsys.readouterr().out


def test_the_index_is_noted_until_another_one_is_given(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual torch requires an unlocked version here, so only the torch of another index installs."""
    torch = make_wheel(tmp_path / "wheels", "torch", "Requires-Dist: nvidia-cublas\n")
    cublas = make_wheel(tmp_path / "wheels", "nvidia_cublas").replace("==1.0", "==0.9")
    packages.LOCK.write_text(torch + cublas)
    packages.REQUIREMENTS.write_text("torch==1.0\n")
    empty = shutil.copytree(plan.home.venv, tmp_path / "empty", symlinks=True)
    make_empty = partial(shutil.copytree, empty, symlinks=True)
    monkeypatch.setattr(environment, "make_venv", lambda home: make_empty(home.venv))
    monkeypatch.setattr(environment, "install_backend", lambda _: None)

    def install(*options: str) -> bool:
        """Run an installation, and return True if it made a new environment."""
        monkeypatch.setattr("sys.argv", ["install.py", *options])
        requested = steps.plan_of(steps.parse_options(), plan.home)
        is_new = environment.needs_new_environment(requested)
        environment.make_environment(requested)
        return is_new

    with pytest.raises(InstallError):
        install("--upgrade")
    assert install("--torch-index", "an address")
    assert builds.noted_index(plan.home.folder) == "an address"
    assert not install()
    assert not install("--torch-index", "an address")
    assert install("--upgrade")
    plan.home.python.unlink()
    plan.home.python.symlink_to("/python/that/was/uninstalled")
    assert install()
    module_of(plan, "torch").write_text("damaged")
    assert not install("--repair")
    assert module_of(plan, "torch").read_text() == "#" * 10
    with pytest.raises(InstallError):
        install("--torch-index", "")
    assert builds.noted_index(plan.home.folder) == "an address", "the earlier environment is kept"
    packages.LOCK.write_text(packages.LOCK.read_text().replace("==0.9", "==1.0"))
    assert install("--torch-index", "")
    assert builds.noted_index(plan.home.folder) is None
    with pytest.raises(InstallError, match="needs PyTorch for AMD graphics cards"):
        install("--device", "rocm")


def test_an_offline_folder_contains_the_note_of_the_index(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_packages(tmp_path)
    plan.home.models.mkdir()
    offline.fill(tmp_path / "folder", dataclasses.replace(plan, torch_index="an address"))
    monkeypatch.setattr("sys.argv", ["install.py", "--offline", str(tmp_path / "folder")])
    assert steps.plan_of(steps.parse_options(), plan.home).torch_index == "an address"
    offline.fill(tmp_path / "folder", plan)
    assert steps.plan_of(steps.parse_options(), plan.home).torch_index is None


def test_a_torch_of_another_index_may_require_unlocked_versions(
    torch_for_nvidia: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.LOCK.write_text(packages.LOCK.read_text().replace("cublas==1.0", "cublas==0.9"))
    with pytest.raises(InstallError):
        packages.install_packages(Plan(torch_for_nvidia, device="cuda"))
    packages.install_packages(Plan(torch_for_nvidia, torch_index="an address"))
    assert module_of(Plan(torch_for_nvidia), "nvidia_cublas").exists()


# ── The network ──────────────────────────────────────────────────────────────────────────────────


class InterruptedServer(SimpleHTTPRequestHandler):
    """Server for a folder of packages; the first package is cut off after its first half."""

    ranges: list[str]

    def do_GET(self) -> None:
        file = Path(self.directory, Path(self.path).name)
        self.send_answer(file.read_bytes() if file.suffix == ".whl" else self.listing())

    def listing(self) -> bytes:
        wheels = sorted(Path(self.directory).glob(f"{Path(self.path).name}*.whl"))
        return "".join(f'<a href="/{wheel.name}">{wheel.name}</a>' for wheel in wheels).encode()

    def send_answer(self, content: bytes) -> None:
        asked, is_package = self.headers.get("Range"), self.path.endswith(".whl")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/zip" if is_package else "text/html")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", '"one"')
        self.send_header("Cache-Control", "max-age=600")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if is_package:
            self.ranges.append(asked or "everything")
        half = is_package and len(self.ranges) == 1
        self.wfile.write(content[start : len(content) // 2] if half else content[start:])

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def index(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Run a package index with an interrupted first download, and return the requested ranges."""
    ranges: list[str] = []
    handler = type("Handler", (InterruptedServer,), {"ranges": ranges})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "wheels")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1")  # pip caches http only from trusted hosts
    yield ranges
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_interrupted_download_is_resumed(plan: Plan, tmp_path: Path, index: list[str]) -> None:
    line = make_wheel(tmp_path / "wheels", "brush", size=1_000_000)
    packages.LOCK.write_text(line)
    packages.run_pip_on(plan, ["brush==1.0"], "install")
    assert module_of(plan, "brush").stat().st_size == 1_000_000
    size = (tmp_path / "wheels/brush-1.0-py3-none-any.whl").stat().st_size
    assert index[0] == "everything"
    assert index[1] == f"bytes={size // 2}-"


def test_the_bar_of_a_real_pip_moves_from_the_download_to_the_unpacked_package(
    plan: Plan, tmp_path: Path, index: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of this size is not compressible, because pip shows only longer downloads."""
    packages.LOCK.write_text(make_wheel(tmp_path / "wheels", "brush", size=2_000_000))
    seen: list[tuple[float | None, str]] = []

    class Seen(progress.Packages):
        def read(self, line: str) -> None:
            super().read(line)
            seen.append((self.part, self.details))

    monkeypatch.setattr(packages, "Packages", Seen)
    packages.show_pip_on(plan, ["brush==1.0"], "Installing", "install")
    parts = [part for part, _ in seen if part is not None]
    assert parts == sorted(parts)
    assert {0, 0.5, 1} <= set(parts)
    assert (0.5, "unpacking, 0 of 1 packages") in seen
    assert "brush: 2 of 2 MB" in [details for _, details in seen]


def test_a_package_is_downloaded_only_once(plan: Plan, tmp_path: Path, index: list[str]) -> None:
    packages.LOCK.write_text(make_wheel(tmp_path / "wheels", "brush"))
    index.append("no interruption")
    packages.run_pip_on(plan, ["brush==1.0"], "install")
    requested = len(index)
    packages.run_pip_on(plan, ["brush==1.0"], "install", "--force-reinstall")
    assert len(index) == requested


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that is taken but not listened on, so that every connection fails."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "does not answer"])
def test_a_failing_proxy_is_named_without_its_password(
    plan: Plan, index: list[str], silent_port: int, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    packages.LOCK.write_text("brush==1.0 \\\n    --hash=sha256:" + 64 * "0")
    answering = os.environ["PIP_INDEX_URL"].removesuffix("/simple")
    address = answering if refuses else f"http://127.0.0.1:{silent_port}"
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.invalid/simple")
    monkeypatch.setenv("https_proxy", address.replace("//", "//me:secret@"))
    with pytest.raises(InstallError, match=r"the proxy 127\.0\.0\.1, and run install\.py again") as caught:
        packages.run_pip_on(plan, ["brush==1.0"], "install")
    assert "secret" not in str(caught.value)


def test_a_missing_network_is_reported(plan: Plan, index: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    packages.LOCK.write_text("brush==1.0 \\\n    --hash=sha256:" + 64 * "0")
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.invalid/simple")
    with pytest.raises(InstallError, match="Check the network connection, and run"):
        packages.run_pip_on(plan, ["brush==1.0"], "install")


# ── The disk ─────────────────────────────────────────────────────────────────────────────────────

MAKE_ENVIRONMENT = """
import sys
sys.path.insert(1, "plugin/atelier")
from pathlib import Path
from installer import environment, packages
from installer.paths import Home, Plan
from installer.process import InstallError
folder = Path(sys.argv[1])
packages.LOCK, packages.REQUIREMENTS = folder / "requirements.lock", folder / "requirements.txt"
packages.BAR_OPTIONS = ()  # the pip of this Python is not replaced by that of the lock
try:
    environment.make_environment(Plan(Home(folder / "home")))
except InstallError as error:
    print("InstallError:", error)
"""


def on_a_small_disk(folder: Path, size: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code with a file system of limited size at `folder`, in an own mount namespace."""
    mount = 'mount -t tmpfs -o size="$0" none "$1" && exec "$2" -c "$3" "$4"'
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    unshare = ["unshare", "--mount", "--propagation", "private", *as_root]
    command = [*unshare, "sh", "-c", mount, size, str(folder), sys.executable, code, *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["4m", "40m"], ids=["for the environment", "for the packages"])
def test_a_full_disk_is_reported_and_no_partial_environment_stays(
    plan: Plan, tmp_path: Path, size: str
) -> None:
    packages.LOCK.write_text(make_wheel(tmp_path / "wheels", "brush", size=60_000_000))
    packages.REQUIREMENTS.write_text("brush==1.0\n")
    shutil.rmtree(plan.home.venv)
    listing = "\nprint('left:', *Path(sys.argv[1], 'home').rglob('*'))"
    done = on_a_small_disk(plan.home.folder, size, MAKE_ENVIRONMENT + listing, str(tmp_path))
    lines = done.stdout.splitlines()
    assert lines[-2:] == [
        "InstallError: The disk is full. Free some space and run install.py again.",
        "left:",
    ], done


def test_a_client_is_installed_without_the_packages_that_compute(tmp_path: Path) -> None:
    whole, client = (packages.requirements(Plan(Home(tmp_path), client=each)) for each in (False, True))
    left_out = {line.partition("==")[0] for line in {*whole.splitlines()} - {*client.splitlines()}}
    assert left_out == {"torch", "torchvision", "safetensors"}
    assert packages.state(Plan(Home(tmp_path))) != packages.state(Plan(Home(tmp_path), client=True))
