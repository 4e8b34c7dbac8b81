"""Time from the last change of a setting to the first new preview, with a warm backend.

    python benchmarks/preview.py [--models ~/.atelier/models]

Like the preview, it sends the requests through the plug-in's client to a real backend: every method of
style transfer, every preset of DeepDream and every installed network. The style picture is another one each
time. Two more lines are for the same pictures each time, and for another photo each time. It prints the
median time of the job plus the dialog's delay, and the backend's time on the cores; the target is under 1 s
on two of them. The first job of each kind also loads its networks.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import JobFailed
from atelier_shared.messages import Picture, Region, Result
from atelier_shared.presets import PRESETS
from atelier_shared.request import PaintingRequest, Request
from atelier_shared.settings import Choice, settings
from atelier_shared.style_transfer import StyleTransfer

SAMPLES = Path(__file__).parents[1] / "samples"
STYLE_PX = 1024
LAYER = 4000, 2667
DELAY_S = 0.12
"""The same as in `ui.preview.pane`, which cannot be imported without Gtk."""
ROUNDS = 3
WANTED_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of previews.")
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["ATELIER_HOME"] = home
        (Path(home) / "venv").symlink_to(sys.prefix)
        (Path(home) / "models").symlink_to(options.models.resolve())
        with launcher.connect() as client:
            slowest_s = max(latency(client, name, request) for name, request in requests())
            fast = StyleTransfer(method="fast")
            slowest_s = max(slowest_s, latency(client, "fast, all pictures the same", fast, changes=""))
            latency(client, "fast, another photo as when a dialog opens", fast, changes="photo")
            client.stop_backend()
            client.wait_until_gone()
    print(f"{'slowest':40} {slowest_s:.2f} s (wanted: under {WANTED_S})")


def requests() -> Iterator[tuple[str, Request]]:
    for method in choices(StyleTransfer, "method"):
        yield f"style transfer, {method}", StyleTransfer(method=method)
    yield "style transfer, colours matched", StyleTransfer(colours="matched")
    yield "style transfer, luminance", StyleTransfer(method="gallery", colours="luminance")
    for name, preset in PRESETS.items():
        yield f"dream, {name}", replace(DeepDream(), **preset.settings)  # type: ignore[arg-type]
    for network in choices(DeepDream, "network"):
        yield f"dream, {network}", DeepDream(network=network)
    yield "dream, many octaves", DeepDream(octaves=10, octave_scale=1.2, iterations=50)
    yield "dream, two layers", DeepDream(layers="Mixed_5b, Mixed_6a:0.5")
    yield "dream, deep", DeepDream(layers="Mixed_7c")
    yield "dream, guide", DeepDream(objective="guide")
    yield "dream, class", DeepDream(objective="class", network="squeezenet", imagenet_class="tabby")


def choices(request: type[Request], name: str) -> tuple[str, ...]:
    (found,) = (one for one in settings(request) if one.name == name and isinstance(one, Choice))
    return tuple(found.options)


def latency(client: BackendClient, name: str, request: Request, changes: str = "style") -> float:
    """Print the seconds of the first preview of a kind and the median of the next ones; return the median.

    `changes` names the picture that is another one each time.
    """
    asked, longest_px = request.previews(*LAYER)[0]
    content, style = picture("coffee.jpg", longest_px), picture("starry_night.jpg", STYLE_PX)
    seconds: list[float] = []
    try:
        for number in range(1 + ROUNDS):
            if number == 1:
                before_s = processor_s()
            photo = varied(content, number) if changes == "photo" else content
            own_style = varied(style, number) if changes == "style" else style
            seconds.append(DELAY_S + job(client, asked, photo, own_style))
    except JobFailed as error:
        print(f"{name:40} not here: {error.reason}")
        return 0.0
    first_s, *warm = seconds
    warm_s, work_s = statistics.median(warm), (processor_s() - before_s) / ROUNDS
    steps = f"{asked.iterations} steps, {asked.size} px" if isinstance(asked, DeepDream) else ""
    print(f"{name:42} {warm_s:.2f} s, {work_s:.2f} s of the cores, the first time {first_s:.2f} s   {steps}",
          flush=True)  # fmt: skip
    return warm_s


def processor_s() -> float:
    """Return the seconds of the processor that the backend has taken."""
    connection = launcher.read_connection()
    assert connection is not None
    server = psutil.Process(connection.pid)
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def job(client: BackendClient, request: Request, content: Picture, style: Picture) -> float:
    start = time.perf_counter()
    styles = [style] if isinstance(request, PaintingRequest) and request.needs_picture else []
    whole = Region(0, 0, content.width, content.height)
    *_, last = client.messages(client.submit(request, content, whole, styles))
    assert isinstance(last, Result)
    return time.perf_counter() - start


def varied(picture: Picture, number: int) -> Picture:
    """Return another picture of this size for each number: mirrored, inverted, or both."""
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width, 3)
    mirrored = pixels[:, ::-1] if number % 2 else pixels
    return replace(picture, pixels=(mirrored ^ (0xFF if number // 2 % 2 else 0)).tobytes())


def picture(name: str, longest_px: int) -> Picture:
    with Image.open(SAMPLES / name) as opened:
        opened.thumbnail((longest_px, longest_px))
        pixels = np.array(opened.convert("RGB"))
    return Picture(pixels.shape[1], pixels.shape[0], "RGB", "u8", pixels.tobytes())


if __name__ == "__main__":
    main()
