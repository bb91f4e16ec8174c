"""Prices inside an hourly bar: a deterministic path from its open over its extremes to its close.

The path hits open, high, low and close exactly, and anyone asking only sees it up to the present.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from perptui.model.clock import HOUR_MS

GRID_MS = 250
GRID = HOUR_MS // GRID_MS
"""Prices move every `GRID_MS` of venue time: `GRID` points an hour."""

PATHS_KEPT = 128
"""Hours of contracts that are asked for again and again: the one that runs, of each."""

PARKINSON = 2 * math.sqrt(math.log(2))
"""ln(high/low) over this is an hour's standard deviation (Parkinson 1980)."""

Floats = NDArray[np.float64]


def seed_of(*parts: object) -> int:
    """Return a seed that depends on all parts and on nothing else."""
    text = ":".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


@lru_cache(maxsize=PATHS_KEPT)
def hour_path(seed: int, opened: float, high: float, low: float, close: float) -> Floats:
    """Return `GRID` prices of one bar, which nobody may change.

    Parameters
    ----------
    seed : int
        Of the hour and the contract.
    opened, high, low, close : float
        The bar; low <= open, close <= high.

    Notes
    -----
    Brownian bridges between open, the two extremes and close, folded back at high and low. The
    extreme against the hour's direction mostly comes first.
    """
    if high <= low:
        return _kept(np.full(GRID, close))
    rng = np.random.default_rng(seed)
    first, second = rng.integers(GRID // 20, GRID * 19 // 20, 2)
    if abs(first - second) < GRID // 20:
        second = (second + GRID // 2) % (GRID - 2) + 1
    first, second = sorted((int(first), int(second)))
    low_first = rng.random() < (0.8 if close >= opened else 0.2)
    extremes = (low, high) if low_first else (high, low)
    stops = (0, first, second, GRID - 1)
    values = (opened, *extremes, close)
    sd = math.log(high / low) / PARKINSON * close / math.sqrt(GRID)
    noise = rng.standard_normal(GRID) * sd
    path = np.empty(GRID)
    for index in range(3):
        begin, end = stops[index], stops[index + 1]
        path[begin : end + 1] = _bridge(noise[begin : end + 1], values[index], values[index + 1])
    path = np.where(path > high, 2 * high - path, path)
    path = np.where(path < low, 2 * low - path, path)
    np.clip(path, low, high, out=path)
    for stop, value in zip(stops, values, strict=True):
        path[stop] = value
    return _kept(path)


def _kept(path: Floats) -> Floats:
    path.flags.writeable = False
    return path


def _bridge(steps: Floats, start: float, end: float) -> Floats:
    walk = np.cumsum(steps)
    walk -= walk[0]
    share = np.linspace(0.0, 1.0, len(steps))
    bridged: Floats = start + (end - start) * share + walk - share * walk[-1]
    return bridged
