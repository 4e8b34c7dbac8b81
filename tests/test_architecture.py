"""The rules that hold across files: who may import whom, what is never caught, loaded, skipped or written."""

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
PACKAGES = ("backend", "installer")

# Every module of the project, and all that it imports besides the standard library.
MAY_IMPORT = {
    # The plug-in: the standard library, and gi where there is a GIMP or a window.
    "atelier_requests": "",
    "atelier_protocol": "atelier_requests",
    "zmtp": "",
    "backend_client": "atelier_protocol atelier_requests zmtp",
    "backend_process": "atelier_protocol atelier_requests backend_client",
    "backend_link": "gi atelier_protocol atelier_requests backend_client backend_process",
    "schedule": "",
    "durations": "atelier_requests schedule",
    "frames": "atelier_protocol atelier_requests",
    "presets": "atelier_requests",
    "dream_layers": "atelier_requests",
    "pace": "atelier_protocol",
    "translation": "gi atelier_protocol atelier_requests",
    "drawables": "gi atelier_protocol atelier_requests translation",
    "given_pictures": "gi atelier_protocol drawables",
    "procedures": "gi atelier_requests dream_layers presets translation",
    "style_memory": "backend_process",
    "style_sources": (
        "gi atelier_protocol atelier_requests backend_process presets procedures style_memory translation"
    ),
    "gallery_view": "gi style_sources translation",
    "galleries": "gi gallery_view procedures style_memory style_sources",
    "preview_request": "atelier_requests durations",
    "preview_scene": "gi atelier_protocol drawables preview_request translation",
    "preview_pane": (
        "gi atelier_protocol atelier_requests backend_link drawables given_pictures preview_request"
        " preview_scene translation"
    ),
    "task": (
        "gi atelier_protocol atelier_requests backend_link backend_process drawables durations frames"
        " given_pictures procedures translation"
    ),
    "failure": "gi atelier_protocol backend_process",
    "status_bar": "gi atelier_protocol translation",
    "status_line": "gi translation",
    "settings_form": "gi atelier_requests dream_layers procedures translation",
    "running": (
        "gi atelier_protocol backend_link durations pace preview_pane status_bar status_line task translation"
    ),
    "dialog": (
        "gi atelier_protocol backend_link drawables durations failure galleries given_pictures preview_pane"
        " procedures running settings_form status_bar status_line style_memory task translation"
    ),
    "atelier": (
        "gi atelier_protocol backend_link dialog drawables failure given_pictures procedures status_bar task"
        " translation"
    ),
    # The wire's other end: no networks.
    "backend.__init__": "",
    "backend.channel": "atelier_protocol",
    "backend.gate": "zmq atelier_protocol",
    "backend.server": "zmq atelier_protocol backend.gate backend.memory",
    "backend.worker": "atelier_protocol backend.channel backend.memory",
    # Weights and networks.
    "backend.vision": "torch torchvision",
    "backend.array_pickles": "numpy",
    "backend.onnx_files": "torch",
    "backend.conversions": "torch backend.array_pickles backend.onnx_files backend.vision",
    "backend.weight_sources": "torch backend.conversions",
    "backend.weights": (
        "torch safetensors backend.array_pickles backend.conversions backend.vision backend.weight_sources"
    ),
    "backend.definitions": "torch backend.conversions backend.vision",
    "backend.receptive_fields": "torch",
    "backend.winograd": "torch",
    "backend.kernels": "torch backend.winograd",
    "backend.kernel_choice": "torch backend.winograd",
    "backend.memory": "",
    "backend.networks": (
        "torch backend.conversions backend.definitions backend.kernel_choice backend.kernels backend.painter"
        " backend.receptive_fields backend.style_predictor backend.vision backend.weights"
    ),
    # The algorithms: no wire.
    "backend.step": "torch",
    "backend.devices": "torch",
    "backend.losses": "torch",
    "backend.descent": "torch",
    "backend.pyramid": "torch",
    "backend.tiles": "torch",
    "backend.styles": "torch backend.pyramid",
    "backend.colours": "torch backend.pyramid backend.styles",
    "backend.smoothing": "torch backend.pyramid backend.vision",
    "backend.tiled_features": "torch backend.networks backend.pyramid backend.tiles",
    "backend.style_objective": (
        "torch backend.losses backend.networks backend.pyramid backend.styles"
        " backend.tiled_features"
    ),
    "backend.style_transfer": (
        "torch backend.descent backend.networks backend.pyramid backend.step backend.style_objective"
        " backend.styles schedule"
    ),
    "backend.fast_style": (
        "torch backend.networks backend.pyramid backend.step backend.styles backend.tiles"
    ),
    "backend.painter": "torch backend.pyramid backend.step backend.tiles",
    "backend.gallery": "torch backend.painter backend.step",
    "backend.style_predictor": "torch backend.pyramid",
    "backend.light_style": (
        "torch backend.painter backend.pyramid backend.step backend.style_predictor backend.styles"
    ),
    "backend.objectives": "torch backend.definitions backend.networks backend.pyramid backend.tiled_features",
    "backend.deepdream": (
        "torch backend.networks backend.objectives backend.pyramid backend.smoothing backend.step"
        " backend.tiled_features"
    ),
    # Where wire and networks meet.
    "backend.arrays": "numpy atelier_protocol",
    "backend.images": "numpy torch atelier_protocol backend.arrays backend.pyramid",
    "backend.class_names": "",
    "backend.speeds": "durations",
    "backend.algorithms": (
        "torch atelier_requests backend.class_names backend.deepdream backend.fast_style backend.gallery"
        " backend.light_style backend.memory backend.networks backend.objectives backend.pyramid backend.step"
        " backend.style_transfer backend.styles backend.weights"
    ),
    "backend.filters": (
        "torch atelier_protocol atelier_requests durations backend.algorithms backend.arrays"
        " backend.colours backend.deepdream backend.devices backend.images backend.pyramid backend.speeds"
        " backend.step backend.styles backend.tiles backend.weights"
    ),
    "backend.thumbnails": "numpy torch PIL atelier_requests backend.algorithms presets",
    # What a person starts.
    "backend.gimps": "",
    "backend.picture_files": "numpy PIL atelier_protocol backend.arrays",
    "backend.doctor": (
        "torch atelier_protocol atelier_requests backend.devices backend.gimps backend.weights"
        " backend_process"
    ),
    "backend.cli": (
        "filelock tqdm atelier_protocol atelier_requests backend.__main__ backend.doctor"
        " backend.picture_files backend_process dream_layers durations frames presets"
    ),
    "backend.__main__": (
        "filelock zmq atelier_protocol backend.filters backend.gate backend.memory backend.server"
        " backend.worker backend_process"
    ),
    # What installs it: the standard library alone.
    "installer.__init__": "",
    "installer.home": "",
    "installer.programs": "installer.home",
    "installer.traces": "installer.home installer.programs",
    "installer.builds": "installer.home installer.programs",
    "installer.packages": "installer.builds installer.home installer.programs",
    "installer.environment": (
        "backend.gimps installer.builds installer.home installer.packages installer.programs installer.traces"
    ),
    "installer.weights": "installer.home installer.programs",
    "installer.offline": (
        "installer.builds installer.environment installer.home installer.packages installer.programs"
        " installer.weights"
    ),
    "installer.command": "installer.home installer.programs installer.traces",
    "installer.self_check": "backend.gimps installer.home installer.programs",
    "installer.thumbnails": "installer.home installer.programs installer.self_check",
    "installer.plugin": (
        "backend.gimps installer.environment installer.home installer.programs installer.self_check"
        " installer.traces"
    ),
    "installer.service": "installer.home installer.programs installer.traces",
    "installer.uninstall": (
        "installer.environment installer.home installer.programs installer.service installer.traces"
    ),
    "installer.preview": (
        "backend.gimps installer.environment installer.home installer.packages installer.programs"
        " installer.service installer.traces"
    ),
    "installer.steps": (
        "backend.gimps installer.builds installer.command installer.environment installer.home"
        " installer.offline installer.plugin installer.preview installer.programs installer.self_check"
        " installer.service installer.thumbnails installer.uninstall installer.weights"
    ),
    "install": "installer.steps",
}

