"""Every fault of the simulated venue on every read: an error, or what is true, and in time.

The venue stands still, so a read under a fault can be held against the same read without one. What
comes back must be refused, or equal to it, or leave out what the fault struck and say so.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from perptui.model.errors import BadResponse, VenueError, VenueUnavailable
from perptui.model.money import ceil_to_tick
from perptui.model.order import Consequence, Effect, LegState, OrderIntent, Side
from perptui.simulator.events import Event, EventKind, happen
from perptui.simulator.fault_payloads import HOSTILE
from perptui.simulator.faults import FaultKind
from tests.venues.faulty import READS, Bench, bench
from tests.venues.payloads import BTC, ETH

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.unmeasured]

DEADLINE_S = 5.0
LISTS = (
    FaultKind.REVERSED,
    FaultKind.REPEATED_ENTRY,
    FaultKind.LOST_ENTRY,
    FaultKind.REUSED_ID,
    FaultKind.ZERO_BOOK,
    FaultKind.CROSSED_BOOK,
)
FIELDS = (
    FaultKind.NULL_FIELD,
    FaultKind.NEGATIVE,
    FaultKind.OVERFLOW,
    FaultKind.WORD,
    FaultKind.KEY_TWICE,
    FaultKind.HOSTILE_TEXT,
)
ANSWERS = (
    FaultKind.DRIP,
    FaultKind.NESTED,
    FaultKind.NOT_MODIFIED,
    FaultKind.REDIRECTED,
    FaultKind.MOVED,
    FaultKind.UNEXPECTED,
    FaultKind.KEY_REVOKED,
    FaultKind.HANG,
)
UNTOLD: dict[FaultKind, set[str]] = {
    # A sign that both signs are sound for, in a payload that says it once.
    FaultKind.NEGATIVE: {"balance", "funding", "settlements", "cash flows", "fills", "fees"},
    # A row that may well not be there.
    FaultKind.LOST_ENTRY: {
        *("contracts", "intervals", "bars", "mark bars", "settlements", "book", "cash flows"),
        *("fills", "open orders"),
    },
    # Names of things: shown escaped, or not known and left out.
    FaultKind.HOSTILE_TEXT: {"contracts", "intervals", "cash flows", "open orders"},
    # References that nothing is computed from.
    FaultKind.WORD: {"cash flows"},
    FaultKind.OVERFLOW: {"cash flows"},
    FaultKind.REUSED_ID: {"cash flows"},
    # Rows of the same moment, in another order.
    FaultKind.REVERSED: {"cash flows", "fills"},
}
"""Where one payload alone cannot tell; the cross-checks are those of reconcile and of history."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="pt-") as folder:
        async with bench(Path(folder)) as made:
            yield made


async def under(made: Bench, name: str, kind: FaultKind, pick: int = 0) -> Any:
    """Return the reading under a fault, or the error it is refused with."""
    path, read = READS[name]
    made.strike(f"GET {path}", kind, pick)
    try:
        return await asyncio.wait_for(made.read(read), DEADLINE_S)
    except VenueError as error:
        return error


async def sound(made: Bench, name: str) -> Any:
    made.strike("GET /nothing", FaultKind.HANG)
    return await made.read(READS[name][1])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", READS)
