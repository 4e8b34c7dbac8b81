"""The command `atelier`, run as a user runs it, with a real backend and real networks."""

from __future__ import annotations

import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import eventually, installed_in
from numpy.typing import NDArray
from PIL import Image

from atelier_shared import launcher
from atelier_shared.deepdream import DeepDream
from atelier_shared.networks import NETWORKS, network_layers
from atelier_shared.presets import PRESETS
from atelier_shared.settings import settings
from backend.command.arguments import PICTURE_COMMANDS, parse, request_of
from backend.command.stop_backend import is_lock_free

SAMPLES = Path(__file__).parents[2] / "samples"
PHOTO, STYLE = SAMPLES / "chelsea.jpg", SAMPLES / "starry_night.jpg"
BROKEN_OFF, NOT_A_NUMBER = "broken-off.png", "not-a-number.tiff"
QUICK_DREAM = ["--size", "128", "--octaves", "1", "--iterations", "3"]


def atelier(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend.command.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def pixels(file: Path) -> NDArray[np.int16]:
    with Image.open(file) as image:
        return np.asarray(image).astype(np.int16)


def test_a_picture_takes_on_a_style_and_keeps_its_size(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = atelier("style", PHOTO, "--style", STYLE, "--method", "fast", "--size", "256", "-o", out)
    assert (done.returncode, done.stdout) == (0, "")
    before, after = pixels(PHOTO), pixels(out)
    assert after.shape == before.shape
    red, _, blue = after.mean(axis=(0, 1))
    assert blue > red, "the style is blue, the photo is not"


def test_a_picture_of_three_rows_is_painted_in_the_style_of_one_pixel(home: Path, tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (200, 30, 30)).save(tmp_path / "pixel.png")
    with Image.open(PHOTO) as photo:
        photo.crop((0, 100, 90, 103)).save(tmp_path / "low.png")
    low, pixel, out = (tmp_path / name for name in ("low.png", "pixel.png", "out.png"))
    done = atelier("style", low, "--style", pixel, "--method", "fast", "-o", out)
    assert done.returncode == 0, done.stderr
    assert pixels(out).shape == (3, 90, 3)


def test_the_fine_method_works(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = atelier("style", PHOTO, "--style", STYLE, "--size", "64", "--iterations", "5", "-o", out)
    assert done.returncode == 0, done.stderr
    assert np.abs(pixels(out) - pixels(PHOTO)).mean() > 5


def test_the_seed_determines_the_dream(home: Path, tmp_path: Path) -> None:
    dreams = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        out = tmp_path / f"{name}.png"
        assert atelier("dream", PHOTO, *QUICK_DREAM, "--seed", seed, "-o", out).returncode == 0
        dreams.append(out.read_bytes())
    assert dreams[0] == dreams[1] != dreams[2]


def test_several_styles_style_masks_and_the_gallery_work(home: Path, tmp_path: Path) -> None:
    with Image.open(STYLE) as style:
        half = Image.new("L", style.size)
        half.paste(255, (0, 0, style.width // 2, style.height))
        half.save(tmp_path / "half.png")
    fast = ["--method", "fast", "--size", "64"]
    commands: dict[str, list[str | Path]] = {
        "one": ["--style", STYLE, *fast],
        "masked": ["--style", STYLE, "--style-mask", tmp_path / "half.png", *fast],
        "two": ["--style", STYLE, "--style", SAMPLES / "coffee.jpg", *fast],
        "gallery": ["--method", "gallery", "--gallery-style", "great wave", "--size", "64"],
    }
    for name, words in commands.items():
        done = atelier("style", PHOTO, *words, "-o", tmp_path / f"{name}-out.png")
        assert done.returncode == 0, done.stderr
    assert len({file.read_bytes() for file in tmp_path.glob("*-out.png")}) == len(commands)
    done = atelier("style", PHOTO, *commands["masked"], "--style-mask", PHOTO, "-o", tmp_path / "none.png")
    assert "more style masks than styles" in done.stderr


def test_a_guide_a_preset_and_frames_change_a_dream(home: Path, tmp_path: Path) -> None:
    quick = [*QUICK_DREAM, "--network", "squeezenet", "--layers", "fire4"]
    commands = {"plain": [], "guided": ["--guide", str(STYLE)], "preset": ["--preset", "snouts"]}
    for name, words in commands.items():
        done = atelier("dream", PHOTO, *quick, *words, "-o", tmp_path / f"{name}.png")
        assert done.returncode == 0, done.stderr
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 3
    out = tmp_path / "frames"
    out.mkdir()
    done = atelier("dream", PHOTO, *quick, "--frames", "3", "--zoom", "1.1", "-o", out / "dream.png")
    assert done.returncode == 0, done.stderr
    frames = [out / f"dream-00{number}.png" for number in (1, 2, 3)]
    assert sorted(out.iterdir()) == frames
    assert len({frame.read_bytes() for frame in frames}) == 3


def test_a_preset_changes_defaults_and_options_override_it() -> None:
    words = ["dream", "in.png", "-o", "out.png", "--preset", "eyes"]
    request = request_of(parse(words))
    assert request == DeepDream(**PRESETS["eyes"].settings)  # type: ignore[arg-type]
    assert request_of(parse([*words, "--octaves", "2"])) == replace(request, octaves=2)


@pytest.mark.parametrize("count", ["0", "501", "-1"])
def test_too_few_and_too_many_frames_are_refused(tmp_path: Path, count: str) -> None:
    done = atelier("dream", PHOTO, "--frames", count, "-o", tmp_path / "out.png")
    assert (done.returncode, done.stderr) == (1, f"atelier: frames must be from 1 to 500, not {count}.\n")


@pytest.mark.slow
def test_too_many_styles_are_refused_before_a_backend_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No backend is installed here, so starting one is a different error."""
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    styles = ["--style", str(STYLE)]
    done = atelier("style", PHOTO, *16 * styles, "-o", tmp_path / "out.png")
    assert "is not installed" in done.stderr
    done = atelier("style", PHOTO, *17 * styles, "-o", tmp_path / "out.png")
    message = "atelier: At most 16 styles can be mixed. Leave some of them out.\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_sixteen_styles_can_be_mixed(home: Path, tmp_path: Path) -> None:
    Image.new("RGB", (70, 70), (200, 30, 30)).save(tmp_path / "style.png")
    fast = ["--method", "fast", "--size", "64", *16 * ["--style", str(tmp_path / "style.png")]]
    done = atelier("style", PHOTO, *fast, "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr


def test_classes_are_shown_side_by_side_without_a_content(home: Path, tmp_path: Path) -> None:
    out, few = tmp_path / "things.png", ["--iterations", "2", "--size", "64", "--side", "128"]
    done = atelier("visualise", "--classes", "starfish, 954", *few, "-o", out)
    assert done.returncode == 0, done.stderr
    made = pixels(out)
    assert made.shape == (128, 128, 3)
    assert made.std() > 1


def test_channels_replace_a_content_of_any_size(home: Path, tmp_path: Path) -> None:
    small, out = tmp_path / "small.png", tmp_path / "channels.png"
    Image.new("RGB", (90, 30), "red").save(small)
    few = ["--network", "squeezenet", "--layer", "fire2", "--channels", "0-2", "--iterations", "2"]
    done = atelier("visualise", small, "--units", "channels", *few, "-o", out)
    assert done.returncode == 0, done.stderr
    made = pixels(out)
    assert made.shape == (30, 90, 3)
    assert abs(made[..., 0] - made[..., 1]).max() < 200, "nothing of the red is left"


def test_an_unknown_class_is_refused_with_suggestions(tmp_path: Path) -> None:
    done = atelier("visualise", "--classes", "starfsh", "-o", tmp_path / "out.png")
    assert done.returncode == 1
    assert "ImageNet has no class “starfsh”. Did you mean starfish" in done.stderr


def test_classes_are_found_by_a_part_of_their_name() -> None:
    assert atelier("classes", "screw").stdout.splitlines()[:2] == ["783  screw", "784  screwdriver"]
    assert len(atelier("classes").stdout.splitlines()) == 1000


@pytest.mark.parametrize("network", NETWORKS)
def test_the_layers_of_a_network_are_listed(network: str) -> None:
    listed = [line.split()[0] for line in atelier("layers", network).stdout.splitlines()]
    assert listed == [layer for layer, _ in network_layers(network)]


def test_pixels_outside_the_mask_keep_every_bit(home: Path, tmp_path: Path) -> None:
    mask = np.zeros((300, 451), np.uint8)
    mask[100:200, 150:300] = 255
    mask[100:200, 140:150] = 100
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "out.png"
    done = atelier("dream", PHOTO, *QUICK_DREAM, "--mask", tmp_path / "mask.png", "-o", out)
    assert done.returncode == 0, done.stderr
    change = np.abs(pixels(out) - pixels(PHOTO)).max(axis=-1)
    assert (change[mask == 0] == 0).all()
    assert (change[mask == 255] > 0).mean() > 0.9


def make_bad_pictures(folder: Path) -> None:
    with Image.open(PHOTO) as photo:
        photo.save(folder / BROKEN_OFF)
        whole = (folder / BROKEN_OFF).read_bytes()
        (folder / BROKEN_OFF).write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(folder / NOT_A_NUMBER)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dream", "missing.png", "-o", "out.png"], "There is no file"),
        (["dream", SAMPLES, "-o", "out.png"], "out.png is one file, and there are 3 results"),
        (["style", PHOTO, "--style", SAMPLES / "README.md", "-o", "out.png"], "cannot be read as a picture"),
        (["style", PHOTO, "--style", SAMPLES, "-o", "out.png"], "cannot be read as a picture"),
        (["style", BROKEN_OFF, "--style", PHOTO, "-o", "out.png"], "cannot be read as a picture"),
        (["style", PHOTO, "--style", BROKEN_OFF, "-o", "out.png"], "cannot be read as a picture"),
        (["dream", NOT_A_NUMBER, "-o", "out.png"], "infinite or undefined values"),
        (["dream", PHOTO, "--octaves", "99", "-o", "out.png"], "octaves must be from 1 to 12"),
        (["dream", PHOTO, "--device", "xpu", "-o", "out.png"], "xpu"),
        (["dream", PHOTO, "--layers", "Mixed_9z", "-o", "out.png"], "Mixed_5d"),
        (["style", PHOTO, "--method", "fast", "-o", "out.png"], "Choose a style picture"),
        (["style", PHOTO, "--gallery-mix", "nonsense", "-o", "out.png"], "great wave"),
        (
            ["dream", PHOTO, "--network", "inception-v3-torchvision", "-o", "out.png"],
            "install.py --official-weights",
        ),
    ],
    ids=[
        *("no-file", "a-folder", "no-picture", "a-folder-as-style", "broken-off", "broken-off-style"),
        *("not-a-number", "out-of-range", "no-device", "no-layer", "no-style", "no-gallery", "no-weights"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str | Path], expected: str
) -> None:
    make_bad_pictures(home)
    monkeypatch.chdir(tmp_path)
    words = [home / word if word in (BROKEN_OFF, NOT_A_NUMBER) else word for word in words]
    done = atelier(*words, *(QUICK_DREAM[:2] if words[0] == "dream" else []))
    assert done.returncode == 1
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("atelier: ") and expected in message
    assert list(tmp_path.iterdir()) == []


def test_a_masked_part_is_computed_from_the_same_pixels_as_in_gimp(home: Path, tmp_path: Path) -> None:
    """The part and 96 pixels around it are used, and no others."""
    x, y, width, height = 200, 100, 60, 40
    mask = Image.new("L", (451, 300))
    mask.paste(255, (x, y, x + width, y + height))
    with Image.open(PHOTO) as photo:
        around = (x - 96, y - 96, x + width + 96, y + height + 96)
        photo.save(tmp_path / "whole.png")
        photo.crop(around).save(tmp_path / "cut.png")
        mask.save(tmp_path / "whole-mask.png")
        mask.crop(around).save(tmp_path / "cut-mask.png")
    made = []
    for name in ("whole", "cut"):
        out, mask_file = tmp_path / f"{name}-out.png", tmp_path / f"{name}-mask.png"
        done = atelier("dream", tmp_path / f"{name}.png", *QUICK_DREAM, "--mask", mask_file, "-o", out)
        assert done.returncode == 0, done.stderr
        made.append(pixels(out))
    whole, cut = made
    part, before = whole[y : y + height, x : x + width], pixels(PHOTO)[y : y + height, x : x + width]
    assert (part == cut[96 : 96 + height, 96 : 96 + width]).all()
    assert (part != before).any()


@pytest.mark.slow
@pytest.mark.parametrize("out", ["out.nonsense", "nowhere/out.png", ".", "out.jpg"])
def test_a_file_that_cannot_be_written_is_reported_before_a_backend_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    """No backend is installed here, so starting one is a different error."""
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    Image.new("RGBA", (64, 64)).save(tmp_path / "in.png")
    assert "is not installed" in atelier("dream", tmp_path / "in.png", "-o", tmp_path / "out.png").stderr
    done = atelier("dream", tmp_path / "in.png", "-o", tmp_path / out)
    assert done.returncode == 1
    assert done.stderr.startswith(
        (
            *("atelier: There is no folder", f"atelier: {tmp_path / out} cannot be written"),
            f"atelier: {tmp_path / 'in.png'} would be overwritten",
        )
    )
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


@pytest.mark.parametrize(("command", "request_type"), PICTURE_COMMANDS.items())
def test_every_setting_is_an_option_with_help(command: str, request_type: type) -> None:
    help = " ".join(atelier(command, "--help").stdout.split())
    for setting in settings(request_type):
        assert f"--{setting.name.replace('_', '-')}" in help
    assert "(default: None)" not in help and "([])" not in help and "(default: )" not in help


def test_stop_ends_the_backend(home: Path) -> None:
    launcher.connect().close()
    assert atelier("stop").stdout == "The backend has stopped.\n"
    assert is_lock_free(within_s=0), "'atelier serve' can start another one"
    assert atelier("stop").stdout == "No backend is running.\n"


@pytest.mark.slow
def test_stop_kills_a_backend_that_does_not_answer(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(installed_in(tmp_path, models)))
    launcher.connect().close()
    connection = launcher.read_connection()
    assert connection
    backend = psutil.Process(connection.pid)
    backend.suspend()
    done = atelier("stop")
    assert (done.stdout, done.stderr) == ("The backend has stopped.\n", "")
    eventually(lambda: not backend.is_running(), "its process has ended")
    assert atelier("stop").stdout == "No backend is running.\n"


@pytest.mark.slow
def test_stop_ignores_a_process_with_the_number_of_a_former_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    with socket.socket() as unused, subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as other:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        launcher.write_connection(launcher.Connection(port, other.pid, "ab" * 32))
        assert atelier("stop").stdout == "No backend is running.\n"
        assert other.poll() is None
        other.kill()


def test_the_doctor_runs_when_packages_are_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken package is a finding, not a crash."""
    for package in ("torch", "torchvision", "numpy", "PIL", "zmq", "tqdm", "filelock"):
        (tmp_path / f"{package}.py").write_text(f"raise ImportError('{package} is broken.')")
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = atelier("doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert "NO  device: PyTorch cannot be loaded (torch is broken)" in done.stdout
    assert "NO  weights: " in done.stdout


@pytest.mark.slow
def test_the_bundle_contains_the_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "atelier"))  # after /home/ follows a user's name
    done = atelier("doctor", "--bundle", tmp_path / "bundle.zip")
    assert done.stderr == ""
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        findings = bundle.read("findings.txt").decode()
    assert findings == done.stdout.replace(str(Path.home()), "~")


def test_serve_runs_until_it_is_stopped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_IDLE_MINUTES", "0.01")
    atelier("stop")
    serving = subprocess.Popen([sys.executable, "-m", "backend.command.cli", "serve"], stderr=subprocess.PIPE)
    assert serving.stderr
    while b"listening" not in serving.stderr.readline():
        assert serving.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        serving.wait(3)
    atelier("stop")
    assert serving.wait(60) == 0
    serving.stderr.close()
