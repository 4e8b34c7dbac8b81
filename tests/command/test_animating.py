"""Animations on the command line: clips in and out, resuming after SIGKILL, ranges, loops, bad input."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import eventually, heed_interrupts
from made_clips import DURATIONS_MS, audio_hash, frames, sound_video
from numpy.typing import NDArray
from PIL import Image

from backend.command.clips import animated_pictures, video

STYLE = Path(__file__).parents[2] / "samples" / "starry_night.jpg"
LIGHT: list[str | Path] = ["--style", STYLE, "--method", "light", "--size", "64"]
pytestmark = pytest.mark.slow


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "backend.command.cli", *map(str, words)]


def atelier(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=300)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def animated(path: Path, count: int = 4, mode: str = "RGB") -> Path:
    """Write an animated picture that plays three times."""
    images = frames(count, mode)
    durations = (DURATIONS_MS * count)[:count]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=3)
    return path


def numbered(folder: Path, numbers: list[int]) -> Path:
    folder.mkdir()
    for number, image in zip(numbers, frames(len(numbers)), strict=True):
        image.save(folder / f"f{number}.png")
    return folder


def pixels(path: Path) -> list[NDArray[np.uint8]]:
    clip = (
        video.Video.open(path, 250) if video.is_video(path) else animated_pictures.AnimatedPicture.open(path)
    )
    return [frame.canvas.file.pixels.values for frame in clip.frames()]


def made(*words: str | Path) -> subprocess.CompletedProcess[str]:
    done = atelier(*words)
    assert done.returncode == 0, done.stderr
    return done


def change(before: list[NDArray[np.uint8]], after: list[NDArray[np.uint8]]) -> float:
    return float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(before, after, strict=True)]))


# ── Clips in and out ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_an_animated_picture_keeps_its_durations_and_loops(home: Path, tmp_path: Path, suffix: str) -> None:
    source, out = animated(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}"
    made("style", source, *LIGHT, "-q", "-o", out)
    before, after = (animated_pictures.AnimatedPicture.open(path) for path in (source, out))
    assert [frame.seconds for frame in after.frames()] == [frame.seconds for frame in before.frames()]
    assert after.loops == before.loops == 3
    assert change(pixels(source), pixels(out)) > 10
    assert names(tmp_path) == sorted([source.name, out.name])


def test_a_video_keeps_its_sound_its_frames_and_its_rate(home: Path, tmp_path: Path) -> None:
    source, out = sound_video(tmp_path / "in.mp4", 0.4), tmp_path / "out.mp4"
    made("style", source, *LIGHT, "-o", out)
    assert audio_hash(out) == audio_hash(source)
    before, after = (video.Video.open(path, 250) for path in (source, out))
    assert [frame.seconds for frame in after.frames()] == [frame.seconds for frame in before.frames()]
    assert after.rate == before.rate
    assert change(pixels(source), pixels(out)) > 10


def test_a_dream_of_a_clip_follows_its_frames(home: Path, tmp_path: Path) -> None:
    source, out = animated(tmp_path / "in.webp", 3), tmp_path / "out.webp"
    settings = ["--network", "squeezenet", "--iterations", "2", "--octaves", "1"]
    done = made("dream", source, *settings, "--json", "-o", out)
    assert json.loads(done.stdout)["output"] == str(out)
    assert change(pixels(source), pixels(out)) > 1


def test_a_fully_transparent_frame_stays_as_it_is(home: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.webp", tmp_path / "out.apng"
    images = frames(3, "RGBA")
    images[1].putalpha(0)
    images[0].save(source, save_all=True, append_images=images[1:], duration=100, lossless=True)
    made("style", source, *LIGHT, "-q", "-o", out)
    before, after = pixels(source), pixels(out)
    assert [bool((a[..., 3] > 0).any()) for a in after] == [True, False, True]
    assert [change([b], [a]) > 10 for b, a in zip(before, after, strict=True)] == [True, False, True]


def test_each_frame_follows_the_one_before_it(home: Path, tmp_path: Path) -> None:
    """A resting picture with a little noise: the results of single frames flicker more."""
    random, (photo, *_) = np.random.default_rng(1), frames(1)
    noisy = [
        Image.fromarray(
            np.clip(np.asarray(photo) + random.normal(0, 6, (48, 64, 3)), 0, 255).astype(np.uint8)
        )
        for _ in range(4)
    ]
    noisy[0].save(tmp_path / "in.apng", format="PNG", save_all=True, append_images=noisy[1:], duration=100)
    flicker = {}
    for coherence in ("0", "1"):
        out = tmp_path / f"{coherence}.apng"
        made("style", tmp_path / "in.apng", *LIGHT, "--coherence", coherence, "-q", "-o", out)
        results = pixels(out)
        flicker[coherence] = change(results[:-1], results[1:])
    assert flicker["1"] < 0.5 * flicker["0"]


def test_numbered_pictures_are_frames_in_natural_order(home: Path, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "in", [1, 2, 10, 100])
    made("style", folder, *LIGHT, "--fps", "10", "--coherence", "0", "-q", "-o", tmp_path / "out.apng")
    clip = animated_pictures.AnimatedPicture.open(tmp_path / "out.apng")
    assert [float(frame.seconds) for frame in clip.frames()] == [0.1] * 4
    made(
        "style", folder / "f*.png", *LIGHT, "--animation", "--coherence", "0", "-q", "-o", f"{tmp_path}/out/"
    )
    assert names(tmp_path / "out") == ["f1.png", "f10.png", "f100.png", "f2.png"]
    written = [np.asarray(Image.open(tmp_path / "out" / f"f{n}.png")) for n in (1, 2, 10, 100)]
    assert change(written, pixels(tmp_path / "out.apng")) == 0


def test_a_clip_becomes_numbered_pictures(home: Path, tmp_path: Path) -> None:
    source = animated(tmp_path / "clip.gif", 3)
    made("style", source, *LIGHT, "--animation", "-q", "-o", f"{tmp_path}/out/")
    assert names(tmp_path / "out") == ["clip-0001.png", "clip-0002.png", "clip-0003.png"]


def test_a_picture_as_output_still_gets_the_first_frame_alone(home: Path, tmp_path: Path) -> None:
    source = animated(tmp_path / "clip.gif", 3)
    done = made("style", source, *LIGHT, "-o", tmp_path / "out.png")
    assert "only the first one is used" in done.stderr


def test_a_mask_is_kept_in_every_frame(home: Path, tmp_path: Path) -> None:
    source, mask = animated(tmp_path / "in.apng"), Image.new("L", (64, 48))
    mask.paste(255, (20, 10, 50, 40))
    mask.save(tmp_path / "mask.png")
    made("style", source, *LIGHT, "--mask", tmp_path / "mask.png", "-q", "-o", tmp_path / "out.apng")
    for before, after in zip(pixels(source), pixels(tmp_path / "out.apng"), strict=True):
        outside = np.asarray(mask) == 0
        assert (before[outside] == after[outside]).all()
        assert (before[~outside] != after[~outside]).mean() > 0.5


def test_ranges_and_steps_of_a_clip(home: Path, tmp_path: Path) -> None:
    source, out = sound_video(tmp_path / "in.mp4", 1), tmp_path / "out.mp4"
    made("style", source, *LIGHT, "--from", "6", "--to", "15", "--every", "2", "-q", "-o", out)
    clip = video.Video.open(out, 250)
    assert [round(25 * frame.seconds) for frame in clip.frames()] == [2] * 5


# ── Interruptions ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("settings", [LIGHT, [*LIGHT, "--loop"]], ids=["plain", "loop"])
def test_after_sigkill_the_same_command_goes_on_to_the_same_result(
    home: Path, tmp_path: Path, settings: list[str | Path]
) -> None:
    folder = numbered(tmp_path / "in", list(range(1, 9)))
    whole, out = tmp_path / "whole.apng", tmp_path / "out.apng"
    made("style", folder, *settings, "-q", "-o", whole)

    process = subprocess.Popen(
        command("style", folder, *settings, "-q", "-o", out), stderr=subprocess.DEVNULL, env=os.environ
    )
    work = tmp_path / "out.apng.frames"
    eventually(lambda: (work / "000003.png").exists(), "three frames are finished")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()

    done = made("style", folder, *settings, "-o", out)
    assert "frames were finished before" in done.stderr
    assert out.read_bytes() == whole.read_bytes()
    assert not work.exists()


def test_numbered_results_are_resumed_as_well(home: Path, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "in", list(range(1, 7)))
    words = ["style", folder, *LIGHT, "--animation", "-o"]
    made(*words, f"{tmp_path}/whole/")
    process = subprocess.Popen(command(*words, f"{tmp_path}/out/"), stderr=subprocess.DEVNULL, env=os.environ)
    eventually(lambda: (tmp_path / "out" / "f3.png").exists(), "three frames are finished")
    process.send_signal(signal.SIGKILL)
    process.wait()
    made(*words, f"{tmp_path}/out/")
    assert names(tmp_path / "out") == names(tmp_path / "whole")
    for name in names(tmp_path / "out"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_call_with_other_settings_begins_anew(home: Path, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "in", [1, 2, 3])
    (folder / "f4.png").write_bytes((folder / "f3.png").read_bytes()[:300])
    failed = atelier("style", folder, *LIGHT, "-o", tmp_path / "out.apng")
    assert failed.returncode == 1
    frames(4)[3].save(folder / "f4.png")
    done = made("style", folder, *LIGHT, "--strength", "0.5", "-o", tmp_path / "out.apng")
    assert "finished before" not in done.stderr


def test_a_damaged_frame_is_named_and_the_finished_ones_are_kept(home: Path, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "in", [1, 2, 3])
    damaged = folder / "f3.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    done = atelier("style", folder, *LIGHT, "-o", tmp_path / "out.apng")
    assert done.returncode == 1
    assert "f3.png cannot be read" in done.stderr
    assert "The finished frames are kept" in done.stderr
    assert (tmp_path / "out.apng.frames" / "000002.png").exists()
    assert not (tmp_path / "out.apng").exists()


def test_on_a_full_disk_finished_frames_are_kept(home: Path, tmp_path: Path) -> None:
    """The limit of a file's size lets single frames be written, and not all of them together."""
    folder, out = numbered(tmp_path / "in", list(range(1, 7))), tmp_path / "out.apng"
    words = ["style", folder, *LIGHT, "-o", out]
    limit = 20_000
    done = subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert f"{out} cannot be written" in done.stderr and "The finished frames are kept" in done.stderr
    assert not out.exists()
    assert "6 of 6 frames were finished before" in made(*words).stderr
    assert out.stat().st_size > limit


