"""The campaign from a shell: ``python -m tests.campaign --tier ci``."""

from __future__ import annotations

import argparse
import importlib
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from tests.campaign import report
from tests.campaign.checker import check
from tests.campaign.coverage import Coverage, TierResult
from tests.campaign.mutant_table import MUTANTS, hunt_named
from tests.campaign.mutants import Caught
from tests.campaign.record import read
from tests.campaign.session import play, template
from tests.campaign.survived import SURVIVED, never_struck
from tests.campaign.tiers import run_seeds
from tests.campaign.truth import Shown
from tests.campaign.virtual import VirtualLoop

WORKERS = 3
"""Two cores, and one more: terminals and sessions on the wire mostly wait."""
CHUNK = 250
PLANS: dict[str, dict[str, int]] = {
    "ci": {
        "sessions": 10_000,
        "wire": 600,
        "kills": 200,
        "machines": 500,
        "fuzz": 100_000,
        "monkeys": 60,
        "targets": 40,
    },
    "long": {
        "sessions": 500_000,
        "wire": 20_000,
        "kills": 5_000,
        "machines": 20_000,
        "fuzz": 5_000_000,
        "monkeys": 3_000,
        "targets": 2_000,
    },
}
"""How many of each tier (safety.md, Campaign); all mutants besides."""
STEPS = 50
"""Of each state machine."""
OTHERS = ("wire", "kills", "machines", "fuzz", "monkeys", "targets")

Outcome = tuple[TierResult, Coverage]
Task = tuple[Any, ...]
"""A function that returns an `Outcome`, and what it is given."""


def main() -> int:
    """Run what was asked for; return 0 when all ran and nothing was violated."""
    given = arguments(sys.argv[1:])
    if given.seed is not None:
        return _replay_of(given.only, given.seed)
    plan = _plan(given)
    pool = ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork"), _quiet)
    with pool:
        pending = [
            pool.submit(work, *of)
            for pair in zip_longest(
                _others(plan, given.from_seed), _sessions(plan, given.from_seed)
            )
            for work, *of in filter(None, pair)
        ]
        hunts = [pool.submit(hunt_named, mutant.name) for mutant in _hunted(given)]
        coverage, results = Coverage(), _gathered(pending)
        for result in results:
            coverage.add(result[1])
        caught = [future.result() for future in hunts]
    tiers = _merged(result for result, _ in results)
    tiers += [_mutants_tier(caught)] if caught else []
    full = [name for name, count in plan.items() if count >= PLANS["ci"][name]]
    missing = never_struck(coverage, full)
    _print_report(tiers, coverage, caught, missing)
    return 0 if all(tier.ok for tier in tiers) and not missing else 1


