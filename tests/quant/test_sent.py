"""What may be sent, on real markets: an outsider's sums in fractions, without a tolerance."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest

from perptui.history.dataset import History
from perptui.model.assignment import bend_all
from perptui.model.clock import parse_iso
from perptui.model.jobs import ProposeJob
from perptui.model.limit import Limits
from perptui.model.proposal import Proposal
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import WhatIf
from perptui.optimization.compose import compose
from perptui.optimization.inputs import ProgramInputs
from perptui.quant.answer import Told, answered, posed
from perptui.quant.estimate import Estimator
from perptui.quant.offline import Held, snapshot_at
from perptui.quant.propose import told_of
from perptui.settings.load import load

pytestmark = pytest.mark.unmeasured

D, F = Decimal, Fraction
Market = tuple[History, Estimator]
BTC, ETH, XRP = (f"binanceusdm:{coin}/USDT:USDT" for coin in ("BTC", "ETH", "XRP"))
STEPS = {BTC: D("0.001"), ETH: D("0.001"), XRP: D("0.1")}
VENUE = ("binanceusdm",)
DATES = ("2022-06-13T06:00Z", "2024-08-05T06:00Z")
DRAWN = 8
"""Problems drawn a date."""
POOL: dict[str, tuple[float, ...]] = {
    "gross_max": (0.0, 0.1, 0.8, 3.0),
    "net_min": (0.0, -0.05, -0.3),
    "net_max": (0.0, 0.05, 0.3),
    "coin_net_max": (0.0, 0.05, 0.2),
    "coin_gross_max": (0.05, 0.2),
    "venue_gross_max": (0.0, 0.1, 0.3),
    "margin_ratio_max": (0.0, 0.003, 0.01),
    "free_collateral_min": (0.9, 0.97, 1.0),
    "turnover_max": (0.0, 0.05, 0.3),
    "participation_max": (0.0, 1e-6, 1e-4),
    "liquidation_distance_min": (0.5, 0.8),
    "volatility_max": (0.05, 0.1),
    "cvar_max": (0.002, 0.01, 0.03),
    "beta_max": (0.0, 0.05, 0.3),
    "standalone_risk_max": (0.1, 0.3),
    "order_notional_max_usd": (300.0, 30_000.0),
    "ticket_notional_max_usd": (600.0, 600_000.0),
    "trade_min_usd": (50.0, 500.0),
}
FLOAT = 2e-12
"""Of what floats measure: they are kept to twelve decimals."""


@dataclass(frozen=True)
class Problem:
    """One desk, its book and its limits."""

    at: str
    equity: int
    limits: Limits
    strategy: StrategyParameters
    asked: tuple[str, ...]
    held: tuple[Held, ...]


def drawn(seed: int, at: str) -> Problem:
    """Return a random problem; three books of four are beyond some of their limits."""
    chance = random.Random(seed)
    settings = load(None, {}).settings
    equity = chance.choice([2_000, 5_000, 100_000, 1_000_000, 1_000_000_000])
    limits: dict[str, float | Decimal] = {}
    for name in chance.sample(sorted(POOL), chance.choice([1, 2, 4, 6])):
        value = chance.choice(POOL[name])
        limits[name] = D(repr(value)) if name.endswith("_usd") else value
    held = []
    for identifier, price in ((BTC, D(40_000)), (ETH, D(2_000)), (XRP, D("0.5"))):
        weight = D(chance.choice(["0", "0", "-0.8", "-0.2", "0.02", "0.3", "1.1"]))
        lots = (weight * equity / price / STEPS[identifier]).to_integral_value()
        if lots:
            held.append(Held(identifier, lots * STEPS[identifier], price))
    asked = [f"view:{coin}={chance.choice([-3, 1, 3])}" for coin in ("BTC", "LTC")]
    if chance.random() < 0.4:
        asked.append("reduce_only=true")
    strategy = msgspec.structs.replace(
        settings.strategy["balanced"],
        risk_aversion=chance.choice([0.5, 4.0]),
        uncertainty=chance.choice([0.0, 0.5]),
    )
    rules = msgspec.structs.replace(settings.limits, **limits)
    return Problem(at, equity, rules, strategy, tuple(asked), tuple(held))


def solved(
    problem: Problem, estimator: Estimator, history: History
) -> tuple[ProgramInputs, Proposal]:
    """Return a problem's program and its proposal."""
    snapshot = snapshot_at(history, parse_iso(problem.at), VENUE, D(problem.equity), problem.held)
    what_if = bend_all(WhatIf(), list(problem.asked))
    job = ProposeJob(snapshot, problem.strategy, problem.limits, what_if)
    told: Told = told_of(job, estimator)
    programs = posed(job, told)
    found = answered(programs)
    bent = programs.bent
    proposal = compose(
        found.inputs, found.answer, bent.snapshot, bent.estimates, bent.strategy, "digest",
        names_clash=False,
    )  # fmt: skip
    return found.inputs, proposal