def test_ctrl_c_keeps_the_finished_frames(home: Path, tmp_path: Path) -> None:
    folder, out = numbered(tmp_path / "in", list(range(1, 9))), tmp_path / "out.apng"
    words = ["style", folder, *LIGHT, "-o", out]
    process = subprocess.Popen(
        command(*words), stderr=subprocess.PIPE, text=True, env=os.environ, preexec_fn=heed_interrupts
    )
    eventually((tmp_path / "out.apng.frames" / "000002.png").exists, "two frames are finished")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "The finished frames are kept" in said and "cancelled" in said
    assert "frames were finished before" in made(*words).stderr


def test_a_folder_of_others_is_not_emptied(home: Path, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "in", [1, 2])
    (tmp_path / "out.apng.frames").mkdir()
    (tmp_path / "out.apng.frames" / "mine.txt").write_text("mine")
    done = atelier("style", folder, *LIGHT, "-o", tmp_path / "out.apng")
    assert done.returncode == 1 and "rename that folder" in done.stderr
    assert names(tmp_path / "out.apng.frames") == ["mine.txt"]


# ── Loops ────────────────────────────────────────────────────────────────────────────────────────


def test_the_last_frame_of_a_loop_leads_to_the_first(home: Path, tmp_path: Path) -> None:
    """A picture moves there and back again, with noise; without --loop the jump at the end is larger."""
    random, path = np.random.default_rng(2), [0, 2, 4, 6, 8, 6, 4, 2]
    whole = np.asarray(Image.open(STYLE.with_name("chelsea.jpg")).resize((160, 120)))
    noisy = [
        Image.fromarray(
            np.clip(whole[20:68, n : n + 64] + random.normal(0, 8, (48, 64, 3)), 0, 255).astype(np.uint8)
        )
        for n in path
    ]
    noisy[0].save(tmp_path / "in.apng", format="PNG", save_all=True, append_images=noisy[1:], duration=100)
    jumps = {}
    for name, words in {"plain": [], "loop": ["--loop"]}.items():
        out = tmp_path / f"{name}.apng"
        made("style", tmp_path / "in.apng", *LIGHT, *words, "-q", "-o", out)
        results = [result.astype(float) for result in pixels(out)]
        jumps[name] = np.square(results[-1][:, 2:-4] - results[0][:, 4:-2]).mean()
    assert jumps["loop"] < 0.6 * jumps["plain"]


