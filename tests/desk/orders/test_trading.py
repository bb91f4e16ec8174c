"""Trading as the desk calls it: opening, confirming, voiding, exporting, halting, restarting."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perptui.desk.orders.traders import trader_of
from perptui.journal.audit import confirmed_text
from perptui.journal.database import Database
from perptui.journal.events import Alarm
from perptui.journal.verify import verify_file
from perptui.model.clock import ManualClock
from perptui.model.errors import (
    ConfigError,
    ConfirmationRefused,
    GateRefused,
    InputError,
    JournalError,
)
from perptui.model.market import Quote
from perptui.model.order import OrderIntent
from perptui.venues.base import Reading
from tests.desk.dealing import (
    ADD_ETH,
    ALICE,
    BOB,
    FLIP_ETH,
    REDUCE_BTC,
    REDUCE_ETH,
    Deal,
    answer,
    proposal,
    settings_of,
)
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import BTC, ETH, NOW_MS, VENUE
from tests.desk.orders.test_gate import SNAPSHOT
from tests.journal.made import journal_in, journal_on, let_grow_no_more

pytestmark = pytest.mark.asyncio
replace = msgspec.structs.replace


async def started(folder: Path, *script: str, **changes: Any) -> Deal:
    """A desk that is reconciled."""
    deal = Deal(folder, script, **changes)
    await deal.trading.reconcile()
    return deal


def reason_of(refused: pytest.ExceptionInfo[Any]) -> str:
    return str(refused.value.reason)


async def test_from_proposal_to_fills_everything_is_in_the_journal(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    assert (view.phase, view.id, view.purpose) == ("confirm", "T1", "send")
    assert view.opens_mono == deal.clock.monotonic() + 1
    assert view.expires_mono == deal.clock.monotonic() + 30
    assert [leg.state for leg in view.legs] == ["PROPOSED"]
    await deal.confirm(view)
    await deal.trading.sent()
    done = deal.trading.ticket_view
    assert (done.phase, done.reason) == ("done", "1 of 1 legs filled")
    leg = done.legs[0]
    assert (leg.label, leg.side, leg.contracts, leg.filled) == (
        f"BTC {VENUE}",
        "sell",
        Decimal("0.2"),
        Decimal("0.2"),
    )
    assert leg.average_price == Decimal(97500)
    assert deal.kinds() == [
        *("GENESIS", "STARTED", "BASELINE", "RECONCILED", "PROPOSED", "CONFIRMED"),
        *("SENDING", "OUTCOME", "MOVED", "FILL", "ENDED"),
    ]
    assert deal.points == ["confirmed", "sending", "answered", "recorded"]
    assert [event.actor.name for event in deal.events()][4:7] == ["alice"] * 3
    rows = deal.trading.journal_view
    assert (rows.tickets[0].state, rows.tickets[0].filled) == ("DONE", 1)
    assert [row.kind for row in rows.events] == deal.kinds()
    assert rows.events[6].text == f"T1.1 BTC {VENUE} sell sending, 19,500.00 USD"
    assert rows.verified == "chain verified to 11"
    assert rows.path == str(tmp_path / "journal.db")
    assert verify_file(tmp_path / "journal.db").ok


async def test_progress_counts_from_one_and_says_what_it_cost(tmp_path: Path) -> None:
    """Sold 0.2 at 97,400, marked 97,500: 20 USD short and 9.74 of fees; then 1 bought at mark."""
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC, REDUCE_ETH)
    assert [(leg.index, leg.note, leg.shortfall_usd) for leg in view.legs] == [
        (1, "", None),
        (2, "", None),
    ]
    deal.venue.prices = {BTC: Decimal(97400)}
    await deal.confirm(view)
    await deal.trading.sent()
    legs = deal.trading.ticket_view.legs
    assert [(leg.index, leg.state, leg.note) for leg in legs] == [
        (1, "FILLED", ""),
        (2, "FILLED", ""),
    ]
    assert [leg.shortfall_usd for leg in legs] == [Decimal("29.74"), Decimal("1.60")]


@pytest.mark.parametrize(
    ("script", "state", "note"),
    [
        (("reject",), "REJECTED", "-2019: margin is insufficient"),
        (("half",), "EXPIRED", "partial: 0.1 of 0.2 contracts not filled"),
        (("not_sent",), "NOT_SENT", "429: too many requests"),
        (("lost",), "UNKNOWN", "504: no answer"),
    ],
)
async def test_progress_says_why_a_leg_did_not_go_its_way(
    tmp_path: Path, script: tuple[str, ...], state: str, note: str
) -> None:
    deal = await started(tmp_path, *script)
    await deal.confirm(await deal.open(REDUCE_BTC))
    await deal.trading.sent()
    leg = deal.trading.ticket_view.legs[0]
    assert (leg.state, leg.note) == (state, note)


async def test_the_confirmed_screen_is_kept(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    await deal.confirm(view)
    seq = deal.kinds().index("CONFIRMED") + 1
    assert confirmed_text(tmp_path / "journal.db", seq) == "\n".join(view.text) + "\n"


async def test_nothing_is_sent_before_a_reconcile_was_clean(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    assert deal.trading.sends_locked == "not reconciled yet"
    with pytest.raises(GateRefused) as refused:
        await deal.open(REDUCE_BTC)
    assert reason_of(refused) == "reconcile"
    deal.venue.down = {"account"}
    await deal.trading.reconcile()
    assert "account" in deal.trading.sends_locked
    deal.venue.down = set()
    await deal.trading.reconcile()
    assert deal.trading.sends_locked == ""
    await deal.open(REDUCE_BTC)


async def test_a_venue_that_does_not_answer_locks_sending_again(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    deal.venue.down = {"server_time"}
    await deal.trading.reconcile()
    assert "server_time" in deal.trading.sends_locked
    with pytest.raises(GateRefused):
        await deal.open(REDUCE_BTC)


async def test_an_unknown_leg_locks_its_symbol_only(tmp_path: Path) -> None:
    deal = await started(tmp_path, "lost")
    await deal.confirm(await deal.open(REDUCE_BTC))
    await deal.trading.sent()
    assert deal.trading.unknown_legs == 1
    assert deal.trading.sends_locked == ""
    assert deal.trading.ticket_view.phase == "sending"
    await deal.confirm(await deal.open(REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED"]
    with pytest.raises(GateRefused) as refused:
        await deal.open(REDUCE_BTC)
    assert reason_of(refused) == "duplicate"
    assert "an order of binanceusdm:BTC/USDT:USDT is UNKNOWN" in str(refused.value)
    assert [head.state for head in deal.journal.tickets(5)] == ["CONFIRMED", "DONE"]


async def test_a_send_that_is_given_up_leaves_no_leg_confirmed(tmp_path: Path) -> None:
    """A desk that ends while it sends: what was under way is UNKNOWN, the rest was not sent."""
    deal = await started(tmp_path, "hang")
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await asyncio.wait_for(deal.venue.hanging.wait(), 5)
    ending = asyncio.create_task(deal.trading.stop())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    assert deal.states() == ["UNKNOWN", "NOT_SENT"]
    assert deal.journal.legs("T1")[1].note == "the desk ended"
    assert len(deal.venue.submitted) == 1


class SlowVenue(LedgerVenue):
    """Tells its time only while `on` is set: a reconcile under way holds everything else up."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.on = asyncio.Event()
        self.on.set()

    async def server_time(self) -> Reading[int]:
        await self.on.wait()
        return await super().server_time()


