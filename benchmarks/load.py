"""Load test: many clients and jobs at once, a third of the jobs cancelled or their clients killed.

    python benchmarks/load.py [--clients 50] [--jobs 500] [--megapixels 24] [--models ~/.atelier/models]

Each client is a process, because some of them are killed. Two jobs of three run to the end. The others
are cancelled, or their client is killed and replaced, either when they are queued or at their first step.
The pictures have all sizes up to `--megapixels`, most of them small. The requests are quick ones, in a real
backend.

The exit status is 1 unless all promises hold:
- Every job of a client that was not killed ends with a result or a reason.
- Jobs begin in the order of their arrival.
- Afterwards server and worker have the same memory, descriptors and threads as before. For the worker,
  before is after one large picture of each kind; it may have 5 % more memory. For the server's memory,
  before is without any job; it may grow once by SERVER_BYTES for its first clients and pictures.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.connection
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from atelier_shared import launcher
from atelier_shared.client import BackendClient
from atelier_shared.deepdream import DeepDream
from atelier_shared.errors import JobCancelled, JobFailed
from atelier_shared.messages import Picture, Queued, Region, Result
from atelier_shared.request import Request
from atelier_shared.requests import Identity
from atelier_shared.style_transfer import StyleTransfer

WORKER_SHARE, SERVER_BYTES = 0.05, 2e6
QUIET_S, LONGEST_S = 3.0, 7200.0
WANTED, CANCELLED, KILLED = range(3)
MOMENTS = ("queued", "progress")
Said = tuple[int, str, float, str]
"""An event: the number of a job, a keyword, the time in seconds, and details."""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as home:
        os.environ["ATELIER_HOME"] = home
        (Path(home) / "venv").symlink_to(sys.prefix)
        (Path(home) / "models").symlink_to(options.models.resolve())
        with launcher.connect() as client:
            broken = load(client, options)
            client.stop_backend()
            client.wait_until_gone()
    for promise in broken:
        print(f"broken: {promise}")
    sys.exit(1 if broken else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Load test with many clients and jobs at once.")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--models", type=Path, default=Path.home() / ".atelier" / "models")
    return parser.parse_args()


def load(client: BackendClient, options: argparse.Namespace) -> list[str]:
    """Print the figures and return the broken promises."""
    jobs = planned(options.jobs, options.megapixels)
    time.sleep(QUIET_S)
    unused = state()["server"].memory
    for request in REQUESTS:
        ask(client, Job(0, request, options.megapixels))
    ask(client, Job(0, Identity(), 0.01))
    time.sleep(2 * QUIET_S)
    before = state()
    print(f"the server has {unused / 1e6:.1f} MB unused, {before['server'].memory / 1e6:.1f} after few jobs")
    before["server"] = replace(before["server"], memory=unused)
    start = time.monotonic()
    said = run(jobs, options.clients)
    print(f"{len(jobs)} jobs of {options.clients} clients in {time.monotonic() - start:.0f} s")
    ask(client, Job(0, Identity(), 0.01))
    return [*check_ends(jobs, said), *check_order(said), *check_left(before, settled(before))]


# ── The jobs ─────────────────────────────────────────────────────────────────────────────────────

REQUESTS: Sequence[Request] = (
    Identity(),
    StyleTransfer(method="gallery", size=128),
    DeepDream(network="squeezenet", octaves=1, iterations=2, size=64),
)


@dataclass(frozen=True)
class Job:
    """A request for a square picture of `megapixels`; `fate` is applied at the event `moment`."""

    number: int
    request: Request
    megapixels: float
    fate: int = WANTED
    moment: str = "queued"

    @property
    def picture(self) -> Picture:
        """A repeated row of colours; the contents do not matter here."""
        side = max(1, round((1e6 * self.megapixels) ** 0.5))
        return Picture(
            side,
            side,
            "RGB",
            "u8",
            bytes(range(256)) * (side * side * 3 // 256) + bytes(side * side * 3 % 256),
        )


def planned(count: int, megapixels: float) -> list[Job]:
    """Plan the same jobs for every run: a third given up, the logarithms of the sizes evenly spread."""
    dice = random.Random(0)
    fates = [dice.choice((CANCELLED, KILLED)) if number % 3 == 2 else WANTED for number in range(count)]
    sizes = [megapixels * 1000 ** -dice.random() for _ in range(count - 1)] + [megapixels]
    requests = [dice.choice(REQUESTS) for _ in range(count)]
    moments = ["queued" if request == Identity() else dice.choice(MOMENTS) for request in requests]
    return [Job(*job) for job in zip(range(count), requests, sizes, fates, moments, strict=True)]


def ask(client: BackendClient, job: Job, said: Callable[[str, str], object] = lambda *_: None) -> None:
    """Submit a job and report its events through `said`; cancel it if that is its fate."""
    picture = job.picture
    number = client.submit(job.request, picture, Region(0, 0, picture.width, picture.height))
    said("submitted", "")
    try:
        for message in client.messages(number):
            said(message.type, str(message.place) if isinstance(message, Queued) else "")
            if job.fate == CANCELLED and message.type == job.moment:
                client.cancel(number)
            if isinstance(message, Result) and message.picture.width != picture.width:
                said("wrong", "another size")
    except JobCancelled:
        said("cancelled", "")
    except JobFailed as error:
        said("failed", f"{error.reason}: {error}")


# ── The clients ──────────────────────────────────────────────────────────────────────────────────


def run(jobs: Sequence[Job], clients: int) -> list[Said]:
    """Run the jobs with this number of clients; return all events in the order of time."""
    todo, heard = list(reversed(jobs)), list[Said]()
    spawn = multiprocessing.get_context("fork")
    pipes: dict[Any, Any] = {}

    def hire() -> None:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        pipes[ours] = (process, todo.pop())
        ours.send(pipes[ours][1])

    def dismiss(pipe: Any) -> None:
        process, _ = pipes.pop(pipe)
        process.kill()
        process.join()
        pipe.close()
        if todo:
            hire()

    for _ in range(min(clients, len(todo))):
        hire()
    deadline = time.monotonic() + LONGEST_S
    while pipes and time.monotonic() < deadline:
        for ready in multiprocessing.connection.wait(list(pipes), 1.0):
            pipe: Any = ready
            job = pipes[pipe][1]
            try:
                word, at, more = pipe.recv()
            except EOFError:
                heard.append((job.number, "ended", time.monotonic(), "the client ended by itself"))
                dismiss(pipe)
                continue
            heard.append((job.number, word, at, more))
            if job.fate == KILLED and word == job.moment:
                dismiss(pipe)
            elif word == "next" and todo:
                pipes[pipe] = (pipes[pipe][0], todo.pop())
                pipe.send(pipes[pipe][1])
            elif word == "next":
                dismiss(pipe)
    return sorted(heard, key=lambda said: said[2])


def work(pipe: Any) -> None:
    """Run a client process: submit the jobs from the pipe, and send their events back."""
    with launcher.connect() as client:
        while True:
            ask(client, pipe.recv(), lambda word, more: pipe.send((word, time.monotonic(), more)))
            pipe.send(("next", time.monotonic(), ""))


# ── The promises ─────────────────────────────────────────────────────────────────────────────────

ENDS = ("result", "failed", "cancelled")


def check_ends(jobs: Sequence[Job], said: Sequence[Said]) -> Iterator[str]:
    """Check that every job of a client that was not killed ends exactly once."""
    ends = {
        job.number: [word for number, word, _, _ in said if number == job.number and word in ENDS]
        for job in jobs
    }
    alive = [job for job in jobs if job.fate != KILLED]
    counts = Counter(end for job in alive for end in ends[job.number])
    print(", ".join(f"{count} {word}" for word, count in sorted(counts.items())), end=", ")
    print(f"{len(jobs) - len(alive)} of clients that were killed")
    reasons = Counter(more for _, word, _, more in said if word == "failed")
    for reason, count in reasons.items():
        print(f"    {count} times {reason}")
    for job in alive:
        if len(ends[job.number]) != 1:
            yield f"job {job.number} ended with {ends[job.number]}"
        if job.fate == WANTED and ends[job.number] == ["cancelled"]:
            yield f"job {job.number} was cancelled, which nobody asked for"
    yield from (f"job {number} got {more}" for number, word, _, more in said if word in ("wrong", "ended"))


def check_order(said: Sequence[Said]) -> Iterator[str]:
    """Check that no job was overtaken by a later one.

    A client does not know when its job arrived. But its place in the queue must never get worse.
    """
    places: dict[int, list[int]] = {}
    for number, word, _, more in said:
        if word == "queued":
            places.setdefault(number, []).append(int(more))
    overtaken = [number for number, told in places.items() if told != sorted(told, reverse=True)]
    submitted = {number: at for number, word, at, _ in said if word == "submitted"}
    begun = [
        number for number, word, _, more in said if word == "queued" and more == "0" and number in submitted
    ]
    first_come = sorted(begun, key=submitted.__getitem__)
    shifts = [abs(place - first_come.index(number)) for place, number in enumerate(begun)]
    print(f"order: {len(overtaken)} of {len(places)} jobs were overtaken (at most 0); begun and sent differ")
    print(
        f"    by {sum(shifts) / max(1, len(shifts)):.2f} places in the mean, {max(shifts, default=0)} at most"
    )
    if overtaken:
        yield f"jobs {overtaken} were overtaken by later ones"


@dataclass(frozen=True)
class State:
    """Resources of a process: bytes of memory (without shared pages), open descriptors, threads."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> State:
        """Return the current state of a process."""
        memory = process.memory_info()
        return cls(memory.rss - memory.shared, process.num_fds(), process.num_threads())


