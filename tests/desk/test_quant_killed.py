"""The quant process killed while a plan is made, opened, confirmed and sent: nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest

from perptui.protocol.intents import ConfirmTicket, OpenTicket, Solve
from perptui.protocol.views import DeskView
from tests.desk.attached import TYPED_MS, Demo, Terminal, alive, children_of, market, running_demo

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


class Assassin:
    """Kills the quant process of one desk, again and again, at instants drawn from a seed."""

    def __init__(self, demo: Demo, seed: int) -> None:
        assert demo.way.desk_pid is not None
        self.desk = demo.way.desk_pid
        self.draw = random.Random(seed)
        self.killed: list[int] = []

    def strike(self) -> None:
        """Wait a moment and kill what there is."""
        time.sleep(self.draw.uniform(0, 0.3))
        for child in children_of(self.desk):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                self.killed.append(child)


def proposed(terminal: Terminal, assassin: Assassin) -> DeskView:
    """Return the view of a proposal: the first solve lost its process, the next one has another."""
    terminal.ask(Solve())
    assassin.strike()
    terminal.until(lambda _: children_of(assassin.desk) not in ([], assassin.killed[-1:]))
    assert terminal.ask(Solve()).ok
    return terminal.until(lambda view: view.rebalance.state == "ready")


def test_a_ticket_goes_its_way_while_the_quant_process_dies_at_every_step() -> None:
    with running_demo(market()) as demo:
        terminal = demo.ready()
        assassin = Assassin(demo, 3)
        view = proposed(terminal, assassin)
        reply = terminal.ask(OpenTicket(view.rebalance.digest, "send", 120, 40))
        assert reply.ok, reply.text
        assassin.strike()
        ticket = terminal.until(lambda view: view.ticket.phase == "confirm").ticket
        while time.monotonic() < ticket.opens_mono:
            time.sleep(0.05)
        typed = ConfirmTicket(ticket.id, ticket.token[-4:], True, TYPED_MS, 120, 40)
        reply = terminal.ask(typed)
        assert reply.ok, reply.text
        assassin.strike()
        view = terminal.until(lambda view: view.ticket.phase == "done")
        assert [leg.state for leg in view.ticket.legs] == ["FILLED"] * len(ticket.legs)
        assert (view.status.unknown_legs, view.status.kill_state) == (0, "ACTIVE")
        assert len(set(assassin.killed)) >= 2
        assert alive(assassin.desk)
        terminal.until(lambda _: any(alive(child) for child in children_of(assassin.desk)))
        terminal.until(lambda view: view.rebalance.state == "ready")
