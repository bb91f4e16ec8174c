"""One tier alone from a shell: ``python -m tests.campaign.wire --sessions 1 --from-seed 51``."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.campaign import report
from tests.campaign.coverage import Coverage, TierResult

COLLECT_EVERY = 25
Run = Callable[[int, int, Coverage], TierResult]


@contextmanager
def collected_rarely() -> Iterator[Callable[[], None]]:
    """Keep the collector of cycles off inside the block; what is given collects every so often.

    What was there before is passed over: libraries that never go, which a child shares.
    """
    count = 0

    def done() -> None:
        nonlocal count
        count += 1
        if count % COLLECT_EVERY == 0:
            gc.collect()

    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield done
    finally:
        gc.enable()
        gc.unfreeze()


def replay(name: str, case: int, count: int = 1) -> str:
    """Return what a person types to see a case of a tier again."""
    if count == 1:
        return f"python -m tests.campaign --only {name} --seed {case}"
    return f"python -m tests.campaign.{name} --sessions {count} --from-seed {case}"


def main(name: str, count: int, run: Run) -> int:
    """Run a tier as the command line says; print what struck and what was violated.

    Parameters
    ----------
    count : int
        How many cases there are unless told otherwise.
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.campaign.{name}")
    parser.add_argument("--sessions", type=int, default=count, help="how many cases")
    parser.add_argument("--from-seed", type=int, default=0, help="the first case")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    coverage = Coverage(name)
    result = run(given.sessions, given.from_seed, coverage)
    lines = [report.faults(coverage)] if coverage.counts else []
    lines += [*result.violations, f"{result.done} of {result.asked} {name}, {result.seconds:.0f} s"]
    sys.stdout.write("\n".join([*lines, ""]))
    return 0 if result.ok else 1
