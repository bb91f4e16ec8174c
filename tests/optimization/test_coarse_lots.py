"""Books in coarse lots against all books in lots: a small account, three contracts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from perptui.optimization.checks import checks_of, exact_book, forbidding
from perptui.optimization.coarse_lots import (
    NEIGHBOURHOODS,
    NUMBERS_AT_ONCE,
    NUMBERS_MAX,
    STEPS_MAX,
    better_book,
)
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.judge import Judge
from perptui.optimization.lots import Lots, allowed, books_after
from perptui.optimization.orders import positions_after
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.optimum import optimum
from perptui.optimization.rebalance import rebalance
from perptui.optimization.rounding import hold_lots, round_to_lots
from perptui.risk.arrays import limit_excess
from tests.optimization.market import BALANCED, LIMITS, covariance, estimates, instrument, snapshot

LEGS = [
    instrument("BTC", step="0.003"),
    instrument("ETH", step="0.05"),
    instrument("SOL", step="3"),
]
BTC, ETH, SOL = (one.id for one in LEGS)
MARKS = {BTC: "60000", ETH: "3000", SOL: "150"}
SIGMA = covariance([0.5, 0.65, 0.9], 0.7)
STEPS = 14
"""Of each contract, either way, in the search through all books."""
NEUTRAL = {"net_min": 0.0, "net_max": 0.0, "gross_max": 0.5}
SMALLEST = {"trade_min_usd": Decimal(300), "gross_max": 0.6}
APART = {"net_min": -0.02, "net_max": 0.05, "turnover_max": 0.2, "beta_max": 0.05}


def coarse(
    seed: int,
    limits: dict[str, Any],
    equity: str = "5000",
    targets: dict[str, float] | None = None,
) -> ProgramInputs:
    """Return a program of three coins; on 5,000 USD a step is 3.6 %, 3 % and 9 % of it."""
    draw = np.random.default_rng(seed)
    found = estimates(LEGS, MARKS, draw.normal(0.0, 0.03, 3).tolist(), SIGMA, deviation=[0.005] * 3)
    held = {
        one.id: str(one.step * int(draw.integers(-4, 5))) for one in LEGS if draw.random() < 0.5
    }
    held = {name: contracts for name, contracts in held.items() if Decimal(contracts)}
    market = snapshot(LEGS, MARKS, {"binanceusdm": equity}, held)
    rules = msgspec.structs.replace(LIMITS, **limits)
    return program_inputs(market, found, BALANCED, rules, targets or {})


def best_of_all(inputs: ProgramInputs) -> float:
    """Return what the best of all books in lots that keep every limit is worth."""
    lots = Lots.of(inputs)
    hold = -np.rint(inputs.before / lots.unit).astype(np.int64)
    reach = np.arange(-STEPS, STEPS + 1)
    axes = [np.unique(np.concatenate([reach, at + reach])) for at in hold]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).astype(np.int64)
    books = books_after(steps[allowed(steps, inputs, lots).all(axis=1)], inputs, lots)
    excess = np.concatenate(
        list(limit_excess(books, inputs.before, inputs.limits).values()), axis=1
    )
    return float(inputs.objective(books[excess.max(axis=1) <= 0.0]).max())


def worth(inputs: ProgramInputs, book: FloatArray) -> float:
    return float(inputs.objective(book))


@pytest.mark.unmeasured
@pytest.mark.parametrize("limits", [NEUTRAL, SMALLEST, APART], ids=["neutral", "smallest", "apart"])
def test_the_book_is_nearly_the_best_of_all_in_lots(limits: dict[str, Any]) -> None:
    """Limits pull two contracts together, and a trade left out makes another worth its while."""
    lost = []
    for seed in range(20):
        inputs = coarse(seed, limits)
        answer = rebalance(inputs)
        best, hold = best_of_all(inputs), worth(inputs, inputs.before)
        lost.append((best - worth(inputs, answer.rounded)) / (abs(best - hold) + 1e-9))
        exact = exact_book(inputs, positions_after(inputs, answer.steps))
        now = exact_book(inputs, [one.position for one in inputs.contracts])
        held = checks_of(inputs, now)
        assert not forbidding(inputs, checks_of(inputs, exact), held, reducing=False)
    assert np.percentile(lost, 90) <= 0.01, lost


def test_two_contracts_move_together_where_no_net_is_let_through() -> None:
    inputs = coarse(3, NEUTRAL)
    answer = rebalance(inputs)
    assert np.count_nonzero(answer.steps) >= 2
    assert float(answer.rounded.sum()) == pytest.approx(0.0, abs=1e-12)


def test_what_is_found_is_found_again() -> None:
    first, second = (rebalance(coarse(5, APART)) for _ in range(2))
    assert first.rounded.tobytes() == second.rounded.tobytes()


def test_lots_that_are_fine_are_left_to_rounding() -> None:
    inputs = coarse(3, NEUTRAL, equity="1000000")
    wanted = optimum(inputs)
    rounded = round_to_lots(wanted.weights, inputs)
    assert better_book(rounded, wanted, inputs) is rounded


@pytest.mark.parametrize("target", [0.1, 0.08])
@pytest.mark.parametrize("seed", [2, 3, 13, 14, 17])
def test_a_target_that_is_fixed_stays_at_its_lot_toward_zero(seed: int, target: float) -> None:
    """Of lots of 3.6 % two are held where that keeps every limit, whatever a third would gain."""
    inputs = coarse(seed, SMALLEST, targets={BTC: target})
    answer = rebalance(inputs)
    assert float(answer.rounded[inputs.ids.index(BTC)]) == pytest.approx(0.072, abs=1e-9)


def test_a_reduction_leaves_no_more_than_was_asked_for() -> None:
    for seed in range(12):
        base = coarse(seed, {"turnover_max": 1.5})
        halves = {name: float(w) / 2 for name, w in zip(base.ids, base.before, strict=True)}
        inputs = replace(coarse(seed, {"turnover_max": 1.5}, targets=halves), reduce_only=True)
        answer = rebalance(inputs)
        assert answer.solution.status == "optimal"
        least = np.maximum(np.abs(inputs.before) / 2, Lots.of(inputs).smallest)
        assert (np.abs(answer.rounded) <= least + 1e-9).all(), seed


def test_a_fixed_target_goes_to_its_other_lot_where_nothing_else_keeps_a_limit() -> None:
    """Net at least 9 %: two lots of 3.6 % break it, three keep it, and no other is let trade."""
    inputs = coarse(3, {"net_min": 0.09, "net_max": 0.2}, targets={BTC: 0.1, ETH: 0.0, SOL: 0.0})
    wanted = optimum(inputs)
    broken = hold_lots(inputs)
    assert broken.excess > 0
    found = better_book(broken, wanted, inputs)
    assert found.excess <= 0
    assert float(found.weights[inputs.ids.index(BTC)]) == pytest.approx(0.108, abs=1e-9)


def test_no_more_is_looked_through_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty contracts in lots of 2 %: two walks through so many weights, and no more."""
    looked: list[int] = []
    legs = [instrument(f"C{at:03d}", step="1") for at in range(20)]
    marks = {one.id: "100" for one in legs}
    draw = np.random.default_rng(1)
    sigma = covariance(draw.uniform(0.4, 1.0, 20).tolist(), 0.6)
    drift = draw.normal(0.0, 0.03, 20).tolist()
    found = estimates(legs, marks, drift, sigma, deviation=[0.004] * 20)
    rules = msgspec.structs.replace(LIMITS, net_min=-0.1, net_max=0.1, turnover_max=0.5)
    market = snapshot(legs, marks, {"binanceusdm": "5000"}, {})
    inputs = program_inputs(market, found, BALANCED, rules, {})
    wanted, rounded = optimum(inputs), hold_lots(inputs)

    def counted(self: Judge, books: FloatArray) -> FloatArray:
        looked.append(books.size)
        return inputs.objective(books)

    monkeypatch.setattr(Judge, "objective", counted)
    better = better_book(rounded, wanted, inputs)
    assert worth(inputs, better.weights) > worth(inputs, rounded.weights)
    assert max(looked) <= NUMBERS_AT_ONCE + 20
    assert sum(looked) <= 2 * (NUMBERS_MAX + 20 * STEPS_MAX * len(NEIGHBOURHOODS))
