"""Points of the efficient frontier: closed form, order, concavity."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from perptui.model.errors import OptimizationError
from perptui.model.limit import Limits
from perptui.optimization.checks import exact_book
from perptui.optimization.compose import now_of
from perptui.optimization.explain.figures import book_risk
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


def test_the_ellipsoid_of_uncertain_returns_is_taken_off_as_of_the_book() -> None:
    strategy = msgspec.structs.replace(BALANCED, robust="ellipsoid", uncertainty=0.7)
    legs = [instrument("BTC"), instrument("ETH")]
    marks = {legs[0].id: "60000", legs[1].id: "3000"}
    sigma = covariance([0.5, 0.7], 0.6)
    found = estimates(legs, marks, [0.02, 0.01], sigma, deviation=[0.02, 0.03])
    snap = snapshot(legs, marks, {"binanceusdm": "100000"})
    inputs = program_inputs(snap, found, strategy, LIMITS, {})
    weights = np.array([0.4, -0.3])
    assert inputs.omega_root is not None
    # mu'w - k |Omega^1/2 w| over ten days, a year of 365 (BookRisk.expected_return_annual).
    off = 0.7 * float(np.linalg.norm(inputs.omega_root @ weights))
    expected = (0.4 * 0.02 - 0.3 * 0.01 - off) * 36.5
    assert off > 0.0
    assert point_of(inputs, weights, 4.0).return_annual == pytest.approx(expected, abs=1e-9)


def test_puts_held_count_in_correlation_and_volatility_and_not_before() -> None:
    legs = [instrument("BTC"), instrument("ETH")]
    marks = {legs[0].id: "60000", legs[1].id: "3000"}
    found = estimates(legs, marks, [0.02, 0.01], covariance([0.5, 0.7], 0.6))
    snap = snapshot(legs, marks, {"binanceusdm": "100000"}, {legs[0].id: "0.5"})
    plain = program_inputs(snap, found, BALANCED, LIMITS, {})
    # A put's delta moves as that much less of BTC: .3 of equity long, .2 of it covered.
    covered = np.array([-0.2, 0.0])
    arrays = replace(
        plain.limits,
        root_offset=plain.limits.root @ covered,
        market_offset=float(plain.limits.market @ covered),
    )
    hedged = replace(plain, limits=arrays, unhedged=plain)
    book = exact_book(hedged, [one.position for one in hedged.contracts])
    risk = book_risk(hedged, book)
    # All of it is BTC, the market itself: wholly correlated, a tenth of equity at 50 % a year.
    assert risk.correlation == pytest.approx(1.0)
    assert risk.volatility_annual == pytest.approx(0.1 * 0.5)
    assert now_of(hedged).risk.volatility_annual == pytest.approx(0.3 * 0.5)
    assert now_of(hedged).risk == now_of(plain).risk
