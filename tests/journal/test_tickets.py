"""Projections: the state machine of legs, positions, counters; one transaction with the event."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from perptui.journal.chain import append, read, read_stored
from perptui.journal.events import (
    Actor,
    ApprovalAsked,
    ApprovalDeclined,
    Baseline,
    Body,
    CancelSending,
    External,
    FillSeen,
    Genesis,
    KillChanged,
    LegMoved,
    LegOutcome,
    LegSending,
    LegSettled,
    TicketApproved,
    TicketConfirmed,
    TicketEnded,
    TicketProposed,
)
from perptui.journal.journal import Journal
from perptui.journal.queries import positions, unsettled_legs
from perptui.journal.schema import MIGRATIONS
from perptui.journal.stored import Stored
from perptui.journal.tickets import TRANSITIONS
from perptui.journal.verify import differing_projections, verify_database, verify_file
from perptui.model.clock import DAY_MS, ManualClock
from perptui.model.errors import JournalError
from perptui.model.order import TERMINAL_STATES, Leg, LegState, Ticket
from tests.journal.made import ALICE, BTC, DESK, ETH, NOW_MS, VENUE, fill, journal_in, ticket

S = LegState


def opened(folder: Path, clock: ManualClock | None = None) -> tuple[Journal, Ticket]:
    """A journal with one ticket shown."""
    journal = journal_in(folder, clock)
    made = ticket()
    journal.append(TicketProposed(made, {"v": 1}), actor=ALICE)
    return journal, made


def confirmed(folder: Path, clock: ManualClock | None = None) -> tuple[Journal, Ticket]:
    """A journal with one ticket confirmed."""
    journal, made = opened(folder, clock)
    journal.append(TicketConfirmed(made.id, made.token, 80, 24), actor=ALICE)
    return journal, made


def sending(leg: Leg, fence: int = 1) -> LegSending:
    return LegSending(leg.client_id, fence, leg.intent.notional_usd, "alice")


def moved(leg: Leg, state: LegState, filled: str = "0") -> LegMoved:
    return LegMoved(leg.client_id, state, Decimal(filled), None, "77", "order query")


def settled(leg: Leg, state: LegState, filled: str = "0") -> LegSettled:
    return LegSettled(leg.client_id, state, Decimal(filled), "looked there", ("no such order",))


def test_a_persons_word_ends_a_leg_and_waits_for_no_more_fills(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    leg = made.legs[0]
    journal.append(sending(leg))
    journal.append(LegOutcome(leg.client_id, S.ACKED, venue_order_id="77"))
    journal.append(moved(leg, S.PARTIAL, "0.1"))
    with pytest.raises(JournalError, match=r"at least 0\.1 filled"):
        journal.append(settled(leg, S.CANCELED, "0"))
    with pytest.raises(JournalError, match="expected a final state"):
        journal.append(settled(leg, S.PARTIAL, "0.1"))
    with pytest.raises(JournalError, match="PARTIAL to NEVER_ACCEPTED"):
        journal.append(settled(leg, S.NEVER_ACCEPTED, "0.1"))
    assert not journal.has_notice(f"settled:{leg.client_id}")
    journal.append(settled(leg, S.CANCELED, "0.1"))
    row = journal.leg(leg.client_id)
    assert row is not None
    assert (row.state, row.executed, row.settled) == (S.CANCELED, Decimal(0), True)
    # Fills that come afterwards are kept, and it stays settled.
    journal.append(FillSeen(fill(leg, "0.05", "1")))
    row = journal.leg(leg.client_id)
    assert row is not None
    assert (row.executed, row.settled) == (Decimal("0.05"), True)


def test_a_leg_goes_from_shown_to_filled(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    leg = made.legs[0]
    assert [row.state for row in journal.legs("T1")] == [S.CONFIRMED, S.CONFIRMED]
    journal.append(sending(leg))
    journal.append(LegOutcome(leg.client_id, S.ACKED, venue_order_id="77"))
    journal.append(moved(leg, S.FILLED, "0.2"))
    row = journal.leg(leg.client_id)
    assert row is not None
    assert (row.state, row.filled, row.settled, row.sent_ms) == (
        S.FILLED,
        Decimal("0.2"),
        False,
        NOW_MS,
    )
    journal.append(FillSeen(fill(leg, "0.2")))
    row = journal.leg(leg.client_id)
    assert row is not None
    assert row.settled
    assert journal.positions() == {BTC: Decimal("0.2")}
    assert journal.leg_of_order(VENUE, "77") == row
    assert journal.leg_of_order(VENUE, "") is None
    journal.close()


def test_every_pair_of_states_is_legal_or_refused(tmp_path: Path) -> None:
    """The whole table, against safety.md's sentence about it."""
    settling = {S.OPEN, S.PARTIAL, S.FILLED, S.CANCELED, S.EXPIRED}
    legal = {(S.PROPOSED, S.CONFIRMED), (S.CONFIRMED, S.SENDING)}
    legal |= {(S.CONFIRMED, S.APPROVED), (S.APPROVED, S.SENDING), (S.APPROVED, S.NOT_SENT)}
    legal |= {(S.SENDING, after) for after in (S.ACKED, S.REJECTED, S.NOT_SENT, S.UNKNOWN)}
    legal |= {
        (before, after)
        for before in (S.ACKED, S.UNKNOWN)
        for after in {*settling, S.NEVER_ACCEPTED}
    }
    legal |= {(before, after) for before in (S.OPEN, S.PARTIAL) for after in settling - {S.OPEN}}
    # What a void ticket or a stopped one leaves behind was never sent.
    legal |= {(S.PROPOSED, S.NOT_SENT), (S.CONFIRMED, S.NOT_SENT)}
    assert {(b, a) for b, after in TRANSITIONS.items() for a in after} == legal
    assert set(TRANSITIONS) == set(LegState)
    assert {state for state, after in TRANSITIONS.items() if not after} == TERMINAL_STATES


