"""Many pictures in one call, and the manners of a Unix command, with a real backend."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from backend_jobs import begin
from conftest import eventually, heed_interrupts
from PIL import Image

from atelier_shared import launcher
from atelier_shared.deepdream import DeepDream
from backend.command import progress

SAMPLES = Path(__file__).parents[2] / "samples"
STYLE, OTHER_STYLE = SAMPLES / "starry_night.jpg", SAMPLES / "coffee.jpg"
GALLERY: list[str | Path] = ["--method", "gallery", "--size", "64"]
FAST: list[str | Path] = ["--method", "fast", "--size", "64"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with three small pictures: RGB, gray, with alpha."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        small = photo.resize((90, 60))
    small.save(folder / "a.jpg", quality=90)
    small.convert("L").save(folder / "b.png")
    small.convert("RGBA").save(folder / "c.webp", lossless=True)
    return folder


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "backend.command.cli", *map(str, words)]


def atelier(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=300, **options)  # type: ignore[call-overload, no-any-return]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ── Many pictures ────────────────────────────────────────────────────────────────────────────────


def test_a_failure_is_listed_and_the_rest_is_made(home: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.jpg").write_text("no picture")
    out = tmp_path / "out"
    done = atelier("style", photos, *GALLERY, "--json", "-o", f"{out}/")
    assert done.returncode == 1
    assert names(out) == ["a.jpg", "b.png", "c.webp"]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(line["content"]).name for line in lines] == ["a.jpg", "b.png", "bad.jpg", "c.webp"]
    assert ["error" in line for line in lines] == [False, False, True, False]
    assert lines[0]["settings"]["size"] == 64 and lines[0]["seconds"] > 0
    assert lines[0]["output"] == str(out / "a.jpg")
    table = done.stderr.splitlines()[-5:]
    assert [line.split()[0] for line in table] == ["a.jpg", "b.png", "bad.jpg", "c.webp", "3"]
    assert table[-1].startswith("3 of 4 pictures made in ")
    assert done.stderr.count("bad.jpg cannot be read as a picture") == 2, "when it fails, and in the table"


def test_a_matrix_of_contents_and_styles_gets_a_contact_sheet(
    home: Path, photos: Path, tmp_path: Path
) -> None:
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    styles: list[str | Path] = ["--style", STYLE, "--style", OTHER_STYLE, "--each-style"]
    files = [photos / "a.jpg", photos / "b.png"]
    done = atelier("style", *files, *styles, *FAST, "-q", "-o", out / "{name}-{style}.png", "--sheet", sheet)
    assert (done.returncode, done.stderr) == (0, "")
    made = [f"{content}-{style}.png" for content in "ab" for style in ("coffee", "starry_night")]
    assert names(out) == made
    assert len({(out / name).read_bytes() for name in made}) == 4
    with Image.open(sheet) as picture:
        assert picture.size == (8 + 3 * 328, 8 + 2 * 346)
        cells = np.asarray(picture.convert("L"))
    for row in range(2):
        for column in range(3):
            y, x = 8 + row * 346, 8 + column * 328
            assert cells[y + 60 : y + 260, x : x + 320].std() > 10, "a picture in each cell"


@pytest.mark.parametrize("sheet", ["sheet.nonsense", "nowhere/sheet.png"])
def test_a_sheet_that_cannot_be_written_is_reported_before_the_work(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sheet: str
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "nowhere"))
    done = atelier("style", photos, *GALLERY, "-o", f"{tmp_path}/out/", "--sheet", tmp_path / sheet)
    assert done.returncode == 1
    assert "is not installed" not in done.stderr and "sheet" in done.stderr


def test_the_notes_name_the_file(home: Path, photos: Path, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (70, 70), (shade, 90, 0)) for shade in (10, 200)]
    frames[0].save(tmp_path / "style.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in.png", save_all=True, append_images=frames[1:])
    words: list[str | Path] = ["--style", tmp_path / "style.gif", *FAST, "-o", tmp_path / "out.png"]
    done = atelier("style", tmp_path / "in.png", *words)
    for name in ("style.gif", "in.png"):
        assert f"atelier: {name}: It has 2 frames; only the first one is used.\n" in done.stderr


def test_a_run_without_a_backend_fails_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "nowhere"))
    done = atelier("style", photos, *GALLERY, "-o", f"{tmp_path}/out/")
    assert done.returncode == 1
    assert done.stderr.count("is not installed") == 1


# ── Settings again ───────────────────────────────────────────────────────────────────────────────


def test_a_line_of_json_repeats_the_result_bit_for_bit(home: Path, photos: Path, tmp_path: Path) -> None:
    mask = Image.new("L", (90, 60))
    mask.paste(255, (20, 10, 70, 50))
    mask.save(tmp_path / "mask.png")
    words: list[str | Path] = [
        "--style",
        STYLE,
        "--style",
        OTHER_STYLE,
        "--style-weights",
        "2, 1",
        *FAST,
        "--strength",
        "0.7",
    ]
    words += ["--mask", tmp_path / "mask.png"]
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    done = atelier("style", photos / "b.png", *words, "--json", "-q", "-o", first)
    (tmp_path / "line.json").write_text(done.stdout)
    assert (
        atelier("style", photos / "b.png", "--settings", tmp_path / "line.json", "-o", again).returncode == 0
    )
    assert first.read_bytes() == again.read_bytes()
    other = tmp_path / "other.png"
    changed: list[str | Path] = ["--settings", tmp_path / "line.json", "--strength", "0.2"]
    assert atelier("style", photos / "b.png", *changed, "-o", other).returncode == 0
    assert first.read_bytes() != other.read_bytes()


# ── Manners ──────────────────────────────────────────────────────────────────────────────────────


def test_pictures_come_from_standard_input_and_go_to_standard_output(home: Path, photos: Path) -> None:
    for name, format in (("a.jpg", "JPEG"), ("b.png", "PNG"), ("c.webp", "WEBP")):
        piped = subprocess.run(
            command("style", "-", *GALLERY, "-o", "-"),
            input=(photos / name).read_bytes(),
            capture_output=True,
        )
        assert piped.returncode == 0, piped.stderr
        with Image.open(io.BytesIO(piped.stdout)) as picture:
            assert (picture.format, picture.size) == (format, (90, 60))
    words = command("style", "-", *GALLERY, "--format", "tif", "-o", "-")
    piped = subprocess.run(words, input=(photos / "b.png").read_bytes(), capture_output=True)
    assert piped.stdout[:4] == b"II*\0"
    both = atelier("style", photos / "a.jpg", *GALLERY, "--json", "-o", "-")
    assert (both.returncode, both.stdout) == (1, "")


def test_a_pipe_is_read_like_a_file(home: Path, photos: Path, tmp_path: Path) -> None:
    words = " ".join(command("style", "<(cat photos/a.jpg)", *GALLERY, "-q", "-o", "out.jpg"))
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent)}
    done = subprocess.run(["bash", "-c", words], cwd=tmp_path, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(tmp_path / "out.jpg") as picture:
        assert picture.size == (90, 60)


def test_quiet_prints_nothing_but_errors(home: Path, photos: Path, tmp_path: Path) -> None:
    done = atelier("style", photos, *GALLERY, "-q", "-o", f"{tmp_path}/out/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = atelier("style", tmp_path / "missing.png", *GALLERY, "-q", "-o", tmp_path / "out.png")
    assert done.returncode == 1 and "There is no file" in done.stderr


def test_progress_in_a_log_file_is_plain_lines(home: Path, photos: Path, tmp_path: Path) -> None:
    fine: list[str | Path] = ["--style", STYLE, "--size", "64", "--iterations", "60"]
    done = atelier("style", photos / "a.jpg", *fine, "-o", tmp_path / "out.png")
    assert done.returncode == 0
    assert "\r" not in done.stderr and "\x1b" not in done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith("a.jpg: step 1/") and ("akes about" in first or "The time it takes" in first)
    assert len(done.stderr.splitlines()) <= 20


@pytest.mark.parametrize(
    "words", [["--style", STYLE, "--content-layers", "none"], ["--style", SAMPLES / "README.md"]]
)
def test_an_error_comes_before_the_expected_time(
    home: Path, photos: Path, tmp_path: Path, words: list[str | Path]
) -> None:
    shown = in_terminal("style", photos / "a.jpg", *words, "-o", tmp_path / "out.png")
    assert "atelier: " in shown
    assert "akes about" not in shown and "The time it takes" not in shown


def test_a_bar_is_shown_in_a_terminal(home: Path, photos: Path, tmp_path: Path) -> None:
    shown = in_terminal("style", photos / "a.jpg", photos / "b.png", *GALLERY, "-o", f"{tmp_path}/out/")
    assert "2 of 2, b.png" in shown and "%|" in shown
    assert "2 of 2 pictures made in" in shown


def in_terminal(*words: str | Path) -> str:
    """Run the command in a terminal, and return all that it shows."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with subprocess.Popen(command(*words), stdin=its, stdout=its, stderr=its) as running:
        os.close(its)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal ends with the command
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    assert running.returncode is not None
    return shown.decode(errors="replace")


