"""What a what-if makes of snapshot, estimates and rules."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np
import pytest

from perptui.model.account import Account, Position
from perptui.model.assignment import bend_all
from perptui.model.errors import OptimizationError
from perptui.model.jobs import ProposeJob
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.optimization.pose import program_inputs
from perptui.optimization.what_if import Applied, applied, with_impact
from tests.optimization import market

D = Decimal
BTC, ETH = market.instrument("BTC"), market.instrument("ETH")
MARKS = {BTC.id: "50000", ETH.id: "2000"}
ESTIMATES = msgspec.structs.replace(
    market.estimates((BTC, ETH), MARKS, (0.01, -0.01), market.covariance((0.6, 0.8), 0.5)),
    book_volatility=0.6,
)
INVERSE = msgspec.structs.replace(
    BTC, id="coinm:BTC/USD:BTC", venue="coinm", settle="BTC", linear=False, contract_size=D(100)
)


def snapshot() -> MarketSnapshot:
    """Return 2 BTC bought at 45,000 and 10 ETH sold at 2,100, 100,000 USD in all."""
    held = {BTC.id: "2", ETH.id: "-10"}
    made = market.snapshot((BTC, ETH), MARKS, {"binanceusdm": "100000"}, held, peak="110000")
    (account,) = made.accounts
    positions = tuple(
        msgspec.structs.replace(one, entry_price=D(entry), unrealised_usd=D(earned))
        for one, entry, earned in zip(
            account.positions, ("45000", "2100"), ("10000", "1000"), strict=True
        )
    )
    account = msgspec.structs.replace(
        account, wallet_usd=D(89000), positions=positions, available_usd=D(50000)
    )
    return msgspec.structs.replace(made, accounts=(account,))


def bent(*texts: str, market_now: MarketSnapshot | None = None) -> Applied:
    what_if = bend_all(WhatIf(), texts)
    job = ProposeJob(market_now or snapshot(), market.BALANCED, market.LIMITS, what_if)
    return applied(job, ESTIMATES)


def test_nothing_bent_is_nothing_made() -> None:
    job = ProposeJob(snapshot(), market.BALANCED, market.LIMITS)
    same = applied(job, ESTIMATES)
    assert same.snapshot is job.snapshot
    assert same.estimates is ESTIMATES
    assert (same.strategy, same.limits) == (job.strategy, job.limits)


def test_a_shock_moves_marks_and_equity_and_leaves_contracts_and_entries() -> None:
    found = bent("shock=-0.1", "shock:ETH=0.05").snapshot
    assert {quote.id: quote.mark for quote in found.quotes} == {BTC.id: 45000, ETH.id: 2100}
    (account,) = found.accounts
    # 2 BTC lose 5,000 each, 10 ETH sold lose 100 each.
    assert account.equity_usd == 100000 - 10000 - 1000
    assert account.wallet_usd == 89000
    assert account.available_usd is None
    assert [one.contracts for one in account.positions] == [2, -10]
    assert [one.entry_price for one in account.positions] == [45000, 2100]
    assert [one.unrealised_usd for one in account.positions] == [0, 0]
    assert [one.mark_price for one in account.positions] == [45000, 2100]
    assert found.peak_equity_usd == 110000
    assert [row.mark for row in bent("shock=-0.1").estimates.instruments] == [45000.0, 1800.0]


def test_a_shock_of_an_inverse_book_is_worth_its_coins() -> None:
    """Against method §11 written in coins: Q·(1/P0 - 1/P1) coins on top of the collateral."""
    contracts, mark, coins, move = D(-30), D(50000), D("0.4"), D("0.25")
    account = Account(
        "coinm", "main", "BTC", market.NOW_MS, coins * mark, coins * mark,
        (Position(INVERSE.id, contracts, mark),),
    )  # fmt: skip
    before = market.snapshot((INVERSE,), {INVERSE.id: "50000"}, {"coinm": "1"})
    now = msgspec.structs.replace(before, accounts=(account,))
    (after,) = bent("shock=0.25", market_now=now).snapshot.accounts
    price = mark * (1 + move)
    worth = (coins + contracts * INVERSE.contract_size * (1 / mark - 1 / price)) * price
    assert float(after.equity_usd) == pytest.approx(float(worth), rel=1e-20)
    assert after.wallet_usd == coins * price


def test_equity_is_scaled_by_account_and_positions_stay() -> None:
    held = {BTC.id: "2"}
    bybit = market.instrument("ETH", "bybit")
    two = market.snapshot(
        (BTC, bybit), {BTC.id: "50000", bybit.id: "2000"},
        {"binanceusdm": "75000", "bybit": "25000"}, held, peak="120000",
    )  # fmt: skip
    found = bent("equity=200000", market_now=two).snapshot
    assert found.equity_usd == 200000
    assert [one.equity_usd for one in found.accounts] == [150000, 50000]
    assert found.accounts[0].positions == two.accounts[0].positions
    # The share of the peak that is lost stays.
    assert found.peak_equity_usd == 240000
    (account,) = bent("equity=50000").snapshot.accounts
    assert account.equity_usd - account.wallet_usd == 11000
    poor = market.snapshot((BTC,), MARKS, {"binanceusdm": "0"})
    with pytest.raises(OptimizationError, match="positive equity to scale"):
        bent("equity=5", market_now=poor)


def test_a_shock_comes_before_an_equity_that_is_named() -> None:
    assert bent("equity=70000", "shock=-0.2").snapshot.equity_usd == 70000


def test_a_regime_is_taken_as_known() -> None:
    found = bent("regime=crisis").estimates.regime
    assert (found.label, found.probabilities) == ("crisis", (0.0, 0.0, 0.0, 1.0))
    assert found.exposure == min(0.3 / 0.6, 0.25)
    assert bent("regime=calm").estimates.regime.exposure == 0.3 / 0.6
    blind = msgspec.structs.replace(ESTIMATES, book_volatility=None)
    job = ProposeJob(snapshot(), market.BALANCED, market.LIMITS, WhatIf(regime="stress"))
    assert applied(job, blind).estimates.regime.exposure == 0.5


def test_a_view_takes_the_drifts_place_and_leaves_funding() -> None:
    rows = bent(f"view:{BTC.id}=0.365", "view:ETH=-0.73").estimates.instruments
    # Ten days at a thousandth a day, less expected funding of .003 over the horizon.
    assert rows[0].expected_return == pytest.approx(0.01 - 0.003, abs=1e-15)
    assert rows[1].expected_return == pytest.approx(-0.02 - 0.003, abs=1e-15)
    assert rows[0].drift.blend == 0.001
    both = bent(f"view:{BTC.id}=0", "view:BTC=9").estimates.instruments
    assert both[0].expected_return == -0.003
    assert both[1] == ESTIMATES.instruments[1]


def inputs_of(found: Applied, what_if: WhatIf) -> tuple[list[float], list[float]]:
    posed = program_inputs(found.snapshot, found.estimates, found.strategy, found.limits, {})
    posed = with_impact(posed, what_if.costs)
    return posed.linear_cost.tolist(), posed.impact.tolist()


def test_costs_scale_spread_fee_and_impact() -> None:
    plain = inputs_of(bent(), WhatIf())
    texts = ("cost=3", f"cost:{ETH.id}=0.5")
    linear, impact = inputs_of(bent(*texts), bend_all(WhatIf(), texts))
    np.testing.assert_allclose(linear, np.array(plain[0]) * (3.0, 0.5), rtol=1e-14)
    np.testing.assert_allclose(impact, np.array(plain[1]) * (3.0, 0.5), rtol=1e-14)
    # Participation still rests on the volume that there is.
    assert [row.volume_usd_day for row in bent(*texts).estimates.instruments] == [1e9, 1e9]


def test_limits_and_parameters_take_the_desks_place() -> None:
    hybrid = msgspec.structs.replace(market.BALANCED, name="tactical")
    job = ProposeJob(
        snapshot(), market.BALANCED, market.LIMITS,
        bend_all(WhatIf(), ["gross_max=1.5", "risk_aversion=9"]), blended=(hybrid,),
    )  # fmt: skip
    found = applied(job, ESTIMATES)
    assert found.limits.gross_max == 1.5
    assert found.strategy.risk_aversion == 9.0
    assert [one.risk_aversion for one in found.blended] == [9.0]
    assert found.estimates is ESTIMATES


@pytest.mark.parametrize("text", ["shock:DOGE=0.1", "view:DOGE=1", "cost:DOGE=2",
                                  "view:bybit:BTC/USDT:USDT=1"])  # fmt: skip
def test_what_is_not_on_the_desk_is_refused(text: str) -> None:
    with pytest.raises(OptimizationError, match="expected a contract or coin of the desk"):
        bent(text)


def test_no_book_is_left_where_a_shock_takes_all_equity() -> None:
    with pytest.raises(OptimizationError, match="shock that leaves equity, was every coin -95"):
        bent("shock=-0.95", "shock:ETH=9")