def state() -> dict[str, State]:
    """Return the current states of server and worker."""
    connection = launcher.read_connection()
    assert connection
    server = psutil.Process(connection.pid)
    (worker,) = (child for child in server.children() if "spawn_main" in " ".join(child.cmdline()))
    return {"server": State.of(server), "worker": State.of(worker)}


def settled(before: dict[str, State]) -> dict[str, State]:
    """Return the states once they have settled: cut connections take a while to close."""
    after = state()
    for _ in range(10):
        time.sleep(QUIET_S)
        after = state()
        if not any(True for _ in differences(before, after)):
            break
    return after


def most_memory(name: str, was: State) -> float:
    return was.memory + (SERVER_BYTES if name == "server" else WORKER_SHARE * was.memory)


def differences(before: dict[str, State], after: dict[str, State]) -> Iterator[str]:
    for name, was in before.items():
        now = after[name]
        if now.memory > most_memory(name, was):
            yield f"the {name} has {(now.memory - was.memory) / 1e6:.1f} MB more than before"
        if now.descriptors > was.descriptors or now.threads > was.threads:
            yield f"the {name} has more descriptors or threads than before"


def check_left(before: dict[str, State], after: dict[str, State]) -> Iterator[str]:
    for name, was in before.items():
        now = after[name]
        print(
            f"{name} {was.memory / 1e6:6.1f} MB before, {now.memory / 1e6:.1f} after"
            f" ({100 * now.memory / was.memory - 100:+.1f} %; at most {most_memory(name, was) / 1e6:.1f} MB);"
            f" descriptors {was.descriptors} and {now.descriptors}, threads {was.threads} and {now.threads}"
        )
    yield from differences(before, after)


if __name__ == "__main__":
    main()
