"""Break-even of carry, what waiting is worth, and drift (method §12)."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from perptui.model.forecast import FundingForecast, FundingTerm
from perptui.optimization.explain.break_even import break_evens, chance_to_earn, hours_to_earn
from perptui.optimization.explain.drift import drift_of
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.program.solve import solve
from tests.optimization.explain.markets import market

HOURS = 240.0


def with_funding(inputs: ProgramInputs, funding: FundingForecast) -> ProgramInputs:
    contracts = tuple(
        replace(one, forecast=msgspec.structs.replace(one.forecast, funding=funding))
        if one.forecast
        else one
        for one in inputs.contracts
    )
    return replace(inputs, contracts=contracts)


def test_three_bp_every_eight_hours_earn_twelve_bp_back_in_32_hours() -> None:
    assert hours_to_earn(12e-4, 3e-4 / 8.0) == pytest.approx(32.0)
    assert hours_to_earn(12e-4, 0.0) is None
    assert hours_to_earn(12e-4, -1e-4) is None


def test_the_round_trip_pays_fee_spread_and_impact_twice() -> None:
    # A short of .1 with 6 bp to trade, no impact: 12 bp of it, earned by 3 bp every 8 hours.
    inputs = market(0).posed()
    count = len(inputs.before)
    inputs = replace(
        inputs,
        before=np.zeros(count),
        linear_cost=np.full(count, 6e-4),
        impact=np.zeros(count),
    )
    funding = FundingForecast(3e-4, 8.0, 0.0, 3e-4 * HOURS / 8.0, 1e-3)
    weights = np.zeros(count)
    weights[1], weights[2] = -0.1, 0.1
    earning, paying = break_evens(with_funding(inputs, funding), weights)
    assert earning.id == inputs.ids[1]
    assert earning.hours == pytest.approx(32.0)
    assert paying.hours is None


def test_the_chance_is_that_of_simulated_sums() -> None:
    # AR(1) settlements, 30 of them: the mean and deviation of their sum are what is forecast.
    generator = np.random.default_rng(2)
    phi, theta, shock, start = 0.8, 1e-4, 5e-5, 4e-4
    rate, total = np.full(200_000, start), np.zeros(200_000)
    for _ in range(30):
        rate = theta + phi * (rate - theta) + shock * generator.normal(size=len(rate))
        total += rate
    told = FundingForecast(start, 8.0, 0.0, float(total.mean()), float(total.std()))
    for trade, cost in ((-0.2, 8e-4), (-0.2, 1.2e-3), (0.3, 1e-3)):
        earned = float((-trade * total >= cost).mean())
        assert chance_to_earn(cost, trade, told) == pytest.approx(earned, abs=5e-3)


def test_without_doubt_the_chance_is_none_or_all() -> None:
    told = FundingForecast(1e-4, 8.0, 0.0, 3e-3, 0.0)
    assert chance_to_earn(1e-4, -0.1, told) == 1.0
    assert chance_to_earn(1e-2, -0.1, told) == 0.0


def test_waiting_saves_what_the_position_would_pay_at_the_next_stamp() -> None:
    inputs = market(0).posed()
    term = (FundingTerm("next", 3.0, 2e-4, 1e-5), FundingTerm("1d", 24.0, 6e-4, 1e-4))
    funding = FundingForecast(2e-4, 8.0, 0.0, 6e-3, 1e-3, term=term)
    weights = inputs.before.copy()
    weights[0] += 0.5
    weights[3] -= 0.25
    buying, selling = break_evens(with_funding(inputs, funding), weights)
    # Equity 120,000: 60,000 more long pay 12 USD at the stamp, 30,000 less receive 6.
    assert float(buying.wait_usd or 0) == pytest.approx(12.0)
    assert float(selling.wait_usd or 0) == pytest.approx(-6.0)
    unknown = msgspec.structs.replace(funding, term=())
    assert break_evens(with_funding(inputs, unknown), weights)[0].wait_usd is None


def test_drift_is_turnover_tracking_and_what_the_trade_gains() -> None:
    inputs = market(0).posed()
    found = solve(inputs)
    drift = drift_of(inputs, found.exact)
    trade = found.exact - inputs.before
    assert drift.half_turnover == pytest.approx(0.5 * np.abs(trade).sum())
    tracking = np.linalg.norm(inputs.limits.root @ trade) * np.sqrt(36.5)
    assert drift.tracking == pytest.approx(tracking)
    gain = float(inputs.objective(found.exact) - inputs.objective(inputs.before))
    assert gain > 0.0
    assert drift.regret_usd_day == pytest.approx(gain * 120_000 / 10.0)
    assert drift_of(inputs, inputs.before).regret_usd_day == 0.0
