"""One evaluation of *fine*'s loss and gradient with one thread and with two, beside busy programs.

    python benchmarks/busy.py [--models ~/.atelier/models] [--sizes 512] [--rounds 5] [--programs 0 1 2]

The number of threads decides the order of sums, and so the pixels. Therefore the backend does not reduce
it on a busy computer; this measures the cost.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import gatys_step
from benchmarks.side_by_side import Evaluator, parser_of

THREADS = 1, 2
RESTLESS = "while True: sum(range(10_000))"


def main() -> None:
    parser = parser_of("One evaluation beside busy programs.")
    parser.add_argument("--programs", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    for size in options.sizes:
        with ExitStack() as stack:
            ours = [Evaluator(gatys_step.__file__, "ours", size, options.models, count) for count in THREADS]
            one, two = (stack.enter_context(evaluator) for evaluator in ours)
            for programs in options.programs:
                with busy(programs):
                    pairs = [(one.evaluate(), two.evaluate()) for _ in range(options.rounds)]
                by_one, by_two = (
                    statistics.median(took.seconds for took in way) for way in zip(*pairs, strict=True)
                )
                print(f"{size} px beside {programs} programs:", end=" ")
                ratio = by_two / by_one
                print(f"one thread {by_one:.2f} s, two {by_two:.2f} s, ratio {ratio:.2f}", flush=True)


@contextmanager
def busy(programs: int) -> Iterator[None]:
    """Run this number of programs meanwhile, each as busy as a core allows."""
    running = [subprocess.Popen([sys.executable, "-c", RESTLESS]) for _ in range(programs)]
    try:
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()


if __name__ == "__main__":
    main()
