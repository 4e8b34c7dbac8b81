"""Beauty of the pictures, measured by networks that the methods do not use, and sheets of them to look at.

    python benchmarks/looks.py [--models FOLDER] [--photos FILE …] [--styles FILE …] [--methods [fast …]]
        [--gallery-styles NAME …] [--objectives neighbours statistics] [--results FOLDER …] [--pairs N]
        [--size 512] [--crops] [--out FOLDER] [--sifid-layer NAME] [--threads 1]

Paints each photograph in each style with each method and objective. `--pairs` limits this to the first N
pairs of a photograph and a style; their order uses all photographs and all styles about equally often. After
each pair, the means so far are printed. `--results` names folders with results of earlier runs or of other
programs, to be measured as well: pictures PHOTO-STYLE.png, as `--out` saves them. In the table, lower is
better:

LPIPS: how different result and photograph look. Fetches the learned weights with pip, from the package
`lpips`, into a temporary folder. They were learned for torchvision's values of SqueezeNet 1.1 and are used
with the values in `--models`, where channels may have another order. So the numbers are not comparable with
numbers of other programs, and beside them stands "even": the same with each layer's mean weight, for which
the order does not matter. Trust a difference only if both show it.

Structure: the mean difference of the two pictures' self-similarities.

SIFID: how far the statistics of the result's fine texture are from those of the style. Both have their
working size.

ArtFID-like: (1 + LPIPS)(1 + SIFID). ArtFID itself compares sets of pictures, this compares single ones.

The gallery has no style picture, so its last two are dashes. Without `--crops` photographs are first reduced
to `--size`. With it they are painted at their own size with the default quality, and the SIFID of 512-pixel
parts of the result, taken together, is printed beside that of the reduced result: a ratio near 1 means that
the painting looks painted when seen at 1:1. "A part's" is the mean of the parts' own SIFIDs. They are
larger, because one part has few of the style's colours.

Sources:
    Zhang et al. 2018, *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*, CVPR (LPIPS)
    Kolkin et al. 2019, *Style Transfer by Relaxed Optimal Transport and Self-Similarity*, CVPR (structure)
    Shaham et al. 2019, *SinGAN*, ICCV, section 3 (SIFID)
    Wright and Ommer 2022, *ArtFID*, GCPR, equation 1 (the product of content and style)
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from atelier_shared.gallery_styles import GALLERY
from atelier_shared.sizes import fit
from atelier_shared.style_transfer import StyleTransfer
from backend.imaging.resize import resize, size_of
from backend.imaging.style_image import Style, without_frame
from backend.jobs import dispatch
from backend.jobs.algorithm import Pictures
from backend.jobs.filters.style_transfer import METHODS
from backend.networks import registry
from benchmarks.side_by_side import install_peers

SAMPLES = Path(__file__).parents[1] / "samples"
CPU = torch.device("cpu")
(WITH_OBJECTIVE,) = (each.values for each in StyleTransfer.conditions if "objective" in each.settings)
"""The methods whose result depends on the objective."""
WARM_PX = 64
"""Longest side of the picture painted first, so that loading the networks is not timed."""
LPIPS_LAYERS = ("conv1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")
"""The last layers of the seven slices of SqueezeNet 1.1 in the package `lpips`."""
STRUCTURE_LAYER = "Mixed_6e"
"""A deep layer with a position for every 16 pixels."""
SIFID_LAYER = "Conv2d_4a_3x3"
"""The last layer before the second pool (Shaham et al. 2019, section 3). Their program has Conv2d_2b_3x3,
before the first pool. The scale depends on the layer, so numbers of different layers are not comparable."""
CROP_PX = 512
CROP_GRID = 2, 3
"""Rows and columns of the parts seen at 1:1, spread evenly over the result."""
GAP, CAPTION = 6, 16
NAME_WIDTH = 48
COLUMNS = {
    "LPIPS": (7, 3),
    "even": (7, 3),
    "structure": (11, 3),
    "SIFID": (8, 2),
    "ArtFID-like": (13, 2),
    "CPU s": (8, 1),
    "1:1 SIFID": (11, 2),
    "a part's": (10, 2),
}
"""Titles of what a `Looks` has, with the width and the decimal places."""

Pair = tuple[Path, Path | str]
"""A photograph and a style picture, or the name of a style of the gallery."""


class Looks(NamedTuple):
    """What was measured of one result. The SIFIDs are not numbers (NaN) where there is no style picture."""

    lpips: float
    even: float
    structure: float
    sifid: float
    art_fid: float
    cpu_s: float
    crops_sifid: float = math.nan
    part_sifid: float = math.nan


class Cell(NamedTuple):
    """One result on a contact sheet."""

    photo: str
    style: str
    result: Tensor
    looks: Looks


# ── The measures ─────────────────────────────────────────────────────────────────────────────────


def perceptual_distance(ours: Sequence[Tensor], theirs: Sequence[Tensor], weights: Sequence[Tensor]) -> float:
    """Return LPIPS from the features of two pictures, (1, C, h, w) a layer (Zhang et al. 2018, equation 1).

    The weights of the squared differences are (1, C, 1, 1) a layer.
    """
    layers = zip(ours, theirs, weights, strict=True)
    return sum(float((w * (_unit(a) - _unit(b)).square()).sum(1).mean()) for a, b, w in layers)


def _unit(features: Tensor) -> Tensor:
    """Scale the channels at every position to a length of 1."""
    lengths: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (lengths + 1e-10)


def structure_distance(ours: Tensor, theirs: Tensor) -> float:
    """Return the mean absolute difference of two pictures' self-similarities, from features (1, C, h, w).

    Kolkin et al. 2019, equation 8, divide the distances of each position by their sum. Here they are plain
    cosine similarities, so the number does not depend on the picture's size.
    """
    return float((_self_similarity(ours) - _self_similarity(theirs)).abs().mean())


def _self_similarity(features: Tensor) -> Tensor:
    """Return the cosine similarity of every position to every other."""
    positions = _unit(features).flatten(2)[0]
    return positions.T @ positions


def frechet_distance(ours: Tensor, theirs: Tensor) -> float:
    """Return the Fréchet distance of the Gaussians of two pictures' features, (1, C, h, w).

    It is |m − m'|² + tr(S + S' − 2 (S S')^½) with means m and covariances S (Heusel et al. 2017, *GANs
    Trained by a Two Time-Scale Update Rule*, equation 6). (S S')^½ has the trace of (S^½ S' S^½)^½, which
    is symmetric.
    """
    (mean, covariance), (mean_of_theirs, covariance_of_theirs) = _gaussian(ours), _gaussian(theirs)
    root = _root(covariance)
    shared = torch.linalg.eigvalsh(root @ covariance_of_theirs @ root).clamp(min=0).sqrt().sum()
    traces = covariance.trace() + covariance_of_theirs.trace()
    return float((mean - mean_of_theirs).square().sum() + traces - 2 * shared)


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean, (C,), and the covariance, (C, C), of features over all positions."""
    positions = features.double().flatten(2)[0]
    return positions.mean(1), torch.cov(positions)


