"""The exact optimum: proved by the Lagrangian, near the solver's, whatever the solver's noise."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from perptui.model.strategy import HoldingCost
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.polish import polish, polished
from perptui.optimization.program.proof import Polished
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.solve import solve
from perptui.risk.arrays import limit_excess
from tests.optimization.explain.markets import LOOSE, PLAIN, market

LIMITS: dict[str, dict[str, Any]] = {
    "none": {},
    "gross": {"gross_max": 0.8},
    "coins": {"coin_net_max": 0.2, "coin_gross_max": 0.25},
    "venue": {"venue_gross_max": 0.9, "net_max": 0.1},
    "margin": {"margin_ratio_max": 0.003},
    "stress": {"liquidation_distance_min": 0.7},
    "turnover": {"turnover_max": 0.2},
    "volatility": {"volatility_max": 0.25, "gross_max": 0.9},
    "own": {"participation_max": 2e-5, "standalone_risk_max": 0.3, "volatility_max": 0.6},
    "tail": {"cvar_max": 0.06, "turnover_max": 0.4},
    "rows": {"beta_max": 0.05, "first_component_max": 0.05, "volatility_max": 2.0},
    "collateral": {"free_collateral_min": 0.99},
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "box": {},
    "ellipsoid": {"robust": "ellipsoid", "uncertainty": 1.0},
    "robust": {
        "covariance_uncertainty": 0.1,
        "holding_costs": (HoldingCost("bybit", 0.05),),
        "stablecoin_apr": 0.04,
    },
    "soft": {"soft_limits": ("turnover", "volatility", "cvar"), "soft_penalty": 0.04},
}


def posed(limits: str, strategy: str, seed: int = 0) -> ProgramInputs:
    return market(seed).posed(
        msgspec.structs.replace(LOOSE, **LIMITS[limits]),
        msgspec.structs.replace(PLAIN, **STRATEGIES[strategy]),
        tail=limits == "tail",
    )


def lagrangian(inputs: ProgramInputs, found: Solution, books: FloatArray) -> FloatArray:
    """Return objective less each hard limit's excess and each bound at its price, of books.

    The objective holds the penalties of soft limits.
    """
    excess = limit_excess(books, inputs.before, inputs.limits)
    value = inputs.objective(books) - books @ found.bound_price
    for name, price in found.prices.items():
        if name in excess and name not in inputs.soft_prices:
            value = value - excess[name] @ price
    return np.asarray(value)


@pytest.mark.unmeasured
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("limits", LIMITS)
def test_nothing_near_it_has_a_larger_lagrangian(limits: str, strategy: str) -> None:
    """The Lagrangian is concave: a book that no small step improves is its maximum (duality)."""
    inputs = posed(limits, strategy)
    found = solve(inputs)
    assert found.status == "optimal"
    assert found.polished
    generator = np.random.default_rng(1)
    count = len(inputs.before)
    ways = np.concatenate([np.eye(count), -np.eye(count), generator.normal(size=(60, count))])
    best = lagrangian(inputs, found, found.exact[None, :])[0]
    for step in (1e-3, 1e-5, 1e-7):
        books = found.exact + step * ways
        assert (lagrangian(inputs, found, books) <= best + 1e-15).all()


def test_a_soft_limit_gives_way_at_its_price_and_holds_below_it() -> None:
    """An L1 penalty is exact: the limit holds while its price is below the penalty (method §6)."""
    told, limits = market(0), msgspec.structs.replace(LOOSE, **LIMITS["volatility"])
    for penalty, gives in ((1.0, False), (0.01, True)):
        changes = {"soft_limits": ("volatility",), "soft_penalty": penalty}
        found = solve(told.posed(limits, msgspec.structs.replace(PLAIN, **changes)))
        assert found.polished
        slack, price = float(found.slacks["volatility"][0]), float(found.prices["volatility"][0])
        assert (slack > 1e-4) == gives
        assert (price == penalty) == gives
        assert gives or (slack == 0.0 and 0.0 < price < penalty)


@pytest.mark.parametrize("limits", LIMITS)
def test_every_limit_holds_to_rounding_and_prices_meet_them(limits: str) -> None:
    for seed in range(3):
        inputs = posed(limits, "robust", seed)
        found = solve(inputs)
        excess = limit_excess(found.exact[None, :], inputs.before, inputs.limits)
        assert max(float(part.max(initial=-1.0)) for part in excess.values()) <= 1e-12
        for name, price in found.prices.items():
            assert (price >= 0.0).all()
            assert np.abs(excess[name][0][price > 0.0]).max(initial=0.0) <= 1e-11
        assert (found.exact >= inputs.lower).all()
        assert (found.exact <= inputs.upper).all()


def test_the_answer_does_not_depend_on_the_solvers_last_digits() -> None:
    generator = np.random.default_rng(3)
    for limits in ("gross", "turnover", "volatility", "tail", "stress"):
        inputs = posed(limits, "box")
        exact = solve(inputs)
        for _ in range(5):
            weights = exact.exact + 2e-8 * generator.normal(size=len(exact.exact))
            prices = {
                name: np.maximum(price * (1.0 + 1e-5 * generator.normal()), 0.0) + 1e-12
                for name, price in exact.prices.items()
            }
            again = polish(inputs, weights, prices)
            assert isinstance(again, Polished)
            assert np.abs(again.weights - exact.exact).max() <= 1e-11
            for name, price in again.prices.items():
                assert price == pytest.approx(exact.prices[name], abs=1e-11)


def test_positions_and_trades_that_are_none_are_exactly_none() -> None:
    inputs = posed("turnover", "box")
    found = solve(inputs)
    trade = found.exact - inputs.before
    assert (trade == 0.0).any()
    assert (np.abs(trade[trade != 0.0]) > 1e-6).all()


def test_a_wrong_start_is_mended_or_given_back() -> None:
    """From too far for a first guess either the same optimum is proved, or nothing is claimed."""
    inputs = posed("gross", "box")
    exact = solve(inputs)
    generator = np.random.default_rng(5)
    proved = 0
    for _ in range(10):
        start = exact.exact + 2e-5 * generator.normal(size=len(exact.exact))
        found = polish(inputs, start, exact.prices)
        if found is not None:
            proved += 1
            assert np.abs(found.weights - exact.exact).max() <= 1e-10
    assert proved
    failed = replace(exact, status="failed")
    assert polished(inputs, failed) is failed


def test_a_book_that_doubt_keeps_empty_is_proved_empty() -> None:
    """k large enough makes no book the robust optimum (method §6): then w = 0 exactly."""
    told = market(0)
    flat = replace(
        told,
        snapshot=msgspec.structs.replace(
            told.snapshot,
            accounts=tuple(
                msgspec.structs.replace(account, positions=()) for account in told.snapshot.accounts
            ),
        ),
    )
    strategy = msgspec.structs.replace(PLAIN, robust="ellipsoid", uncertainty=50.0)
    found = solve(flat.posed(LOOSE, strategy))
    assert found.status == "optimal"
    assert not found.exact.any()


def test_the_objective_is_no_worse_than_the_starts() -> None:
    for limits in LIMITS:
        inputs = posed(limits, "robust", 4)
        found = solve(inputs)
        for weights in (inputs.before, np.zeros(len(inputs.before))):
            excess = limit_excess(weights[None, :], inputs.before, inputs.limits)
            if max(float(part.max(initial=-1.0)) for part in excess.values()) <= 0.0:
                assert float(inputs.objective(found.exact)) >= float(inputs.objective(weights))
