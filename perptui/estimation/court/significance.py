"""Probabilities of test statistics, in closed form where there is one.

`scipy.special` has them all, and takes longer to import than all of the court takes: it is loaded
only for Student's t, when a p-value of it is asked for.
"""

from __future__ import annotations

import math

_NEGLIGIBLE = 1400.0
"""Beyond it a chi-squared's tail is below 1e-290 for any number of degrees used here."""


def student_two_sided(t: float, freedom: float) -> float:
    """Return P(|X| >= |t|) of a Student t with `freedom` degrees of freedom."""
    from scipy.special import stdtr

    return 2.0 * float(stdtr(freedom, -abs(t)))


def chi_squared_beyond(statistic: float, freedom: float) -> float:
    """Return P(X >= statistic) of a chi-squared X with `freedom` degrees (a whole number).

    A finite sum, by the parity of the degrees (Abramowitz & Stegun 1964, 26.4.4 and 26.4.5).
    """
    half = max(statistic, 0.0) / 2.0
    if 2.0 * half > _NEGLIGIBLE:
        return 0.0
    pairs, odd = divmod(int(freedom), 2)
    if not odd:
        terms = [half**k / math.factorial(k) for k in range(pairs)]
        return math.exp(-half) * math.fsum(terms)
    terms = [half ** (k - 0.5) / math.gamma(k + 0.5) for k in range(1, pairs + 1)]
    return math.erfc(math.sqrt(half)) + math.exp(-half) * math.fsum(terms)


def binomial_at_most(count: int, trials: int, probability: float) -> float:
    """Return P(X <= count) of a binomial X; `probability` strictly between 0 and 1."""
    each = math.lgamma(trials + 1)
    success, failure = math.log(probability), math.log1p(-probability)
    logs = (
        each
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * success
        + (trials - k) * failure
        for k in range(count + 1)
    )
    return min(math.fsum(math.exp(one) for one in logs), 1.0)
