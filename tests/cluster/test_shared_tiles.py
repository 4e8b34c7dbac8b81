"""The tiles of a picture, computed by several workers, with real weights."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import eventually
from PIL import Image
from running_cluster import Cluster, running_cluster
from torch import Tensor

from atelier_shared.client import BackendClient
from atelier_shared.codec import pack, unpack
from atelier_shared.errors import JobCancelled, ProtocolError
from atelier_shared.messages import (
    Arrays,
    Help,
    HelpBegins,
    HelpEnds,
    Message,
    Picture,
    Region,
    Result,
    Submit,
    TileAnswer,
    TileTask,
)
from atelier_shared.requests import Identity
from atelier_shared.style_transfer import StyleTransfer
from backend.__main__ import load_filters
from backend.cluster import certificates
from backend.imaging.style_image import Style
from backend.jobs import run, tile_helper
from backend.jobs.filters import fine
from backend.jobs.picture_arrays import as_array, as_picture
from backend.jobs.shared_tiles import SharedTiles
from backend.jobs.tile_arrays import packed
from backend.networks.registry import load_network
from backend.serving.jobs import Slot
from backend.serving.sharing import Sharing
from backend.serving.worker_process import Run
from backend.style import fine_loss
from backend.style.fine_loss import StyleObjective

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
WIDTH, HEIGHT, TILE_PX = 160, 32, 32
WHOLE = Region(0, 0, WIDTH, HEIGHT)
BRIEF = StyleTransfer(
    method="fine",
    network="squeezenet",
    device="cpu",
    start="content",
    size=WIDTH,
    iterations=5,
    tolerance=0.0,
)
ENDLESS = dataclasses.replace(BRIEF, iterations=1000)
CPU = torch.device("cpu")


def picture(name: str) -> Picture:
    with Image.open(SAMPLES / name) as photo:
        return as_picture(np.asarray(photo.convert("RGB").resize((WIDTH, HEIGHT))), "RGB", "u8")


CONTENT, STYLE = picture("chelsea.jpg"), picture("starry_night.jpg")


def load_in_small_tiles(models: Path) -> Run:
    """Load the filters with tiles so small that a small picture has five."""
    torch.set_num_threads(1)
    fine_loss.WHOLE_PIXELS, fine_loss.TILE_PX = 0, TILE_PX
    return load_filters(models)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_loss, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(fine_loss, "TILE_PX", TILE_PX)


# ── In one process ───────────────────────────────────────────────────────────────────────────────


class Helpers:
    """Two helpers in this process; one is lost after it has been given some tasks."""

    job = 7

    def __init__(self, models: Path, lost_after: int = 10**9) -> None:
        features = fine.tile_features(BRIEF, models, CPU)
        self._helpers = {number: tile_helper.TileHelper(features, CPU) for number in (1, 2)}
        self._received: deque[Message] = deque(HelpBegins(self.job, number) for number in (1, 2))
        self._tasks: deque[TileTask] = deque()
        self._lost_after = lost_after
        self.answered: list[TileTask] = []

    def send(self, message: Message) -> None:
        copy = unpack(pack(message))
        if not isinstance(copy, TileTask):
            return
        self._tasks.append(copy)
        self._lost_after -= copy.helper == 1
        if copy.helper == 1 and not self._lost_after:
            self._received.append(HelpEnds(self.job, 1))
            self._tasks = deque(task for task in self._tasks if task.helper == 2)

    def receive(self, *, wait: bool) -> Message | None:
        if not self._received and self._tasks:
            task = self._tasks.popleft()
            tensors = self._helpers[task.helper].compute(task)
            self.answered.append(task)
            self._received.append(unpack(pack(TileAnswer(task.job, task.task, packed(tensors)))))
        assert self._received or not wait, "The worker waits, but has given no task."
        return self._received.popleft() if self._received else None


def objective(
    width: int, visible: Tensor | None, models: Path, workers: SharedTiles | None
) -> StyleObjective:
    generator = torch.Generator().manual_seed(width)
    content, style = (torch.rand(1, 3, HEIGHT, width, generator=generator) for _ in range(2))
    return StyleObjective(
        content,
        [Style(style)],
        network=load_network(BRIEF.network, models, CPU, pooling="max"),
        visible=None if visible is None else visible[..., :width],
        strength=0.9,
        weights=fine.loss_weights(BRIEF),
        workers=workers,
    )


@pytest.mark.parametrize("is_masked", [False, True], ids=["visible", "masked"])
@pytest.mark.parametrize("lost_after", [10**9, 4], ids=["both helpers stay", "one is lost"])
def test_shared_tiles_give_the_same_loss_and_gradient(
    models: Path, small_tiles: None, is_masked: bool, lost_after: int
) -> None:
    visible = torch.rand(1, 1, HEIGHT, WIDTH) if is_masked else None
    helpers = Helpers(models, lost_after)
    workers = SharedTiles(helpers)
    for width in (128, WIDTH):
        alone, shared = (objective(width, visible, models, each) for each in (None, workers))
        for seed in range(2):
            image = torch.rand(1, 3, HEIGHT, width, generator=torch.Generator().manual_seed(seed))
            (loss, gradient), (shared_loss, shared_gradient) = alone(image), shared(image)
            assert shared_loss.item() == pytest.approx(loss.item(), rel=1e-6)
            assert (shared_gradient - gradient).norm() < 1e-6 * gradient.norm()
    assert {task.helper for task in helpers.answered} == {1, 2}
    if lost_after > 100:
        assert any("content/relu4_2" not in task.arrays.shapes for task in helpers.answered)


def test_a_task_about_an_unknown_tile_is_refused(models: Path) -> None:
    helper = tile_helper.TileHelper(fine.tile_features(BRIEF, models, CPU), CPU)
    with pytest.raises(ProtocolError, match="unknown tile"):
        helper.compute(TileTask(1, 1, 1, "sums", 5, Region(0, 0, 1, 1), Arrays({}, b"")))


def test_only_tiles_of_style_transfer_are_shared(models: Path) -> None:
    with pytest.raises(ValueError, match="identity are not shared"):
        next(tile_helper.run(Help(1, Identity()), Helpers(models), models))


# ── In a cluster ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[TileAnswer]:
    """The answers of helpers that have passed the scheduler."""
    found: list[TileAnswer] = []
    relay = Sharing._relay

    def watched(self: Sharing, slot: Slot, helping: object, message: Message) -> None:
        if isinstance(message, TileAnswer):
            found.append(message)
        relay(self, slot, helping, message)  # type: ignore[arg-type]

    monkeypatch.setattr(Sharing, "_relay", watched)
    return found


@pytest.fixture(scope="module")
def lasting_cluster(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Cluster]:
    files = tmp_path_factory.mktemp("certificates")
    certificates.make(files)
    with running_cluster(files, partial(load_in_small_tiles, models)) as running:
        yield running


@pytest.fixture
def cluster(lasting_cluster: Cluster, answers: list[TileAnswer]) -> Cluster:
    """A scheduler with two workers, of which the first runs the next job."""
    while lasting_cluster.capacity() < 2:
        lasting_cluster.add_worker()
    return lasting_cluster


@pytest.fixture(scope="module")
def alone(models: Path) -> Picture:
    """The result of one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_loss, "WHOLE_PIXELS", 0)
        patch.setattr(fine_loss, "TILE_PX", TILE_PX)
        *_, last = run.run(Submit(1, BRIEF, CONTENT, WHOLE, (STYLE,)), models)
    assert isinstance(last, Result)
    return last.picture