# What a module must not come to know by way of others either.
MUST_NOT_REACH = {
    "atelier": "zmq torch numpy PIL backend",
    "backend_process": "gi zmq torch numpy PIL backend",
    "backend.server": "gi torch numpy backend.worker backend.filters",
    "backend.worker": "gi zmq torch numpy backend.server backend.filters",
    "backend.style_transfer": "gi zmq PIL atelier_protocol atelier_requests",
    "backend.fast_style": "gi zmq PIL atelier_protocol atelier_requests",
    "backend.deepdream": "gi zmq PIL atelier_protocol atelier_requests",
    "backend.tiles": "gi zmq PIL atelier_protocol atelier_requests",
    "backend.filters": "gi zmq",
    "install": "gi zmq torch torchvision numpy PIL safetensors tqdm filelock",
}

BROAD_EXCEPTS = {"backend/worker.py", "plugin/atelier/atelier.py"}
UNSAFE_TO_LOAD = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
ADMITS_ARRAYS_ALONE = CHECKOUT / "backend" / "array_pickles.py"
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
    """The project's modules, not its tests, by the names that imports have for them."""
    return {
        prefix + file.stem: file
        for folder, prefix in SOURCE_FOLDERS.items()
        for file in sorted((CHECKOUT / folder).glob("*.py"))
    }


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, wherever in it: the project's modules, and others by their package alone."""
    found = set()
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    for name in _imported_names(tree, package=module.rpartition(".")[0]):
        package = name.partition(".")[0]
        if name in modules():
            found.add(name)
        elif package not in PACKAGES and package not in sys.stdlib_module_names:
            found.add(package)
    return frozenset(found)


def _imported_names(tree: ast.AST, package: str = "") -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [package if node.level else "", node.module]))
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


@cache
def reach(module: str) -> frozenset[str]:
    """All that a module comes to import, directly or by way of the project's modules."""
    found, unexplored = set[str](), {module}
    while unexplored:
        new = imports(unexplored.pop()) - found
        found |= new
        unexplored |= new & modules().keys()
    return frozenset(found)


def test_every_module_is_in_the_table() -> None:
    assert modules().keys() == MAY_IMPORT.keys()


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_a_module_imports_what_it_may_and_may_import_no_more(module: str) -> None:
    used, permitted = imports(module), set(MAY_IMPORT[module].split())
    assert used == permitted


@pytest.mark.parametrize("module", MUST_NOT_REACH)
def test_a_module_does_not_come_to_know_what_it_must_not(module: str) -> None:
    forbidden = set(MUST_NOT_REACH[module].split())
    assert not {name for name in reach(module) if name in forbidden or name.partition(".")[0] in forbidden}


def test_of_the_plug_in_s_modules_those_that_the_backend_imports_are_installed_with_it() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^py-modules = (\[.*?^\])", project, re.MULTILINE | re.DOTALL)
    reached = set[str]().union(*(reach(module) for module in modules() if module.startswith("backend.")))
    assert set(ast.literal_eval(listed)) == {name for name in reached & modules().keys() if "." not in name}


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
    for file in (CHECKOUT / "tests").glob("*.py"):
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
