"""Standardised residuals by date, for draws of whole rows: of returns and of daily funding.

A contract with too short a past of its own borrows what is missing from the others, counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import divided, lagged
from perptui.estimation.tails.sample import JUMP_SHARE
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_ROWS = 60
"""Residuals of a contract below which it has no shape of its own."""


def residual_rows(daily: FloatArray, variance: FloatArray) -> FloatArray:
    """Return r_t/s_t (D, N), of mean 0 and variance 1 by column; NaN in holes and at first.

    `variance` (D, N) was forecast at the end of each day for the next; `daily` are log returns.
    Centred, because the drift is another estimator's say; scaled, because the level is.

    Raises
    ------
    EstimationError
        As `standardised` does.
    """
    before = lagged(variance)
    return standardised(divided(daily, np.sqrt(np.maximum(before, 0.0)), before > 0))


def funding_residuals(daily_funding: FloatArray) -> FloatArray:
    """Return the residuals of an AR(1) in daily funding sums (D, N), standardised; NaN in holes.

    Raises
    ------
    EstimationError
        As `standardised` does.
    """
    before = lagged(daily_funding)
    joint = np.isfinite(before) & np.isfinite(daily_funding)
    x, y = _centred(before, joint), _centred(daily_funding, joint)
    spread = (x**2).sum(axis=0)
    phi = divided((x * y).sum(axis=0), spread, spread > 0, 0.0)
    return standardised(np.where(joint, y - phi * x, np.nan))


def _centred(x: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, x, 0.0).sum(axis=0) / count
    centred: FloatArray = np.where(known, x - mean, 0.0)
    return centred


def standardised(rows: FloatArray) -> FloatArray:
    """Return rows (D, N) of mean 0 and variance 1 by column, over its finite values.

    A column with fewer than `LEAST_ROWS` of them, or with one that holds most of its variance, has
    no shape of its own and is NaN: `complete_rows` lends it others' rows.

    Raises
    ------
    EstimationError
        When no column has enough, or one that has does not vary.
    """
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    if not (count >= LEAST_ROWS).any():
        raise EstimationError(
            f"expected at least {LEAST_ROWS} residuals of a contract, was {count.max(initial=0)} "
            "at most; fetch history"
        )
    known &= count >= LEAST_ROWS
    centred = _centred(rows, known)
    squares = (centred**2).sum(axis=0)
    if still := np.flatnonzero((count >= LEAST_ROWS) & ~(squares > 0.0)).tolist():
        raise EstimationError(
            f"expected residuals that vary, was a constant in column(s) {still}; leave them out"
        )
    known &= (centred**2).max(axis=0) <= JUMP_SHARE * squares
    deviation = np.sqrt(squares / np.maximum(count, 1))
    return divided(centred, deviation[None, :], known)


def complete_rows(rows: FloatArray, seed: int) -> tuple[FloatArray, IntArray]:
    """Return standardised rows (D, N) without holes, and how many cells were made by column (N,).

    A missing cell is the contract's regression on the mean of the others known that day, plus one
    of its own deviations from it, drawn with `seed`: a contract listed late keeps its dependence
    and about unit variance, and does not shorten the others' history. A contract without rows of
    its own takes, day by day, the row of one drawn among those known.

    Raises
    ------
    EstimationError
        When there are fewer than `LEAST_ROWS` rows, or nothing is known in one of them.
    """
    known = np.isfinite(rows)
    if len(rows) < LEAST_ROWS or not known.any(axis=1).all():
        raise EstimationError(
            f"expected at least {LEAST_ROWS} days of residuals, each with one contract known, was "
            f"{len(rows)} and {int((~known.any(axis=1)).sum())} empty; fetch history"
        )
    filled = rows.copy()
    generator = np.random.default_rng(seed)
    for column in np.flatnonzero(~known.all(axis=0)).tolist():
        missing = ~known[:, column]
        if missing.all():
            likeness = np.where(known, generator.random(rows.shape), -1.0).argmax(axis=1)
            filled[:, column] = rows[np.arange(len(rows)), likeness]
        else:
            filled[missing, column] = _regressed(rows, known, column, generator)
    return filled, np.asarray((~known).sum(axis=0), dtype=np.int64)


def _regressed(
    rows: FloatArray, known: NDArray[np.bool_], column: int, generator: np.random.Generator
) -> FloatArray:
    """Return a contract's missing rows from its regression on the mean of the others."""
    others = known.copy()
    others[:, column] = False
    count = others.sum(axis=1)
    factor = divided(np.where(others, rows, 0.0).sum(axis=1), count, count > 0, 0.0)
    there = known[:, column]
    own, beside = rows[there, column], factor[there]
    spread = float(beside @ beside)
    slope = float(own @ beside) / spread if spread > 0.0 else 0.0
    deviations = own - slope * beside
    drawn = deviations[generator.integers(len(deviations), size=int((~there).sum()))]
    made: FloatArray = slope * factor[~there] + drawn
    return made
