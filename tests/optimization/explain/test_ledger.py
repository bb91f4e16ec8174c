"""Ledgers add up to nothing, term by term against derivatives taken by differences (method §12)."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from perptui.model.explanation import Explanation
from perptui.model.strategy import HoldingCost
from perptui.optimization.explain.blended import blended
from perptui.optimization.explain.ledger import ledger_of
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.solution import Solution
from perptui.optimization.program.solve import solve
from tests.optimization.explain.markets import LOOSE, PLAIN, market

YEAR = 1e4 * 365.0 / 10.0
EVERYTHING: dict[str, Any] = {
    "gross_max": 1.0,
    "net_max": 0.2,
    "coin_net_max": 0.3,
    "turnover_max": 0.6,
    "volatility_max": 0.3,
    "cvar_max": 0.1,
    "liquidation_distance_min": 0.4,
    "participation_max": 4e-5,
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "box": {},
    "ellipsoid": {"robust": "ellipsoid", "uncertainty": 1.0},
    "robust": {
        "covariance_uncertainty": 0.1,
        "holding_costs": (HoldingCost("bybit", 0.05),),
        "stablecoin_apr": 0.04,
    },
    "soft": {"soft_limits": ("turnover", "volatility"), "soft_penalty": 0.02},
    "correlated": {"cluster_correlation": 0.3, "cluster_gross_max": 0.6},
}


def solved(
    limits: dict[str, Any],
    strategy: dict[str, Any],
    seed: int,
    targets: dict[str, float] | None = None,
) -> tuple[ProgramInputs, Solution]:
    inputs = market(seed).posed(
        msgspec.structs.replace(LOOSE, **limits),
        msgspec.structs.replace(PLAIN, **strategy),
        targets,
        tail="cvar_max" in limits,
    )
    found = solve(inputs)
    assert found.status == "optimal"
    return inputs, found


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_row_adds_up_to_nothing(strategy: str) -> None:
    for seed in range(3):
        name = market(seed).snapshot.instruments[1].id
        for limits, targets in ((EVERYTHING, None), ({}, None), ({"gross_max": 0.7}, {name: 0.1})):
            inputs, found = solved(limits, STRATEGIES[strategy], seed, targets)
            rows = ledger_of(inputs, found)
            assert [row.id for row in rows] == list(inputs.ids)
            for row in rows:
                parts = (row.alpha, row.carry, row.risk, row.uncertainty, row.cost, row.limits)
                assert row.residual == pytest.approx(sum(parts), abs=1e-9)
                assert abs(row.residual) <= 1e-6
                assert sum(row.by_limit.values()) == pytest.approx(row.limits, abs=1e-9)


def test_the_correlation_with_the_market_has_its_place_in_the_ledger() -> None:
    inputs, found = solved({"market_correlation_max": 0.1}, {}, 0)
    rows = ledger_of(inputs, found)
    assert any(abs(row.by_limit.get("market_correlation", 0.0)) > 1.0 for row in rows)
    assert max(abs(row.residual) for row in rows) <= 1e-6


def test_terms_are_the_derivatives_of_the_objective() -> None:
    """Each charge against a central difference of its own part of the objective."""
    inputs, found = solved({"gross_max": 0.9}, STRATEGIES["robust"], 0)
    rows = ledger_of(inputs, found)
    none = np.zeros(len(inputs.before))
    costless = replace(inputs, cost_aversion=0.0, holding_cost=none, stablecoin_yield=0.0)
    parts = {
        "alpha and carry": replace(costless, uncertainty=none, risk_aversion=0.0),
        "uncertainty": replace(costless, expected_return=none, risk_aversion=0.0),
        "risk": replace(costless, expected_return=none, uncertainty=none),
        "cost": replace(inputs, expected_return=none, uncertainty=none, risk_aversion=0.0),
    }
    step = 1e-6
    free = (found.exact != 0.0) & (found.exact != inputs.before)
    assert free.sum() >= 2
    for at in np.flatnonzero(free):
        moved = np.eye(len(none))[at] * step
        shown = rows[at]
        values = {
            "alpha and carry": shown.alpha + shown.carry,
            "uncertainty": shown.uncertainty,
            "risk": shown.risk,
            "cost": shown.cost,
        }
        for name, part in parts.items():
            ends = part.objective(np.array([found.exact + moved, found.exact - moved]))
            slope = YEAR * float(ends[0] - ends[1]) / (2.0 * step)
            assert values[name] == pytest.approx(slope, rel=1e-5, abs=1e-4)


def test_carry_is_what_funding_pays_a_year() -> None:
    # These markets expect 30 bp of funding in 10 days: a long pays 1,095 bp a year.
    inputs, found = solved({}, {}, 0)
    for row in ledger_of(inputs, found):
        assert row.carry == pytest.approx(-0.003 * YEAR)


@pytest.mark.parametrize("strategy", ["box", "robust"])
def test_the_distance_is_what_its_gain_lacks_to_be_traded(strategy: str) -> None:
    limits, checked = {"turnover_max": 0.2, "volatility_max": 0.4}, 0
    inputs, found = solved(limits, STRATEGIES[strategy], 0)
    for at, row in enumerate(ledger_of(inputs, found)):
        assert row.traded == (abs(found.exact[at] - inputs.before[at]) > 1e-9)
        if row.traded or row.distance == 0.0:
            continue
        traded: dict[float, bool] = {}
        for share in (0.99, 1.02):
            for side in (1.0, -1.0):
                gain = inputs.expected_return.copy()
                gain[at] += side * share * row.distance / YEAR
                again = solve(replace(inputs, expected_return=gain))
                moved = abs(again.exact[at] - inputs.before[at]) > 1e-9
                traded[share] = traded.get(share, False) or moved
        assert traded == {0.99: False, 1.02: True}
        checked += 1
    assert checked >= 3


def test_what_holds_a_fixed_target_is_named() -> None:
    name = market(0).snapshot.instruments[2].id
    inputs, found = solved({}, {}, 0, {name: 0.25})
    row = next(row for row in ledger_of(inputs, found) if row.id == name)
    assert abs(row.by_limit[f"target:{name}"]) > 1.0
    assert row.traded


def test_the_ledger_of_a_mixture_is_that_of_its_parts_by_their_shares() -> None:
    told = market(0)
    core = told.posed(msgspec.structs.replace(LOOSE, gross_max=0.8))
    tactical = told.posed(
        msgspec.structs.replace(LOOSE, gross_max=0.8),
        msgspec.structs.replace(PLAIN, risk_aversion=6.0),
    )
    solutions = (solve(core), solve(tactical))
    traded = [True] * 9 + [False]
    first, second = (
        ledger_of(part, found) for part, found in zip((core, tactical), solutions, strict=True)
    )
    parts = (Explanation(ledger=first), Explanation(ledger=second))
    rows = blended(Explanation(), parts, 0.3, traded).ledger
    assert [row.traded for row in rows] == traded
    for row, one, two in zip(rows, first, second, strict=True):
        assert row.risk == pytest.approx(0.7 * one.risk + 0.3 * two.risk)
        assert sum(row.by_limit.values()) == pytest.approx(row.limits)
        assert abs(row.residual) <= 1e-6
    assert rows[-1].distance == pytest.approx(0.7 * first[-1].distance + 0.3 * second[-1].distance)
    assert rows[0].distance == 0.0
