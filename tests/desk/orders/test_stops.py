"""Protective stops: the formulas by hand and at random."""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.desk.orders.stops import (
    RestingStop,
    bare_positions,
    distance,
    protect,
    stop_order,
    trigger_price,
    unprotected,
)
from perptui.model.errors import InputError
from perptui.model.instrument import Instrument
from perptui.model.order import Effect, OrderKind, Side
from perptui.model.snapshot import MarketSnapshot
from perptui.settings.schema import StopSettings
from tests.desk.dealing import ADD_ETH, FLIP_ETH, MARKS, REDUCE_BTC, REDUCE_ETH
from tests.desk.market import BTC, ETH, FUNDING, INSTRUMENTS, NOW_MS, QUOTES, account

STOPS = StopSettings(sigmas=3.0, distance_min=0.02, distance_max=0.25, drawdown_share=0.5)
OFF = msgspec.structs.replace(STOPS, sigmas=0.0)
ANNUAL = {BTC: 0.60, ETH: 0.80}
SNAPSHOT = MarketSnapshot(
    as_of_ms=NOW_MS,
    instruments=INSTRUMENTS,
    quotes=QUOTES,
    funding=FUNDING,
    accounts=(account(ts_ms=NOW_MS),),
)


def rules(identifier: str) -> Instrument:
    return next(one for one in INSTRUMENTS if one.id == identifier)


def resting(identifier: str, side: Side, contracts: str, client_id: str = "pt1") -> RestingStop:
    return RestingStop(client_id, identifier, side, Decimal(contracts), Decimal(90_000))


@pytest.mark.parametrize(
    ("daily", "share"),
    [
        (0.03, 0.09),  # 3 x 3 %
        (0.001, 0.02),  # never nearer than 2 %
        (0.20, 0.25),  # nor farther than 25 %
        (None, 0.25),
        (float("nan"), 0.25),
        (0.0, 0.25),
        (-0.1, 0.25),
    ],
)
def test_the_distance_is_so_many_sigmas_within_its_bounds(
    daily: float | None, share: float
) -> None:
    assert distance(STOPS, daily) == pytest.approx(share)


def test_a_trigger_is_rounded_away_from_the_mark() -> None:
    tick = Decimal("0.5")
    assert trigger_price(Decimal("100.3"), tick, Side.SELL, 0.1) == Decimal("90.0")
    assert trigger_price(Decimal("100.3"), tick, Side.BUY, 0.1) == Decimal("110.5")


@given(
    mark=st.decimals("0.01", "1000000", places=4),
    tick=st.sampled_from([Decimal(1) / 10**n for n in range(5)]),
    sold=st.booleans(),
    share=st.floats(0.001, 0.9),
)
def test_every_trigger_lies_beyond_its_mark_at_least_as_far_as_asked(
    mark: Decimal, tick: Decimal, sold: bool, share: float
) -> None:
    side = Side.SELL if sold else Side.BUY
    try:
        price = trigger_price(mark, tick, side, share)
    except InputError:
        assert sold
        assert mark * (1 - Decimal(repr(share))) < tick
        return
    away = mark * Decimal(repr(share))
    assert price % tick == 0
    assert away <= (mark - price if sold else price - mark) < away + tick
    assert price > 0


def test_a_stop_closes_the_whole_position_and_reduces_only() -> None:
    long = stop_order(rules(BTC), Decimal(97_500), Decimal("0.4"), 0.1)
    assert (long.side, long.contracts, long.after) == (Side.SELL, Decimal("0.4"), Decimal(0))
    assert (long.reduce_only, long.effect, long.kind) == (
        True,
        Effect.REDUCE,
        OrderKind.STOP_MARKET,
    )
    assert long.trigger_price == long.limit_price == Decimal(87_750)
    assert long.notional_usd == Decimal(39_000)
    short = stop_order(rules(ETH), Decimal(3_200), Decimal(-6), 0.1)
    assert (short.side, short.contracts, short.limit_price) == (
        Side.BUY,
        Decimal(6),
        Decimal(3_520),
    )


