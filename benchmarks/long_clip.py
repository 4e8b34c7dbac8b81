"""Memory of a long video in the style of a picture: of the command and the backend, as the frames go by.

    python benchmarks/long_clip.py [--models ~/.atelier/models] [--frames 10000]

The frames have 64×48 pixels and are painted by *Light*. For each tenth of the frames, it prints the most
memory that each process took. The last tenth should equal the first.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
from PIL import Image

from atelier_shared import launcher

SAMPLES = Path(__file__).parents[1] / "samples"
WIDTH, HEIGHT, RATE = 64, 48, 25
PARTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    parser.add_argument("--frames", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATELIER_HOME"] = folder
        Path(folder, "venv").symlink_to(sys.prefix)
        Path(folder, "models").symlink_to(options.models.resolve())
        clip, painted = Path(folder, "clip.mp4"), Path(folder, "painted.mp4")
        write(clip, options.frames)
        for part, mebibytes in enumerate(memory_of_parts(clip, painted, options.frames), start=1):
            print(f"frames to {part * options.frames // PARTS:6}:", *mebibytes, flush=True)
        with launcher.connect() as client:
            client.stop_backend()
            client.wait_until_gone()
        with av.open(str(painted)) as result:
            print(f"{sum(1 for _ in result.decode(video=0))} frames painted")


def write(file: Path, frames: int) -> None:
    """Write a video: a window that moves over a photograph."""
    with Image.open(SAMPLES / "coffee.jpg") as opened:
        photo = np.array(opened.convert("RGB").resize((4 * WIDTH, 4 * HEIGHT)))
    with av.open(str(file), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            left, top = (
                round(1.5 * side * (1 + np.sin(number / period)))
                for side, period in ((WIDTH, 70), (HEIGHT, 113))
            )
            part = np.ascontiguousarray(photo[top : top + HEIGHT, left : left + WIDTH])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        output.mux(stream.encode())


def memory_of_parts(clip: Path, painted: Path, frames: int) -> Iterator[list[str]]:
    """Paint a clip; yield the most memory of each process during each tenth of the frames."""
    words: list[str | Path] = [
        "style",
        clip,
        "--style",
        SAMPLES / "starry_night.jpg",
        "--method",
        "light",
        "-o",
        painted,
    ]
    command = subprocess.Popen(
        [sys.executable, "-m", "backend.command.cli", *words], stderr=subprocess.PIPE, text=True
    )
    assert command.stderr
    most: dict[str, int] = {}
    part = 1
    for line in command.stderr:  # one for every few frames
        for name, bytes_now in memory(command.pid):
            most[name] = max(most.get(name, 0), bytes_now)
        done = re.search(r"frame (\d+)/", line)
        if done and int(done[1]) >= part * frames / PARTS:
            yield [f"{name} {bytes_most / 2**20:.0f} MiB" for name, bytes_most in most.items()]
            part, most = part + 1, {}
    if most:
        yield [f"{name} {bytes_most / 2**20:.0f} MiB" for name, bytes_most in most.items()]
    if command.wait():
        sys.exit("The command failed.")


def memory(command: int) -> Iterator[tuple[str, int]]:
    """Yield the names of the processes and their own memory in bytes."""
    yield "command", psutil.Process(command).memory_info().rss
    if connection := launcher.read_connection():
        server = psutil.Process(connection.pid)
        yield "server", server.memory_info().rss
        for child in server.children():
            yield "worker", child.memory_info().rss


if __name__ == "__main__":
    main()
