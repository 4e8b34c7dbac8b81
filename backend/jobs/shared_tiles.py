"""The tiles of a job of the fine method, shared with helpers: workers without a job of their own.

The worker that runs the job hands out the next tile when a helper has answered, and computes tiles itself
meanwhile, so a fast worker gets more of them. A helper keeps the targets of its tiles, and gets the same
tiles again in the next step. The tasks of a lost helper are computed by the others.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from atelier_shared.messages import HelpBegins, HelpEnds, Message, Share, TileAnswer, TileTask

from ..style.tile_loss import GramSum, TensorsByLayer, TileLoss, TileResult
from .tile_arrays import (
    GRADIENT,
    GRAMS,
    IMAGE,
    LOSS,
    SUMS,
    Named,
    gram_sum_of,
    named,
    packed,
    region_of,
    targets_of,
    unpacked,
)

MOST_TASKS = 2
"""Unanswered tasks of a helper: when it ends one, it has the next. More would fill the scheduler's memory."""
MOST_TILE_BYTES = 1 << 29
"""Larger tiles, on graphics cards with much memory, are not shared: their messages would be too large."""

Value = TypeVar("Value")


class Peers(Protocol):
    """The other workers, through the scheduler."""

    job: int

    def send(self, message: Message) -> None:
        """Send a message to the scheduler."""

    def receive(self, *, wait: bool) -> Message | None:
        """Return the next message; None if there is none and `wait` is false. Raises JobCancelled."""


@dataclass(frozen=True)
class Part(Generic[Value]):
    """A part of the loss of tiles.

    Attributes:
        name: its name in messages.
        tiles: all tiles of the picture.
        images: their images.
        here: computes it in this process, given the number of a tile.
        read: converts a helper's answer, given the number of the tile.
        grams: the Gram matrices that it takes.
    """

    name: str
    tiles: Sequence[TileLoss]
    images: Sequence[Tensor]
    here: Callable[[int], Value]
    read: Callable[[int, Named], Value]
    grams: TensorsByLayer = field(default_factory=dict)


@dataclass(eq=False)
class Helper:
    """A worker that helps: its tiles, and the tile of each unanswered task.

    Attributes:
        number: the number of its help.
        known: the tiles whose targets it has.
        current: the tiles whose images it has.
        has_grams: whether it has the Gram matrices of the current picture.
        tasks: the tiles of its unanswered tasks, by the numbers of the tasks.
    """

    number: int
    known: set[int] = field(default_factory=set)
    current: set[int] = field(default_factory=set)
    has_grams: bool = False
    tasks: dict[int, int] = field(default_factory=dict)


class SharedTiles:
    """Computes the tiles of a job here and in helpers."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._helpers: dict[int, Helper] = {}
        self._numbers = itertools.count(1)
        self._first_tile: Callable[[], TileLoss | None] = lambda: None
        self._fits = self._has_asked = False

    def gram_sums(self, tiles: Sequence[TileLoss], images: Sequence[Tensor]) -> Iterable[GramSum]:
        """Compute the Gram sum of each tile."""

        def here(number: int) -> GramSum:
            return tiles[number].gram_sum(images[number])

        def read(_: int, answer: Named) -> GramSum:
            return gram_sum_of(answer)

        self._begin_picture(tiles)
        return self._spread(Part(SUMS, tiles, images, here, read))

    def losses_and_gradients(
        self, tiles: Sequence[TileLoss], images: Sequence[Tensor], grams: TensorsByLayer
    ) -> Iterable[TileResult]:
        """Yield the number, the loss and the gradient of each tile."""

        def here(number: int) -> TileResult:
            return number, *tiles[number].result(images[number], grams)

        def read(number: int, answer: Named) -> TileResult:
            return number, answer[LOSS], answer[GRADIENT]

        return self._spread(Part(GRADIENT, tiles, images, here, read, grams))

    def _begin_picture(self, tiles: Sequence[TileLoss]) -> None:
        """Mark images, and targets of another size, as missing in the helpers; ask for help once."""
        for helper in self._helpers.values():
            helper.current.clear()
            helper.has_grams = False
        if tiles[0] is not self._first_tile():
            self._first_tile = weakref.ref(tiles[0])  # targets of an earlier size take much memory
            self._fits = all(_bytes(targets_of(tile)) <= MOST_TILE_BYTES for tile in tiles)
            for helper in self._helpers.values():
                helper.known.clear()
        if self._fits and not self._has_asked:
            self._peers.send(Share(self._peers.job))
            self._has_asked = True

    def _spread(self, part: Part[Value]) -> Iterator[Value]:
        """Yield a part of every tile, in the order in which they are computed."""
        waiting = list(range(len(part.tiles)))
        for helper in self._helpers.values():
            helper.tasks.clear()  # of a picture that was given up
        while waiting or any(helper.tasks for helper in self._helpers.values()):
            yield from self._received(part, waiting)
            if waiting:
                own = self._take(waiting, None)
                self._hand_out(part, waiting)
                yield part.here(own)

    # ── Helpers ──────────────────────────────────────────────────────────────────────────────────

    def _received(self, part: Part[Value], waiting: list[int]) -> Iterator[Value]:
        """Read the messages, at least one if no tile waits, and yield the answers in them."""
        message = self._peers.receive(wait=not waiting)
        while message:
            if isinstance(message, HelpBegins):
                self._helpers[message.helper] = Helper(message.helper)
            elif isinstance(message, HelpEnds):
                waiting += self._helpers.pop(message.helper).tasks.values()
            elif isinstance(message, TileAnswer):
                yield from self._answered(part, message)
            message = self._peers.receive(wait=False)

    def _answered(self, part: Part[Value], answer: TileAnswer) -> Iterator[Value]:
        """Yield the value in an answer, unless its task was given up."""
        for helper in self._helpers.values():
            if answer.task in helper.tasks:
                number = helper.tasks.pop(answer.task)
                yield part.read(number, unpacked(answer.arrays, part.images[number].device))

    def _hand_out(self, part: Part[Value], waiting: list[int]) -> None:
        for helper in self._helpers.values():
            while self._fits and waiting and len(helper.tasks) < MOST_TASKS:
                self._give(helper, part, self._take(waiting, helper))

    def _take(self, waiting: list[int], helper: Helper | None) -> int:
        """Take a tile for a helper, or for this process, preferably one whose targets no other has."""

        def cost(number: int) -> tuple[bool, bool]:
            owners = [each for each in self._helpers.values() if number in each.known]
            return helper not in owners and bool(owners), helper not in owners

        number = min(waiting, key=cost)
        waiting.remove(number)
        return number

    def _give(self, helper: Helper, part: Part[Value], number: int) -> None:
        """Send a helper a task, with all that it lacks."""
        tile, tensors = part.tiles[number], dict[str, Tensor]()
        if number not in helper.known:
            tensors |= targets_of(tile)
        if number not in helper.current:
            tensors |= {IMAGE: part.images[number]}
        if part.grams and not helper.has_grams:
            tensors |= named(GRAMS, part.grams)
            helper.has_grams = True
        helper.known.add(number)
        helper.current.add(number)
        task = next(self._numbers)
        helper.tasks[task] = number
        message = partial(TileTask, self._peers.job, helper.number, task, part.name, number)
        self._peers.send(message(region_of(tile), packed(tensors)))


def _bytes(tensors: Named) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())
