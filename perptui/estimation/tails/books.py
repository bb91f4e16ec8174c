"""Value at risk and expected shortfall of given books over the horizon, by five methods.

Losses are positive fractions of equity; funding is in every figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.recursion import ewma
from perptui.estimation.tails.cornish_fisher import cornish_fisher_tail, is_monotone
from perptui.estimation.tails.filtered import Scenarios
from perptui.estimation.tails.parametric import fit_degrees, normal_tail, student_tail
from perptui.estimation.tails.sample import LEAST_TAIL, Tail, historical
from perptui.model.errors import EstimationError
from perptui.model.forecast import TailRisk

FloatArray = NDArray[np.float64]

METHODS = ("historical", "normal", "Student t", "Cornish-Fisher", "FHS")
"""In the order of the rows; FHS is filtered historical simulation."""
LEVELS = (0.95, 0.99)
RESIDUAL_HALFLIFE_DAYS = 20.0
"""Of the variance that a book's own daily returns are divided by before their shape is measured."""
BURN_IN_DAYS = 20
LEAST_DAYS = 60
"""Days on which all of a book's contracts are known, below which its past has no shape."""


@dataclass(frozen=True, slots=True)
class TailInputs:
    """What the methods rest on, for N contracts.

    Attributes
    ----------
    daily : (D, N) array
        Log returns by day; NaN in holes.
    funding : (D, N) array
        Rates settled by day, summed; f > 0: a long pays.
    covariance : (N, N) array
        Of r - F over the horizon.
    mean : (N,) array
        Expected return of a unit long over the horizon, funding included.
    scenarios : Scenarios
        Of the same horizon and contracts.
    """

    daily: FloatArray
    funding: FloatArray
    covariance: FloatArray
    mean: FloatArray
    scenarios: Scenarios


@dataclass(frozen=True, slots=True)
class BookMoments:
    """A book's mean and deviation over the horizon, and the shape of its standardised days.

    `degrees` of freedom and `shape` (skewness, excess kurtosis); `degrees` is None where its past
    has no shape, and `weak` says why.
    """

    mean: float
    deviation: float
    degrees: float | None
    shape: tuple[float, float]
    weak: str


def tail_risks(
    books: Mapping[str, FloatArray], inputs: TailInputs, levels: tuple[float, ...] = LEVELS
) -> tuple[TailRisk, ...]:
    """Return one row a book (by name), method and level.

    A book that holds nothing has no row. `error` is the Monte-Carlo standard error of simulated
    figures; a method that cannot speak gives way to filtered historical simulation and says why.

    Parameters
    ----------
    books : mapping of str to (N,) array
        Weights, signed fractions of equity.

    Raises
    ------
    EstimationError
        When shapes do not fit, a weight is not finite, or the covariance has holes.
    """
    _check_inputs(inputs)
    rows: list[TailRisk] = []
    for name in sorted(books):
        weights = books[name]
        if weights.shape != inputs.mean.shape or not np.isfinite(weights).all():
            raise EstimationError(
                f"expected {len(inputs.mean)} finite weights of {name}, was {weights}; mend it"
            )
        if weights.any():
            rows += _book_rows(name, weights, inputs, levels)
    return tuple(rows)


def _book_rows(
    name: str, weights: FloatArray, inputs: TailInputs, levels: tuple[float, ...]
) -> list[TailRisk]:
    simulated = inputs.scenarios.book(weights)
    past = past_returns(weights, inputs.daily, inputs.funding)
    moments = _moments(weights, inputs, standardised_days(past))
    horizon = inputs.scenarios.horizon_days
    rows = []
    for level in levels:
        filtered = historical(simulated, level)
        found = {
            "historical": _historical(past, level, horizon),
            "normal": (normal_tail(moments.mean, moments.deviation, level), ""),
            "Student t": _student(moments, level),
            "Cornish-Fisher": _expanded(moments, horizon, level),
            "FHS": (filtered, ""),
        }
        rows += [_row(name, method, level, *found[method], filtered) for method in METHODS]
    return rows


def _moments(weights: FloatArray, inputs: TailInputs, residuals: FloatArray) -> BookMoments:
    mean = float(weights @ inputs.mean)
    deviation = math.sqrt(max(float(weights @ inputs.covariance @ weights), 0.0))
    if len(residuals) < LEAST_DAYS:
        weak = f"{len(residuals)} of {LEAST_DAYS} days with all contracts"
        return BookMoments(mean, deviation, None, (0.0, 0.0), weak)
    try:
        degrees = fit_degrees(residuals)
    except EstimationError as error:
        return BookMoments(mean, deviation, None, (0.0, 0.0), str(error))
    return BookMoments(mean, deviation, degrees, shape(residuals), "")