def test_each_contract_gets_its_stop_behind_its_last_leg() -> None:
    made = protect((*FLIP_ETH, REDUCE_BTC), SNAPSHOT, STOPS, ANNUAL, ())
    assert [(leg.id, leg.protective) for leg in made.legs] == [
        (ETH, False),
        (ETH, False),
        (ETH, True),
        (BTC, False),
        (BTC, True),
    ]
    eth, btc = made.legs[2], made.legs[4]
    assert (eth.side, eth.contracts) == (Side.SELL, Decimal(2))
    assert (btc.side, btc.contracts) == (Side.SELL, Decimal("0.2"))
    # 3 standard deviations of a day: 60 % a year is 3.14 % a day.
    share = 3 * 0.60 / math.sqrt(365)
    assert float(1 - btc.limit_price / MARKS[BTC]) == pytest.approx(share, abs=1e-5)
    assert made.volatility_daily == pytest.approx(
        {k: v / math.sqrt(365) for k, v in ANNUAL.items()}
    )


def test_none_are_made_when_they_are_off_or_nothing_is_left() -> None:
    assert protect((ADD_ETH,), SNAPSHOT, OFF, ANNUAL, ()).legs == (ADD_ETH,)
    close = msgspec.structs.replace(REDUCE_ETH, contracts=Decimal(6), after=Decimal(0))
    assert protect((close,), SNAPSHOT, STOPS, ANNUAL, ()).legs == (close,)


def test_old_stops_are_cancelled_when_replaced_closed_or_on_the_wrong_side() -> None:
    old = resting(ETH, Side.BUY, "6")
    other = resting(BTC, Side.SELL, "0.4", "pt2")
    orphan = resting("binanceusdm:SOL/USDT:USDT", Side.SELL, "1", "pt3")
    there = (old, other, orphan)
    assert protect((ADD_ETH,), SNAPSHOT, STOPS, ANNUAL, there).cancels == (old, orphan)
    # Off: what still reduces stays, though nothing takes its place.
    assert protect((ADD_ETH,), SNAPSHOT, OFF, ANNUAL, there).cancels == (orphan,)
    close = msgspec.structs.replace(REDUCE_ETH, contracts=Decimal(6), after=Decimal(0))
    assert protect((close,), SNAPSHOT, OFF, ANNUAL, there).cancels == (old, orphan)
    assert protect(FLIP_ETH, SNAPSHOT, OFF, ANNUAL, there).cancels == (old, orphan)


def test_bare_positions_are_those_that_stops_do_not_cover_whole() -> None:
    held = {BTC: Decimal("0.4"), ETH: Decimal(-6)}
    assert bare_positions(held, ()) == held
    assert bare_positions(held, (resting(BTC, Side.SELL, "0.4"),)) == {ETH: Decimal(-6)}
    assert bare_positions(held, (resting(BTC, Side.SELL, "0.3"),)) == held
    assert bare_positions(held, (resting(BTC, Side.BUY, "0.4"),)) == held
    halves = (resting(BTC, Side.SELL, "0.2"), resting(BTC, Side.SELL, "0.2", "pt2"))
    assert BTC not in bare_positions(held, halves)


def test_what_is_bare_is_protected_by_stops_alone() -> None:
    part = resting(BTC, Side.SELL, "0.1")
    whole = resting(ETH, Side.BUY, "6", "pt2")
    made = unprotected(SNAPSHOT, STOPS, {BTC: 0.6}, (part, whole))
    (leg,) = made.legs
    assert (leg.id, leg.contracts, leg.protective) == (BTC, Decimal("0.4"), True)
    assert made.cancels == (part,)
    assert unprotected(SNAPSHOT, OFF, ANNUAL, ()).legs == ()


def test_an_unknown_volatility_stands_the_stop_at_the_farthest() -> None:
    made = unprotected(SNAPSHOT, STOPS, {BTC: float("nan")}, ())
    shares = [float(abs(leg.limit_price / leg.mark_price - 1)) for leg in made.legs]
    assert shares == pytest.approx([0.25, 0.25], abs=1e-4)
    assert made.volatility_daily == {}


def test_a_contract_without_a_price_is_refused() -> None:
    blind = msgspec.structs.replace(SNAPSHOT, quotes=())
    with pytest.raises(InputError, match="wait for its quote"):
        protect((ADD_ETH,), blind, STOPS, ANNUAL, ())