def excesses(inputs: ProgramInputs, after: list[Decimal]) -> dict[str, Fraction | float]:
    """Return by how much each limit is exceeded by a book of contracts, worked out anew."""
    rules, limits = inputs.in_force, inputs.in_force.limits
    equity = F(inputs.equity)
    notional = [
        F(contracts) * F(one.usd_per_contract)
        for contracts, one in zip(after, inputs.contracts, strict=True)
    ]
    before = [F(one.notional) for one in inputs.contracts]
    weights = [value / equity for value in notional]
    trades = [then - now for then, now in zip(notional, before, strict=True)]
    zero = F(0)
    most = {name: F(repr(float(getattr(limits, name)))) for name in POOL}
    over: dict[str, Fraction | float] = {
        "gross": sum(map(abs, weights), zero) - most["gross_max"],
        "net_max": sum(weights, zero) - most["net_max"],
        "net_min": most["net_min"] - sum(weights, zero),
        "turnover": sum(map(abs, trades), zero) / equity / 2 - most["turnover_max"],
    }
    for one, weight, trade in zip(inputs.contracts, weights, trades, strict=True):
        # One contract of a coin here: its net and its gross are one position's.
        over[f"coin_net:{one.id}"] = abs(weight) - most["coin_net_max"]
        over[f"coin_gross:{one.id}"] = abs(weight) - most["coin_gross_max"]
        if one.forecast is not None and trade != 0:
            volume = F(repr(max(one.forecast.volume_usd_day, 1.0)))
            over[f"participation:{one.id}"] = abs(trade) - most["participation_max"] * volume
    over["venue_gross"] = sum(map(abs, weights), zero) - most["venue_gross_max"]
    over["margin_ratio"] = margin(inputs, notional) - most["margin_ratio_max"] * equity
    cushion, depeg = F(repr(rules.cushion)), F(repr(rules.depeg))
    for sign in (1, -1):
        move = sign * most["liquidation_distance_min"]
        moved = [value * (1 + move) for value in notional]
        over[f"stress{sign}"] = (
            (1 + cushion) * margin(inputs, moved)
            - (1 - depeg) * equity
            - move * sum(notional, zero)
        )
    return {**over, **in_floats(inputs, np.array([float(weight) for weight in weights]))}


def margin(inputs: ProgramInputs, notional: list[Fraction]) -> Fraction:
    """Return the maintenance margin: each dollar at the rate of the step that it falls in."""
    total = F(0)
    for value, one in zip(notional, inputs.contracts, strict=True):
        tiers = one.instrument.tiers
        tops = [*(F(tier.floor_usd) for tier in tiers[1:]), abs(value) + 1]
        for tier, top in zip(tiers, tops, strict=True):
            inside = min(abs(value), top) - F(tier.floor_usd)
            total += F(tier.rate) * max(inside, F(0))
    return total


