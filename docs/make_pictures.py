"""Makes the pictures of the documentation, side by side: before and after.

    ~/.atelier/venv/bin/python docs/make_pictures.py

They come from the installed `atelier`, with every setting at its default.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

DOCS = Path(__file__).parent
SAMPLES = DOCS.parent / "samples"
HEIGHT, GAP = 300, 6

PHOTO, STYLE = SAMPLES / "chelsea.jpg", SAMPLES / "starry_night.jpg"
COMMANDS = {
    "fine": ["style", PHOTO, "--style", STYLE],
    "fast": ["style", PHOTO, "--style", STYLE, "--method", "fast"],
    "dream": ["dream", PHOTO],
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = {name: Path(folder) / f"{name}.png" for name in COMMANDS}
        for name, command in COMMANDS.items():
            subprocess.run([sys.executable, "-m", "backend.cli", *command, "-o", made[name]], check=True)
        for name, files in {
            "style-transfer.jpg": [PHOTO, STYLE, made["fine"], made["fast"]],
            "deepdream.jpg": [PHOTO, made["dream"]],
        }.items():
            side_by_side(files).save(DOCS / name, quality=88)


def side_by_side(files: list[Path]) -> Image.Image:
    """The pictures at one height, in a row."""
    row = []
    for file in files:
        with Image.open(file) as picture:
            picture = picture.convert("RGB")
            row.append(ImageOps.contain(picture, (10 * HEIGHT, HEIGHT), Image.Resampling.LANCZOS))
    sheet = Image.new("RGB", (sum(p.width + GAP for p in row) - GAP, HEIGHT), "white")
    left = 0
    for picture in row:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP
    return sheet


if __name__ == "__main__":
    main()
