"""Broken order paths on purpose: each must be caught by the checker within 200 seeds.

A mutant replaces a few names by broken ones while it is entered, and puts them back.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from tests.campaign.themes import seeds_of
from tests.campaign.tiers import Stage

SEEDS = 200
Patch = tuple[Any, Any, Any]
"""Whose attribute (or a dict's entry), its name, and what stands there instead."""


class Mutant(msgspec.Struct, frozen=True):
    """One broken order path; `patches` are made anew each time it is entered.

    `theme`: of what sessions it is hunted in where plain ones reveal it seldom; "" all in turn.
    """

    name: str
    patches: Callable[[], tuple[Patch, ...]]
    theme: str = ""


class Caught(msgspec.Struct, frozen=True):
    """What became of a mutant: the first seed that caught it, by which violation, as the how
    manieth of those that were tried.
    """

    name: str
    seed: int | None
    by: str
    seconds: float = 0.0
    cpu_s: float = 0.0
    tried: int = 0


@contextmanager
def broken(mutant: Mutant) -> Iterator[None]:
    """Let the order path be broken inside the block."""
    kept: list[Patch] = []
    try:
        for owner, name, value in mutant.patches():
            kept.append((owner, name, _put(owner, name, value)))
        yield
    finally:
        for owner, name, value in reversed(kept):
            _put(owner, name, value)


def _put(owner: Any, name: Any, value: Any) -> Any:
    """Set an attribute, or a dict's entry, and return what was there."""
    if isinstance(owner, dict):
        before = owner[name]
        owner[name] = value
        return before
    before = vars(owner)[name]
    setattr(owner, name, value)
    return before


def hunt(mutant: Mutant, seeds: int = SEEDS, first: int = 0) -> Caught:
    """Return the first of `seeds` sessions, of the mutant's theme, that catches it."""
    logging.disable(logging.CRITICAL)
    gc.disable()
    began, used = time.perf_counter(), time.process_time()
    try:
        with Stage() as stage, broken(mutant):
            for tried, seed in enumerate(seeds_of(mutant.theme, first, seeds), start=1):
                violations = stage.judge(seed).violations
                if violations:
                    return Caught(mutant.name, seed, violations[0], *_since(began, used), tried)
                if tried % 50 == 0:
                    gc.collect()
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)
    return Caught(mutant.name, None, "", *_since(began, used), seeds)


def _since(began: float, used: float) -> tuple[float, float]:
    """Return the wall and the processor seconds since then."""
    return time.perf_counter() - began, time.process_time() - used