def _root(covariance: Tensor) -> Tensor:
    """Return the symmetric square root of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


class Judge:
    """The networks that measure pictures, and the learned weights of LPIPS."""

    def __init__(self, models: Path, sifid_layer: str = SIFID_LAYER) -> None:
        self.sifid_layer = sifid_layer
        self.squeezenet = registry.load_network("squeezenet", models, CPU)
        self.inception = registry.load_network("inception-v3", models, CPU)
        self.weights = learned_weights()

    def lpips(self, ours: Tensor, theirs: Tensor) -> tuple[float, float]:
        """Return the LPIPS of two image tensors of one size: with the learned weights, and with even ones."""
        seen = [self.squeezenet.features(image, LPIPS_LAYERS) for image in (ours, theirs)]
        ours_seen, theirs_seen = ([one[layer] for layer in LPIPS_LAYERS] for one in seen)
        even = [weight.mean().expand_as(weight) for weight in self.weights]
        learned = perceptual_distance(ours_seen, theirs_seen, self.weights)
        return learned, perceptual_distance(ours_seen, theirs_seen, even)

    def structure(self, ours: Tensor, theirs: Tensor) -> float:
        """Return the difference in structure of two image tensors of one size."""
        return structure_distance(*self._seen(STRUCTURE_LAYER, ours, theirs))

    def sifid(self, ours: Sequence[Tensor], theirs: Tensor) -> float:
        """Return the SIFID of parts of a picture (1, 3, h, w), taken together, and another picture."""
        *parts, other = self._seen(self.sifid_layer, *ours, theirs)
        return frechet_distance(torch.cat(parts, dim=3), other)

    def _seen(self, layer: str, *images: Tensor) -> list[Tensor]:
        """Return the features of images at a layer of Inception."""
        return [self.inception.features(image, [layer])[layer] for image in images]


def learned_weights() -> list[Tensor]:
    """Fetch the weights of LPIPS, a (1, C, 1, 1) for each of its layers."""
    with tempfile.TemporaryDirectory() as folder:
        install_peers(Path(folder), "lpips==0.1.4")
        file = Path(folder, "lpips", "weights", "v0.1", "squeeze.pth")
        found = torch.load(file, map_location=CPU, weights_only=True)
    return [found[f"lin{index}.model.1.weight"] for index in range(len(LPIPS_LAYERS))]


# ── Painting and measuring ───────────────────────────────────────────────────────────────────────


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    judge = Judge(options.models, options.sifid_layer)
    titles = [f"{title:>{width}}" for title, (width, _) in COLUMNS.items()]
    print(" " * NAME_WIDTH + "".join([*titles, "  ratio"] if options.crops else titles[:-2]))
    variants = variants_of(options)
    cells: dict[str, list[Cell]] = {name: [] for name in variants}
    for pairs in zip_longest(*(pairs_of(painter, options) for painter in variants.values())):
        for (name, painter), pair in zip(variants.items(), pairs, strict=True):
            if pair:
                cells[name].append(judged(name, painter, pair, judge, options))
        for name, found in cells.items():
            means = mean([cell.looks for cell in found])
            print(line(f"{name}, mean of {len(found)}", means, options.crops), flush=True)
    if options.out:
        for name, found in cells.items():
            contact_sheet(found).save(options.out / f"{name}.png")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how beautiful the pictures are.")
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    photos = [SAMPLES / "chelsea.jpg", SAMPLES / "coffee.jpg"]
    parser.add_argument("--photos", type=Path, nargs="+", default=photos)
    parser.add_argument("--styles", type=Path, nargs="+", default=[SAMPLES / "starry_night.jpg"])
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=["light", "gallery", "fast"])
    parser.add_argument("--gallery-styles", nargs="+", choices=GALLERY, default=[next(iter(GALLERY))])
    objectives = ["neighbours", "statistics"]
    parser.add_argument("--objectives", nargs="+", choices=objectives, default=objectives[:1])
    parser.add_argument("--results", type=Path, nargs="+", default=[])
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--crops", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sifid-layer", default=SIFID_LAYER)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def variants_of(options: argparse.Namespace) -> dict[str, StyleTransfer | Path]:
    """Return what makes or holds results, by name: a request for each method and objective, and folders."""
    size = 0 if options.crops else options.size
    variants: dict[str, StyleTransfer | Path] = {}
    for method in options.methods:
        for objective in options.objectives:
            request = StyleTransfer(method=method, objective=objective, size=size, device="cpu")
            several = method in WITH_OBJECTIVE and len(options.objectives) > 1
            variants.setdefault(f"{method} {objective}" if several else method, request)
    return variants | {folder.name: folder for folder in options.results}


def pairs_of(painter: StyleTransfer | Path, options: argparse.Namespace) -> Iterator[Pair]:
    """Yield the pairs of a photograph and a style, in an order that uses each about equally often."""
    photos = options.photos
    by_name = isinstance(painter, StyleTransfer) and not painter.needs_picture
    styles = options.gallery_styles if by_name else options.styles
    shift = math.lcm(len(photos), len(styles))
    count = len(photos) * len(styles)
    for index in range(min(options.pairs or count, count)):
        yield photos[index % len(photos)], styles[(index + index // shift) % len(styles)]


def judged(
    name: str, painter: StyleTransfer | Path, pair: Pair, judge: Judge, options: argparse.Namespace
) -> Cell:
    """Paint a photograph in a style or open the result, print the measures, and save the result if asked."""
    photo, chosen = pair
    content, style = opened(photo), None
    if not options.crops:
        content = resize(content, fit(size_of(content), options.size)).clamp(0, 1)
    if isinstance(chosen, Path):
        style = without_frame(Style(opened(chosen)))
    style_name = chosen if isinstance(chosen, str) else chosen.stem
    file = f"{photo.stem}-{style_name}.png"
    if isinstance(painter, Path):
        result, cpu_s = opened(painter / file), math.nan
    else:
        request = replace(painter, gallery_style=chosen) if isinstance(chosen, str) else painter
        result, cpu_s = painted(request, content, style, options.models)
    looks = measured(judge, working_px_of(painter, options), content, style, result, cpu_s, options.crops)
    print(line(f"{name} {photo.stem} {style_name}", looks, options.crops), flush=True)
    if options.out:
        save(result, options.out / name / file)
    return Cell(photo.stem, style_name, result, looks)


def working_px_of(painter: StyleTransfer | Path, options: argparse.Namespace) -> int:
    """Return the longest side at which a result is measured; that of the method if it is painted now."""
    return painter.working_px if isinstance(painter, StyleTransfer) else int(options.size)


def save(result: Tensor, file: Path) -> None:
    """Save a result as a picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture_of(result).save(file)


