"""The audit trail for people: the confirmed screen byte for byte, and words for every event."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.journal.audit import confirmed_text, describe, export_lines
from perptui.journal.events import (
    KINDS,
    Actor,
    Alarm,
    ApprovalAsked,
    ApprovalDeclined,
    Baseline,
    Body,
    CancelOutcome,
    CancelSending,
    DeadManSet,
    Event,
    External,
    FillSeen,
    GateSaidNo,
    Genesis,
    KillChanged,
    LegMoved,
    LegOutcome,
    LegSending,
    LegSettled,
    Migrated,
    PermissionsSeen,
    Reconciled,
    SettleAsked,
    Started,
    TicketApproved,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
    VenueHeld,
)
from perptui.journal.stored import sealed
from perptui.journal.verify import verify_file
from perptui.model.errors import JournalError
from perptui.model.order import LegState
from tests.journal.day import exported, whole_day
from tests.journal.made import ALICE, fill, journal_in, ticket

LEG = ticket().legs[0]
BODIES: list[tuple[Body, str]] = [
    (Genesis("main", "fund", "1"), "journal of desk main, account fund"),
    (Started("1", 77, 3), "desk started, version 1, lease 3"),
    (TicketProposed(ticket(), {}), "ticket T1 shown, 2 legs"),
    (TicketConfirmed("T1", "a", 80, 24), "ticket T1 confirmed"),
    (ApprovalAsked("T1", ("a", "b"), 1), "ticket T1 waits for a second person: a; b"),
    (TicketApproved("T1", "a", 80, 24), "ticket T1 approved"),
    (ApprovalDeclined("T1", "REJECTED", "too large"), "approval of ticket T1 REJECTED: too large"),
    (TicketEnded("T1", "VOID", "expired"), "ticket T1 VOID: expired"),
    (TicketEnded("T1", "DONE"), "ticket T1 DONE"),
    (GateSaidNo("T1", "", ("kill",), "the desk is HALTED"), "refused: the desk is HALTED"),
    (LegSending(LEG.client_id, 1, Decimal("10.50"), "a"), "sending, 10.50 USD"),
    (LegOutcome(LEG.client_id, LegState.REJECTED, "-2019", "margin"), "REJECTED -2019 margin"),
    (LegMoved(LEG.client_id, LegState.FILLED, Decimal(2), None, "7", ""), "FILLED, filled 2"),
    (
        SettleAsked(LEG.client_id, LegState.CANCELED, Decimal(1), "no order there", 7),
        "settle as CANCELED? A second person by `:settle`: no order there",
    ),
    (
        LegSettled(LEG.client_id, LegState.CANCELED, Decimal(1), "none", ("seen",), "asked by b"),
        "settled as CANCELED by a person, filled 1: none; asked by b; seen",
    ),
    (FillSeen(fill(LEG, "0.2")), "fill buy 0.2 binanceusdm:BTC/USDT:USDT at 50010"),
    (Baseline("binanceusdm", {"a": Decimal(1)}), "first sight of binanceusdm: 1 positions"),
    (External("position", "a", "a changed outside"), "a changed outside"),
    (Alarm("late fill", "k", "look"), "look"),
    (KillChanged("HALTED", "why"), "HALTED: why"),
    (KillChanged("ACTIVE", ""), "ACTIVE"),
    (CancelSending(LEG.client_id), "cancel sending"),
    (CancelOutcome(LEG.client_id, LegState.ACKED), "cancel ACKED"),
    (DeadManSet("a", 60000, "ACKED"), "dead man's switch of a 60000 ms, ACKED"),
    (DeadManSet("a", 0, "UNKNOWN"), "dead man's switch of a off, UNKNOWN"),
    (VenueHeld("v", "RESTING", "403", 7), "orders to v RESTING: 403"),
    (PermissionsSeen("v", True, False, None, "trade"), "permissions of the key at v: trade"),
    (Migrated(1, 2, "b"), "journal brought from version 1 to 2"),
    (Reconciled(clean=True), "reconciled, clean"),
    (Reconciled(clean=False, reasons=("a", "b")), "not clean: a; b"),
]


def event_of(body: Body) -> Event:
    actor = Actor(1, "a")
    return sealed(seq=1, ts_ms=1, host="h", actor=actor, body=body, prev="0" * 64).event()


@pytest.mark.parametrize(("body", "words"), BODIES)
def test_every_kind_of_event_has_words_and_reads_back(body: Body, words: str) -> None:
    event = event_of(body)
    assert describe(event).endswith(words)
    assert event.record() == body
    assert KINDS[event.kind] is type(body)


def test_the_words_cover_every_kind() -> None:
    assert {type(body) for body, _ in BODIES} == set(KINDS.values())


def test_every_word_of_an_approval_is_about_its_ticket(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    made = ticket()
    journal.append(TicketProposed(made, {}), actor=ALICE)
    journal.append(
        TicketConfirmed(made.id, made.token, 80, 24), ApprovalAsked("T1", ("large",), 2**45)
    )
    journal.append(ApprovalDeclined("T1", "REJECTED", "too large"))
    journal.close()
    for seq in (3, 4, 5, 6):
        assert confirmed_text(tmp_path / "journal.db", seq) == "\n".join(made.text) + "\n"


@pytest.mark.asyncio
async def test_every_event_of_a_ticket_and_its_legs_shows_the_screen_that_was_confirmed(
    tmp_path: Path,
) -> None:
    """Of a day of tickets: what the desk rendered, out of database and export, to the byte."""
    path = await whole_day(tmp_path, tickets=6)
    file = exported(path)
    screens: dict[str, str] = {}
    shown = 0
    for line in file.read_bytes().splitlines():
        event = json.loads(line)
        body = event["body"]
        if event["kind"] == "PROPOSED":
            ticket = body["ticket"]
            names = [ticket["id"], *(leg["client_id"] for leg in ticket["legs"])]
            screens |= dict.fromkeys(names, "".join(f"{row}\n" for row in ticket["text"]))
        about = body.get("client_id") or body.get("fill", {}).get("client_id")
        about = about or (body["ticket"]["id"] if event["kind"] == "PROPOSED" else None)
        about = about or body.get("ticket")
        if about:
            shown += 1
            assert confirmed_text(path, event["seq"]) == screens[about]
            assert confirmed_text(file, event["seq"]) == screens[about]
        else:
            with pytest.raises(JournalError, match="about a ticket"):
                confirmed_text(path, event["seq"])
    assert len(set(screens.values())) == 6
    assert shown > 30


def test_an_unknown_kind_and_a_malformed_body_are_errors() -> None:
    event = event_of(KillChanged("HALTED", "x"))
    unknown = msgspec.structs.replace(event, kind="NEWS")
    with pytest.raises(JournalError, match="known kind"):
        unknown.record()
    malformed = msgspec.structs.replace(event, body={"state": 7})
    with pytest.raises(JournalError, match="malformed"):
        malformed.record()


@pytest.mark.parametrize("hostile", ["\x1b]0;pwned\x07", "\x9b2J", "\u202eevil", "\u200b", "\r"])
def test_a_forged_screen_does_not_reach_the_terminal(tmp_path: Path, hostile: str) -> None:
    """A chain that verifies is easily made: its hash has no key. What it shows is still data."""
    journal = journal_in(tmp_path)
    made = ticket()
    forged = msgspec.structs.replace(made, text=(*made.text, f"buy 1 BTC{hostile}"))
    journal.append(TicketProposed(forged, {}), actor=ALICE)
    journal.close()
    path = tmp_path / "journal.db"
    assert verify_file(path).ok
    with pytest.raises(JournalError, match="to be printable, was with control characters"):
        confirmed_text(path, 3)


def test_the_confirmed_screen_comes_back_byte_for_byte(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    made = ticket()
    journal.append(TicketProposed(made, {}), actor=ALICE)
    journal.append(TicketConfirmed(made.id, made.token, 80, 24), actor=ALICE)
    journal.append(KillChanged("HALTED", ""))
    journal.close()
    expected = "CONFIRM ticket T1\n\n 1  BTC  buy 0.2\n"
    exported = tmp_path / "exported.jsonl"
    exported.write_bytes(b"".join(export_lines(tmp_path / "journal.db")))
    for path in (tmp_path / "journal.db", exported):
        assert confirmed_text(path, 3) == expected
        assert confirmed_text(path, 4) == expected
        with pytest.raises(JournalError, match="about a ticket"):
            confirmed_text(path, 5)
        for absent in (99, 10**30, 0, -1):
            with pytest.raises(JournalError, match=f"expected an event {absent}, was none"):
                confirmed_text(path, absent)


def test_an_absent_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="readable file"):
        list(export_lines(tmp_path / "none"))