def arguments(words: list[str]) -> argparse.Namespace:
    """Return what a command line asks for; one that asks for nothing ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--tier", choices=sorted(PLANS), help="every tier, as many as CI or longer")
    parser.add_argument("--sessions", type=int, help="simulated sessions alone")
    parser.add_argument("--from-seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play one case again and print what happened")
    parser.add_argument("--mutants", action="store_true", help="the broken order paths alone")
    parser.add_argument("--mutant", metavar="NAME", help="one broken order path alone")
    parser.add_argument("--only", choices=OTHERS, help="one other tier alone, as many as --tier")
    given = parser.parse_args(words)
    given.mutants = given.mutants or given.mutant is not None
    if not (given.tier or given.sessions or given.mutants or given.seed is not None):
        parser.error("expected --tier, --sessions, --seed or --mutants; give one")
    if given.mutant is not None and given.mutant not in {one.name for one in MUTANTS}:
        parser.error(f"expected a broken order path, was {given.mutant!r}; see --mutants")
    return given


def _plan(given: argparse.Namespace) -> dict[str, int]:
    if given.sessions:
        return {"sessions": given.sessions}
    if given.mutants:
        return {}
    plan = PLANS[given.tier]
    return {given.only: plan[given.only]} if given.only else plan


def _hunted(given: argparse.Namespace) -> Iterable[Any]:
    if given.mutant is not None:
        return [one for one in MUTANTS if one.name == given.mutant]
    return MUTANTS if given.mutants or (given.tier and not given.only) else ()


def _quiet() -> None:
    """Say nothing of what broken desks log: the checker speaks."""
    logging.disable(logging.CRITICAL)


def _sessions(plan: dict[str, int], first: int) -> Iterator[Task]:
    last = first + plan.get("sessions", 0)
    for begin in range(first, last, CHUNK):
        yield _some_sessions, range(begin, min(begin + CHUNK, last))


def _others(plan: dict[str, int], first: int) -> Iterator[Task]:
    for name in OTHERS:
        if count := plan.get(name, 0):
            half = count // 2
            yield _other, name, count - half, first
            yield _other, name, half, first + count - half


def _some_sessions(seeds: range) -> Outcome:
    began = _cpu_s()
    result, coverage = run_seeds(seeds)
    return msgspec.structs.replace(result, cpu_s=_cpu_s() - began), coverage


def _other(name: str, count: int, seed: int) -> Outcome:
    """Run a share of a tier of its own module, which is only imported here."""
    began, coverage = _cpu_s(), Coverage(name)
    run: Callable[..., TierResult] = importlib.import_module(f"tests.campaign.{name}").run
    if name in {"wire", "kills", "monkeys"}:
        result = run(count, seed, coverage)
    elif name == "machines":
        result = run(count, STEPS, seed)
    else:
        result = run(count, seed)
    return msgspec.structs.replace(result, cpu_s=_cpu_s() - began), coverage


def _cpu_s() -> float:
    """Return the processor time of this process and of the children that ended, seconds."""
    return sum(os.times()[:4])


def _gathered(pending: list[Future[Outcome]]) -> list[Outcome]:
    return [future.result() for future in pending]


def _merged(results: Iterable[TierResult]) -> list[TierResult]:
    """Add up the shares of each tier; seconds are those of the workers."""
    merged: dict[str, TierResult] = {}
    for one in results:
        before = merged.get(one.name)
        merged[one.name] = one if before is None else _sum(before, one)
    return list(merged.values())


def _sum(one: TierResult, other: TierResult) -> TierResult:
    return TierResult(
        one.name,
        one.asked + other.asked,
        one.done + other.done,
        [*one.violations, *other.violations],
        one.seconds + other.seconds,
        one.cpu_s + other.cpu_s,
    )


def _mutants_tier(caught: list[Caught]) -> TierResult:
    alive = [
        f'survives: {one.name}; python -m tests.campaign --mutant "{one.name}"'
        for one in caught
        if one.seed is None
    ]
    seconds, cpu_s = sum(one.seconds for one in caught), sum(one.cpu_s for one in caught)
    return TierResult("mutants", len(caught), len(caught), alive, seconds, cpu_s)


def _print_report(
    tiers: list[TierResult], coverage: Coverage, caught: list[Caught], missing: list[str]
) -> None:
    if coverage.counts:
        _say(report.faults(coverage))
        _say(report.survived(coverage, SURVIVED))
    if caught:
        _say(report.mutants((one.name, one.seed, f"try {one.tried}: {one.by}") for one in caught))
    for tier in tiers:
        for violation in tier.violations:
            _say(f"{tier.name}: {violation}")
    if missing:
        _say("\n".join(missing))
    _say(report.tiers(tiers))
    _say(f"{time.perf_counter() - _BEGAN:.0f} s in all; tiers' seconds are of {WORKERS} workers")


def _replay_of(tier: str | None, seed: int) -> int:
    """Play one case of a tier again; of sessions where none is named."""
    if tier is None:
        return _replay(seed)
    _quiet()
    result, coverage = _other(tier, 1, seed)
    if coverage.counts:
        _say(report.faults(coverage))
    _say("\n".join(result.violations) or f"{tier} {seed}: no violation")
    return 0 if result.ok else 1


def _replay(seed: int) -> int:
    """Play one session, print what happened and what the journal says, and judge it."""
    _quiet()
    with tempfile.TemporaryDirectory(prefix="pt-") as name:
        folder = Path(name)
        folder.chmod(0o700)
        played = play(seed, template(folder), folder, VirtualLoop())
        encode = msgspec.json.Encoder(decimal_format="string").encode
        rows = [
            encode(entry).decode() for entry in played.truth.entries if not isinstance(entry, Shown)
        ]
        _say("\n".join(rows))
        for line in read(played.journal).lines:
            _say(f"{line.ts} #{line.seq} uid {line.uid} {line.kind} {line.text[:400]}")
        found = [
            *(f"I5: {problem}" for problem in played.problems),
            *check(played.truth.entries, played.journal, played.settings),
        ]
    _say("\n".join(found) or f"seed {seed}: no violation")
    return 1 if found else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n\n")
    sys.stdout.flush()


_BEGAN = time.perf_counter()

if __name__ == "__main__":
    sys.exit(main())
