"""A paper account on a live market: one simulated venue is the market of another account.

The market venue has its own account and keeps every request it was sent: that is what shows that
no order, and no signed request at all, ever reached it.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from perptui.model.clock import HOUR_MS, ManualClock, parse_iso
from perptui.model.order import Effect, LegState, OrderIntent, Side
from perptui.simulator.paper import PaperAccount
from perptui.simulator.server import VenueServer
from perptui.simulator.venue import ServedVenue, SimulatedVenue, VenueOptions
from perptui.venues.base import Venue
from perptui.venues.open import Way, open_venue

pytestmark = pytest.mark.asyncio

BTC = "binanceusdm:BTC/USDT:USDT"
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT")
EQUITY = Decimal(10_000_000)
CLIENT_ID = "pt" + "0" * 30


def folder() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"])


@asynccontextmanager
async def served(venue: ServedVenue, name: str) -> AsyncIterator[Path]:
    path = folder() / f"{name}.sock"
    server, ready = VenueServer(venue, path), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready.set))
    await ready.wait()
    try:
        yield path
    finally:
        server.stop()
        await serving


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_iso("2026-11-22T12:34:56Z"))


@pytest.fixture
def market(clock: ManualClock) -> SimulatedVenue:
    return SimulatedVenue(VenueOptions(seed=5), clock)


@pytest_asyncio.fixture
async def market_socket(market: SimulatedVenue) -> AsyncIterator[Path]:
    async with served(market, "market") as path:
        yield path


@asynccontextmanager
async def on_paper(market_socket: Path, clock: ManualClock) -> AsyncIterator[Venue]:
    """The paper account of the file, which one after another may open, on the market."""
    account = PaperAccount(folder() / "paper.json", EQUITY, clock)
    async with served(account, "paper") as path:
        way = Way(socket=market_socket, paper=path)
        venue = open_venue("binanceusdm", clock=clock, symbols=SYMBOLS, way=way)
        try:
            await venue.open()
            yield venue
        finally:
            await venue.close()


def buying(limit: Decimal, contracts: str = "0.5", *, mark: Decimal | None = None) -> OrderIntent:
    amount = Decimal(contracts)
    return OrderIntent(
        id=BTC,
        side=Side.BUY,
        effect=Effect.ADD,
        contracts=amount,
        notional_usd=amount * limit,
        limit_price=limit,
        mark_price=mark or limit,
        reduce_only=False,
        before=Decimal(0),
        after=amount,
    )


async def ask_of(venue: Venue) -> Decimal:
    """The best ask of BTC at the real market."""
    return (await venue.book(BTC, 5)).value.asks[0].price


async def test_the_account_is_papers_and_the_market_is_the_real_one(
    market: SimulatedVenue, market_socket: Path, clock: ManualClock
) -> None:
    async with on_paper(market_socket, clock) as venue:
        account = (await venue.account()).value
        assert account.equity_usd == EQUITY
        assert account.positions == ()
        marks = {quote.id: quote.mark for quote in (await venue.quotes()).value}
        assert marks[BTC] == market.exchange.mark("BTCUSDT")
        assert (await venue.server_time()).value == market.exchange.now_ms
        tiers = {one.id: one.tiers for one in (await venue.instruments()).value}
        # Without keys the real venue tells no tiers: those of the dated table hold.
        assert tiers[BTC] == market.exchange.rules["BTCUSDT"].tiers
        assert venue.control is None
        assert venue.host == "simulated"


async def test_an_order_meets_the_real_book_and_never_the_real_venue(
    market: SimulatedVenue, market_socket: Path, clock: ManualClock
) -> None:
    own = dict(market.exchange.account.holdings)
    async with on_paper(market_socket, clock) as venue:
        book = (await venue.book(BTC, 100)).value
        limit = book.asks[2].price
        there = sum((level.contracts for level in book.asks[:3]), Decimal(0))
        outcome = await venue.submit(buying(limit, str(there + 1)), CLIENT_ID)
        assert outcome.state is LegState.ACKED
        report = (await venue.order(BTC, CLIENT_ID)).value
        assert report is not None
        # What the limit does not reach expires: LIMIT immediate-or-cancel.
        assert (report.state, report.filled) == (LegState.EXPIRED, there)
        fills = (await venue.fills(BTC, clock.utc_ms() - 1000)).value
        assert [(fill.price, fill.contracts) for fill in fills] == [
            (level.price, level.contracts) for level in book.asks[:3]
        ]
        (held,) = (await venue.account()).value.positions
        assert (held.id, held.contracts) == (BTC, there)
    assert dict(market.exchange.account.holdings) == own
    asked = market.recorder.all()
    assert asked
    for row in asked:
        assert row.method == "GET", row
        assert "signature" not in str(row), row


async def test_a_restart_keeps_the_account_and_brings_it_up_to_date(
    market: SimulatedVenue, market_socket: Path, clock: ManualClock
) -> None:
    async with on_paper(market_socket, clock) as venue:
        await venue.submit(buying(await ask_of(venue), "0.2"), CLIENT_ID)
        before = (await venue.account()).value
        fills = (await venue.fills(BTC, clock.utc_ms() - HOUR_MS)).value
    # Ten hours without a desk: the market goes on, and funding settles at 16:00 and 00:00.
    clock.advance(10 * 3600)
    market.advance()
    now_ms = clock.utc_ms()
    settled = market.exchange.market.settlements(now_ms - 10 * HOUR_MS, now_ms, ("BTCUSDT",))
    assert settled
    async with on_paper(market_socket, clock) as venue:
        after = (await venue.account()).value
        assert after.positions[0].contracts == before.positions[0].contracts
        assert (await venue.fills(BTC, now_ms - 11 * HOUR_MS)).value == fills
        flows = (await venue.cashflows(clock.utc_ms() - 11 * HOUR_MS)).value
        paid = [flow for flow in flows if flow.kind == "funding"]
        assert [flow.ts_ms for flow in paid] == [row.ts_ms for row in settled]
        # -quantity x mark x rate (Binance's formula), at the mark of the stamp.
        for flow, row in zip(paid, settled, strict=True):
            mark = market.exchange.market.mark("BTCUSDT", row.ts_ms)
            expected = -0.2 * mark * round(row.rate, 8)
            assert float(flow.amount_usd) == pytest.approx(expected, rel=1e-6)
