"""The journal as the desk uses it: open, append, ask."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, TypeVarTuple

from perptui.journal import queries
from perptui.journal.chain import append, head, heads_due, read
from perptui.journal.database import DAMAGE, Database
from perptui.journal.events import Actor, Body, Event, Genesis, Started, TicketProposed
from perptui.journal.migration import migrate
from perptui.journal.queries import ApprovalRow, FillRow, KillRow, LegRow, Noted, TicketHead
from perptui.journal.stored import Stored
from perptui.journal.verify import Verdict, verify_database
from perptui.model.clock import DAY_MS, Clock
from perptui.model.errors import JournalError
from perptui.model.order import LegState, Ticket

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Journal:
    """One desk's journal, open for sending.

    Attributes
    ----------
    verified : Verdict
        Of the chain as it was found; everything appended since is chained to it.
    """

    def __init__(self, database: Database, clock: Clock, actor: Actor, verified: Verdict) -> None:
        self._database = database
        self._clock = clock
        self._actor = actor
        self._host = socket.gethostname()
        self._known: dict[tuple[object, ...], Any] = {}
        self._sent: tuple[int, list[LegRow]] | None = None
        self._found_to = head(database.connection)[0]
        self._last_of: dict[str, int] = {}
        self.verified = verified

    @classmethod
    def open(
        cls, path: Path, *, desk: str, account: str, clock: Clock, actor: Actor, version: str
    ) -> Journal:
        """Open or create the journal of a desk and journal that this process has started.

        One of an older version is brought up to this one, with a verified backup made first.

        Raises
        ------
        JournalError
            When it cannot be trusted: see `Database.sender`; a chain that does not verify; a
            journal of another desk or account.
        """
        database = Database.sender(path)
        try:
            opened = cls._opened(database, desk, account, clock, actor, version)
        except BaseException:
            database.close()
            raise
        return opened

    @classmethod
    def _opened(
        cls, database: Database, desk: str, account: str, clock: Clock, actor: Actor, version: str
    ) -> Journal:
        bodies: list[Body] = [Started(version, os.getpid(), database.fence)]
        verdict = Verdict(0, "")
        if head(database.connection)[0] == 0:
            bodies.insert(0, Genesis(desk, account, version))
        else:
            verdict = verify_database(database.connection)
            _require_whole(database.path, verdict)
            _require_owner(database, desk, account)
            now_ms = clock.utc_ms()
            migrate(database, ts_ms=now_ms, host=socket.gethostname(), actor=actor)
        journal = cls(database, clock, actor, verdict)
        journal.append(*bodies)
        return journal

    def close(self) -> None:
        """Close the file and let another desk be the sender."""
        self._forget()
        self._database.close()

    @property
    def actor(self) -> Actor:
        """The desk itself."""
        return self._actor

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self._database.path

    @property
    def fault(self) -> str:
        """Why nothing can be written any more, "" while all is well."""
        return self._database.fault

    def require_usable(self) -> None:
        """Look whether events can still be recorded where they were.

        Raises
        ------
        JournalError
            When they cannot: see `Database.require_usable`.
        """
        self._database.require_usable()

    @property
    def fence(self) -> int:
        """Number of this sender's lease."""
        return self._database.fence

    @property
    def worst_commit_s(self) -> float:
        """The slowest commit since the journal was opened, seconds."""
        return self._database.worst_commit_s

    def append(self, *bodies: Body, actor: Actor | None = None) -> tuple[Stored, ...]:
        """Append events in one transaction, all or none; return them: they are durable by then.

        Parameters
        ----------
        bodies : Body
            In this order.
        actor : Actor, optional
            Who did it; the desk itself when left out.

        Raises
        ------
        JournalError
            When one of them is impossible, or nothing can be written.
        """
        self._forget()
        with self._database.transaction() as connection:
            stored = [
                append(
                    connection,
                    body,
                    ts_ms=self._clock.utc_ms(),
                    host=self._host,
                    actor=actor or self._actor,
                )
                for body in bodies
            ]
        for event in stored:
            self._last_of[event.kind] = event.seq
            self._known[head,] = (event.seq, event.hash)
        return tuple(stored)

    def _forget(self) -> None:
        self._known.clear()
        self._sent = None

    def _ask(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        try:
            return query(self._database.connection, *args, **kw)
        except DAMAGE as error:
            raise self._database.failed(error) from None

    def _recall(self, query: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """Ask what only an event can change: this is the one sender, so once between two of them.

        A desk looks several times a second and appends rarely. A sender that took the lease over
        is met by the next append, before which nothing leaves.
        """
        key = (query, *args)
        if key not in self._known:
            self._known[key] = self._ask(query, *args)
        found: T = self._known[key]
        return found

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the last event."""
        return self._recall(head)

    def heads_due(self, after: int, every: int) -> list[tuple[int, str]]:
        """Return (number, hash) of the events after `after` whose heads are to be published.

        Each one whose number is a multiple of `every`, and the last one of each UTC day that has
        ended.
        """
        return self._ask(heads_due, after, every, self._clock.utc_ms() // DAY_MS)

    def hash_of(self, seq: int) -> str | None:
        """Return the hash of event `seq`, None when there is no such event."""
        return self._recall(queries.hash_of, seq)

    def events(self, since: int) -> list[Event]:
        """Return the events from number `since` on."""
        return self._ask(_read_all, since)

    def next_ticket(self) -> str:
        """Return the id of the ticket to be made next."""
        return self._recall(queries.next_ticket)

    def tickets(self, count: int) -> list[TicketHead]:
        """Return the last `count` tickets, newest last."""
        return list(self._recall(queries.tickets, count))

    def open_tickets(self, state: str) -> list[TicketHead]:
        """Return the tickets in `state`, oldest first."""
        return list(self._recall(queries.tickets_in, state))

    def ticket(self, identifier: str) -> Ticket:
        """Return a ticket as it was proposed.

        Raises
        ------
        JournalError
            When there is none of that id.
        """
        return self._recall(_ticket, identifier)

    def legs(self, ticket: str) -> list[LegRow]:
        """Return the legs of a ticket in their order."""
        return list(self._recall(queries.legs, "ticket = ?", (ticket,)))

    def leg(self, client_id: str) -> LegRow | None:
        """Return the leg of a client id, None when the journal has none."""
        found = self._recall(queries.legs, "client_id = ?", (client_id,))
        return found[0] if found else None

    def leg_of_order(self, venue: str, venue_order_id: str) -> LegRow | None:
        """Return the leg whose order has this id at the venue."""
        found = self._recall(
            queries.legs,
            "venue = ? AND venue_order_id = ?",
            (venue, venue_order_id),
        )
        return found[0] if found and venue_order_id else None

    def sent_since(self, utc_ms: int) -> list[LegRow]:
        """Return the legs sent at venue time `utc_ms` or later."""
        if self._recall(queries.last_message) < utc_ms:
            return []
        if self._sent is None or utc_ms < self._sent[0]:
            self._sent = (utc_ms, self._ask(queries.legs, "sent_ms >= ?", (utc_ms,)))
        return [leg for leg in self._sent[1] if leg.sent_ms is not None and leg.sent_ms >= utc_ms]

    def legs_short_of_fills(self) -> list[LegRow]:
        """Return the legs reported to be filled further than their fills here add up to."""
        return list(self._recall(queries.legs_short_of_fills))

    def live_legs(self) -> list[LegRow]:
        """Return the legs that are in no terminal state."""
        return list(self._recall(queries.live_legs))

    def unsettled_legs(self, venue: str) -> list[LegRow]:
        """Return the legs sent to `venue` of which something is still to be learned."""
        return list(self._recall(queries.unsettled_legs, venue))

    def unsettled_by_venue(self) -> dict[str, int]:
        """Return how many legs sent to each venue have something still to be learned."""
        return dict(self._recall(queries.unsettled_by_venue))

    def unknown_legs(self) -> list[LegRow]:
        """Return the legs of which it is not known whether the venue has them."""
        states = (LegState.SENDING.value, LegState.UNKNOWN.value)
        return list(self._recall(queries.legs, "state IN (?, ?)", states))

    def positions(self) -> dict[str, Decimal]:
        """Return signed positions: baseline, own fills, external changes."""
        return dict(self._recall(queries.positions))

    def day_notional_usd(self, trader: str | None = None) -> Decimal:
        """Return what was sent today, by `trader` or by all, USD."""
        day = self._clock.utc_ms() // DAY_MS
        return self._recall(queries.day_notional_usd, day * DAY_MS, trader)

    def approval(self, ticket: str) -> ApprovalRow | None:
        """Return a ticket's approval, None where no second person was asked."""
        found = self._recall(queries.approvals, "ticket = ?", (ticket,))
        return found[0] if found else None

    def pending_approvals(self) -> list[ApprovalRow]:
        """Return the approvals that nobody has decided yet, oldest first."""
        return list(self._recall(queries.approvals, "state = 'PENDING'", ()))

    def messages_since(self, utc_ms: int) -> list[tuple[str, int, bool]]:
        """Return (venue, venue time in ms, whether a cancel) of what was sent since `utc_ms`."""
        if self._recall(queries.last_message) < utc_ms:
            return []
        return self._ask(queries.messages_since, utc_ms)

    def noted(self, kinds: tuple[str, ...], since: int) -> list[Noted]:
        """Return the events of these kinds from number `since` on, oldest first."""
        if since > self._found_to and all(self._last_of.get(kind, 0) < since for kind in kinds):
            return []
        return list(self._recall(queries.noted, kinds, since))

    def fill(self, instrument: str, trade_id: str) -> FillRow | None:
        """Return the fill of a trade, None when it is not here."""
        return self._recall(queries.fill, instrument, trade_id)

    def fills_of(self, ticket: str) -> list[FillRow]:
        """Return the fills of a ticket's legs."""
        return list(self._recall(queries.fills_of, ticket))

    def kill_state(self) -> KillRow:
        """Return where the kill switch stands."""
        return self._recall(queries.kill_state)

    def has_notice(self, key: str) -> bool:
        """Return True when an alarm or external change of that key was journalled."""
        return self._recall(queries.has_notice, key)

    def has_baseline(self, venue: str) -> bool:
        """Return True when the venue's account was seen before."""
        return self._recall(queries.has_baseline, venue)


def _read_all(connection: sqlite3.Connection, since: int) -> list[Event]:
    return list(read(connection, since))


def _ticket(connection: sqlite3.Connection, identifier: str) -> Ticket:
    seq = queries.ticket_seq(connection, identifier)
    if seq is None:
        raise JournalError(f"expected a ticket of this journal, was {identifier!r}")
    body = next(read(connection, seq)).record()
    if not isinstance(body, TicketProposed):
        raise JournalError(f"expected a PROPOSED event at {seq}; verify the journal")
    return body.ticket


def _require_whole(path: Path, verdict: Verdict) -> None:
    if not verdict.ok:
        raise JournalError(
            f"expected a journal that verifies, was bad at event {verdict.bad_seq}: "
            f"{verdict.reason}; `perptui journal restore BACKUP` keeps it aside, or move {path} "
            "away and keep it for a person to look at"
        )


def _require_owner(database: Database, desk: str, account: str) -> None:
    genesis = next(read(database.connection)).record()
    if not isinstance(genesis, Genesis) or (genesis.desk, genesis.account) != (desk, account):
        raise JournalError(
            f"expected the journal of desk {desk!r}, account {account!r}, was another's; "
            "give the desk another name"
        )
