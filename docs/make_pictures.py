"""The pictures of the documentation, made with the installed `atelier`.

    ~/.atelier/venv/bin/python docs/make_pictures.py [NAME …]

NAME is a file to make, for example presets.jpg; without a NAME all are made. Settings not mentioned in a
caption have their defaults. full-size.jpg needs a photograph of Debian's package mate-backgrounds.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from atelier_shared.gallery_styles import GALLERY
from atelier_shared.presets import PRESETS

DOCS = Path(__file__).parent
SAMPLES = DOCS.parent / "samples"
GAP, CAPTION, QUALITY = 6, 22, 88

PHOTO, STYLE = SAMPLES / "chelsea.jpg", SAMPLES / "starry_night.jpg"
LADYBIRD = Path("/usr/share/backgrounds/mate/nature/LadyBird.jpg")
"""A photograph of 2560 × 1600 pixels by Charles Barbin, GPL 2 or later."""
DETAIL = (1600, 640, 2000, 1040)
"""Left, top, right and bottom of the part of LADYBIRD that is shown at 1:1."""
STYLED = "style", str(PHOTO), "--style", str(STYLE)
VISUALISED = ("starfish", "banana", "parachute", "screw")
STRENGTHS, STYLE_SIZES = ("0.4", "0.7", "1"), ("0.5", "1", "2")
Cell = tuple[str, Sequence[str]]
"""A caption, and the command line for the picture above it."""


def main() -> None:
    sheets = {
        "style-transfer.jpg": style_transfer,
        "deepdream.jpg": deepdream,
        "methods.jpg": methods,
        "gallery.jpg": gallery,
        "presets.jpg": presets,
        "visualise.jpg": visualise,
    }
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    parser.add_argument("names", nargs="*", choices=[*sheets, "full-size.jpg", []], metavar="NAME")
    parser.add_argument("--ladybird", type=Path, default=LADYBIRD, help="the file of that photograph")
    given = parser.parse_args()
    sheets["full-size.jpg"] = functools.partial(full_size, given.ladybird)
    for name in given.names or sheets:
        sheets[name]().save(DOCS / name, quality=QUALITY)
        print(DOCS / name, flush=True)


# ── The sheets ───────────────────────────────────────────────────────────────────────────────────


def style_transfer() -> Image.Image:
    made = [make(STYLED), make([*STYLED, "--method", "fast"])]
    return row([opened(PHOTO), opened(STYLE), *made], height=300)


def deepdream() -> Image.Image:
    return row([opened(PHOTO), make(["dream", str(PHOTO)])], height=300)


def visualise() -> Image.Image:
    """Make a row of the pictures of four classes."""
    command = ["visualise", "--side", "224", "--classes"]
    return row([make([*command, name]) for name in VISUALISED], height=224)


def full_size(photo: Path) -> Image.Image:
    """Make a row of the photograph and its painting, whole and in part at 1:1."""
    made = [opened(photo), make(["style", str(photo), "--style", str(STYLE)])]
    height = DETAIL[3] - DETAIL[1]
    whole = [ImageOps.contain(picture, (10 * height, (height - GAP) // 2)) for picture in made]
    sheet = Image.new("RGB", (whole[0].width + 2 * (height + GAP), height), "white")
    for index, picture in enumerate(whole):
        sheet.paste(picture, (0, index * (picture.height + GAP)))
    for index, picture in enumerate(made):
        sheet.paste(picture.crop(DETAIL), (whole[0].width + GAP + index * (height + GAP), 0))
    return sheet


def methods() -> Image.Image:
    """Make a sheet of methods and style sizes from top to bottom, and of strengths from left to right."""
    cells: list[Cell] = [
        (
            f"{method}, style size {style_size}, strength {strength}",
            [*STYLED, *options(quality="draft", method=method, strength=strength, style_size=style_size)],
        )
        for method, style_size, strength in itertools.product(
            ("fine", "fast", "light"), STYLE_SIZES, STRENGTHS
        )
    ]
    return contact_sheet(cells, columns=len(STRENGTHS), width=300)


def gallery() -> Image.Image:
    """Make a sheet of all styles of the gallery."""
    command = ["style", str(PHOTO), "--method", "gallery", "--quality", "draft", "--gallery-style"]
    return contact_sheet([(name, [*command, name]) for name in GALLERY], columns=6, width=200)


def presets() -> Image.Image:
    """Make a sheet of all presets of DeepDream."""
    command = ["dream", str(PHOTO), "--preset"]
    return contact_sheet([(name, [*command, name]) for name in PRESETS], columns=3, width=400)


def options(**settings: str) -> list[str]:
    """Return settings as options of the command line."""
    return [word for name, value in settings.items() for word in ("--" + name.replace("_", "-"), value)]


# ── Making a sheet ───────────────────────────────────────────────────────────────────────────────


def make(command: Sequence[str]) -> Image.Image:
    """Run a command line of `atelier` and return its picture."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made.png")
        subprocess.run([sys.executable, "-m", "backend.command.cli", *command, "-o", made], check=True)
        return opened(made)


def opened(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")


def row(pictures: Sequence[Image.Image], height: int) -> Image.Image:
    """Scale pictures to the same height and put them side by side."""
    scaled = [ImageOps.contain(p, (10 * height, height), Image.Resampling.LANCZOS) for p in pictures]
    sheet = Image.new("RGB", (sum(p.width + GAP for p in scaled) - GAP, height), "white")
    left = 0
    for picture in scaled:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP
    return sheet


def contact_sheet(cells: Sequence[Cell], columns: int, width: int) -> Image.Image:
    """Make the pictures at the same width, and arrange them with their captions in rows."""
    made = [ImageOps.contain(make(command), (width, 10 * width)) for _, command in cells]
    step = width + GAP, max(picture.height for picture in made) + CAPTION
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * step[0] - GAP, rows * step[1]), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    for index, ((caption, _), picture) in enumerate(zip(cells, made, strict=True)):
        left, top = index % columns * step[0], index // columns * step[1]
        sheet.paste(picture, (left, top))
        pen.text((left + 2, top + picture.height + 2), caption, "black", font)
    return sheet


if __name__ == "__main__":
    main()
