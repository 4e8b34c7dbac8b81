"""Difference in colour between a preview and the final picture, and the time to the first preview.

    python benchmarks/preview_truth.py PHOTO… [--only fast light eyes] [--layers 1200px 12MP] [--out FOLDER]

Makes the final picture of every method of style transfer, of some gallery styles, of every preset of
DeepDream and of Visualise, with the default settings, from layers of two sizes. Reduces each one to the size
of a preview, blurs it, and prints the root of the mean squared difference to the first and the last preview
(0 to 255). Where the run itself is the preview, the first one is what it shows after a second. With `--out`,
saves each final picture beside its previews, and its row in FOLDER/rows.csv; the next call skips the rows
that are there. Final pictures of large layers take minutes each.

The photographs of the table in README.md: astronaut.png, chelsea.png and rocket.jpg of the package
scikit-image (`pip download --no-deps scikit-image`, then unzip), Elephants_5640x3172.jpg, Garden.jpg and
Storm.jpg of Debian's package mate-backgrounds (`apt-get download mate-backgrounds`, then `dpkg-deb -x`).
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Picture, Progress, Region, Result
from atelier_shared.presets import PRESETS
from atelier_shared.request import PREVIEW_PX, PaintingRequest
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.visualise import Visualise

STYLE = Path(__file__).parents[1] / "samples" / "starry_night.jpg"
GALLERY_STYLES = ("great wave", "woodcut")
STYLE_PX = 2048
BLUR_PX = 8
DELAY_S = 0.12
"""The same as in `ui.preview.pane`, which cannot be imported without Gtk."""
MEDIAN_WANTED, MOST_WANTED, FIRST_WANTED_S = 12.0, 20.0, 1.0


LAYERS: dict[str, Callable[[int, int], float]] = {
    "1200px": lambda width, height: 1200 / max(width, height),
    "12MP": lambda width, height: math.sqrt(12e6 / (width * height)),
}
"""The factor that makes a layer from a photograph of a width and height."""


class Row(NamedTuple):
    """The differences of the first and the last preview to the final picture; the time to the first."""

    kind: str
    photo: str
    layer: str
    first: float
    last: float
    first_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Truth of previews.")
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    parser.add_argument("--only", nargs="*", help="names of methods, gallery styles and presets")
    parser.add_argument("--layers", nargs="*", default=list(LAYERS), choices=list(LAYERS))
    parser.add_argument("--out", type=Path, help="folder for final pictures and comparisons")
    options = parser.parse_args()
    rows = rows_in(options.out)
    done = {row[:3] for row in rows}
    with warm_backend(options.models) as client:
        for kind, request in requests():
            asked = [(photo, layer) for photo in options.photos for layer in options.layers]
            left = [each for each in asked if (kind, each[0].stem, each[1]) not in done]
            if not left or (options.only and kind not in options.only):
                continue
            previews_of(client, request, layer_of(left[0][0], "1200px"))  # loads the networks
            for photo, layer in left:
                row = compare(client, kind, request, photo, layer, options.out)
                print(f"{kind:12} {photo.stem:20} {layer:6}  first {row.first:5.1f} in {row.first_s:.2f} s,"
                      f" last {row.last:5.1f}", flush=True)  # fmt: skip
                rows.append(row)
                if options.out:
                    with (options.out / "rows.csv").open("a", newline="") as file:
                        csv.writer(file).writerow(row)
    print_summary(rows)


def rows_in(out: Path | None) -> list[Row]:
    if out is None or not (out / "rows.csv").exists():
        return []
    with (out / "rows.csv").open(newline="") as file:
        return [
            Row(kind, photo, layer, float(first), float(last), float(first_s))
            for kind, photo, layer, first, last, first_s in csv.reader(file)
        ]


def print_summary(rows: list[Row]) -> None:
    print(f"{'':12} {'photos':>6}  {'1200px: first':>16} {'last':>12}  {'12MP: first':>16} {'last':>12}")
    for kind in dict.fromkeys(row.kind for row in rows):
        of_kind = [row for row in rows if row.kind == kind]
        columns = []
        for layer in LAYERS:
            here = [row for row in of_kind if row.layer == layer]
            columns += [spread([row.first for row in here]), spread([row.last for row in here])]
        photos = len({row.photo for row in of_kind})
        print(f"{kind:12} {photos:6}  {columns[0]:>16} {columns[1]:>12}  {columns[2]:>16} {columns[3]:>12}")
    for preview in ("first", "last"):
        found = [getattr(row, preview) for row in rows]
        print(f"{preview} preview: median {statistics.median(found):.1f} (wanted: at most {MEDIAN_WANTED}),"
              f" largest {max(found):.1f} (wanted: at most {MOST_WANTED})")  # fmt: skip
    slowest_s = max(row.first_s for row in rows)
    print(f"slowest first preview {slowest_s:.2f} s (wanted: under {FIRST_WANTED_S})")


def spread(found: list[float]) -> str:
    """Return the median and the largest of the differences."""
    return f"{statistics.median(found):.1f} to {max(found):.1f}" if found else "–"


def requests() -> Iterator[tuple[str, PaintingRequest]]:
    for method in ("fine", "fast", "light"):
        yield method, StyleTransfer(method=method)
    for style in GALLERY_STYLES:
        yield style, StyleTransfer(method="gallery", gallery_style=style)
    for name, preset in PRESETS.items():
        yield name, replace(DeepDream(), **preset.settings)  # type: ignore[arg-type]
    yield "visualise", Visualise()


@contextmanager
def warm_backend(models: Path) -> Iterator[BackendClient]:
    """Yield a client of a backend with a home folder of its own."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["ATELIER_HOME"] = home
        (Path(home) / "venv").symlink_to(sys.prefix)
        (Path(home) / "models").symlink_to(models.resolve())
        with launcher.connect() as client:
            yield client
            client.stop_backend()
            client.wait_until_gone()


