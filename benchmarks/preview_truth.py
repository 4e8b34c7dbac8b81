"""Difference in colour between a preview and the final picture, and the time to the first preview.

    python benchmarks/preview_truth.py PHOTO… [--only fast light eyes] [--sides 1200 4000] [--out FOLDER]

Makes the final picture of every method of style transfer, of some gallery styles and of every preset of
DeepDream, with the default settings, from layers of two sizes. Reduces each one to the size of a preview,
blurs it, and prints the root of the mean squared difference to the first and the last preview (0 to 255).
With `--out`, keeps the final pictures for the next call, and saves each one beside its previews.
Final pictures of large layers take minutes each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Picture, Region, Result
from atelier_shared.presets import PRESETS
from atelier_shared.request import PREVIEW_PX, PaintingRequest
from atelier_shared.style_transfer import StyleTransfer

STYLE = Path(__file__).parents[1] / "samples" / "starry_night.jpg"
GALLERY_STYLES = ("great wave", "woodcut")
BLUR_PX = 8
DELAY_S = 0.12
"""The same as in `ui.preview.pane`, which cannot be imported without Gtk."""
MEDIAN_WANTED, MOST_WANTED, FIRST_WANTED_S = 12.0, 20.0, 1.0


class Outcome(NamedTuple):
    """The differences of the first and the last preview to the final picture; the time to the first."""

    first: float
    last: float
    first_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Truth of previews.")
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    parser.add_argument("--only", nargs="*", help="names of methods, gallery styles and presets")
    parser.add_argument("--sides", type=int, nargs="*", default=[1200, 4000], help="longest sides of layers")
    parser.add_argument("--out", type=Path, help="folder for final pictures and comparisons")
    options = parser.parse_args()
    outcomes = []
    with warm_backend(options.models) as client:
        for name, request in requests():
            if options.only and name not in options.only:
                continue
            previews_of(client, request, layer_of(options.photos[0], options.sides[0]))  # loads the networks
            for photo in options.photos:
                for side in options.sides:
                    outcome = compare(client, name, request, photo, side, options.out)
                    print(f"{name:12} {photo.stem:14} {side:5}  first {outcome.first:5.1f} in"
                          f" {outcome.first_s:.2f} s, last {outcome.last:5.1f}", flush=True)  # fmt: skip
                    outcomes.append(outcome)
    print_summary(outcomes)


def print_summary(outcomes: list[Outcome]) -> None:
    for kind in ("first", "last"):
        found = [getattr(each, kind) for each in outcomes]
        print(f"{kind} preview: median {statistics.median(found):.1f} (wanted: at most {MEDIAN_WANTED}),"
              f" largest {max(found):.1f} (wanted: at most {MOST_WANTED})")  # fmt: skip
    slowest_s = max(each.first_s for each in outcomes)
    print(f"slowest first preview {slowest_s:.2f} s (wanted: under {FIRST_WANTED_S})")


def requests() -> Iterator[tuple[str, PaintingRequest]]:
    for method in ("fine", "fast", "light"):
        yield method, StyleTransfer(method=method)
    for style in GALLERY_STYLES:
        yield style, StyleTransfer(method="gallery", gallery_style=style)
    for name, preset in PRESETS.items():
        yield name, replace(DeepDream(), **preset.settings)  # type: ignore[arg-type]


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
    client: BackendClient, name: str, request: PaintingRequest, photo: Path, side: int, out: Path | None
) -> Outcome:
    layer = layer_of(photo, side)
    (first, first_s), *_, (last, _s) = previews_of(client, request, layer) * 2
    kept = out / f"{name.replace(' ', '-')}-{photo.stem}-{side}.png" if out else None
    if kept and kept.exists():
        final = Image.open(kept).convert("RGB")
    else:
        final = reduced(result(client, request, layer), PREVIEW_PX)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        final.save(kept)
        side_by_side(layer, first, last, final).save(kept.with_suffix(".jpg"), quality=92)
    return Outcome(difference(first, final), difference(last, final), first_s)


def previews_of(
    client: BackendClient, request: PaintingRequest, layer: Image.Image
) -> list[tuple[Image.Image, float]]:
    """Return the previews, reduced to PREVIEW_PX, and the seconds that each one took."""
    made = []
    for asked, longest_px in request.previews(*layer.size):
        assert isinstance(asked, PaintingRequest)
        content = reduced(layer, longest_px)
        start_s = time.perf_counter()
        picture = result(client, asked, content)
        made.append((reduced(picture, PREVIEW_PX), DELAY_S + time.perf_counter() - start_s))
    return made


def result(client: BackendClient, request: PaintingRequest, content: Image.Image) -> Image.Image:
    picture = Picture(*content.size, "RGB", "u8", content.tobytes())
    style = layer_of(STYLE, 2048)
    styles = [Picture(*style.size, "RGB", "u8", style.tobytes())] if request.needs_picture else []
    *_, last = client.messages(client.submit(request, picture, Region(0, 0, *content.size), styles))
    assert isinstance(last, Result)
    made = last.picture
    return Image.frombytes("RGB", (made.width, made.height), bytes(made.pixels))


def layer_of(photo: Path, side: int) -> Image.Image:
    """Return a photo with a longest side of `side`; a smaller one is enlarged."""
    with Image.open(photo) as opened:
        scale = side / max(opened.size)
        width, height = (round(length * scale) for length in opened.size)
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
