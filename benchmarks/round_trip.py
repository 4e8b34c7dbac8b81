"""Time of a 4000×3000 RGBA layer to the backend and back, compared with bare libzmq.

    python benchmarks/round_trip.py

Three carriers of the same bytes run alternately:
- the plug-in's client and the identity filter in the real backend, with signing, checks and worker process;
- a bare libzmq DEALER and ROUTER in two processes, written the usual way: both programs get Python bytes;
- the same pair with libzmq's own buffers only, which a filter that passes pixels to GIMP could not use.

Then a warm and a cold call are measured and, for comparison with the cold one, an import of torch.
"""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import zmq

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.messages import Picture, Region
from atelier_shared.requests import Identity

WIDTH, HEIGHT = 4000, 3000
ROUNDS = 15
BARE_ROUTER = """
import zmq
with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
    print(router.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    while True:
        router.send_multipart(router.recv_multipart(copy={copy}), copy={copy})
"""
TORCH = "from backend.compat.torchvision_import import torchvision"


def main() -> None:
    pixels = os.urandom(WIDTH * HEIGHT * 4)
    megabytes = 2 * len(pixels) / 1e6
    with tempfile.TemporaryDirectory() as home:
        os.environ["ATELIER_HOME"] = home
        (Path(home) / "venv").symlink_to(sys.prefix)
        cold = seconds(lambda: ask(launcher.connect(), Picture(1, 1, "Y", "u8", b"x")))
        with launcher.connect() as client, Bare(copy=True) as bare, Bare(copy=False) as lean:
            carriers = (bare.echo, lambda pixels: send_layer(client, pixels), lean.echo)
            times = [[seconds(functools.partial(carry, pixels)) for carry in carriers] for _ in range(ROUNDS)]
            warm = [seconds(warm_call) for _ in range(ROUNDS)]
            client.stop_backend()
            client.wait_until_gone()
    torch = seconds(lambda: subprocess.run([sys.executable, "-c", TORCH], check=True))
    theirs, ours, leanest = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"bare libzmq pair         {theirs:.3f} s  {megabytes / theirs:5.0f} MB/s")
    print(f"plug-in and backend      {ours:.3f} s  {megabytes / ours:5.0f} MB/s")
    print(f"ratio                    {statistics.median(row[1] / row[0] for row in times):.2f} (at most 1.6)")
    print(f"the pair without copies  {leanest:.3f} s  {megabytes / leanest:5.0f} MB/s")
    print(f"warm call, 1 pixel       {statistics.median(warm):.3f} s (at most 0.3)")
    print(f"cold call, 1 pixel       {cold:.1f} s, of which importing torch and torchvision {torch:.1f} s")


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def ask(client: BackendClient, picture: Picture) -> None:
    """Make a whole call: submit, wait for the result, close."""
    with client:
        job = client.submit(Identity(), picture, Region(0, 0, picture.width, picture.height))
        for _ in client.messages(job):
            pass


def warm_call() -> None:
    ask(launcher.connect(), Picture(1, 1, "Y", "u8", b"x"))


def send_layer(client: BackendClient, pixels: bytes) -> None:
    picture = Picture(WIDTH, HEIGHT, "RGBA", "u8", pixels)
    job = client.submit(Identity(), picture, Region(0, 0, WIDTH, HEIGHT))
    for _ in client.messages(job):
        pass


class Bare:
    """A libzmq DEALER connected to a libzmq ROUTER in another process."""

    def __init__(self, *, copy: bool) -> None:
        self.copy = copy

    def __enter__(self) -> Bare:
        code = BARE_ROUTER.format(copy=self.copy)
        self.router = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert self.router.stdout
        port = int(self.router.stdout.readline())
        self.context = zmq.Context()
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.connect(f"tcp://127.0.0.1:{port}")
        return self

    def __exit__(self, *_: object) -> None:
        self.context.destroy(linger=0)
        self.router.kill()
        self.router.communicate()

    def echo(self, pixels: bytes) -> None:
        """Send the pixels to the router and receive them back."""
        self.dealer.send_multipart([b"{}", pixels], copy=self.copy)
        self.dealer.recv_multipart(0, self.copy)


if __name__ == "__main__":
    main()