def begin(client: BackendClient, request: StyleTransfer) -> int:
    return client.submit(request, CONTENT, WHOLE, [STYLE])


def result(client: BackendClient, job: int) -> Picture:
    *_, last = client.messages(job)
    assert isinstance(last, Result)
    return last.picture


def assert_similar(one: Picture, other: Picture) -> None:
    """At most a step of 255 apart, because the optimizer magnifies rounding."""
    assert np.abs(as_array(one).astype(int) - as_array(other).astype(int)).max() <= 1


def begin_shared(cluster: Cluster, client: BackendClient, answers: list[TileAnswer]) -> int:
    """Begin an endless job, run by the first worker, and wait until the second one has helped with it."""
    job = begin(client, ENDLESS)
    eventually(lambda: len(answers) > 4, "the second worker has helped")
    assert cluster.server._main[0].job and cluster.server._main[1].helping
    return job


def is_idle(cluster: Cluster) -> bool:
    return all(slot.is_free for slot in cluster.server._main)


def test_a_free_worker_computes_tiles_of_another_s_job(
    cluster: Cluster, alone: Picture, answers: list[TileAnswer]
) -> None:
    with cluster.client() as client:
        assert_similar(result(client, begin(client, BRIEF)), alone)
    assert answers
    eventually(lambda: is_idle(cluster), "the helper is free")


def test_cancel_ends_the_job_and_the_help(cluster: Cluster, answers: list[TileAnswer]) -> None:
    with cluster.client() as client:
        job = begin_shared(cluster, client, answers)
        client.cancel(job)
        with pytest.raises(JobCancelled):
            list(client.messages(job))
        eventually(lambda: is_idle(cluster), "both workers are free")
        assert cluster.capacity() == 2


def test_stop_and_keep_ends_the_job_and_the_help(cluster: Cluster, answers: list[TileAnswer]) -> None:
    with cluster.client() as client:
        job = begin_shared(cluster, client, answers)
        client.finish_early(job)
        assert result(client, job).width == WIDTH
        eventually(lambda: is_idle(cluster), "both workers are free")


def test_a_waiting_job_takes_the_helper(cluster: Cluster, answers: list[TileAnswer]) -> None:
    with cluster.client() as client:
        shared = begin_shared(cluster, client, answers)
        *_, last = client.messages(client.submit(Identity(), CONTENT, WHOLE))
        assert isinstance(last, Result) and last.picture == CONTENT
        answers.clear()
        eventually(lambda: bool(answers), "the worker helps again")
        client.cancel(shared)
        with pytest.raises(JobCancelled):
            list(client.messages(shared))
    eventually(lambda: is_idle(cluster), "both workers are free")


@pytest.mark.parametrize("killed", [1, 0], ids=["the helper", "the one with the job"])
def test_the_other_worker_finishes_the_tiles_of_a_killed_one(
    killed: int, cluster: Cluster, alone: Picture, answers: list[TileAnswer]
) -> None:
    with cluster.client() as client:
        job = begin(client, BRIEF)
        eventually(lambda: bool(answers), "the second worker has helped")
        cluster.kill(cluster.workers[killed])
        assert_similar(result(client, job), alone)
        eventually(lambda: cluster.capacity() == 1, "the killed worker has left")