def _row(
    book: str, method: str, level: float, found: Tail | None, text: str, filtered: Tail
) -> TailRisk:
    if found is None:
        text = f"{text}: FHS instead"
        return TailRisk(book, method, level, filtered.var, filtered.shortfall, filtered.error, text)
    error = found.error if method == METHODS[-1] else 0.0
    return TailRisk(book, method, level, found.var, found.shortfall, error, text)


def past_returns(weights: FloatArray, daily: FloatArray, funding: FloatArray) -> FloatArray:
    """Return the sum of w_i (exp(r_i) - 1 - F_i) by day, (D,); NaN where one held is unknown."""
    held = weights != 0.0
    past: FloatArray = (np.expm1(daily[:, held]) - funding[:, held]) @ weights[held]
    return past


def standardised_days(returns: FloatArray) -> FloatArray:
    """Return a book's known days over the EWMA deviation before each; without the first 20."""
    known = returns[np.isfinite(returns)]
    if len(known) <= BURN_IN_DAYS:
        return np.empty(0)
    deviation = np.sqrt(ewma(known**2, RESIDUAL_HALFLIFE_DAYS))[BURN_IN_DAYS - 1 : -1]
    after = known[BURN_IN_DAYS:]
    return after[deviation > 0] / deviation[deviation > 0]


def horizon_windows(returns: FloatArray, horizon_days: float) -> FloatArray:
    """Return sums over each round(H) days that follow each other, all known; they overlap.

    A horizon that is no whole number of days scales them by the root of what is left.
    """
    steps = max(1, round(horizon_days))
    if len(returns) < steps:
        return np.empty(0)
    sums = np.lib.stride_tricks.sliding_window_view(returns, steps).sum(axis=1)
    scaled: FloatArray = sums[np.isfinite(sums)] * math.sqrt(horizon_days / steps)
    return scaled


def _historical(past: FloatArray, level: float, horizon_days: float) -> tuple[Tail | None, str]:
    """Return the figure of periods as long as the horizon, else of days scaled by sqrt(H).

    Overlapping periods speak only where enough of them are separate; days only where enough are.
    """
    try:
        return _of_periods(past, level, horizon_days)
    except EstimationError as error:
        return None, str(error)


def _of_periods(past: FloatArray, level: float, horizon_days: float) -> tuple[Tail | None, str]:
    windows = horizon_windows(past, horizon_days)
    separate = len(windows) / max(1, round(horizon_days))
    needed = LEAST_TAIL / (1.0 - level)
    if separate >= needed - 1e-9:
        return historical(windows, level), ""
    text = f"{int(separate)} separate periods of {horizon_days:g} d, {needed:.0f} needed"
    days = past[np.isfinite(past)]
    if len(days) < needed - 1e-9:
        return None, text
    return historical(days * math.sqrt(horizon_days), level), f"{text}: days scaled instead"


def _student(moments: BookMoments, level: float) -> tuple[Tail | None, str]:
    """Return the t's figure; the days' degrees of freedom are kept over the horizon.

    Sums of days would have more if days were independent; their clustering takes that back.
    """
    if moments.degrees is None:
        return None, moments.weak
    return student_tail(moments.mean, moments.deviation, moments.degrees, level), ""


def _expanded(moments: BookMoments, horizon_days: float, level: float) -> tuple[Tail | None, str]:
    """Return Cornish-Fisher with the shape of days that add up: S/sqrt(H), K/H."""
    if moments.degrees is None:
        return None, moments.weak
    skewness, kurtosis = moments.shape
    days = max(horizon_days, 1.0)
    skewness, kurtosis = skewness / math.sqrt(days), kurtosis / days
    if not is_monotone(skewness, kurtosis):
        text = f"skewness {skewness:.2f}, excess kurtosis {kurtosis:.2f}: quantile not monotone"
        return None, text
    mean, deviation = moments.mean, moments.deviation
    return cornish_fisher_tail(mean, deviation, skewness, kurtosis, level), ""


def shape(residuals: FloatArray) -> tuple[float, float]:
    """Return skewness and excess kurtosis, by moments (T,)."""
    centred = residuals - residuals.mean()
    variance = float((centred**2).mean())
    third, fourth = float((centred**3).mean()), float((centred**4).mean())
    return third / variance**1.5, fourth / variance**2 - 3.0


def _check_inputs(inputs: TailInputs) -> None:
    contracts = len(inputs.mean)
    if inputs.daily.shape != inputs.funding.shape or inputs.daily.shape[1:] != (contracts,):
        raise EstimationError(
            f"expected daily returns and funding of {contracts} contracts, was "
            f"{inputs.daily.shape} and {inputs.funding.shape}; take the same days"
        )
    wide = inputs.covariance.shape, inputs.scenarios.returns.shape[1:]
    finite = np.isfinite(inputs.covariance).all() and np.isfinite(inputs.mean).all()
    if wide != ((contracts, contracts), (contracts,)) or not finite:
        raise EstimationError(
            f"expected a finite mean, covariance and scenarios of {contracts} contracts, was "
            f"{wide[0]} and {wide[1]}; estimate them for each"
        )
