"""The desk as a process, on the real simulated venue: from the first panel to the last fill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from perptui.model.clock import iso
from perptui.protocol.intents import (
    AskFrontier,
    Bend,
    Compare,
    ExportOrders,
    Keep,
    Kill,
    OpenTicket,
    Quit,
    Redo,
    Reestimate,
    RejectTicket,
    Solve,
    Unbend,
    Undo,
)
from tests.desk.attached import (
    PATIENCE_S,
    Demo,
    alive,
    children_of,
    confirm,
    filled,
    market,
    running_demo,
)

pytestmark = pytest.mark.slow
BTC = "binanceusdm:BTC/USDT:USDT"
TAKER = Decimal("0.0005")


@pytest.fixture
def demo() -> Iterator[Demo]:
    with running_demo(market()) as running:
        yield running


@pytest.mark.unmeasured
def test_from_the_first_panel_to_the_last_fill(demo: Demo) -> None:
    terminal = demo.ready()
    view = terminal.until(filled)
    assert terminal.hello is not None
    assert terminal.hello.uid == os.getuid()
    assert (view.status.mode, view.status.market) == ("SIMULATED", "SIMULATED MARKET")
    carry = sum((row.carry_usd_day or Decimal(0) for row in view.positions.rows), Decimal(0))
    assert carry == view.positions.carry_usd_day
    before = {row.id: row.contracts for row in view.positions.rows}

    view = confirm(terminal)
    assert [leg.state for leg in view.ticket.legs] == ["FILLED"] * len(view.ticket.legs)
    assert view.ticket.legs
    for leg in view.ticket.legs:
        assert leg.filled == leg.contracts
    # Positions at the venue moved by exactly what was filled.
    signed = {
        f"binanceusdm:{leg.label.split()[0]}/USDT:USDT": leg.filled
        if leg.side == "buy"
        else -leg.filled
        for leg in view.ticket.legs
    }
    wanted = {key: before.get(key, Decimal(0)) + signed.get(key, Decimal(0)) for key in before}
    wanted |= {key: moved for key, moved in signed.items() if key not in before}
    wanted = {key: contracts for key, contracts in wanted.items() if contracts}
    view = terminal.until(
        lambda view: {row.id: row.contracts for row in view.positions.rows} == wanted
    )
    # Each fill's fee is booked: 5 bp of what was traded, the venue's rounding aside.
    traded = sum(
        (leg.filled * (leg.average_price or Decimal(0)) for leg in view.ticket.legs), Decimal(0)
    )
    status = terminal.until(
        lambda view: abs((view.status.today_fees_usd or 0) + traded * TAKER) < Decimal("0.01")
    ).status
    assert status.today_price_usd is not None
    assert status.today_funding_usd is not None
    assert status.today_fees_usd is not None
    parts = status.today_price_usd + status.today_funding_usd + status.today_fees_usd
    assert parts == status.today_usd
    # The desk proposes anew from the new book by itself.
    terminal.until(lambda view: view.rebalance.state == "ready" and not view.status.breaches)
    demo.end()
    verdict = subprocess.run(
        [sys.executable, "-m", "perptui", "audit", "verify", "--desk", "demo"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert verdict.returncode == 0, verdict.stderr


@pytest.mark.unmeasured
def test_what_ifs_undo_and_export_on_two_terminals(demo: Demo) -> None:
    terminal, other = demo.ready(), demo.ready()
    assert terminal.ask(Bend(f"target:{BTC}=0.5")).ok
    view = other.until(lambda view: view.rebalance.edits == 1 and view.rebalance.state == "ready")
    row = next(row for row in view.rebalance.rows if row.id == BTC)
    assert row.edited
    assert row.weight_rounded == pytest.approx(0.5, abs=0.001)
    first = view.rebalance.observed_mono
    assert first is not None
    assert terminal.ask(Bend(f"target:{BTC}=0.4")).ok
    assert terminal.ask(Undo()).ok
    view = other.until(lambda view: view.rebalance.can_redo and view.rebalance.state == "ready")
    row = next(row for row in view.rebalance.rows if row.id == BTC)
    assert row.weight_rounded == pytest.approx(0.5, abs=0.001)
    # Solved anew, on what may be the same market.
    assert view.rebalance.observed_mono is not None
    assert view.rebalance.observed_mono > first
    assert terminal.ask(Redo()).ok
    assert terminal.ask(Unbend(f"target:{BTC}")).ok
    assert terminal.ask(Reestimate()).ok
    view = other.until(lambda view: view.rebalance.edits == 0 and view.rebalance.state == "ready")
    refused = terminal.ask(Unbend())
    assert not refused.ok
    assert "nothing to reset" in refused.text
    stranger = Bend("target:binanceusdm:PEPE/USDT:USDT=0.1")
    assert "solve first" in terminal.ask(stranger).text
    assert "name one of these" in terminal.ask(Solve("lucky")).text
    assert not terminal.ask(OpenTicket("0" * 64, "send", 120, 40)).ok

    assert terminal.ask(Solve("tactical")).ok
    view = terminal.until(
        lambda view: view.rebalance.strategy == "tactical" and view.rebalance.state == "ready"
    )
    reply = terminal.ask(ExportOrders(view.rebalance.digest))
    assert reply.ok, reply.text
    exported = list((Path(os.environ["XDG_DATA_HOME"]) / "perptui" / "exports").rglob("*.csv"))
    assert len(exported) == 1
    orders = [row for row in view.rebalance.rows if row.side]
    assert len(exported[0].read_text().strip().splitlines()) == 1 + len(orders)


@pytest.mark.unmeasured
def test_what_is_supposed_or_still_typed_opens_no_ticket(demo: Demo) -> None:
    terminal = demo.ready()
    assert terminal.ask(Keep("A")).text == "kept as A"
    for text, preview in (("regime=crisis", False), ("risk_aversion=9", True)):
        assert terminal.ask(Unbend()).ok or not preview
        reply = terminal.ask(Bend(text, preview=preview))
        assert reply.ok, reply.text
        # The answer comes behind the picture it leads to.
        view = terminal.until(lambda _: True).rebalance
        assert (view.state, view.assignments, view.preview) == ("ready", (text,), preview)
        assert not view.exportable
        assert not terminal.ask(OpenTicket(view.digest, "send", 120, 40)).ok
        assert not terminal.ask(ExportOrders(view.digest)).ok
    assert terminal.ask(Bend("risk_aversion=9")).ok
    assert not terminal.until(lambda _: True).rebalance.preview
    assert terminal.ask(Compare()).ok
    assert terminal.ask(AskFrontier()).ok
    view = terminal.until(
        lambda view: 0 < len(view.rebalance.frontier.points) == view.rebalance.frontier.wanted
    ).rebalance
    assert {place.name for place in view.frontier.places} == {"now", "desk", "target", "A"}
    assert [one.slot for one in view.kept] == ["A"]


@pytest.mark.unmeasured
def test_killed_parts_come_back_or_are_named(demo: Demo) -> None:
    terminal = demo.ready()
    desk = demo.way.desk_pid
    assert desk is not None
    (quant,) = children_of(desk)
    os.kill(quant, signal.SIGKILL)
    terminal.until(lambda _: children_of(desk) not in ([], [quant]))
    assert terminal.ask(Solve()).ok
    view = terminal.until(lambda view: view.rebalance.state == "ready")
    positions = {row.id: row.contracts for row in view.positions.rows}

    os.kill(desk, signal.SIGKILL)
    terminal.until_lost()
    demo.relaunch()
    assert demo.way.desk_pid not in {desk, None}
    again = demo.ready()
    view = again.until(filled)
    # The same venue, still there, with the same book.
    assert {row.id: row.contracts for row in view.positions.rows} == positions

    venue = demo.way.venue_pid
    assert venue is not None
    os.kill(venue, signal.SIGKILL)
    again.until(lambda view: view.status.feeds[0].stale and bool(view.status.feeds[0].text))
    view = again.until(lambda view: all(row.stale for row in view.positions.rows))
    refused = again.ask(OpenTicket(view.rebalance.digest, "send", 120, 40))
    assert not refused.ok


@pytest.mark.unmeasured
def test_the_kill_switch_stops_sending_and_quitting_ends_everything(demo: Demo) -> None:
    terminal = demo.ready()
    reply = terminal.ask(Kill("drill"))
    assert reply.text == "the desk is HALTED"
    view = terminal.until(lambda view: view.status.kill_state == "HALTED")
    assert view.status.sends_locked
    assert not terminal.ask(OpenTicket(view.rebalance.digest, "send", 120, 40)).ok
    desk, venue = demo.way.desk_pid, demo.way.venue_pid
    assert desk is not None
    assert venue is not None
    pids = [desk, venue, *children_of(desk)]
    assert terminal.ask(Quit()).ok
    demo.end()
    assert not [pid for pid in pids if alive(pid)]
    assert not demo.socket.exists()


def test_a_desk_that_is_left_goes_on_without_its_terminal(demo: Demo) -> None:
    terminal = demo.attach()
    terminal.until(lambda _: True)
    assert terminal.hello is not None
    assert terminal.hello.private
    desk, venue = demo.way.desk_pid, demo.way.venue_pid
    assert desk is not None
    assert venue is not None
    reply = terminal.ask(Quit(leave_desk=True))
    assert "goes on" in reply.text
    demo.end()
    later = demo.attach()
    later.until(lambda view: view.positions.waiting is None)
    assert later.hello is not None
    assert not later.hello.private, "it no longer ends with any terminal"
    assert alive(venue)
    assert demo.way.left_running
    os.kill(desk, signal.SIGTERM)
    later.until_lost()
    deadline = time.monotonic() + PATIENCE_S
    while demo.way.left_running:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.unmeasured
@pytest.mark.history
def test_a_replay_drops_to_1x_while_a_confirmation_is_open(history_dir: Path) -> None:
    replay = market(str(history_dir), "2024-08-04T12:00Z", 30.0)
    with running_demo(replay) as demo:
        terminal = demo.ready()
        view = terminal.until(lambda view: view.status.speed == 30.0)
        assert view.status.market == "REPLAY"
        assert iso(view.status.venue_ms).startswith("2024-08-04T1")
        assert terminal.ask(Solve()).ok
        view = terminal.until(lambda view: view.rebalance.state == "ready")
        assert terminal.ask(OpenTicket(view.rebalance.digest, "send", 120, 40)).ok
        view = terminal.until(lambda view: view.status.speed == 1.0)
        assert any("1x while a confirmation" in line.text for line in view.status.news)
        assert terminal.ask(RejectTicket(view.ticket.id, "a look is enough")).ok
        terminal.until(lambda view: view.status.speed == 30.0)
