"""End to end: the real ccxt, a real socket, the simulated venue in a process of its own."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
import yarl

from perptui.model.clock import DAY_MS, HOUR_MS, SystemClock, VenueClock
from perptui.model.market import Quote
from perptui.model.money import ceil_to_tick
from perptui.model.order import Effect, LegState, OrderIntent, Side
from perptui.settings.credentials import Secret
from perptui.venues.base import Venue
from perptui.venues.open import open_venue
from perptui.venues.side_door import CONTROL_HOST
from perptui.venues.transport import socket_session
from tests.venues.payloads import BTC

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ORDER = "POST /fapi/v1/order"


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    """A running simulated venue: its socket."""
    with tempfile.TemporaryDirectory(prefix="pt-") as directory:
        yield from _simulated(Path(directory) / "venue.sock")


def _simulated(path: Path) -> Iterator[Path]:
    command = [sys.executable, "-m", "perptui", "simulate", "--socket", str(path), "--seed", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")
            yield path
        finally:
            process.terminate()
        assert process.wait(10) == 0


@pytest_asyncio.fixture
async def venue(socket: Path) -> AsyncIterator[Venue]:
    clock = VenueClock(SystemClock(), SystemClock().utc_ms())
    key = Secret("simulated")
    opened = open_venue("binance", clock=clock, socket=socket, key=key, secret=key)
    await opened.open()
    clock.anchor((await opened.server_time()).value)
    yield opened
    await opened.close()


async def _quote(venue: Venue) -> Quote:
    return {quote.id: quote for quote in (await venue.quotes()).value}[BTC]


async def _intent(venue: Venue, contracts: str = "0.010") -> OrderIntent:
    mark = (await _quote(venue)).mark
    size = Decimal(contracts)
    return OrderIntent(
        id=BTC,
        side=Side.BUY,
        effect=Effect.ADD,
        contracts=size,
        notional_usd=size * mark,
        limit_price=ceil_to_tick(mark * Decimal("1.003"), Decimal("0.1")),
        mark_price=mark,
        reduce_only=False,
        before=Decimal(0),
        after=size,
    )


async def _install(socket: Path, *faults: dict[str, object]) -> None:
    session = socket_session(str(socket), frozenset({CONTROL_HOST}), SystemClock())
    url = yarl.URL.build(scheme="https", host=CONTROL_HOST, path="/faults")
    response = await session.send("POST", url, {"data": json.dumps(faults).encode()})
    assert response.status == 200
    await session.close()


async def test_every_read_of_a_generated_market(venue: Venue) -> None:
    instruments = (await venue.instruments()).value
    assert len(instruments) >= 5
    assert all(instrument.tiers and instrument.active for instrument in instruments)
    quotes = (await venue.quotes()).value
    assert [quote.id for quote in quotes] == [instrument.id for instrument in instruments]
    for quote in quotes:
        assert quote.bid is not None
        assert quote.ask is not None
        assert abs(quote.mark / quote.bid - 1) < Decimal("0.01")
    funding = (await venue.funding()).value
    now_ms = (await venue.server_time()).value
    assert [row.id for row in funding] == [quote.id for quote in quotes]
    assert all(now_ms < row.next_ms <= now_ms + row.interval_h * HOUR_MS for row in funding)
    bars = (await venue.bars(BTC, None, 48)).value
    assert len(bars) == 48
    assert {later.ts_ms - bar.ts_ms for bar, later in pairwise(bars)} == {HOUR_MS}
    assert bars[-1].ts_ms + HOUR_MS <= now_ms + 1000 < bars[-1].ts_ms + 2 * HOUR_MS + 1000
    marks = (await venue.mark_bars(BTC, bars[0].ts_ms, 48)).value
    assert [bar.ts_ms for bar in marks] == [bar.ts_ms for bar in bars]
    settled = (await venue.funding_history(BTC, None, 9)).value
    assert len(settled) == 9
    book = (await venue.book(BTC, 20)).value
    assert book.bids[0].price < book.asks[0].price


async def test_the_accounts_sums_hold(venue: Venue) -> None:
    # Balance and positions are two requests: a price between them would belong to one alone.
    assert venue.control is not None
    speed = (await venue.control.state()).speed
    await venue.control.set_speed(0.0)
    reading = await venue.account()
    await venue.control.set_speed(speed)
    account = reading.value
    unrealised = [position.unrealised_usd or Decimal(0) for position in account.positions]
    assert account.equity_usd - account.wallet_usd == pytest.approx(
        sum(unrealised, Decimal(0)), abs=Decimal("0.0001")
    )
    for position in account.positions:
        assert position.mark_price is not None
        assert position.unrealised_usd == pytest.approx(
            position.contracts * (position.mark_price - position.entry_price),
            abs=Decimal("0.0001"),
        )
    assert account.one_way
    assert {name.rsplit(".", 1)[1] for name in reading.missing} <= {
        "leverage",
        "venue_liquidation_price",
    }


async def test_an_order_is_filled_and_every_account_of_it_agrees(venue: Venue) -> None:
    since_ms = (await venue.server_time()).value
    before = {p.id: p.contracts for p in (await venue.account()).value.positions}
    intent, client_id = await _intent(venue), "pt" + "a1" * 15
    outcome = await venue.submit(intent, client_id)
    assert outcome.state is LegState.ACKED
    queried = (await venue.order(BTC, client_id)).value
    assert queried is not None
    assert (queried.state, queried.filled) == (LegState.FILLED, intent.contracts)
    fills = [
        fill
        for fill in (await venue.fills(BTC, since_ms)).value
        if fill.venue_order_id == queried.venue_order_id
    ]
    assert sum(fill.contracts for fill in fills) == intent.contracts
    assert all(fill.price <= intent.limit_price and fill.fee_usd > 0 for fill in fills)
    after = {p.id: p.contracts for p in (await venue.account()).value.positions}
    assert after[BTC] - before.get(BTC, Decimal(0)) == intent.contracts
    fees = [
        flow
        for flow in (await venue.cashflows(since_ms)).value
        if flow.kind == "fee" and flow.id == BTC
    ]
    assert -sum(flow.amount_usd for flow in fees[-len(fills) :]) == sum(f.fee_usd for f in fills)
    assert (await venue.open_orders()).value == ()
    assert (await venue.cancel(BTC, client_id)).code == "-2011"


async def test_what_the_venue_refuses_comes_back_with_its_code(venue: Venue) -> None:
    too_large = await venue.submit(await _intent(venue, "900"), "pt" + "b1" * 15)
    assert (too_large.state, too_large.code) == (LegState.REJECTED, "-2019")
    assert "[InsufficientFunds]" in too_large.text
    (smallest,) = [one for one in (await venue.instruments()).value if one.coin == "SOL"]
    mark = {quote.id: quote.mark for quote in (await venue.quotes()).value}[smallest.id]
    dust = msgspec.structs.replace(
        await _intent(venue),
        id=smallest.id,
        contracts=smallest.min_contracts,
        limit_price=ceil_to_tick(mark, smallest.tick),
    )
    assert dust.contracts * mark < smallest.min_notional_usd
    too_small = await venue.submit(dust, "pt" + "b2" * 15)
    assert (too_small.state, too_small.code) == (LegState.REJECTED, "-4164")
    assert (await venue.order(BTC, "pt" + "b3" * 15)).value is None


MATRIX = [
    ("hang", LegState.UNKNOWN, True),
    ("reset_before_answer", LegState.UNKNOWN, True),
    ("reset_mid_body", LegState.UNKNOWN, True),
    ("empty", LegState.UNKNOWN, True),
    ("html", LegState.UNKNOWN, True),
    ("empty_object", LegState.UNKNOWN, True),
    ("null", LegState.UNKNOWN, True),
    ("truncated", LegState.UNKNOWN, True),
    ("nan", LegState.UNKNOWN, True),
    ("internal_error", LegState.UNKNOWN, True),
    ("bad_gateway", LegState.UNKNOWN, True),
    ("unknown_status", LegState.UNKNOWN, True),
    ("timeout", LegState.UNKNOWN, True),
    ("timeout_408", LegState.UNKNOWN, True),
    ("delay", LegState.ACKED, True),
    ("unavailable", LegState.UNKNOWN, False),
    ("overloaded", LegState.UNKNOWN, False),
    ("firewall", LegState.UNKNOWN, False),
    ("clock", LegState.REJECTED, False),
    ("rate_limited", LegState.NOT_SENT, False),
    ("too_many_orders", LegState.NOT_SENT, False),
    ("banned", LegState.NOT_SENT, False),
]
"""Fault, the outcome that safety asks for, and whether the order really reached the exchange."""


@pytest.mark.parametrize(("kind", "state", "reached"), MATRIX)
async def test_an_order_under_a_fault_is_classified_and_sent_once(
    socket: Path, venue: Venue, kind: str, state: LegState, reached: bool
) -> None:
    number = [row[0] for row in MATRIX].index(kind)
    intent, client_id = await _intent(venue), "pt" + f"c{number:02d}" * 10
    await _install(socket, {"endpoint": ORDER, "nth": 1, "kind": kind, "seconds": 0.2})
    outcome = await venue.submit(intent, client_id)
    assert outcome.state is state
    await asyncio.sleep(0.05)
    key = Secret("simulated")
    clock = VenueClock(SystemClock(), (await venue.control.state()).utc_ms if venue.control else 0)
    other = open_venue("binance", clock=clock, socket=socket, key=key, secret=key)
    await other.open()
    found = (await other.order(BTC, client_id)).value
    assert (found is not None) == reached
    now_ms = (await other.server_time()).value
    fills = (await other.fills(BTC, now_ms - DAY_MS)).value
    ours = [fill for fill in fills if found and fill.venue_order_id == found.venue_order_id]
    assert sum(fill.contracts for fill in ours) == (intent.contracts if reached else 0)
    await other.close()


async def test_the_side_door_sets_the_speed(venue: Venue) -> None:
    control = venue.control
    assert control is not None
    state = await control.state()
    assert (state.market, state.seed, state.speed) == ("generated", 5, 1.0)
    assert (await control.set_speed(2.0)).speed == 2.0
    assert (await control.set_speed(1.0)).speed == 1.0
