"""Paper mode as processes: one simulated venue is the live market of a desk that trades on paper.

What the market venue was asked stays in its own history: that is what shows that a whole ticket,
from proposal to fills, sent it nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perptui.client.launch import Launcher, place_of
from perptui.desk.lifecycle import SimulatedVenue
from perptui.model.clock import SystemClock
from perptui.protocol.intents import Bend, OpenTicket, RejectTicket
from perptui.settings.paths import resource
from tests.canary import CANARY, in_processes, sweep
from tests.desk.attached import PATIENCE_S, Terminal, children_of, confirm, filled, market
from tests.simulator.conftest import Door

DESK = "on-paper"
BTC = "binanceusdm:BTC/USDT:USDT"
SYMBOLS = json.dumps(["BTC/USDT:USDT", "ETH/USDT:USDT"])


def folder() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"])


@pytest.fixture
def live_market(tmp_path: Path) -> Iterator[Path]:
    """The socket of what stands in for the live venue; it has a book of its own."""
    venue = SimulatedVenue(folder() / "live.sock", tmp_path / "market.log")
    venue.spawn(market())
    yield venue.path
    venue.end()


@contextmanager
def paper_desk(venue: Path) -> Iterator[tuple[Launcher, Terminal]]:
    settings = (
        f'desk.name="{DESK}"',
        'desk.mode="paper"',
        'venues.binanceusdm.endpoint="live"',
        f"venues.binanceusdm.socket={json.dumps(str(venue))}",
        f"venues.binanceusdm.symbols={SYMBOLS}",
    )
    command = ["--config", str(resource("config.toml"))]
    for assignment in settings:
        command += ["--set", assignment]
    place = place_of(DESK)
    way = Launcher(place, SystemClock(), command)
    assert way.claim()
    way.start()
    terminal = Terminal(place.socket)
    try:
        yield way, terminal
    finally:
        terminal.close()
        way.end()


def book_of_each_trade(terminal: Terminal) -> None:
    """Fix a target, whatever this hour's market proposes, and wait until its books were read.

    Without them the gate refuses.
    """
    deadline = time.monotonic() + PATIENCE_S
    terminal.until(filled)
    assert terminal.ask(Bend(f"target:{BTC}=0.3")).ok
    view = terminal.until(
        lambda view: view.rebalance.state == "ready" and view.rebalance.edits == 1
    )
    while True:
        reply = terminal.ask(OpenTicket(view.rebalance.digest, "send", 120, 40))
        if reply.ok:
            break
        assert "no fresh order book" in reply.text
        assert time.monotonic() < deadline
        time.sleep(0.2)
    ticket = terminal.until(lambda view: view.ticket.phase == "confirm").ticket
    assert terminal.ask(RejectTicket(ticket.id, "only to wait for the books")).ok


def history_of(venue: Path) -> list[dict[str, str]]:
    """Every request that the market venue was sent, as it keeps them itself."""

    async def asked() -> list[dict[str, str]]:
        door = Door(venue)
        status, rows = await door.control("/history")
        await door.session.close()
        assert status == 200
        assert isinstance(rows, list)
        return rows

    return asyncio.run(asked())


@pytest.mark.unmeasured
def test_a_ticket_on_live_data_never_reaches_the_live_venue(
    live_market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Keys of an account that this desk does not have: its children must not inherit them.
    monkeypatch.setenv("PERPTUI_BINANCEUSDM_OTHER_API_KEY", CANARY)
    monkeypatch.setenv("PERPTUI_BINANCEUSDM_OTHER_SECRET", CANARY)
    with paper_desk(live_market) as (way, terminal):
        view = terminal.until(filled)
        assert view.status.mode == "PAPER on REHEARSAL DATA"
        assert view.positions.rows == ()
        terminal.until(lambda view: not view.status.sends_locked)
        book_of_each_trade(terminal)
        view = confirm(terminal)
        assert "PAPER on REHEARSAL DATA" in view.ticket.text[0]
        assert view.ticket.legs
        assert {leg.state for leg in view.ticket.legs} == {"FILLED"}
        view = terminal.until(lambda view: len(view.positions.rows) == len(view.ticket.legs))
        held = {row.id: row.contracts for row in view.positions.rows}
        assert way.desk_pid is not None
        assert in_processes(children_of(way.desk_pid)) == []
    for row in history_of(live_market):
        assert row["method"] == "GET", row
        assert "signature" not in row["query"], row
    with paper_desk(live_market) as (_, terminal):
        view = terminal.until(lambda view: len(view.positions.rows) == len(held))
        assert {row.id: row.contracts for row in view.positions.rows} == held
        terminal.until(lambda view: not view.status.sends_locked)
    state = Path(os.environ["XDG_STATE_HOME"]) / "perptui"
    assert sweep([state]) == []
