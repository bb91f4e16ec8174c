"""Conditional value at risk of many books on one set of scenarios, in numpy (method §6, CVaR).

Rockafellar and Uryasev 2000: min_a a + E[(loss - a)+]/tail, which on S equally likely scenarios is
the mean of the worst tail·S losses, the last of them counted by the fraction that is left of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

WHOLE = 1e-9
"""A count this close to a whole number is that number: .05 x 1000 is 50."""


def tail_count(scenarios: int, tail: float) -> tuple[int, float]:
    """Return how many whole scenarios the tail holds, and the fraction of the next one."""
    count = tail * scenarios
    whole = int(np.floor(count + WHOLE))
    return whole, max(count - whole, 0.0) if whole < scenarios else 0.0


def shortfall(returns: FloatArray, tail: float) -> FloatArray:
    """Return the CVaR of books, a positive loss.

    Parameters
    ----------
    returns : (M, S) array
        Of each book, one a row, in equally likely scenarios; S at least 1.
    tail : float
        Share of the scenarios that are the worst: .05 for 95 %.

    Returns
    -------
    (M,) array
    """
    scenarios = returns.shape[1]
    whole, part = tail_count(scenarios, tail)
    last = min(whole, scenarios - 1)
    ordered = np.partition(returns, last, axis=1)
    total = ordered[:, :whole].sum(axis=1) + part * ordered[:, last]
    return np.asarray(-total / (whole + part))


def worst_of(returns: FloatArray, tail: float, times: float) -> npt.NDArray[np.intp]:
    """Return which scenarios of one book are worst, `times` as many as its tail holds, rising.

    Parameters
    ----------
    returns : (S,) array
    """
    count = min(len(returns), int(np.ceil(times * tail * len(returns) - WHOLE)) + 1)
    if count == len(returns):
        return np.arange(len(returns))
    return np.asarray(np.sort(np.argpartition(returns, count)[:count]))


def shortfall_slope(
    scenarios: FloatArray, returns: FloatArray, tail: float
) -> tuple[float, FloatArray]:
    """Return one book's CVaR and a subgradient of it in the weights, (N,).

    CVaR is convex: that of another book is at least this one's plus slope'(difference).

    Parameters
    ----------
    scenarios : (S, N) array
        Returns of each contract; S at least 1.
    returns : (S,) array
        Of the book, with what is held beside it.
    """
    whole, part = tail_count(len(returns), tail)
    last = min(whole, len(returns) - 1)
    order = np.argpartition(returns, last)
    worst, next_one = order[:whole], order[last]
    total = returns[worst].sum() + part * returns[next_one]
    slope = scenarios[worst].sum(axis=0) + part * scenarios[next_one]
    return float(-total / (whole + part)), np.asarray(-slope / (whole + part))
