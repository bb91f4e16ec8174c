"""Points of the efficient frontier: closed form, order, concavity."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from perptui.model.errors import OptimizationError
from perptui.model.limit import Limits
from perptui.optimization.frontier import frontier_point, point_of
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    WIDE,
    covariance,
    estimates,
    instrument,
    snapshot,
)

ONES = [instrument(coin) for coin in ("BTC", "ETH", "SOL")]
MARKS = dict(zip([one.id for one in ONES], ("50000", "2500", "100"), strict=True))
AVERSIONS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)


def posed(limits: Limits) -> ProgramInputs:
    """Return a program of three coins with an uncertain mean, which trades without costs."""
    told = estimates(
        ONES,
        MARKS,
        [0.03, 0.01, -0.02],
        covariance([0.6, 0.7, 0.9], 0.6),
        deviation=[0.01, 0.01, 0.01],
    )
    market = snapshot(ONES, MARKS, {"binanceusdm": "1000000"})
    return free(program_inputs(market, told, BALANCED, limits, {}))


def free(inputs: ProgramInputs) -> ProgramInputs:
    """Return a program that trades without costs."""
    return replace(inputs, linear_cost=np.zeros(3), impact=np.zeros(3))


def test_without_costs_and_limits_points_lie_on_the_capital_line() -> None:
    """Markowitz: w = Sigma^-1 mu / gamma has return/volatility sqrt(mu'Sigma^-1 mu) throughout."""
    told = estimates(
        ONES, MARKS, [0.03, 0.01, -0.02], covariance([0.6, 0.7, 0.9], 0.6),
    )  # fmt: skip
    market = snapshot(ONES, MARKS, {"binanceusdm": "1000000"})
    inputs = free(program_inputs(market, told, BALANCED, WIDE, {}))
    mu, sigma = inputs.expected_return, inputs.covariance
    sharpe = float(np.sqrt(mu @ np.linalg.solve(sigma, mu) * 36.5))
    for aversion in AVERSIONS[2:]:
        point = frontier_point(inputs, aversion)
        assert point is not None
        assert point.risk_aversion == aversion
        assert point.return_annual / point.volatility_annual == pytest.approx(sharpe, rel=1e-4)
        assert point.volatility_annual == pytest.approx(sharpe / aversion, rel=1e-3)


def test_points_fall_in_risk_and_return_along_a_concave_curve_under_binding_limits() -> None:
    found = [frontier_point(posed(LIMITS), aversion) for aversion in AVERSIONS]
    points = [point for point in found if point is not None]
    assert len(points) == len(AVERSIONS)
    risk = np.array([point.volatility_annual for point in points])
    gain = np.array([point.return_annual for point in points])
    assert (np.diff(risk) <= 1e-8).all()
    assert (np.diff(gain) <= 1e-8).all()
    # Without limits risk would halve from one aversion to the next: they bind at the first.
    assert risk[0] < 1.1 * risk[1]
    apart = np.flatnonzero(-np.diff(risk) > 1e-6)
    slopes = np.diff(gain)[apart] / np.diff(risk)[apart]
    assert len(slopes) >= 3
    assert (np.diff(slopes) >= -1e-6).all()


def test_a_program_without_an_answer_has_no_point_and_no_aversion_but_a_positive_one() -> None:
    never = msgspec.structs.replace(LIMITS, net_min=0.6, net_max=0.6, gross_max=0.5)
    assert frontier_point(posed(never), 4.0) is None
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(OptimizationError, match="expected a positive risk aversion"):
            frontier_point(posed(LIMITS), wrong)


def test_the_place_of_any_book_is_its_own_figures() -> None:
    inputs = posed(LIMITS)
    book = np.array([0.2, -0.1, 0.3])
    point = point_of(inputs, book, 4.0)
    variance = float(book @ inputs.covariance @ book) * 36.5
    assert point.volatility_annual == pytest.approx(np.sqrt(variance), rel=1e-12)
    gain = book @ inputs.expected_return - 0.5 * 0.01 * np.abs(book).sum()
    assert point.return_annual == pytest.approx(36.5 * gain, rel=1e-12)