async def held_up(folder: Path, *orders: OrderIntent) -> tuple[Deal, SlowVenue]:
    """A desk with a confirmed ticket that waits for a reconcile to end."""
    clock = ManualClock(NOW_MS)
    venue = SlowVenue(clock)
    deal = await started(folder, venue=venue, clock=clock)
    view = await deal.open(*orders)
    venue.on.clear()
    looking = asyncio.create_task(deal.trading.reconcile())
    await asyncio.sleep(0)
    await deal.confirm(view)
    await asyncio.sleep(0)
    assert not looking.done()
    return deal, venue


async def test_a_ticket_that_never_came_to_be_sent_leaves_no_leg_confirmed(tmp_path: Path) -> None:
    deal, venue = await held_up(tmp_path, REDUCE_BTC)
    ending = asyncio.create_task(deal.trading.stop())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    venue.on.set()
    assert deal.states() == ["NOT_SENT"]
    assert deal.venue.submitted == []


async def test_a_confirmation_that_expired_before_it_was_sent_leaves_no_leg_confirmed(
    tmp_path: Path,
) -> None:
    deal, venue = await held_up(tmp_path, REDUCE_BTC, REDUCE_ETH)
    deal.clock.advance(deal.settings.confirmation.expiry_s)
    venue.on.set()
    await deal.trading.sent()
    assert deal.states() == ["NOT_SENT", "NOT_SENT"]
    assert deal.venue.submitted == []
    assert deal.journal.tickets(1)[0].state == "DONE"


