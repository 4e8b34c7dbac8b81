"""The rules across files: who may import whom, and what is never caught, loaded, skipped or written."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE_FOLDERS = {"plugin/atelier": "", "backend": "backend.", "installer": "installer.", ".": ""}

SENTENCES = "atelier_shared.deferred_translation atelier_shared.errors "

# Each folder, and what its modules may import besides the standard library and each other.
# The most specific entry applies. A gi module is named as in `gi.Gtk`.
MAY_IMPORT = {
    "atelier_shared": "",
    "host": "atelier_shared gi.Babl gi.Gegl gi.Gimp gi.Gio gi.GLib gi.GObject",
    "ui": "atelier_shared host gi",
    "atelier": "atelier_shared host ui gi",
    "backend.compat": SENTENCES + "torch torchvision",
    "backend.imaging": SENTENCES + "torch atelier_shared.sizes",
    "backend.networks.cpu": "torch atelier_shared.home",
    "backend.animation": "cv2 numpy",
    "backend.weights": (
        SENTENCES + "torch numpy safetensors backend.compat atelier_shared.home atelier_shared.networks"
    ),
    "backend.networks": (
        SENTENCES
        + "torch backend.compat backend.imaging backend.networks.cpu backend.weights atelier_shared.home"
        " atelier_shared.imagenet_classes atelier_shared.networks atelier_shared.sizes"
    ),
    "backend.style": (
        SENTENCES + "torch backend.imaging backend.networks atelier_shared.schedule atelier_shared.sizes"
    ),
    "backend.dream": (
        SENTENCES
        + "torch backend.compat backend.imaging backend.networks atelier_shared.schedule atelier_shared.sizes"
    ),
    "backend.visualise": (
        "torch backend.imaging backend.networks atelier_shared.contact_sheet atelier_shared.sizes"
    ),
    "backend.jobs": (
        "torch numpy backend.animation backend.compat backend.dream backend.imaging backend.networks"
        " backend.style"
        " backend.visualise backend.weights atelier_shared"
    ),
    "backend.serving": (
        "zmq backend.compat.allocator backend.compat.open_files backend.compat.primitive_caches"
        " backend.compat.waiting_threads"
        " atelier_shared"
    ),
    "backend.cluster": (
        "cryptography backend.serving.jobs backend.serving.worker backend.serving.worker_pipe"
        " backend.serving.worker_process atelier_shared.codec atelier_shared.messages atelier_shared.home "
        + SENTENCES
    ),
    "backend.__main__": (
        "zmq filelock backend.cluster backend.compat.allocator backend.compat.open_files backend.jobs"
        " backend.serving"
        " atelier_shared"
    ),
    "backend.remote": "filelock backend.__main__ backend.serving.published_connection atelier_shared",
    "backend.command.picture_files": (
        "numpy PIL OpenImageIO pillow_heif resvg_py backend.jobs.picture_arrays atelier_shared.colour_space"
        " atelier_shared.errors atelier_shared.messages"
    ),
    "backend.command.clips": (
        "numpy PIL av backend.jobs.picture_arrays backend.command.picture_files atelier_shared.errors"
        " atelier_shared.home atelier_shared.messages"
    ),
    "backend.command": (
        "torch numpy PIL filelock shtab tqdm backend.__main__ backend.cluster backend.compat backend.jobs"
        " backend.remote"
        " backend.weights backend.command.clips backend.command.picture_files atelier_shared"
    ),
    "installer": "backend.command.gimp_installations atelier_shared.errors atelier_shared.home",
    "install": "installer",
}

# What a folder must not import by way of others either.
MUST_NOT_REACH = {
    "atelier": "zmq torch numpy PIL backend",
    "atelier_shared": "gi",
    "backend.serving": "gi torch numpy backend.jobs",
    "backend.cluster": "gi torch numpy backend.jobs",
    "backend.style": "gi zmq PIL atelier_shared.messages",
    "backend.dream": "gi zmq PIL atelier_shared.messages",
    "backend.visualise": "gi zmq PIL atelier_shared.messages",
    "backend.animation": "gi zmq torch PIL atelier_shared",
    "backend.jobs": "gi zmq",
    "backend.remote.ssh": "gi torch numpy zmq",
    "install": "gi zmq torch torchvision numpy PIL safetensors tqdm filelock",
}

BROAD_EXCEPTS = {"backend/serving/worker_process.py", "plugin/atelier/atelier.py"}
UNSAFE_TO_LOAD = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
ADMITS_ARRAYS_ALONE = CHECKOUT / "backend" / "weights" / "numpy_pickle.py"
WAYS_NOT_TO_RUN = {"skip", "skipif", "skipTest", "importorskip", "xfail"}
REGISTRY = re.compile(r"\b(?:pypi|pythonhosted|debian|anaconda)\.(?:org|com|net|io)\b|download\.pytorch")
PATH_OF_A_MACHINE = re.compile(r"(?<![\w.~$}/:])/(?:home|Users|root|work|mnt)/\w")


def python_files() -> list[Path]:
    """Every Python file of the checkout."""
    return [CHECKOUT / name for name in tracked_files() if name.endswith(".py")]


@cache
def tracked_files() -> tuple[str, ...]:
    """What belongs to the project, be it committed yet or not."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(listing, cwd=CHECKOUT, text=True).splitlines()
    return tuple(name for name in names if (CHECKOUT / name).is_file())