def compare(
    client: BackendClient, kind: str, request: PaintingRequest, photo: Path, layer: str, out: Path | None
) -> Row:
    content = layer_of(photo, layer)
    (first, first_s), *_, (last, _s) = previews_of(client, request, content) * 2
    final = reduced(painted(client, request, content).result, PREVIEW_PX)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        name = f"{kind.replace(' ', '-')}-{photo.stem}-{layer}.jpg"
        side_by_side(content, first, last, final).save(out / name, quality=92)
    return Row(kind, photo.stem, layer, difference(first, final), difference(last, final), first_s)


def previews_of(
    client: BackendClient, request: PaintingRequest, layer: Image.Image
) -> list[tuple[Image.Image, float]]:
    """Return the previews, reduced to PREVIEW_PX, and the seconds that each one took.

    If the run itself is the only one, its picture after a second is the first one.
    """
    made, previews = [], request.previews(*layer.size)
    for asked, longest_px in previews:
        assert isinstance(asked, PaintingRequest)
        job = painted(client, asked, reduced(layer, longest_px))
        if len(previews) == 1 and job.early and job.seconds > FIRST_WANTED_S:
            made.append((reduced(job.early, PREVIEW_PX), FIRST_WANTED_S))
        made.append((reduced(job.result, PREVIEW_PX), DELAY_S + job.seconds))
    return made


class Job(NamedTuple):
    """The result of a job, the seconds it took, and its last picture in the first second, if it sent one."""

    result: Image.Image
    seconds: float
    early: Image.Image | None


def painted(client: BackendClient, request: PaintingRequest, content: Image.Image) -> Job:
    picture = Picture(*content.size, "RGB", "u8", content.tobytes())
    style = scaled(STYLE, lambda width, height: STYLE_PX / max(width, height))
    styles = [Picture(*style.size, "RGB", "u8", style.tobytes())] if request.needs_picture else []
    start_s, early = time.perf_counter(), None
    for message in client.messages(client.submit(request, picture, Region(0, 0, *content.size), styles)):
        seconds = time.perf_counter() - start_s
        if isinstance(message, Progress) and message.preview and DELAY_S + seconds <= FIRST_WANTED_S:
            early = image_of(message.preview)
    assert isinstance(message, Result)
    return Job(image_of(message.picture), seconds, early)


def image_of(picture: Picture) -> Image.Image:
    return Image.frombytes("RGB", (picture.width, picture.height), bytes(picture.pixels))


def layer_of(photo: Path, layer: str) -> Image.Image:
    """Return a photo as a layer of that size; a smaller one is enlarged."""
    return scaled(photo, LAYERS[layer])


def scaled(photo: Path, factor_of: Callable[[int, int], float]) -> Image.Image:
    with Image.open(photo) as opened:
        factor = factor_of(*opened.size)
        width, height = (round(length * factor) for length in opened.size)
        return opened.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def reduced(picture: Image.Image, longest_px: int) -> Image.Image:
    scale = min(1.0, longest_px / max(picture.size))
    width, height = (max(1, round(length * scale)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the root of the mean squared difference after a blur, from 0 to 255."""
    blurred = [
        np.asarray(each.resize(other.size).filter(ImageFilter.GaussianBlur(BLUR_PX)), dtype=float)
        for each in (one, other)
    ]
    return float(np.sqrt(np.mean((blurred[0] - blurred[1]) ** 2)))


def side_by_side(layer: Image.Image, *pictures: Image.Image) -> Image.Image:
    """Return the layer, the first and last preview and the final picture in a row."""
    row = [reduced(layer, PREVIEW_PX), *pictures]
    width, height = row[0].size
    sheet = Image.new("RGB", (len(row) * width, height))
    for place, picture in enumerate(row):
        sheet.paste(picture.resize((width, height)), (place * width, 0))
    return sheet


if __name__ == "__main__":
    main()