def test_an_illegal_change_leaves_no_event(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    head = journal.head
    with pytest.raises(JournalError, match="legal change"):
        journal.append(LegOutcome(made.legs[0].client_id, S.ACKED))
    with pytest.raises(JournalError, match="leg of this journal"):
        journal.append(LegOutcome("pt00", S.UNKNOWN))
    assert journal.head == head
    assert journal.fault == ""
    journal.close()


def test_all_events_of_one_append_are_written_or_none(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    leg = made.legs[0]
    head = journal.head
    with pytest.raises(JournalError):
        journal.append(sending(leg), moved(leg, S.FILLED, "0.2"))
    row = journal.leg(leg.client_id)
    assert row is not None
    assert (journal.head, row.state) == (head, S.CONFIRMED)
    assert journal.day_notional_usd() == 0
    journal.close()


def test_a_token_is_used_once(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    with pytest.raises(JournalError, match="expected ticket T1 to be PROPOSED"):
        journal.append(TicketConfirmed(made.id, made.token, 80, 24))
    again = msgspec.structs.replace(ticket(2), token=made.token)
    with pytest.raises(JournalError, match="UNIQUE"):
        journal.append(TicketProposed(again, {}))
    journal.close()


def test_a_confirmation_must_name_its_tickets_token(tmp_path: Path) -> None:
    journal, made = opened(tmp_path)
    journal.append(TicketProposed(ticket(2), {}))
    for token in ("f" * 64, ticket(2).token):
        with pytest.raises(JournalError, match=f"expected the token that {made.id} was shown with"):
            journal.append(TicketConfirmed(made.id, token, 80, 24))
    journal.append(TicketConfirmed(made.id, made.token, 80, 24))
    assert verify_file(journal.path).ok
    journal.close()


@pytest.mark.parametrize("state", ["VOID", "REJECTED", "EXPORTED"])
def test_a_ticket_that_ends_unconfirmed_was_not_sent(tmp_path: Path, state: str) -> None:
    journal, made = opened(tmp_path)
    journal.append(TicketEnded(made.id, state, "why"))
    assert {leg.state for leg in journal.legs(made.id)} == {S.NOT_SENT}
    assert all(leg.settled for leg in journal.legs(made.id))
    head = journal.tickets(1)[0]
    assert (head.state, head.reason) == (state, "why")
    with pytest.raises(JournalError):
        journal.append(TicketConfirmed(made.id, made.token, 80, 24))
    journal.close()


def test_the_days_notional_is_counted_at_sending_by_trader_and_day(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    journal, made = confirmed(tmp_path, clock)
    first, second = made.legs
    journal.append(sending(first))
    journal.append(LegSending(second.client_id, 1, Decimal(1000), "bob"))
    assert journal.day_notional_usd() == Decimal(11000)
    assert journal.day_notional_usd("alice") == Decimal(10000)
    clock.advance(DAY_MS / 1000)
    assert journal.day_notional_usd() == 0
    journal.close()


def test_positions_are_baseline_fills_and_what_happened_outside(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    leg = made.legs[0]
    journal.append(Baseline(VENUE, {BTC: Decimal("-1.5"), ETH: Decimal(3)}))
    journal.append(sending(leg))
    journal.append(LegOutcome(leg.client_id, S.UNKNOWN))
    journal.append(FillSeen(fill(leg, "0.1", "1")))
    journal.append(FillSeen(fill(leg, "0.1", "2")))
    assert journal.positions() == {BTC: Decimal("-1.3"), ETH: Decimal(3)}
    outside = External("position", ETH, "moved", before=Decimal(3), after=Decimal(1))
    journal.append(outside)
    assert journal.positions()[ETH] == 1
    assert journal.has_baseline(VENUE)
    assert not journal.has_baseline("bybit")
    kept = journal.fill(BTC, "2")
    assert kept is not None
    assert (kept.contracts, kept.price) == (Decimal("0.1"), Decimal(50010))
    assert journal.fill(BTC, "3") is None
    journal.close()


def test_a_fill_is_taken_once_and_only_of_a_leg_of_ours(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    leg = made.legs[0]
    journal.append(FillSeen(fill(leg, "0.1")))
    with pytest.raises(JournalError, match="expected a new fill"):
        journal.append(FillSeen(fill(leg, "0.1")))
    foreign = msgspec.structs.replace(fill(leg, "0.1", "9"), client_id="x-123")
    with pytest.raises(JournalError, match="expected a new fill"):
        journal.append(FillSeen(foreign))
    assert journal.positions() == {BTC: Decimal("0.1")}
    journal.close()


def test_less_filled_than_before_is_refused(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    leg = made.legs[0]
    journal.append(sending(leg))
    journal.append(LegOutcome(leg.client_id, S.ACKED))
    journal.append(moved(leg, S.PARTIAL, "0.15"))
    with pytest.raises(JournalError, match="at least"):
        journal.append(moved(leg, S.CANCELED, "0.1"))
    journal.close()


def test_the_kill_state_and_who_set_it(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    assert (journal.kill_state().state, journal.kill_state().uid) == ("ACTIVE", -1)
    journal.append(KillChanged("HALTED", "fat finger"), actor=ALICE)
    kill = journal.kill_state()
    assert (kill.state, kill.reason, kill.uid) == ("HALTED", "fat finger", 1000)
    journal.close()


def test_a_ticket_reads_back_as_it_was_proposed(tmp_path: Path) -> None:
    journal, made = confirmed(tmp_path)
    assert journal.ticket("T1") == made
    assert journal.next_ticket() == "T2"
    with pytest.raises(JournalError, match="expected a ticket"):
        journal.ticket("T9")
    assert [head.id for head in journal.open_tickets("CONFIRMED")] == ["T1"]
    journal.close()


BOB = Actor(uid=1001, name="bob")
EXPIRES_MS = NOW_MS + 600_000


def asked(folder: Path, clock: ManualClock | None = None) -> tuple[Journal, Ticket]:
    """A journal with one ticket that waits for a second person."""
    journal, made = opened(folder, clock)
    journal.append(
        TicketConfirmed(made.id, made.token, 80, 24),
        ApprovalAsked(made.id, ("large", "near its margin"), EXPIRES_MS),
        actor=ALICE,
    )
    return journal, made


def test_a_leg_that_takes_a_second_person_is_not_sent_without(tmp_path: Path) -> None:
    journal, made = asked(tmp_path)
    with pytest.raises(JournalError, match="second person, was not"):
        journal.append(sending(made.legs[0]))
    with pytest.raises(JournalError, match="was the one who confirmed it"):
        journal.append(TicketApproved(made.id, made.token, 80, 24), actor=ALICE)
    with pytest.raises(JournalError, match="expected the token"):
        journal.append(TicketApproved(made.id, "f" * 64, 80, 24), actor=BOB)
    assert [row.state for row in journal.pending_approvals()] == ["PENDING"]
    journal.append(TicketApproved(made.id, made.token, 80, 24), actor=BOB)
    assert [row.state for row in journal.legs("T1")] == [S.APPROVED, S.APPROVED]
    journal.append(sending(made.legs[0]))
    approval = journal.approval("T1")
    assert approval is not None
    assert (approval.state, approval.uid, approval.trader_uid) == ("APPROVED", 1001, 1000)
    assert approval.reasons == ("large", "near its margin")
    with pytest.raises(JournalError, match="expected a pending approval"):
        journal.append(ApprovalDeclined("T1", "REJECTED", "no"), actor=BOB)


def test_a_late_approval_leaves_no_event(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    journal, made = asked(tmp_path, clock)
    clock.advance(600)
    head = journal.head
    with pytest.raises(JournalError, match="in time"):
        journal.append(TicketApproved(made.id, made.token, 80, 24), actor=BOB)
    assert journal.head == head
    assert journal.pending_approvals()


def test_a_declined_ticket_ends_with_nothing_sent(tmp_path: Path) -> None:
    journal, made = asked(tmp_path)
    with pytest.raises(JournalError, match="to be PROPOSED"):
        journal.append(TicketEnded(made.id, "REJECTED", "no"))
    journal.append(
        ApprovalDeclined(made.id, "REJECTED", "no"),
        TicketEnded(made.id, "REJECTED", "no"),
        actor=BOB,
    )
    assert [row.state for row in journal.legs("T1")] == [S.NOT_SENT, S.NOT_SENT]
    assert journal.approval("T2") is None


def test_messages_are_remembered_by_the_journal(tmp_path: Path) -> None:
    clock = ManualClock(NOW_MS)
    journal, made = confirmed(tmp_path, clock)
    journal.append(sending(made.legs[0]))
    clock.advance(2)
    journal.append(CancelSending(made.legs[0].client_id))
    assert journal.messages_since(NOW_MS) == [(VENUE, NOW_MS, False), (VENUE, NOW_MS + 2000, True)]
    assert journal.messages_since(NOW_MS + 1) == [(VENUE, NOW_MS + 2000, True)]


class Legs(RuleBasedStateMachine):
    """Random events on random legs: what is illegal changes nothing, replay makes the same."""

    legs: Bundle[Leg] = Bundle("legs")

    @initialize()
    def open(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        version = f"PRAGMA user_version = {len(MIGRATIONS)};"
        self.connection.executescript("".join(MIGRATIONS) + version)
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.tickets = 0
        self.trades = 0
        self.bought: dict[str, Decimal] = {}
        self.seen: dict[str, LegState] = {}
        self.must(Genesis("main", "main", "0"))

    def must(self, body: Body) -> Stored:
        return append(self.connection, body, ts_ms=NOW_MS, host="here", actor=DESK)

    def may(self, body: Body) -> bool:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            self.must(body)
        except JournalError:
            self.connection.execute("ROLLBACK")
            return False
        self.connection.execute("COMMIT")
        return True

    @rule(target=legs, which=st.integers(0, 1))
    def propose(self, which: int) -> Leg:
        self.tickets += 1
        made = ticket(self.tickets)
        self.must(TicketProposed(made, {}))
        for leg in made.legs:
            self.seen[leg.client_id] = S.PROPOSED
        return made.legs[which]

    @rule(leg=legs)
    def confirm(self, leg: Leg) -> None:
        row = self.connection.execute(
            "SELECT t.id, t.token FROM ticket t JOIN leg l ON l.ticket = t.id "
            "WHERE l.client_id = ?",
            (leg.client_id,),
        ).fetchone()
        self.may(TicketConfirmed(row[0], row[1], 80, 24))

    @rule(leg=legs, state=st.sampled_from(["VOID", "REJECTED", "DONE"]))
    def end(self, leg: Leg, state: str) -> None:
        row = self.connection.execute(
            "SELECT ticket FROM leg WHERE client_id = ?", (leg.client_id,)
        ).fetchone()
        self.may(TicketEnded(row[0], state))

    @rule(leg=legs)
    def send(self, leg: Leg) -> None:
        before = self.seen[leg.client_id]
        assert self.may(sending(leg)) == (before is S.CONFIRMED)

    @rule(leg=legs, state=st.sampled_from(list(LegState)))
    def outcome(self, leg: Leg, state: LegState) -> None:
        before = self.seen[leg.client_id]
        assert self.may(LegOutcome(leg.client_id, state)) == (state in TRANSITIONS[before])

    @rule(leg=legs, state=st.sampled_from(list(LegState)), tenths=st.integers(0, 2))
    def move(self, leg: Leg, state: LegState, tenths: int) -> None:
        if self.may(moved(leg, state, str(Decimal(tenths) / 10))):
            assert state in TRANSITIONS[self.seen[leg.client_id]]

    @rule(leg=legs, state=st.sampled_from(list(LegState)), tenths=st.integers(0, 2))
    def settle(self, leg: Leg, state: LegState, tenths: int) -> None:
        if self.may(settled(leg, state, str(Decimal(tenths) / 10))):
            assert state in TERMINAL_STATES
            assert state in TRANSITIONS[self.seen[leg.client_id]] | {self.seen[leg.client_id]}
            assert leg.client_id not in {
                one.client_id for one in unsettled_legs(self.connection, VENUE)
            }

    @rule(leg=legs, again=st.booleans())
    def execute(self, leg: Leg, again: bool) -> None:
        self.trades += 0 if again and self.trades else 1
        name = leg.intent.id
        if self.may(FillSeen(fill(leg, "0.1", str(self.trades)))):
            self.bought[name] = self.bought.get(name, Decimal(0)) + Decimal("0.1")

    @invariant()
    def states_follow_the_table(self) -> None:
        if not hasattr(self, "connection"):
            return
        for client_id, text in self.connection.execute("SELECT client_id, state FROM leg"):
            before, after = self.seen[client_id], LegState(text)
            assert after is before or after in TRANSITIONS[before]
            self.seen[client_id] = after

    @invariant()
    def positions_are_what_was_bought(self) -> None:
        if hasattr(self, "connection"):
            assert positions(self.connection) == self.bought

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            assert verify_database(self.connection).ok
            assert differing_projections(self.connection) == ()
            for leg in unsettled_legs(self.connection, VENUE):
                assert leg.state not in TERMINAL_STATES or leg.executed < leg.filled
            self.connection.close()


TestLegs = Legs.TestCase
TestLegs.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@pytest.mark.unmeasured
@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200), st.text(max_size=40))
def test_any_text_survives_the_chain(reason: str, name: str) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(MIGRATIONS[0])
    body = KillChanged("HALTED", reason)
    event = append(connection, body, ts_ms=1, host="h", actor=Actor(1, name))
    assert next(read_stored(connection)) == event
    assert event.hash == event.own_hash
    assert event.opened() == (Actor(1, name), body)
    assert next(read(connection)).record() == body
    connection.close()
