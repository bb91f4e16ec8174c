"""The desk as it is typed, `perptui desk`, ended while a ticket of several legs is being sent.

The venue lives on; the desk starts again on the same files. No order twice, no leg filled beyond
what was confirmed, positions agree, the chain verifies.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from perptui.journal import queries
from perptui.journal.queries import LegRow
from perptui.journal.verify import verify_file
from perptui.model.order import LegState
from perptui.protocol.views_ticket import TicketView
from perptui.settings.paths import journal_file
from tests.desk.attached import PATIENCE_S, Terminal, filled, type_end
from tests.desk.orders.test_sigkill import ORDER, ROOT, SimulatedVenueProcess

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]
NAME = "mortal"


class DeskProcess:
    """`perptui desk` on a venue that outlives it, and one terminal."""

    def __init__(self, venue: SimulatedVenueProcess) -> None:
        self.venue = venue
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "perptui", "desk", "--name", NAME),
                *("--set", "desk.mode=paper"),
                *("--set", f"venues.binanceusdm.socket={venue.path}"),
            ],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        runtime = Path(os.environ["XDG_RUNTIME_DIR"])
        self.terminal = Terminal(runtime / "perptui" / NAME / "desk.sock")

    def confirmed(self) -> TicketView:
        """Propose, open a ticket and confirm it; return it as it was shown."""
        self.terminal.until(lambda view: filled(view) and not view.status.sends_locked)
        return type_end(self.terminal)

    def end(self, number: int) -> int:
        """Send a signal and return how the process ended."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self.terminal.close()
        return code

    def positions(self) -> dict[str, Decimal]:
        """Signed positions as the venue reports them to the desk."""
        view = self.terminal.view
        assert view is not None
        return {row.id: row.contracts for row in view.positions.rows}


@pytest.fixture
def venue() -> Iterator[SimulatedVenueProcess]:
    with tempfile.TemporaryDirectory(prefix="pt-") as folder:
        process = SimulatedVenueProcess(f"{folder}/venue.sock")
        yield process
        process.end()


@pytest.fixture
def desks(venue: SimulatedVenueProcess) -> Iterator[Callable[[], DeskProcess]]:
    started: list[DeskProcess] = []

    def start() -> DeskProcess:
        started.append(DeskProcess(venue))
        return started[-1]

    yield start
    for desk in started:
        if desk.process.poll() is None:
            desk.end(signal.SIGKILL)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def hang(venue: SimulatedVenueProcess, nth: int, seconds: float) -> None:
    """Let the venue take the nth order and be silent about it for a while."""
    fault = {"endpoint": f"POST {ORDER}", "nth": nth, "kind": "hang", "seconds": seconds}
    venue.ask("POST", "/faults", [fault])


def quantities(venue: SimulatedVenueProcess) -> dict[str, Decimal]:
    """Contracts of every order the venue took, by client id."""
    taken: dict[str, Decimal] = {}
    for row in venue.ask("GET", "/history"):
        if row["method"] == "POST" and row["path"] == ORDER:
            fields = parse_qs(row["query"]) | parse_qs(row["body"])
            taken[fields["newClientOrderId"][0]] = Decimal(fields["quantity"][0])
    return taken


def journalled(ticket: str) -> tuple[list[LegRow], dict[str, Decimal], list[str]]:
    """Legs, positions and kinds of events of the journal file, read from outside."""
    connection = sqlite3.connect(f"file:{journal_file(NAME)}?mode=ro", uri=True)
    try:
        legs = queries.legs(connection, "ticket = ?", (ticket,))
        held = {key: size for key, size in queries.positions(connection).items() if size}
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM event ORDER BY seq")]
    finally:
        connection.close()
    return legs, held, kinds


def require_whole(
    venue: SimulatedVenueProcess, ticket: TicketView, at_venue: dict[str, Decimal]
) -> list[LegRow]:
    legs, held, kinds = journalled(ticket.id)
    taken, confirmed = quantities(venue), {leg.client_id: leg.contracts for leg in legs}
    assert set(venue.orders().values()) == {1}
    assert set(taken) <= set(confirmed)
    assert all(size <= confirmed[client_id] for client_id, size in taken.items())
    assert all(leg.executed <= leg.contracts for leg in legs)
    assert all(leg.settled for leg in legs)
    assert {leg.client_id for leg in legs if leg.executed} <= set(taken)
    assert held == at_venue
    assert not {"EXTERNAL", "ALARM"} & set(kinds)
    assert verify_file(journal_file(NAME)).ok
    return legs


def test_kill_9_between_two_legs_of_a_real_desk(
    venue: SimulatedVenueProcess, desks: Callable[[], DeskProcess]
) -> None:
    first = desks()
    hang(venue, 2, 60.0)
    ticket = first.confirmed()
    assert len(ticket.legs) >= 3
    until(lambda: venue.orders().total() == 2)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    legs, _, _ = journalled(ticket.id)
    assert legs[1].state is LegState.SENDING
    assert {leg.state for leg in legs[2:]} == {LegState.CONFIRMED}

    second = desks()
    second.terminal.until(
        lambda view: (
            filled(view)
            and not view.status.sends_locked
            and any(row.id == ticket.id and row.state == "DONE" for row in view.journal.tickets)
        )
    )
    assert second.end(signal.SIGTERM) == 0
    legs = require_whole(venue, ticket, second.positions())
    assert [leg.state for leg in legs[:2]] == [LegState.FILLED] * 2
    assert {leg.state for leg in legs[2:]} == {LegState.NOT_SENT}
    assert len(quantities(venue)) == 2


def test_a_desk_told_to_end_waits_for_its_sends(
    venue: SimulatedVenueProcess, desks: Callable[[], DeskProcess]
) -> None:
    desk = desks()
    hang(venue, 1, 2.0)
    ticket = desk.confirmed()
    until(lambda: venue.orders().total() == 1)
    assert desk.end(signal.SIGTERM) == 0
    legs, _, kinds = journalled(ticket.id)
    assert legs[0].state is LegState.FILLED
    assert all(leg.settled for leg in legs)
    assert kinds.index("OUTCOME") > kinds.index("SENDING")
    assert set(venue.orders().values()) == {1}
    assert verify_file(journal_file(NAME)).ok
