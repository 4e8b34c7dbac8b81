"""The animation of the README: a clip of ten seconds, made with the installed `atelier`.

    ~/.atelier/venv/bin/python docs/make_animation.py

A photograph is panned, zoomed and turned. It is painted twice by *Fast*: each frame by itself, and each after
the one before. animation.jpg is a contact sheet of both, animation.webp shows them side by side.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageSequence

DOCS = Path(__file__).parent
PHOTO, STYLE = (DOCS.parent / "samples" / name for name in ("chelsea.jpg", "starry_night.jpg"))
SECONDS, RATE = 10, 5
SIZE = (240, 160)
GAP, SHOWN = 4, 6
"""Pixels between pictures, and frames of the contact sheet."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder, "frames")
        frames.mkdir()
        for number, frame in enumerate(clip(), start=1):
            frame.save(frames / f"{number}.png")
        alone, coherent = (painted(frames, Path(folder), coherence) for coherence in ("0", "1"))
    contact_sheet(list(clip()), alone, coherent).save(DOCS / "animation.jpg", quality=88)
    pairs = [beside(*pair) for pair in zip(alone, coherent, strict=True)]
    pairs[0].save(
        DOCS / "animation.webp",
        save_all=True,
        append_images=pairs[1:],
        duration=1000 // RATE,
        loop=0,
        quality=45,
        method=6,
    )
    for name in ("animation.jpg", "animation.webp"):
        print(DOCS / name, f"{(DOCS / name).stat().st_size / 1000:.0f} kB")


def clip() -> Iterator[Image.Image]:
    """Yield the frames: the camera moves once around the photograph, so that the last meets the first."""
    photo = Image.open(PHOTO).convert("RGB")
    width, height = photo.size
    for number in range(SECONDS * RATE):
        turn = 2 * math.pi * number / (SECONDS * RATE)
        scale = (0.55 - 0.08 * math.cos(turn)) * width / SIZE[0]
        angle = 0.08 * math.sin(turn)
        cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
        x, y = width * (0.5 + 0.08 * math.sin(turn)), height * (0.5 + 0.06 * math.cos(turn))
        left = x - cosine * SIZE[0] / 2 + sine * SIZE[1] / 2
        top = y - sine * SIZE[0] / 2 - cosine * SIZE[1] / 2
        matrix = (cosine, -sine, left, sine, cosine, top)
        yield photo.transform(SIZE, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def painted(frames: Path, folder: Path, coherence: str) -> list[Image.Image]:
    """Paint the frames, and return the results."""
    output = folder / f"{coherence}.apng"
    words = ["style", frames, "--style", STYLE, "--method", "fast", "--coherence", coherence]
    command = [
        sys.executable,
        "-m",
        "backend.command.cli",
        *words,
        "--fps",
        str(RATE),
        "--loop",
        "-o",
        output,
    ]
    subprocess.run(list(map(str, command)), check=True)
    with Image.open(output) as image:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]


def contact_sheet(*clips: list[Image.Image]) -> Image.Image:
    """Return some frames of each clip, a row for each."""
    width, height = SIZE[0] + GAP, SIZE[1] + GAP
    sheet = Image.new("RGB", (SHOWN * width - GAP, len(clips) * height - GAP), "white")
    for place, frames in enumerate(clips):
        for number in range(SHOWN):
            sheet.paste(frames[number * len(frames) // SHOWN], (number * width, place * height))
    return sheet


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Return two frames side by side."""
    pair = Image.new("RGB", (2 * SIZE[0] + GAP, SIZE[1]), "white")
    pair.paste(left, (0, 0))
    pair.paste(right, (SIZE[0] + GAP, 0))
    return pair


if __name__ == "__main__":
    main()
