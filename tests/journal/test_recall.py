"""What the journal keeps of its own answers between two events: never an old one, and no alias."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from perptui.journal.database import Database
from perptui.journal.events import (
    Alarm,
    Baseline,
    Body,
    CancelSending,
    FillSeen,
    KillChanged,
    LegMoved,
    LegOutcome,
    LegSending,
    TicketConfirmed,
    TicketProposed,
)
from perptui.journal.journal import Journal
from perptui.model.clock import DAY_MS, ManualClock
from perptui.model.errors import JournalError
from perptui.model.order import LegState
from tests.journal.made import BTC, NOW_MS, VENUE, fill, journal_in, journal_on, ticket

TICKET = ticket()
FIRST = TICKET.legs[0]
QUESTIONS: dict[str, Callable[[Journal], object]] = {
    "head": lambda journal: journal.head,
    "next ticket": lambda journal: journal.next_ticket(),
    "tickets": lambda journal: journal.tickets(9),
    "open tickets": lambda journal: journal.open_tickets("CONFIRMED"),
    "legs": lambda journal: journal.legs("T1"),
    "leg": lambda journal: journal.leg(FIRST.client_id),
    "leg of order": lambda journal: journal.leg_of_order(VENUE, "77"),
    "sent since": lambda journal: journal.sent_since(NOW_MS),
    "messages": lambda journal: journal.messages_since(NOW_MS),
    "short of fills": lambda journal: journal.legs_short_of_fills(),
    "live": lambda journal: journal.live_legs(),
    "unsettled": lambda journal: journal.unsettled_legs(VENUE),
    "unsettled by venue": lambda journal: journal.unsettled_by_venue(),
    "unknown": lambda journal: journal.unknown_legs(),
    "positions": lambda journal: journal.positions(),
    "day": lambda journal: journal.day_notional_usd("alice"),
    "kill": lambda journal: journal.kill_state(),
    "noted": lambda journal: journal.noted(("KILL",), 1),
    "fill": lambda journal: journal.fill(BTC, "1"),
    "fills": lambda journal: journal.fills_of("T1"),
    "notice": lambda journal: journal.has_notice("k"),
    "baseline": lambda journal: journal.has_baseline(VENUE),
}


def _events(fence: int) -> tuple[Body, ...]:
    leg = FIRST.client_id
    return (
        TicketProposed(TICKET, {}),
        TicketConfirmed("T1", TICKET.token, 80, 24),
        LegSending(leg, fence, Decimal(10_000), "alice"),
        LegOutcome(leg, LegState.ACKED, venue_order_id="77"),
        LegMoved(leg, LegState.FILLED, Decimal("0.2"), Decimal(50_010), "77", "asked"),
        FillSeen(fill(FIRST, "0.2")),
        CancelSending(leg),
        Alarm("x", "k", "t"),
        KillChanged("REDUCING", "r"),
        Baseline(VENUE, {BTC: Decimal(3)}),
    )


def _answers(journal: Journal) -> dict[str, object]:
    return {name: ask(journal) for name, ask in QUESTIONS.items()}


def test_every_answer_after_each_event_is_that_of_one_who_never_asked_before(
    tmp_path: Path,
) -> None:
    database = Database.sender(tmp_path / "journal.db")
    journal, changed = journal_on(database), set()
    for body in _events(journal.fence):
        before = _answers(journal)
        journal.append(body)
        after = _answers(journal)
        assert after == _answers(journal_on(database))
        changed |= {name for name in QUESTIONS if before[name] != after[name]}
    assert changed == set(QUESTIONS)
    journal.close()


def test_an_answer_that_is_changed_by_who_got_it_stays_what_it_was(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.append(*_events(journal.fence)[:3])
    journal.live_legs().clear()
    journal.unsettled_by_venue().clear()
    journal.positions()[BTC] = Decimal(9)
    assert [leg.number for leg in journal.live_legs()] == [0, 1]
    assert journal.unsettled_by_venue() == {VENUE: 1}
    assert journal.positions() == {}
    journal.close()


def test_the_notional_of_a_day_is_that_of_the_day_it_is(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    journal = journal_in(tmp_path, clock)
    journal.append(*_events(journal.fence)[:3])
    assert journal.day_notional_usd() == 10_000
    clock.advance(DAY_MS / 1000)
    assert journal.day_notional_usd() == 0
    journal.close()


def test_what_was_sent_before_is_asked_for_no_more(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    journal = journal_in(tmp_path, clock)
    journal.append(*_events(journal.fence)[:4])
    assert [leg.number for leg in journal.sent_since(NOW_MS)] == [0]
    assert journal.sent_since(NOW_MS + 1) == []
    clock.advance(5)
    journal.append(CancelSending(FIRST.client_id))
    assert journal.messages_since(NOW_MS + 5_000) == [(VENUE, NOW_MS + 5_000, True)]
    assert journal.messages_since(NOW_MS + 5_001) == []
    journal.close()


def test_what_was_sent_is_told_for_any_time_in_any_order(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    journal = journal_in(tmp_path, clock)
    proposed, confirmed, sending = _events(journal.fence)[:3]
    journal.append(proposed, confirmed, sending)
    clock.advance(60)
    journal.append(LegSending(TICKET.legs[1].client_id, journal.fence, Decimal(5), "alice"))
    wanted = {NOW_MS + 60_000: [1], NOW_MS: [0, 1], NOW_MS + 1: [1], 0: [0, 1]}
    for since, numbers in (*wanted.items(), *reversed(wanted.items())):
        assert [leg.number for leg in journal.sent_since(since)] == numbers
    journal.close()


def test_what_was_noted_before_the_journal_was_opened_is_told_too(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.append(Alarm("x", "k", "t"))
    journal.close()
    again = journal_in(tmp_path)
    assert [one.seq for one in again.noted(("ALARM",), 1)] == [3]
    assert again.noted(("ALARM",), 5) == []
    (event,) = again.append(Alarm("x", "k2", "t"))
    assert [one.seq for one in again.noted(("ALARM", "KILL"), event.seq)] == [event.seq]
    assert again.noted(("KILL",), event.seq) == []
    assert again.noted(("ALARM",), event.seq + 1) == []
    again.close()


def test_a_journal_that_was_closed_answers_nothing(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    assert journal.head[0] == 2
    journal.close()
    with pytest.raises(JournalError):
        journal.kill_state()
    with pytest.raises(JournalError):
        journal.next_ticket()
