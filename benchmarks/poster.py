"""A step of *fine* in tiles: by this process alone, and shared with a second process.

    python benchmarks/poster.py [--models ~/.atelier/models] [--width 1536] [--steps 3]

The picture is 3:2; above one megapixel it has tiles of 512 pixels. Each process has one thread. The second
process is a worker as in a cluster, and the messages are the same. It is connected by a pipe, without TLS,
so that the bytes can be counted. The first shared step includes the targets of the tiles, which are sent once
for each size; the following ones do not. The shared loss and gradient are compared with those of one process.
"""

from __future__ import annotations

import argparse
import contextlib
import operator
import queue
import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import psutil
import torch
from torch import Tensor

from atelier_shared.messages import Help, HelpBegins, Message, TileAnswer, TileTask
from atelier_shared.style_transfer import StyleTransfer
from backend.__main__ import load_filters
from backend.command.picture_files import Canvas
from backend.imaging.resize import resize
from backend.imaging.style_image import Style
from backend.jobs.filters import fine
from backend.jobs.picture_tensors import read
from backend.jobs.shared_tiles import SharedTiles
from backend.networks.registry import load_network
from backend.serving import worker_process
from backend.serving.worker_pipe import WorkerPipe, with_sizes
from backend.serving.worker_process import READY, Run
from backend.style.fine_loss import StyleObjective
from backend.style.tile_loss import GramSum, TensorsByLayer, ThisProcess, TileLoss, TileResult, TileWorkers

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
REQUEST = StyleTransfer(method="fine", device="cpu")
CPU = torch.device("cpu")


def load_on_one_thread(models: Path) -> Run:
    torch.set_num_threads(1)
    return load_filters(models)


class Turns:
    """Computes tiles in one way, then in another."""

    def __init__(self) -> None:
        self.current: TileWorkers = ThisProcess()
        self.count = 0

    def gram_sums(self, tiles: Sequence[TileLoss], images: Sequence[Tensor]) -> Iterable[GramSum]:
        """Compute the Gram sum of each tile."""
        self.count = len(tiles)
        return self.current.gram_sums(tiles, images)

    def losses_and_gradients(
        self, tiles: Sequence[TileLoss], images: Sequence[Tensor], grams: TensorsByLayer
    ) -> Iterable[TileResult]:
        """Yield the number, the loss and the gradient of each tile."""
        return self.current.losses_and_gradients(tiles, images, grams)


class OneHelper:
    """A worker process as the helper of a job; counts the bytes of the messages in both directions."""

    job = 1

    def __init__(self, pipe: WorkerPipe) -> None:
        self._pipe = pipe
        self._received: queue.Queue[Message] = queue.Queue()
        self.bytes_there = self.bytes_back = 0
        while pipe.receive() != READY:
            pass
        pipe.send(Help(self.job, REQUEST))
        self._received.put(HelpBegins(self.job, 1))
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, message: Message) -> None:
        """Send the helper a task."""
        if isinstance(message, TileTask):
            self.bytes_there += _bytes(message)
            self._pipe.send(message)

    def receive(self, *, wait: bool) -> Message | None:
        """Return the next message of the helper."""
        return self._received.get() if wait or not self._received.empty() else None

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                message = self._pipe.receive()
                if isinstance(message, TileAnswer):
                    self.bytes_back += _bytes(message)
                    self._received.put(message)


def _bytes(message: Message) -> int:
    return sum(map(len, with_sizes(message)))


def photograph(name: str, width: int) -> Tensor:
    return resize(read(Canvas.load(SAMPLES / name).picture).image, (width * 2 // 3, width)).clamp(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    parser.add_argument("--width", type=int, default=1536)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    process, end = worker_process.started(partial(load_on_one_thread, options.models))
    try:
        compare(OneHelper(WorkerPipe(end)), psutil.Process(process.pid), options)
    finally:
        end.close()
        worker_process.end(process)


def compare(helper: OneHelper, process: psutil.Process, options: argparse.Namespace) -> None:
    content, turns = photograph("chelsea.jpg", options.width), Turns()
    objective = StyleObjective(
        content,
        [Style(photograph("starry_night.jpg", 512))],
        network=load_network("vgg19", options.models, CPU, pooling="max"),
        visible=None,
        strength=1.0,
        weights=fine.loss_weights(REQUEST),
        workers=turns,
    )
    shared, processes = SharedTiles(helper), (psutil.Process(), process)

    def counters() -> list[float]:
        return [*map(busy_seconds, processes), helper.bytes_there, helper.bytes_back, time.perf_counter()]

    for step in range(options.steps):
        image = (content + 0.1 * torch.rand(content.shape)).clamp(0, 1)
        results = []
        for way, turns.current in (("alone", ThisProcess()), ("shared", shared)):
            before = counters()
            results.append(objective(image))
            own_s, its_s, there, back, elapsed_s = map(operator.sub, counters(), before)
            print(
                f"step {step + 1}, {turns.count} tiles, {way}: {elapsed_s:.1f} s; processor time {own_s:.1f} "
                f"and {its_s:.1f} s; {there} bytes there, {back} back",
                flush=True,
            )
        (loss, gradient), (shared_loss, shared_gradient) = results
        of_loss = abs(shared_loss / loss - 1)
        of_gradient = (shared_gradient - gradient).norm() / gradient.norm()
        print(f"    the loss differs by {of_loss:.1e}, the gradient by {of_gradient:.1e}")


def busy_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