def in_floats(
    inputs: ProgramInputs, weights: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> dict[str, Fraction | float]:
    """Return the same of what only floats can measure."""
    limits = inputs.in_force.limits
    year = float(np.sqrt(365.0 / inputs.horizon_days))
    sigma = np.sqrt(np.diag(inputs.covariance))
    alone = float(np.abs(weights) @ sigma)
    robust = float(weights @ inputs.covariance @ weights)
    robust += inputs.limits.covariance_uncertainty * alone**2
    losses = np.sort(-(inputs.limits.scenarios @ weights))[::-1]
    count = 0.05 * len(losses)
    whole = int(count)
    tail = (losses[:whole].sum() + (count - whole) * losses[whole]) / count
    bound = float(np.abs(weights) @ inputs.limits.initial_rate)
    return {
        "~volatility": year * float(np.sqrt(max(robust, 0.0))) - limits.volatility_max,
        "~cvar": float(tail) - limits.cvar_max,
        "~beta": abs(float(inputs.limits.row("beta_up") @ weights)) - limits.beta_max,
        "~standalone_risk": float((np.abs(weights) * sigma).max()) * year / limits.volatility_max
        - limits.standalone_risk_max,
        "~free_collateral": bound - (1.0 - limits.free_collateral_min),
    }


def broken(inputs: ProgramInputs, after: list[Decimal]) -> Iterator[str]:
    """Yield the limits that a book breaks; one that only reduces may stay where it was."""
    before = [one.position for one in inputs.contracts]
    reduces = all(
        abs(then) <= abs(now) and then * now >= 0 for then, now in zip(after, before, strict=True)
    )
    was = excesses(inputs, before)
    for name, over in excesses(inputs, after).items():
        room = FLOAT if name.startswith("~") else 0
        left = reduces and was.get(name, 0) > 0 and over <= was[name] + room
        if over > room and not left:
            yield name


def refuse_unsound_orders(
    problem: Problem, inputs: ProgramInputs, proposal: Proposal
) -> list[Decimal]:
    """Hold every order against its venue and its limits; return the contracts after them."""
    traded: dict[str, Decimal] = defaultdict(Decimal)
    rules = {one.id: one.instrument for one in inputs.contracts}
    for order in proposal.orders:
        traded[order.id] += order.contracts * (1 if order.side.value == "buy" else -1)
        assert order.contracts > 0
        assert order.contracts % rules[order.id].step == 0
        assert order.notional_usd <= problem.limits.order_notional_max_usd
        assert order.reduce_only or order.notional_usd >= rules[order.id].min_notional_usd
        assert order.reduce_only or "reduce_only=true" not in problem.asked
    total = sum((order.notional_usd for order in proposal.orders), D(0))
    assert total <= problem.limits.ticket_notional_max_usd
    rows = {row.id: row for row in proposal.rows}
    for one in inputs.contracts:
        assert rows[one.id].contracts_now == one.position
        assert rows[one.id].contracts_after - one.position == traded[one.id]
    return [rows[one.id].contracts_after for one in inputs.contracts]


@pytest.fixture(scope="module")
def market(history_dir: Path) -> Market:
    """One history and what was estimated from it, kept for all problems."""
    history = History(history_dir)
    return history, Estimator(history)


@pytest.mark.history
@pytest.mark.parametrize("at", DATES)
def test_whatever_may_be_sent_keeps_every_limit_to_the_last_digit(at: str, market: Market) -> None:
    history, estimator = market
    sent = 0
    for seed in range(DRAWN):
        problem = drawn(seed, at)
        inputs, proposal = solved(problem, estimator, history)
        # No target is fixed: what is optimal can be sent, or there is no book in lots.
        assert proposal.exportable == (proposal.status == "ok"), (seed, proposal.reasons)
        if not proposal.exportable:
            assert not (proposal.orders and proposal.status != "ok")
            continue
        sent += 1
        after = refuse_unsound_orders(problem, inputs, proposal)
        assert list(broken(inputs, after)) == [], seed
    assert sent >= DRAWN // 3


@pytest.mark.history
def test_a_small_account_that_turns_over_whole_keeps_its_turnover(
    market: Market,
) -> None:
    """A book far beyond its limits, in lots of 2 % of equity, with barely enough turnover."""
    history, estimator = market
    settings = load(None, {}).settings
    held = ((BTC, "0.05"), (ETH, "0.75"), (XRP, "3000"))
    problem = Problem(
        at="2025-04-18T00:00Z",
        equity=5_000,
        limits=msgspec.structs.replace(settings.limits, beta_max=0.3, participation_max=1e-5),
        strategy=msgspec.structs.replace(
            settings.strategy["balanced"], risk_aversion=0.5, uncertainty=0.1, cost_aversion=0.5
        ),
        asked=("view:BTC=-3", "view:LTC=-1"),
        held=tuple(Held(identifier, D(contracts), D(2_000)) for identifier, contracts in held),
    )
    inputs, proposal = solved(problem, estimator, history)
    assert (proposal.status, proposal.exportable) == ("ok", True)
    assert proposal.turnover > 0.9
    after = refuse_unsound_orders(problem, inputs, proposal)
    assert list(broken(inputs, after)) == []