def opened(file: Path) -> Tensor:
    """Read a picture as an image tensor (1, 3, H, W)."""
    with Image.open(file) as picture:
        values = numpy.array(picture.convert("RGB"))
    return torch.from_numpy(values).permute(2, 0, 1)[None].float().div_(255)


def painted(
    request: StyleTransfer, content: Tensor, style: Style | None, models: Path
) -> tuple[Tensor, float]:
    """Return the result and the processor seconds, without those for loading the networks."""
    small = resize(content, fit(size_of(content), WARM_PX)).clamp(0, 1)
    last(replace(request, size=WARM_PX, iterations=1), small, style, models)
    began = time.process_time()
    result = last(request, content, style, models)
    return result, time.process_time() - began


def last(request: StyleTransfer, content: Tensor, style: Style | None, models: Path) -> Tensor:
    """Return the last picture of a job; release the others one by one, as the worker does."""
    styles = [] if style is None else [style]
    for step in dispatch.steps(request, Pictures(content, None, styles), models):
        image = step.image
    return image.clamp(0, 1)


def measured(
    judge: Judge,
    working_px: int,
    content: Tensor,
    style: Style | None,
    result: Tensor,
    cpu_s: float,
    crops: bool,
) -> Looks:
    """Measure a result at the working size, and its parts at 1:1 if asked."""
    size = fit(size_of(content), working_px)
    small, photo = (resize(image, size).clamp(0, 1) for image in (result, content))
    (lpips, even), structure = judge.lpips(small, photo), judge.structure(small, photo)
    if style is None:
        return Looks(lpips, even, structure, math.nan, math.nan, cpu_s)
    reference = style.fitted(size, judge.inception.minimum_px).image
    sifid = judge.sifid([small], reference)
    whole = Looks(lpips, even, structure, sifid, (1 + lpips) * (1 + sifid), cpu_s)
    if not crops:
        return whole
    parts = parts_of(result)
    each = statistics.fmean(judge.sifid([part], reference) for part in parts)
    return whole._replace(crops_sifid=judge.sifid(parts, reference), part_sifid=each)


