"""Pollers on the real simulated venue, through the real ccxt: readings, failures, recovery."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from perptui.desk.backfill import Backfill
from perptui.desk.books import BookShelf
from perptui.desk.orders.gate_orders import fault_of
from perptui.desk.pace import Pace
from perptui.desk.poller import VenuePoller, words_of
from perptui.desk.state import VITAL_CALLS, DeskState
from perptui.desk.worker import QuantWorker
from perptui.model.clock import HOUR_MS, SystemClock, VenueClock
from perptui.model.errors import BadResponse, RateLimited, VenueUnavailable
from perptui.settings.credentials import Secret
from perptui.settings.load import load
from perptui.simulator.faults import Fault, FaultKind, FaultScript
from perptui.simulator.server import VenueServer
from perptui.simulator.venue import SimulatedVenue, VenueOptions
from perptui.venues.base import Venue
from perptui.venues.open import open_venue
from tests.desk.market import BTC, ETH, NOW_MS, VENUE

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]
PATIENCE_S = 60.0
HELD = tuple(f"{coin}/USDT:USDT" for coin in ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE"))
"""Contracts of the demonstration's book: one held without a mark would refuse the snapshot."""
QUICK = msgspec.structs.replace(
    load().settings.polling,
    account_s=0.5,
    marks_s=0.3,
    funding_s=0.3,
    fills_s=3.0,
    open_orders_s=2.0,
    clock_s=1.0,
)


class Bench:
    """A venue in this process, its adapter, a state and a poller."""

    def __init__(self, simulated: SimulatedVenue, venue: Venue, clock: VenueClock) -> None:
        self.simulated = simulated
        self.venue = venue
        self.clock = clock
        self._news = asyncio.Event()
        self.state = DeskState({VENUE: (BTC, ETH)}, QUICK, clock, self._news.set)
        self.poller = VenuePoller(venue, self.state, QUICK, clock, SystemClock(), seed=3)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        await self.poller.prepare()
        task = asyncio.create_task(self.poller.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "venue.sock"
    simulated = SimulatedVenue(VenueOptions(seed=5, speed=2.0), SystemClock())
    server, ready = VenueServer(simulated, path), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready.set))
    await ready.wait()
    # A clock an hour behind: only the venue's own makes requests signed in time.
    clock = VenueClock(SystemClock(), SystemClock().utc_ms() - HOUR_MS)
    key = Secret("simulated")
    venue = open_venue(VENUE, clock=clock, socket=path, key=key, secret=key, symbols=HELD)
    yield Bench(simulated, venue, clock)
    await venue.close()
    server.stop()
    await serving


async def test_everything_vital_is_read_and_the_clock_is_the_venues(bench: Bench) -> None:
    async with bench.polling():
        await bench.until(lambda: not bench.state.why_no_snapshot())
        snapshot = bench.state.snapshot()
        assert snapshot is not None
        assert {row.id for row in snapshot.instruments} >= {BTC, ETH}
        assert snapshot.equity_usd > 0
        assert bench.clock.speed == 2.0
        assert abs(bench.clock.utc_ms() - bench.simulated.clock.utc_ms()) < 2000
        venue = bench.state.picture.venues[0]
        assert set(venue.readings) >= {*VITAL_CALLS, "instruments", "open_orders"}
        assert venue.day is not None


async def test_a_call_is_in_flight_once_and_comes_again(bench: Bench) -> None:
    seen: set[float] = set()
    async with bench.polling():

        def often() -> bool:
            observed = bench.state.picture.venues[0].observed_mono("quotes")
            if observed is not None:
                seen.add(observed)
            return len(seen) >= 3

        await bench.until(often)
    assert len(seen) >= 3


@pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.EMPTY])
async def test_garbage_becomes_a_line_never_a_zero(bench: Bench, kind: FaultKind) -> None:
    async with bench.polling():
        await bench.until(lambda: not bench.state.why_no_snapshot())
        positions = bench.state.picture.accounts[0].positions
        bench.simulated.faults = FaultScript((Fault("*", 1, kind, times=10_000),))
        await bench.until(lambda: "account" in bench.state.picture.venues[0].troubles)
        assert bench.state.picture.equity_usd is not None
        held = bench.state.picture.accounts[0].positions
        assert [row.id for row in held] == [row.id for row in positions]
        bench.simulated.faults = FaultScript()
        await bench.until(lambda: not bench.state.picture.venues[0].troubles)


async def test_a_venue_that_is_not_there_is_tried_again(bench: Bench) -> None:
    bench.simulated.faults = FaultScript((Fault("*", 1, FaultKind.HTML, times=2),))
    async with bench.polling():
        await bench.until(lambda: not bench.state.why_no_snapshot())