async def test_a_struck_payload_is_refused_or_true(still: Bench, name: str) -> None:
    expected = await sound(still, name)
    for kind in (*FIELDS, *LISTS):
        for pick in (1, 6) if kind in FIELDS else (0,):
            found = await under(still, name, kind, pick)
            if isinstance(found, VenueError) or name in UNTOLD.get(kind, ()):
                continue
            told = set(found.missing) - set(expected.missing)
            assert found.value == expected.value or told, (kind, pick)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_that_is_none_is_an_error_in_time(still: Bench, kind: FaultKind) -> None:
    for name in ("time", "positions", "funding", "bars", "fills", "order"):
        assert isinstance(await under(still, name, kind), VenueError), name


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (FaultKind.HUGE, "positions"),
        (FaultKind.HUGE, "marks"),
        (FaultKind.ENDLESS, "open orders"),
        (FaultKind.LONG_TEXT, "fills"),
    ],
)
async def test_too_much_of_an_answer_is_an_error_in_time(
    still: Bench, kind: FaultKind, name: str
) -> None:
    assert isinstance(await under(still, name, kind), VenueError)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_packed_small_does_not_stop_the_desk_while_it_is_unpacked(
    still: Bench,
) -> None:
    """Forty megabytes out of forty thousand bytes: other tasks go on meanwhile."""
    begun = time.process_time()
    assert isinstance(await under(still, "positions", FaultKind.COMPRESSED), VenueError)
    # Packing takes the venue .3 s here; adding chunk to chunk of bytes took 7 s.
    assert time.process_time() - begun < 3.0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_name_of_ten_megabytes_is_cut(still: Bench) -> None:
    """Which text is struck: of an open order's texts the third is its client id."""
    found = await under(still, "open orders", FaultKind.LONG_TEXT, 2)
    assert max(len(report.client_id) for report in found.value) == 64
    hostile = await under(still, "open orders", FaultKind.HOSTILE_TEXT, 2)
    shown = [report.client_id for report in hostile.value if report.client_id != "pt-rests-too"]
    assert not any(mark in name for name in shown for mark in HOSTILE if not mark.isprintable())


@pytest.mark.asyncio(loop_scope="module")
async def test_a_wrong_content_type_of_a_sound_body_is_read(still: Bench) -> None:
    expected = await sound(still, "positions")
    assert (await under(still, "positions", FaultKind.WRONG_TYPE)).value == expected.value


@pytest.mark.asyncio(loop_scope="module")
async def test_a_door_that_is_shut_is_no_answer(still: Bench) -> None:
    still.strike("GET /fapi/v1/time", FaultKind.REFUSED_AFTER, seconds=0.3)
    await still.read(READS["time"][1])
    with pytest.raises(VenueUnavailable):
        await still.read(READS["positions"][1])
    await asyncio.sleep(0.35)
    assert (await still.read(READS["positions"][1])).value.positions


@pytest.mark.asyncio(loop_scope="module")
async def test_a_trade_id_used_twice_loses_no_fill(still: Bench) -> None:
    refused = await under(still, "fills", FaultKind.REUSED_ID)
    assert isinstance(refused, BadResponse)
    assert "another of" in str(refused)
    repeated = await under(still, "fills", FaultKind.REPEATED_ENTRY)
    assert repeated.value == (await sound(still, "fills")).value


@pytest.mark.asyncio(loop_scope="module")
async def test_contracts_that_ccxt_could_not_read_are_not_an_empty_venue(still: Bench) -> None:
    for pick in range(1, 4):
        found = await under(still, "contracts", FaultKind.OVERFLOW, pick)
        assert isinstance(found, BadResponse)


@pytest.mark.asyncio(loop_scope="module")
async def test_an_interval_that_the_next_stamp_contradicts_is_left_out(still: Bench) -> None:
    """Usual hours for want of an entry: right for a stamp on their grid, told where it is not."""
    exchange = still.venue.exchange
    happen(exchange, Event(EventKind.FUNDING_INTERVAL, symbol="ETHUSDT", amount=Decimal(1)))
    hourly = await sound(still, "funding")
    assert {quote.id: quote.interval_h for quote in hourly.value}[ETH] == 1.0
    rows = [row for row in hourly.value if row.id != ETH]
    found = await under(still, "intervals", FaultKind.EMPTY_OBJECT)
    assert isinstance(found, VenueError)
    path, read = READS["intervals"]
    still.strike(f"GET {path}", FaultKind.HOSTILE_TEXT, _row_of_eth(still))
    struck = await still.read(read)
    assert f"{ETH}.interval" in struck.missing
    assert len(struck.value) <= len(rows)
    assert (await sound(still, "funding")).value == hourly.value


def _row_of_eth(made: Bench) -> int:
    """Return the pick that strikes the name in ETH's row of the list of intervals."""
    market = made.venue.exchange.market
    listed = market.listed(made.venue.exchange.now_ms)
    others = [s for s in listed if market.next_settlement(s, made.venue.exchange.now_ms)[1] != 8]
    return others.index("ETHUSDT")


def intent_of(made: Bench) -> OrderIntent:
    mark = made.venue.exchange.mark("BTCUSDT")
    return OrderIntent(
        id=BTC,
        side=Side.BUY,
        effect=Effect.ADD,
        contracts=Decimal("0.01"),
        notional_usd=mark / 100,
        limit_price=ceil_to_tick(mark * Decimal("1.003"), Decimal("0.1")),
        mark_price=mark,
        reduce_only=False,
        before=Decimal(0),
        after=Decimal("0.01"),
    )