# ── Bad input ────────────────────────────────────────────────────────────────────────────────────


def test_frames_of_several_sizes_are_refused(home: Path, tmp_path: Path) -> None:
    folder = numbered(tmp_path / "in", [1, 2])
    Image.new("RGB", (60, 48)).save(folder / "f3.png")
    done = atelier("style", folder, *LIGHT, "-o", tmp_path / "out.apng")
    assert done.returncode == 1
    assert "Frame 3 has 60×48 pixels, and the first one 64×48" in done.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--from", "9"], "has no frame"),
        (["--from", "soon"], "no place in a clip"),
        (["--every", "0"], "--every must be at least 1"),
        (["--fps", "30"], "--fps has no effect on a clip"),
        (["--sheet", "sheet.png"], "--sheet has no effect"),
    ],
)
def test_options_without_effect_are_refused(
    home: Path, tmp_path: Path, words: list[str], problem: str
) -> None:
    source = animated(tmp_path / "in.gif", 2)
    done = atelier("style", source, *LIGHT, *words, "-o", tmp_path / "out.gif")
    assert done.returncode == 1 and problem in done.stderr
    assert names(tmp_path) == ["in.gif"]


def test_progress_is_counted_in_frames(home: Path, tmp_path: Path) -> None:
    source = animated(tmp_path / "in.gif", 3)
    done = made("style", source, *LIGHT, "-o", tmp_path / "out.gif")
    assert "in.gif: frame 1/3" in done.stderr