async def test_hurried_polls_do_not_wait_for_their_turn(bench: Bench) -> None:
    slow = msgspec.structs.replace(QUICK, account_s=600.0)
    bench.poller = VenuePoller(bench.venue, bench.state, slow, bench.clock, SystemClock())
    async with bench.polling():
        await bench.until(lambda: not bench.state.why_no_snapshot())
        first = bench.state.picture.venues[0].observed_mono("account")

        def again() -> bool:
            bench.poller.hurry("account", "no such call")
            return bench.state.picture.venues[0].observed_mono("account") != first

        await bench.until(again)


async def test_books_are_read_of_what_is_traded_alone(bench: Bench) -> None:
    """Two of the six contracts, twenty levels a side; the desk's state hears nothing of it."""
    shelf = BookShelf(bench.clock, QUICK.book_s * QUICK.stale_after_intervals)
    bench.poller.shelf = shelf
    bench.poller.traded = lambda: frozenset({BTC, ETH, "bybit:BTC/USDT:USDT"})
    async with bench.polling():
        await bench.until(lambda: len(shelf.fresh()) == 2)
        first = shelf.age_s(BTC)
        assert first is not None
        assert set(shelf.fresh()) == {BTC, ETH}
        assert all(len(one.bids) == len(one.asks) == 20 for one in shelf.fresh().values())
        assert all(fault_of(one) == "" for one in shelf.fresh().values())
        bench.simulated.faults = FaultScript((Fault("GET /fapi/v1/depth", 1, FaultKind.HTML),))
        bench.poller.traded = lambda: frozenset({f"{VENUE}:SOL/USDT:USDT"})
        await bench.until(lambda: "book" in bench.state.picture.venues[0].troubles)
        await bench.until(lambda: f"{VENUE}:SOL/USDT:USDT" in shelf.fresh())
        assert "book" not in bench.state.picture.venues[0].troubles


@pytest.mark.unmeasured
async def test_history_is_filled_and_then_followed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    worker = QuantWorker(tmp_path / "history", tmp_path / "quant.log", SystemClock())
    worker.start()
    estimated = asyncio.Event()

    async def ready() -> None:
        estimated.set()

    backfill = Backfill([bench.venue], bench.state, worker, bench.clock, 0.0, ready)
    try:
        async with bench.polling():
            task = asyncio.create_task(backfill.run())
            async with asyncio.timeout(PATIENCE_S):
                await estimated.wait()
            newest = bench.state.picture.bars_ms
            hour = bench.clock.utc_ms() // HOUR_MS * HOUR_MS
            assert newest in {hour - HOUR_MS, hour - 2 * HOUR_MS}
            assert bench.state.picture.history == ""
            # An hour in a few seconds: the next closed bar is asked for by itself.
            control = bench.venue.control
            assert control is not None
            task.cancel()
            bench.clock.set_speed((await control.set_speed(3000.0)).speed)
            estimated.clear()
            task = asyncio.create_task(backfill.run())
            async with asyncio.timeout(PATIENCE_S):
                await estimated.wait()
            assert (bench.state.picture.bars_ms or 0) > (newest or 0)
            task.cancel()
    finally:
        await worker.close()


async def test_a_replay_waits_for_a_person(bench: Bench) -> None:
    async with bench.polling():
        pace = Pace(bench.venue.control, bench.clock, bench.state, bench.poller.hurry)
        await pace.resume()
        assert bench.simulated.clock.speed == 2.0
        await pace.slow()
        await pace.slow()
        assert (bench.simulated.clock.speed, bench.clock.speed) == (1.0, 1.0)
        await pace.resume()
        assert (bench.simulated.clock.speed, bench.clock.speed) == (2.0, 2.0)
        told = [line.text for line in bench.state.picture.news]
        assert told == [
            "replay at 1x while a confirmation is open, was 2x",
            "replay at 2x again",
        ]


async def test_failures_are_named_in_few_words() -> None:
    assert words_of(RateLimited("expected silence", until_ms=NOW_MS)) == "rate limited until 07:20"
    assert words_of(BadResponse("expected JSON, was HTML")) == "expected JSON, was HTML"
    refused = VenueUnavailable("expected an answer, was UnixClientConnectorError", "NO_ANSWER")
    assert words_of(refused) == "no answer from the venue"
    banned = VenueUnavailable("expected an answer, was HTTP 503", "503")
    assert words_of(banned) == "expected an answer, was HTTP 503"