def test_the_time_counts_from_the_start_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job waits for an hour, and then takes a second for each step."""
    now = [1000.0]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    bar = progress.Bar(1)
    bar.bar._time = lambda: now[0]
    bar.begin("a.jpg", "Takes about 40 s")
    bar.wait(2)
    now[0] += 3600
    for step in range(1, 11):
        bar.work(step, 40)
        now[0] += 1
    bar.bar.refresh()
    shown = str(bar.bar)
    assert "[00:10<00:30]" in shown, shown
    bar.close()


def test_a_job_behind_another_one_says_so(home: Path, photos: Path, tmp_path: Path) -> None:
    with launcher.connect() as other:
        begin(other, DeepDream(iterations=500))
        words = command("style", photos / "a.jpg", *GALLERY, "-o", tmp_path / "out.png", "--json")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
            assert waiting.stderr and waiting.stdout
            assert waiting.stderr.readline() == b"a.jpg: waiting, 1 ahead\n"
            time.sleep(2)
            begun_s = time.monotonic()
            other.close()
            line = json.loads(waiting.stdout.read())
    assert line["seconds"] <= time.monotonic() - begun_s + 0.5


def test_a_terminated_command_leaves_no_file(home: Path, photos: Path, tmp_path: Path) -> None:
    """It is terminated while it writes the picture into a pipe that nobody reads."""
    out = tmp_path / "out"
    out.mkdir()
    os.mkfifo(out / "pipe.png")
    (tmp_path / "drafts").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "drafts")}
    words = command("style", photos / "a.jpg", *GALLERY, "-q", "-o", out / "pipe.png")
    with subprocess.Popen(words, env=environment) as running:
        eventually(lambda: bool(names(tmp_path / "drafts")), "the draft is written")
        running.terminate()
    assert running.returncode == 128 + signal.SIGTERM
    assert names(tmp_path / "drafts") == [] and names(out) == ["pipe.png"]


def test_a_cancelled_batch_lists_what_is_made(home: Path, photos: Path, tmp_path: Path) -> None:
    words = command(
        "dream", photos, "--size", "64", "--octaves", "1", "--iterations", "500", "-o", f"{tmp_path}/out/"
    )
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts) as running:
        assert running.stderr
        assert running.stderr.readline().startswith("1 of 3, a.jpg: ")
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read().splitlines()
    assert running.returncode == 130
    assert rest[-1] == "atelier: cancelled" and rest[-2].startswith("0 of 3 pictures made in ")
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("words", [["layers", "inception-v3"], ["man"], ["completion", "bash"]])
def test_a_closed_pipe_ends_quietly(words: list[str]) -> None:
    with subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout and running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode in (0, 141)


def test_a_closed_pipe_for_a_picture_ends_quietly(home: Path, photos: Path) -> None:
    words = command("style", photos / "a.jpg", *GALLERY, "-q", "-o", "-")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout and running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141


def test_the_version_is_that_of_the_project() -> None:
    project = (SAMPLES.parent / "pyproject.toml").read_text()
    name, version = atelier("--version").stdout.split()
    assert name == "atelier" and f'\nversion = "{version}"\n' in project


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_the_completion_has_the_options(shell: str) -> None:
    done = atelier("completion", shell)
    assert done.returncode == 0
    assert "jpeg-quality" in done.stdout and "gallery" in done.stdout


def test_bash_completes_options_and_files(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(atelier("completion", "bash").stdout)
    script = """
        source ../completion
        complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            "$(complete -p atelier | sed 's/.*-F \\([^ ]*\\).*/\\1/')" atelier "${COMP_WORDS[COMP_CWORD]}"
            echo "${COMPREPLY[@]}"; }
        complete_words atelier style --jpeg
        complete_words atelier style --method ga
        complete_words atelier style a
    """
    done = subprocess.run(["bash", "-c", script], cwd=photos, capture_output=True, text=True)
    assert done.stdout.split() == ["--jpeg-quality", "gallery", "a.jpg"], done.stderr


def test_the_manual_page_is_valid_roff() -> None:
    done = atelier("man")
    assert done.stdout.startswith(".TH ATELIER 1")
    assert not [line for line in done.stdout.splitlines() if line.startswith("'")]


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "en_US.ISO-8859-1"])
def test_any_locale_and_any_file_name_work(home: Path, photos: Path, tmp_path: Path, locale: str) -> None:
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    odd = os.fsencode(tmp_path) + b"/\xff\xe9 \xc3\xa4\n"
    (photos / "a.jpg").rename(os.fsdecode(odd + b".jpg"))
    for content, out in ((odd + b".jpg", odd + b"-out.jpg"), (b"/no\xff/file.jpg", b"x.jpg")):
        words = [
            *map(os.fsencode, command("style")),
            content,
            *map(os.fsencode, GALLERY),
            b"--json",
            b"-o",
            out,
        ]
        done = subprocess.run(words, capture_output=True, env=environment)
        assert done.returncode == (0 if out.startswith(b"/") else 1), done.stderr
        assert b"Traceback" not in done.stderr
        line = json.loads(done.stdout)
        assert os.fsencode(line["content"]) == content
    assert Path(os.fsdecode(odd + b"-out.jpg")).stat().st_size > 0


def test_a_picture_that_exceeds_the_memory_is_one_line(home: Path, tmp_path: Path) -> None:
    """88 megapixels of a small file, and not enough address space for them."""
    Image.new("RGB", (11_000, 8_000)).save(tmp_path / "in.png", compress_level=9)
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (9 * 10**8,) * 2)\n"
    script += "from backend.command.cli import main; sys.exit(main(sys.argv[1:]))"
    words: list[str | Path] = [
        sys.executable,
        "-c",
        script,
        "style",
        tmp_path / "in.png",
        *GALLERY,
        "-o",
        tmp_path / "out.png",
    ]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    )
    assert done.returncode == 1
    assert "memory" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
