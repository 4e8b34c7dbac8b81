"""The animation of the README: a clip of ten seconds, made with the installed `atelier`.

    ~/.atelier/venv/bin/python docs/make_animation.py

A photograph is panned, zoomed and turned. It is painted twice by *Fast*: each frame by itself, and each after
the one before. animation.jpg is a contact sheet of a second: a row for the clip and one for each painting.
animation.webp shows the three side by side.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageSequence

DOCS = Path(__file__).parent
PHOTO, STYLE = (DOCS.parent / "samples" / name for name in ("chelsea.jpg", "starry_night.jpg"))
SECONDS, RATE = 10, 8
SIZE = (240, 160)
GAP = 4
"""Pixels between pictures."""
SHOWN = range(10, 18, 2)
"""The frames of the contact sheet."""


def main() -> None:
    frames = list(clip())
    with tempfile.TemporaryDirectory() as folder:
        numbered = Path(folder, "frames")
        numbered.mkdir()
        for number, frame in enumerate(frames, start=1):
            frame.save(numbered / f"{number}.png")
        alone, coherent = (painted(numbered, Path(folder), coherence) for coherence in ("0", "1"))
    rows = [[row[number] for number in SHOWN] for row in (frames, alone, coherent)]
    grid(rows).save(DOCS / "animation.jpg", quality=88)
    first, *others = (grid([shown]) for shown in zip(frames, alone, coherent, strict=True))
    first.save(
        DOCS / "animation.webp",
        save_all=True,
        append_images=others,
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


def grid(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Return pictures in rows, with a gap between them."""
    width, height = SIZE[0] + GAP, SIZE[1] + GAP
    sheet = Image.new("RGB", (len(rows[0]) * width - GAP, len(rows) * height - GAP), "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (column * width, row * height))
    return sheet


if __name__ == "__main__":
    main()