@cache
def modules() -> dict[str, Path]:
    """The project's modules, not its tests, by the names that imports use."""
    found = {}
    for folder, prefix in SOURCE_FOLDERS.items():
        for file in sorted((CHECKOUT / folder).glob("*.py" if folder == "." else "**/*.py")):
            name = prefix + ".".join(file.relative_to(CHECKOUT / folder).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = file
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, wherever in it, except the standard library."""
    file = modules()[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names = map(_shortened, _imported_names(ast.parse(file.read_text(encoding="utf-8")), package))
    return frozenset(name for name in names if name.partition(".")[0] not in sys.stdlib_module_names)


def _shortened(name: str) -> str:
    """A module of the project's, a module of gi, as in `gi.Gtk`, or the top-level name of another library."""
    while name not in modules() and name.rpartition(".")[0] in modules():
        name = name.rpartition(".")[0]
    if name in modules() or name.startswith("gi.repository."):
        return name.replace("gi.repository", "gi")
    return name.partition(".")[0]


def _imported_names(tree: ast.AST, package: str = "") -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join(filter(None, [*parents, node.module]))
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def reach(module: str) -> frozenset[str]:
    """All that a module imports, directly or by way of the project's modules."""
    found, unexplored = set[str](), {module}
    while unexplored:
        new = imports(unexplored.pop()) - found
        found |= new
        unexplored |= new & modules().keys()
    return frozenset(found)


def folder_of(module: str) -> str:
    """The most specific entry of MAY_IMPORT that a module belongs to."""
    return max((folder for folder in MAY_IMPORT if is_in(module, folder)), key=len, default="")


def is_in(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}.")


@pytest.mark.parametrize("module", [name for name in modules() if name != "backend"])
def test_a_module_imports_what_its_folder_may(module: str) -> None:
    own = folder_of(module)
    permitted = MAY_IMPORT[own].split()
    for name in imports(module):
        is_own = name in modules() and folder_of(name) == own
        assert is_own or any(is_in(name, each) for each in permitted), name


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_rule_permits_nothing_that_is_not_used(folder: str) -> None:
    used = {name for module in modules() if folder_of(module) == folder for name in imports(module)}
    unused = [each for each in MAY_IMPORT[folder].split() if not any(is_in(name, each) for name in used)]
    assert not unused


@pytest.mark.parametrize("folder", MUST_NOT_REACH)
def test_a_folder_does_not_reach_what_it_must_not(folder: str) -> None:
    reached = {name for module in modules() if is_in(module, folder) for name in reach(module)}
    assert not [name for name in reached for each in MUST_NOT_REACH[folder].split() if is_in(name, each)]


def test_every_package_of_the_backend_is_installed() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^packages = (\[.*?^\])", project, re.MULTILINE | re.DOTALL)
    packages = {
        name
        for name, file in modules().items()
        if file.name == "__init__.py" and is_in(name, "backend") | is_in(name, "atelier_shared")
    }
    assert set(ast.literal_eval(listed)) == packages


def test_no_two_classes_have_the_same_name() -> None:
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in modules().values())
    names = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert sorted(names) == sorted(set(names))


def test_every_exception_is_caught_in_two_places_only() -> None:
    catching = [file for name, file in modules().items() for _ in _swallowing_handlers(file)]
    assert sorted(str(file.relative_to(CHECKOUT)) for file in catching) == sorted(BROAD_EXCEPTS)


def _swallowing_handlers(file: Path) -> Iterator[ast.ExceptHandler]:
    """The handlers of whatever may happen that do not raise it again."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            caught = set() if node.type is None else {ast.unparse(part) for part in _parts(node.type)}
            raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if (not caught or caught & {"Exception", "BaseException"}) and not raises_again:
                yield node


def _parts(caught: ast.expr) -> list[ast.expr]:
    return caught.elts if isinstance(caught, ast.Tuple) else [caught]


def test_nothing_is_unpickled_but_arrays() -> None:
    for file in python_files():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        unsafe = {name.partition(".")[0] for name in _imported_names(tree)} & UNSAFE_TO_LOAD
        assert unsafe <= ({"pickle"} if file == ADMITS_ARRAYS_ALONE else set()), file
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(call), file


def test_no_test_is_left_out() -> None:
    for file in (CHECKOUT / "tests").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not named & WAYS_NOT_TO_RUN, file


@pytest.mark.parametrize("pattern", [REGISTRY, PATH_OF_A_MACHINE], ids=["registry", "path"])
def test_no_file_names_a_place_of_one_machine(pattern: re.Pattern[str]) -> None:
    found = []
    for name in tracked_files():
        content = (CHECKOUT / name).read_bytes()
        if b"\0" not in content and (place := pattern.search(content.decode(errors="replace"))):
            found.append(f"{name}: {place[0]}")
    assert not found