def parts_of(image: Tensor) -> list[Tensor]:
    """Cut the parts that are seen at 1:1 out of an image, row by row."""
    rows, columns = (
        torch.linspace(0, max(side - CROP_PX, 0), count + 2)[1:-1].round().int().tolist()
        for side, count in zip(size_of(image), CROP_GRID, strict=True)
    )
    return [image[..., top : top + CROP_PX, left : left + CROP_PX] for top in rows for left in columns]


def mean(looks: Sequence[Looks]) -> Looks:
    return Looks(*(statistics.fmean(values) for values in zip(*looks, strict=True)))


def line(name: str, looks: Looks, crops: bool) -> str:
    """Return a line of the table; a dash stands for what was not measured."""
    shown = zip(looks, COLUMNS.values(), strict=True)
    cells = [number(value, width, digits) for value, (width, digits) in shown]
    ratio = [number(looks.crops_sifid / looks.sifid, 7, 2)] if crops else []
    return f"{name:{NAME_WIDTH}}" + "".join([*cells[: None if crops else -2], *ratio])


def number(value: float, width: int, digits: int) -> str:
    return f"{'–':>{width}}" if math.isnan(value) else f"{value:{width}.{digits}f}"


# ── The sheets ───────────────────────────────────────────────────────────────────────────────────


def contact_sheet(cells: Sequence[Cell]) -> Image.Image:
    """Arrange results with a row for each photograph and a column for each style."""
    pictures = {(cell.photo, cell.style): on_sheet(cell) for cell in cells}
    photos, styles = (list(dict.fromkeys(names)) for names in zip(*pictures, strict=True))
    width = max(picture.width for picture in pictures.values()) + GAP
    heights = dict.fromkeys(photos, 0)
    for (photo, _), picture in pictures.items():
        heights[photo] = max(heights[photo], picture.height + GAP)
    tops = dict(zip(photos, accumulate(heights.values(), initial=0), strict=False))
    sheet = Image.new("RGB", (len(styles) * width, sum(heights.values())), "white")
    for (photo, style), picture in pictures.items():
        sheet.paste(picture, (styles.index(style) * width, tops[photo]))
    return sheet


def on_sheet(cell: Cell) -> Image.Image:
    """Return a result with its caption, reduced, and with its parts at 1:1 below if it is large."""
    whole, (rows, columns) = picture_of(cell.result), CROP_GRID
    parts = parts_of(cell.result) if max(whole.size) >= columns * CROP_PX else []
    whole.thumbnail((columns * (CROP_PX + GAP) - GAP if parts else CROP_PX,) * 2)
    top = CAPTION + whole.height + GAP
    below = rows * (CROP_PX + GAP) if parts else 0
    sheet = Image.new("RGB", (whole.width, top + below), "white")
    ImageDraw.Draw(sheet).text((2, 2), f"{cell.photo}, {cell.style}", "black")
    sheet.paste(whole, (0, CAPTION))
    for index, part in enumerate(parts):
        row, column = divmod(index, columns)
        sheet.paste(picture_of(part), (column * (CROP_PX + GAP), top + row * (CROP_PX + GAP)))
    return sheet


def picture_of(image: Tensor) -> Image.Image:
    return Image.fromarray(image[0].mul(255).round().byte().permute(1, 2, 0).numpy())


if __name__ == "__main__":
    main()