async def test_a_ticket_that_is_being_sent_cannot_be_closed(tmp_path: Path) -> None:
    deal = await started(tmp_path, "hang")
    view = await deal.open(REDUCE_BTC)
    await deal.confirm(view)
    await asyncio.wait_for(deal.venue.hanging.wait(), 5)
    assert (await deal.trading.close(view.id)).phase == "sending"
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.open(REDUCE_ETH)
    assert reason_of(refused) == "open"
    with pytest.raises(ConfirmationRefused):
        await deal.trading.reject(view.id, "", ALICE)
    for task in asyncio.all_tasks():
        if task.get_name() == "sending":
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert (await deal.trading.close(view.id)).phase == "none"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"typed": "nope"}, "token"), ({"seen_end": False}, "unseen"), ({"rows": 20}, "size")],
)
async def test_a_bad_answer_leaves_the_ticket_open(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.confirm(view, **changes)
    assert reason_of(refused) == reason
    assert deal.trading.ticket_view.phase == "confirm"
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["FILLED"]


async def test_a_confirmation_is_used_once(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    await deal.confirm(view)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.confirm(view)
    assert reason_of(refused) == "other_ticket"
    await deal.trading.sent()
    assert len(deal.venue.submitted) == 1


async def test_two_traders_confirming_at_once(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.open_ticket(proposal(REDUCE_BTC), "send", BOB, 120, 40)
    assert reason_of(refused) == "open"
    deal.clock.advance(2)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.confirm(answer(view), BOB)
    assert reason_of(refused) == "other_trader"
    both = await asyncio.gather(
        deal.trading.confirm(answer(view), ALICE),
        deal.trading.confirm(answer(view), ALICE),
        return_exceptions=True,
    )
    assert sum(isinstance(one, ConfirmationRefused) for one in both) == 1
    await deal.trading.sent()
    assert len(deal.venue.submitted) == 1


async def test_an_old_ticket_is_void(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    deal.clock.advance(30)
    with pytest.raises(ConfirmationRefused, match="expired"):
        await deal.trading.confirm(answer(view), ALICE)
    assert (deal.trading.ticket_view.phase, deal.trading.ticket_view.reason) == ("void", "expired")
    assert deal.states() == ["NOT_SENT"]
    assert deal.venue.submitted == []
    again = await deal.open(REDUCE_BTC)
    assert again.id == "T2"
    assert again.token != view.token


@pytest.mark.parametrize("what", ["position", "config", "stale", "price", "tiers", "blank"])
async def test_what_drifts_voids_at_once(tmp_path: Path, what: str) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    if what == "position":
        deal.venue.positions[ETH] = Decimal(-7)
    elif what == "config":
        deal.picture.digest = "f" * 64
    elif what == "stale":
        deal.picture.stale_text = "marks are stale"
    elif what == "price":
        deal.picture.quotes = (Quote(BTC, NOW_MS, Decimal(97100)), deal.picture.quotes[1])
    elif what == "tiers":
        first, second = deal.picture.instruments
        deal.picture.instruments = (replace(first, tiers=first.tiers[:1]), second)
    else:
        deal.picture.blank = True
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.confirm(view)
    assert reason_of(refused) == "void"
    assert deal.trading.ticket_view.phase == "void"
    assert deal.kinds()[-1] == "ENDED"
    assert deal.venue.submitted == []


@pytest.mark.parametrize(
    "change",
    [
        {"max_contracts": Decimal("0.3")},
        {"taker_fee": Decimal("0.0006")},
        {"venue_symbol": "BTCUSDTOLD"},
        {"active": False},
    ],
)
async def test_a_contract_that_is_not_as_it_was_shown_voids(
    tmp_path: Path, change: dict[str, object]
) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    first, second = deal.picture.instruments
    deal.picture.instruments = (replace(first, **change), second)
    with pytest.raises(ConfirmationRefused, match="rules, fees or margin tiers of binanceusdm:BTC"):
        await deal.confirm(view)
    assert (deal.states(), deal.venue.submitted) == (["NOT_SENT"], [])


async def test_another_funding_interval_voids_and_another_rate_does_not(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    was = deal.picture.funding
    deal.picture.funding = tuple(replace(one, interval_h=4.0) for one in was)
    with pytest.raises(ConfirmationRefused, match=r"funding interval of .* changed to 4 h"):
        await deal.confirm(view)
    assert deal.states() == ["NOT_SENT"]
    view = await deal.open(REDUCE_BTC)
    deal.picture.funding = tuple(replace(one, rate=-one.rate) for one in deal.picture.funding)
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["FILLED"]


async def test_the_gate_refuses_at_confirmation_what_it_let_be_shown(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC, ADD_ETH)
    deal.picture.loss = 0.06
    with pytest.raises(GateRefused) as refused:
        await deal.confirm(view)
    assert reason_of(refused) == "daily_loss"
    assert deal.trading.ticket_view.phase == "void"
    assert deal.kinds()[-2:] == ["ENDED", "REFUSED"]


@pytest.mark.parametrize(
    ("loss", "peak", "words"),
    [
        (0.06, None, "all but reductions, today's loss of 6.00% reached its limit of 5.00%"),
        (None, None, "all but reductions, today's profit is not known yet"),
        (
            0.0,
            "40000",
            "all but reductions, a drawdown of 25.00% is beyond its limit of 10.00%; "
            ":drawdown opens a ticket that closes 50% of every position",
        ),
    ],
)
async def test_a_desk_in_a_crash_may_cut_and_says_that_it_may_not_add(
    tmp_path: Path, loss: float | None, peak: str | None, words: str
) -> None:
    deal = await started(tmp_path)
    deal.picture.loss = loss
    deal.picture.peak = None if peak is None else Decimal(peak)
    assert deal.trading.sends_locked == words
    with pytest.raises(GateRefused):
        await deal.open(REDUCE_BTC, ADD_ETH)
    await deal.trading.kill("too much", BOB)
    why = words.partition("; :drawdown")[0]  # nothing can be sent: no ticket is offered
    assert deal.trading.sends_locked == f"the desk is HALTED; {why}"
    await deal.trading.kill("checked", BOB, "ACTIVE")
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "FILLED"]


async def test_the_gate_stops_a_ticket_between_its_legs(tmp_path: Path) -> None:
    deal = await started(tmp_path)

    async def fall(_: str) -> None:
        deal.picture.quotes = (deal.picture.quotes[0], Quote(ETH, NOW_MS, Decimal(3300)))

    deal.venue.after = fall
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    refusal = next(event for event in deal.events() if event.kind == "REFUSED")
    assert refusal.body["reasons"] == ["token", "collar"]
    assert deal.trading.ticket_view.phase == "done"


async def test_another_hand_stops_a_ticket_between_its_legs(tmp_path: Path) -> None:
    """A position that the ticket does not trade: the book it was judged on is gone."""
    deal = await started(tmp_path)

    async def trade_elsewhere(_: str) -> None:
        deal.venue.positions["binanceusdm:XRP/USDT:USDT"] = Decimal(500)

    deal.venue.after = trade_elsewhere
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "NOT_SENT"]


@pytest.mark.parametrize("moved", [BTC, ETH])
async def test_another_hand_in_a_contract_of_the_ticket_stops_it_before_its_first_order(
    tmp_path: Path, moved: str
) -> None:
    """The journal does not know of it yet: an ADL shows at the venue before it is reconciled."""
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC, REDUCE_ETH)

    def cut(_: str) -> None:
        deal.venue.positions[moved] = Decimal("0.3")

    deal.reached = cut
    await deal.confirm(view)
    await deal.trading.sent()
    assert (deal.states(), deal.venue.submitted) == (["NOT_SENT", "NOT_SENT"], [])


async def test_another_hand_in_the_contract_of_the_next_leg_stops_it(tmp_path: Path) -> None:
    deal = await started(tmp_path)

    async def cut(_: str) -> None:
        deal.venue.positions[ETH] = Decimal(-5)

    deal.venue.after = cut
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert deal.journal.legs("T1")[1].code == "gate:token"


async def test_own_fills_are_no_drift_between_legs(tmp_path: Path) -> None:
    """The later legs go although the account's positions changed: this ticket changed them."""
    deal = await started(tmp_path)
    await deal.confirm(await deal.open(FLIP_ETH[1], REDUCE_BTC, FLIP_ETH[0]))
    await deal.trading.sent()
    assert deal.states() == ["FILLED"] * 3
    assert deal.journal.positions() == {BTC: Decimal("0.2"), ETH: Decimal(2)}
    assert deal.venue.positions == deal.journal.positions()


async def test_a_flip_whose_first_half_did_not_fill_stops_there(tmp_path: Path) -> None:
    deal = await started(tmp_path, "fill", "half")
    await deal.confirm(await deal.open(REDUCE_BTC, *FLIP_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "EXPIRED", "NOT_SENT"]
    assert deal.journal.legs("T1")[2].code == "gate:position"
    assert deal.venue.positions[ETH] == -3


async def test_reductions_go_on_where_an_addition_no_longer_fits(tmp_path: Path) -> None:
    """BTC half sold is 0.975 of equity, above 0.8: ETH is still reduced, and not added to."""
    deal = await started(tmp_path, "half", "fill")
    await deal.confirm(await deal.open(REDUCE_BTC, *FLIP_ETH))
    await deal.trading.sent()
    assert deal.states() == ["EXPIRED", "FILLED", "NOT_SENT"]
    assert deal.journal.legs("T1")[2].code == "gate:limit:net_max"
    assert deal.venue.positions == {BTC: Decimal("0.3"), ETH: Decimal(0)}


async def test_a_confirmation_that_took_too_long_to_send_expires(tmp_path: Path) -> None:
    deal = await started(tmp_path)

    async def wait(_: str) -> None:
        deal.clock.advance(31)

    deal.venue.after = wait
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert deal.journal.legs("T1")[1].code == "gate:token"


@pytest.mark.parametrize(
    ("mode", "purpose", "allowed"),
    [
        ("paper", "send", True),
        ("paper", "export", True),
        ("live", "send", True),
        ("export", "send", False),
        ("export", "export", True),
        ("view", "send", False),
        ("view", "export", False),
        ("paper", "gift", False),
    ],
)
async def test_what_each_mode_allows(
    tmp_path: Path, mode: str, purpose: str, allowed: bool
) -> None:
    deal = await started(tmp_path, settings=settings_of(mode))
    if allowed:
        assert (await deal.open(REDUCE_BTC, purpose=purpose)).phase == "confirm"
        return
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.open(REDUCE_BTC, purpose=purpose)
    assert reason_of(refused) == "mode"
    if mode != "paper":
        assert mode in deal.trading.sends_locked


async def test_only_a_fresh_whole_proposal_becomes_a_ticket(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    for made, reason in (
        (proposal(REDUCE_BTC, exportable=False, reasons=("gross 3.1x",)), "not_exportable"),
        (proposal(), "not_exportable"),
    ):
        made = deal.picture.take(made)
        with pytest.raises(ConfirmationRefused) as refused:
            await deal.trading.open_ticket(made, "send", ALICE, 120, 40)
        assert reason_of(refused) == reason
    old = deal.picture.take(proposal(REDUCE_BTC))
    deal.picture.proposals = {}
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.open_ticket(old, "send", ALICE, 120, 40)
    assert reason_of(refused) == "proposal"
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.export(old.digest, ALICE)
    assert reason_of(refused) == "proposal"
    deal.picture.proposals = {old.digest: old}
    deal.clock.advance(1)
    deal.picture.bases[old.digest] = msgspec.structs.replace(SNAPSHOT, as_of_ms=1)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.open_ticket(old, "send", ALICE, 120, 40)
    assert reason_of(refused) == "basis"
    old = deal.picture.take(old)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.open_ticket(old, "send", ALICE, 79, 40)
    assert reason_of(refused) == "size"
    deal.picture.stale_text = "binanceusdm account is stale"
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.open_ticket(old, "send", ALICE, 120, 40)
    assert reason_of(refused) == "stale"
    assert "PROPOSED" not in deal.kinds()


async def test_rejecting_and_closing_are_journalled(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    view = await deal.trading.reject(view.id, "too\x07 big", ALICE)
    assert (view.phase, view.reason) == ("void", "too\\x07 big")
    with pytest.raises(ConfirmationRefused):
        await deal.trading.reject(view.id, "", ALICE)
    view = await deal.open(REDUCE_BTC)
    assert (await deal.trading.close(view.id)).phase == "none"
    states = [(head.state, head.reason) for head in deal.journal.tickets(5)]
    assert states == [
        ("REJECTED", "too\\x07 big"),
        ("REJECTED", "closed without a confirmation"),
    ]
    assert deal.venue.submitted == []


async def test_export_writes_the_orders_and_sends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    deal = await started(tmp_path, settings=settings_of("export", str(folder)))
    made = deal.picture.take(proposal(ADD_ETH, REDUCE_BTC))
    view = await deal.trading.export(made.digest, ALICE)
    assert view.phase == "exported"
    files = sorted(folder.iterdir())
    assert [file.suffix for file in files] == [".csv", ".json"]
    assert all(file.name in view.reason for file in files)
    orders = json.loads(files[1].read_bytes())["orders"]
    assert [row["id"] for row in orders] == [BTC, ETH]
    assert deal.venue.submitted == []
    ended = deal.events()[-1]
    assert (ended.body["state"], len(ended.body["files"])) == ("EXPORTED", 2)
    assert deal.journal.tickets(1)[0].purpose == "export"


def csv_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of the one CSV file there."""
    (file,) = folder.glob("*.csv")
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def crash(deal: Deal, btc: str) -> None:
    """Move the price of BTC."""
    deal.picture.quotes = (Quote(BTC, NOW_MS, Decimal(btc)), deal.picture.quotes[1])


async def test_opening_prices_the_legs_at_the_newest_marks(tmp_path: Path) -> None:
    """The mark left the collar since the proposal: 30 bp of 90,000 is 270."""
    deal = await started(tmp_path)
    made = deal.picture.take(proposal(REDUCE_BTC, REDUCE_ETH))
    deal.clock.advance(60)
    crash(deal, "90000")
    view = await deal.trading.open_ticket(made, "send", ALICE, 120, 40)
    first, second = (leg.intent for leg in deal.journal.ticket(view.id).legs)
    for leg, proposed in ((first, REDUCE_BTC), (second, REDUCE_ETH)):
        assert (leg.id, leg.side, leg.contracts, leg.reduce_only, leg.before, leg.after) == (
            *(proposed.id, proposed.side, proposed.contracts),
            *(proposed.reduce_only, proposed.before, proposed.after),
        )
    assert (first.mark_price, first.limit_price) == (Decimal(90000), Decimal(89730))
    # 0.2 contracts: 18,000 USD; 5 bp fee; 1 bp slippage as the proposal had.
    assert (first.notional_usd, first.fee_usd, first.slippage_usd) == (
        *(Decimal(18000), Decimal("9.00"), Decimal("1.80")),
    )
    assert any("limit 89730  mark 90000" in line for line in view.text)
    assert any("priced at the marks of 07:21:00Z, proposed at" in line for line in view.text)
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "FILLED"]


async def test_reducing_legs_take_the_wide_collar_in_a_storm(tmp_path: Path) -> None:
    """sigma 4: 117.041 bp of 97,500 is 1,141.15."""
    deal = await started(tmp_path)
    deal.picture.sigmas = {BTC: 4.0, ETH: 4.0}
    view = await deal.open(REDUCE_BTC, ADD_ETH)
    first, second = (leg.intent for leg in deal.journal.ticket(view.id).legs)
    assert first.limit_price == Decimal("96358.9")
    assert second.limit_price == Decimal("3190.4")
    crash(deal, "96400")
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.journal.legs(view.id)[0].filled == Decimal("0.2")


async def test_a_ticket_that_drifted_is_priced_anew_with_its_legs_unchanged(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    made = deal.picture.take(proposal(REDUCE_BTC))
    view = await deal.trading.open_ticket(made, "send", ALICE, 120, 40)
    crash(deal, "97100")
    with pytest.raises(ConfirmationRefused, match="left its collar"):
        await deal.confirm(view)
    assert deal.trading.ticket_view.phase == "void"
    again = await deal.trading.open_ticket(made, "send", ALICE, 120, 40)
    assert (again.phase, again.id) == ("confirm", "T2")
    assert again.token != view.token
    before, after = (deal.journal.ticket(one).legs[0] for one in ("T1", "T2"))
    assert before.client_id != after.client_id
    assert before.intent.contracts == after.intent.contracts
    assert after.intent.mark_price == Decimal(97100)
    await deal.confirm(again)
    await deal.trading.sent()
    assert deal.states() == ["FILLED"]
    assert len(deal.venue.submitted) == 1


async def test_a_contract_without_a_price_now_gives_no_ticket(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    made = deal.picture.take(proposal(REDUCE_BTC))
    deal.picture.quotes = deal.picture.quotes[1:]
    with pytest.raises(ConfirmationRefused, match="expected a price of") as refused:
        await deal.trading.open_ticket(made, "send", ALICE, 120, 40)
    assert reason_of(refused) == "price"


async def test_export_outside_a_ticket_holds_the_orders_as_proposed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    deal = await started(tmp_path, settings=settings_of("paper", str(folder)))
    made = deal.picture.take(proposal(REDUCE_BTC))
    deal.clock.advance(60)
    crash(deal, "90000")
    await deal.trading.export(made.digest, ALICE)
    (row,) = csv_rows(folder)
    assert (row["limit_price"], row["mark_price"]) == ("97305", "97500")
    document = json.loads(next(folder.glob("*.json")).read_bytes())
    assert document["as_of"] == "2024-08-05T07:20:00Z"


async def test_export_from_a_ticket_holds_its_orders_and_ends_it(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    deal = await started(tmp_path, settings=settings_of("paper", str(folder)))
    made = deal.picture.take(proposal(REDUCE_BTC))
    crash(deal, "90000")
    view = await deal.trading.open_ticket(made, "send", ALICE, 120, 40)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.export(made.digest, BOB, view.id)
    assert reason_of(refused) == "other_trader"
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.export(made.digest, ALICE)
    assert reason_of(refused) == "open"
    done = await deal.trading.export(made.digest, ALICE, view.id)
    (row,) = csv_rows(folder)
    intent = deal.journal.ticket(view.id).legs[0].intent
    assert row["limit_price"] == "89730" == str(intent.limit_price)
    assert row["notional_usd"] == "18000"
    assert (done.phase, done.id) == ("exported", view.id)
    assert deal.journal.tickets(1)[0].state == "EXPORTED"
    assert deal.states() == ["NOT_SENT"]
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.confirm(view)
    assert reason_of(refused) == "other_ticket"
    assert deal.venue.submitted == []


async def test_an_export_that_cannot_be_written_leaves_no_ticket_open(tmp_path: Path) -> None:
    blocked = tmp_path / "out"
    deal = await started(tmp_path, settings=settings_of("paper", str(blocked)))
    blocked.write_text("a file, no folder")
    made = deal.picture.take(proposal(REDUCE_BTC))
    with pytest.raises(ConfigError):
        await deal.trading.export(made.digest, ALICE)
    assert deal.trading.ticket_view.phase == "void"


async def test_a_confirmed_export_writes_too(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    deal = await started(tmp_path, settings=settings_of("paper", str(folder)))
    view = await deal.confirm(await deal.open(REDUCE_BTC, purpose="export"))
    assert view.phase == "exported"
    assert len(list(folder.iterdir())) == 2
    assert deal.states() == ["NOT_SENT"]


async def test_working_orders_are_cancelled(tmp_path: Path) -> None:
    deal = await started(tmp_path, "rest")
    await deal.confirm(await deal.open(REDUCE_BTC))
    await deal.trading.sent()
    assert deal.trading.working_orders == 1
    assert await deal.trading.cancel_working(ALICE) == 1
    assert deal.states() == ["CANCELED"]
    assert deal.trading.working_orders == 0
    assert deal.kinds()[-4:] == ["CANCEL", "CANCELED", "MOVED", "ENDED"]
    assert await deal.trading.cancel_working(ALICE) == 0


async def test_halting_voids_cancels_and_locks(tmp_path: Path) -> None:
    deal = await started(tmp_path, "rest")
    await deal.confirm(await deal.open(REDUCE_BTC))
    await deal.trading.sent()
    await deal.trading.kill("fat finger", BOB)
    assert len(deal.venue.canceled) == 1
    assert deal.trading.kill_state == "HALTED"
    assert deal.trading.sends_locked == "the desk is HALTED"
    with pytest.raises(GateRefused) as refused:
        await deal.open(REDUCE_ETH)
    assert reason_of(refused) == "kill"
    with pytest.raises(InputError):
        await deal.trading.kill("", BOB, "SIDEWAYS")
    # On paper one person may do both: the journal names who.
    await deal.trading.kill("checked", BOB, "ACTIVE")
    assert deal.trading.sends_locked == ""
    view = await deal.open(REDUCE_ETH)
    await deal.trading.kill("again", BOB)
    assert deal.trading.ticket_view.phase == "void"
    assert view.id == "T2"


async def test_reducing_lets_a_reduce_only_ticket_through(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    await deal.trading.kill("calm down", ALICE, "REDUCING")
    assert deal.trading.sends_locked == ""
    with pytest.raises(GateRefused) as refused:
        await deal.open(ADD_ETH)
    assert reason_of(refused) == "kill"
    await deal.confirm(await deal.open(REDUCE_BTC))
    await deal.trading.sent()
    assert deal.states() == ["FILLED"]


async def test_a_restart_ends_what_was_open_and_sends_nothing_of_it(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    venue = LedgerVenue(clock)
    deal = await started(tmp_path, venue=venue, clock=clock)
    await deal.open(REDUCE_BTC)
    deal.journal.close()
    again = Deal(tmp_path, venue=venue, clock=clock)
    await again.trading.start()
    assert again.states() == ["NOT_SENT"]
    assert again.journal.tickets(1)[0].state == "VOID"
    assert again.trading.sends_locked == ""
    await again.trading.stop()
    again.journal.close()


async def until(deal: Deal, condition: Any) -> None:
    """Let the watch run until `condition` holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("expected it to happen, it did not")


async def test_the_watch_voids_reconciles_and_obeys_the_kill_file(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.start()
    assert deal.trading.sends_locked == ""
    await deal.open(REDUCE_BTC)
    await until(deal, lambda: deal.trading.ticket_view.phase == "void")
    assert deal.trading.ticket_view.reason == "expired"
    deal.venue.positions[ETH] = Decimal(-9)
    await until(deal, lambda: deal.journal.positions()[ETH] == -9)
    (tmp_path / "KILL").write_text("smoke\n")
    await until(deal, lambda: deal.trading.kill_state == "HALTED")
    assert deal.journal.kill_state().reason == "smoke"
    assert deal.changes
    await deal.trading.stop()


async def test_the_watch_resolves_an_unknown_leg_by_itself(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("lost",))
    await deal.trading.start()
    await deal.confirm(await deal.open(REDUCE_BTC))
    await deal.trading.sent()
    await until(deal, lambda: deal.trading.ticket_view.phase == "done")
    assert deal.states() == ["NEVER_ACCEPTED"]
    assert len(deal.venue.submitted) == 1
    await deal.trading.stop()


async def test_stopping_lets_a_send_in_flight_end(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.start()
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.stop()
    assert deal.states() == ["FILLED", "FILLED"]
    assert deal.trading.ticket_view.phase == "done"


async def test_a_desk_that_ends_takes_nothing_new(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("hang",))
    await deal.trading.start()
    await deal.confirm(await deal.open(REDUCE_BTC))
    await asyncio.wait_for(deal.venue.hanging.wait(), 5)
    stopping = asyncio.create_task(deal.trading.stop())
    await asyncio.sleep(0)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.open(REDUCE_ETH)
    assert reason_of(refused) == "ending"
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.export(next(iter(deal.picture.proposals)), ALICE)
    assert reason_of(refused) == "ending"
    assert not stopping.done()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert deal.states() == ["UNKNOWN"]
    assert deal.journal.legs("T1")[0].code == "interrupted"
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    deal.journal.close()
    again = Deal(tmp_path, venue=deal.venue, clock=deal.clock)
    await again.trading.start()
    assert again.states() == ["FILLED"]
    assert again.journal.positions() == again.venue.positions
    assert len(again.venue.submitted) == 1
    await again.trading.stop()


async def test_a_ticket_open_at_the_end_is_not_confirmed(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.trading.start()
    view = await deal.open(REDUCE_BTC)
    await deal.trading.stop()
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.confirm(view)
    assert reason_of(refused) == "ending"
    assert deal.venue.submitted == []


async def test_a_full_disk_stops_the_ticket_and_loses_nothing(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    venue = LedgerVenue(clock)
    journal_in(tmp_path, clock).close()
    database = Database.sender(tmp_path / "journal.db")
    journal = journal_on(database, clock)
    deal = await started(tmp_path, venue=venue, clock=clock, journal=journal)

    async def fill_the_disk(_: str) -> None:
        let_grow_no_more(database)
        for size in (4000, 400, 40, 1):
            with contextlib.suppress(JournalError):
                for number in range(1000):
                    deal.journal.append(Alarm("ballast", f"{size}-{number}", "x" * size))

    venue.after = fill_the_disk
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert "full" in deal.trading.sends_locked
    assert deal.states() == ["SENDING", "CONFIRMED"]
    assert len(venue.submitted) == 1
    deal.journal.close()
    again = Deal(tmp_path, venue=venue, clock=clock)
    await again.trading.start()
    assert again.states() == ["FILLED", "NOT_SENT"]
    assert again.journal.positions() == venue.positions
    assert len(venue.submitted) == 1
    await again.trading.stop()


async def test_a_task_that_fails_by_a_fault_of_ours_stops_sending(tmp_path: Path) -> None:
    deal = await started(tmp_path)

    def broken(_: str) -> None:
        raise ZeroDivisionError

    deal.venue.before = broken
    await deal.confirm(await deal.open(REDUCE_BTC))
    with pytest.raises(ZeroDivisionError):
        await deal.trading.sent()
    await asyncio.sleep(0)
    assert deal.trading.sends_locked == "sending failed: ZeroDivisionError"
    assert deal.states() == ["UNKNOWN"]
    with pytest.raises(GateRefused):
        await deal.open(REDUCE_ETH)


async def test_the_kernels_uid_names_the_trader() -> None:
    actor = trader_of(os.getuid(), "10.0.0.7")
    assert actor.uid == os.getuid()
    assert actor.name
    assert actor.ssh == "10.0.0.7"
    assert trader_of(4_000_000_000).name == "uid 4000000000"


async def test_a_newer_proposal_voids_the_ticket_that_waits(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    view = await deal.open(REDUCE_BTC)
    deal.trading.supersede(view.digest)
    assert deal.trading.ticket_view.phase == "confirm", "its own proposal still stands"
    newer = deal.picture.take(proposal(REDUCE_ETH))
    deal.trading.supersede(newer.digest)
    void = deal.trading.ticket_view
    assert (void.phase, void.reason) == ("void", f"a newer proposal stands: #{newer.digest[:4]}")
    with pytest.raises(ConfirmationRefused):
        await deal.confirm(view)
    assert deal.venue.submitted == []


async def test_opening_another_proposal_voids_the_first_ticket(tmp_path: Path) -> None:
    deal = await started(tmp_path)
    first = await deal.open(REDUCE_BTC)
    second = await deal.open(REDUCE_ETH)
    assert (first.id, second.id, second.phase) == ("T1", "T2", "confirm")
    assert [ticket.state for ticket in deal.journal.tickets(2)] == ["VOID", "PROPOSED"]
    with pytest.raises(ConfirmationRefused):
        await deal.confirm(first)
