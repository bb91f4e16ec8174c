"""Probabilities of test statistics; scipy is loaded when the first one is asked for."""

from __future__ import annotations


def student_two_sided(t: float, freedom: float) -> float:
    """Return P(|X| >= |t|) of a Student t with `freedom` degrees of freedom."""
    from scipy.special import stdtr

    return 2.0 * float(stdtr(freedom, -abs(t)))


def chi_squared_beyond(statistic: float, freedom: float) -> float:
    """Return P(X >= statistic) of a chi-squared X with `freedom` degrees of freedom."""
    from scipy.special import chdtrc

    return float(chdtrc(freedom, max(statistic, 0.0)))


def binomial_at_most(count: int, trials: int, probability: float) -> float:
    """Return P(X <= count) of a binomial X."""
    from scipy.special import bdtr

    return float(bdtr(count, trials, probability))
