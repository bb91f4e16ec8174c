"""One tier alone from a shell: ``python -m tests.campaign.wire --sessions 1 --from-seed 51``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable

from tests.campaign.coverage import Coverage, TierResult

Run = Callable[[int, int, Coverage], TierResult]


def replay(name: str, case: int, count: int = 1) -> str:
    """Return what a person types to see a case of a tier again."""
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
    coverage = Coverage()
    result = run(given.sessions, given.from_seed, coverage)
    lines = [
        f"{fault:18}{endpoint:14}{times:6}  {words}"
        for fault, endpoint, times, words in coverage.rows()
    ]
    lines += [*result.violations, f"{result.done} of {result.asked} {name}, {result.seconds:.0f} s"]
    sys.stdout.write("\n".join([*lines, ""]))
    return 0 if result.ok else 1