UNKNOWN, ACKED, REJECTED = LegState.UNKNOWN, LegState.ACKED, LegState.REJECTED
ORDERS = [
    *((kind, UNKNOWN, Consequence.NONE) for kind in (
        FaultKind.DRIP, FaultKind.ENDLESS, FaultKind.HUGE, FaultKind.COMPRESSED, FaultKind.NESTED,
        FaultKind.NOT_MODIFIED, FaultKind.REDIRECTED, FaultKind.MOVED, FaultKind.UNEXPECTED,
        FaultKind.DUPLICATE_ID, FaultKind.KEY_TWICE,
    )),
    (FaultKind.WRONG_TYPE, ACKED, Consequence.NONE),
    (FaultKind.REFUSED_AFTER, ACKED, Consequence.NONE),
    (FaultKind.FIREWALL, UNKNOWN, Consequence.BREAK),
    (FaultKind.CLOCK, REJECTED, Consequence.SYNC),
    (FaultKind.KEY_REVOKED, REJECTED, Consequence.HALT),
    (FaultKind.NO_MARGIN, REJECTED, Consequence.NONE),
    (FaultKind.CONTRACT_CLOSED, REJECTED, Consequence.NONE),
]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("kind", "state", "consequence"), ORDERS)
async def test_an_order_under_a_fault(
    still: Bench, kind: FaultKind, state: LegState, consequence: Consequence
) -> None:
    still.clock.advance(61)
    await still.adapter.server_time()
    number = [row[0] for row in ORDERS].index(kind)
    still.strike("POST /fapi/v1/order", kind, seconds=0.5)
    before = len(still.venue.exchange.orders)
    outcome = await asyncio.wait_for(
        still.adapter.submit(intent_of(still), f"pt{number:030x}"), DEADLINE_S
    )
    assert (outcome.state, outcome.consequence) == (state, consequence)
    assert len(still.venue.exchange.orders) - before <= 1
    if state is REJECTED:
        assert len(still.venue.exchange.orders) == before
    await asyncio.sleep(0.6 if kind is FaultKind.REFUSED_AFTER else 0)


@pytest.mark.asyncio(loop_scope="module")
async def test_after_a_refused_clock_nothing_is_sent_until_the_venues_time_is_known(
    still: Bench,
) -> None:
    still.clock.advance(61)
    await still.adapter.server_time()
    still.strike("POST /fapi/v1/order", FaultKind.CLOCK)
    first = await still.adapter.submit(intent_of(still), "pt" + "c1" * 15)
    assert (first.state, first.code) == (REJECTED, "-1021")
    before = len(still.venue.recorder.all())
    second = await still.adapter.submit(intent_of(still), "pt" + "c2" * 15)
    assert (second.state, second.code) == (LegState.NOT_SENT, "CLOCK")
    assert len(still.venue.recorder.all()) == before, "not a byte"
    assert (await still.adapter.cancel(BTC, "pt-rests-too")).state is ACKED
    await still.adapter.server_time()
    assert (await still.adapter.submit(intent_of(still), "pt" + "c3" * 15)).state is ACKED


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("pick", range(12))
async def test_no_struck_number_of_an_acknowledgement_is_believed(still: Bench, pick: int) -> None:
    """Either the acknowledgement is refused, or what was struck is nothing that is read."""
    still.clock.advance(61)
    for kind in (FaultKind.NEGATIVE, FaultKind.NULL_FIELD, FaultKind.OVERFLOW, FaultKind.WORD):
        still.strike("POST /fapi/v1/order", kind, pick)
        client_id = f"pt{list(FaultKind).index(kind):02x}{pick:028x}"
        outcome = await still.adapter.submit(intent_of(still), client_id)
        assert outcome.state in {ACKED, UNKNOWN}
        if outcome.report is not None:
            order = still.venue.exchange.find("BTCUSDT", None, client_id)
            assert outcome.report.filled == order.filled
            assert outcome.report.average_price in {order.average_price, None}
            assert outcome.report.venue_order_id == str(order.id)
