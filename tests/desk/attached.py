"""A demo desk of real processes, and a terminal of plain sockets that waits for what it wants."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from perptui.client.demo import launcher, put_aside
from perptui.client.launch import Launcher
from perptui.model.clock import SystemClock
from perptui.protocol.frames import (
    Ask,
    Deframer,
    Hello,
    Observed,
    Refused,
    Reply,
    Whole,
    decode_to_terminal,
    encode,
    frame,
)
from perptui.protocol.intents import ConfirmTicket, Intent, OpenTicket, Solve
from perptui.protocol.views import DeskView
from perptui.protocol.views_ticket import TicketView
from perptui.settings.schema import SimulatorSettings

TYPED_MS = (140.0, 120.0, 160.0)
"""Between the keys of a hand that types a confirmation."""
PATIENCE_S = 120.0
"""Generous: the machine may be busy; nothing waits longer than its condition."""


class Terminal:
    """Attached to a desk's socket."""

    def __init__(self, path: Path) -> None:
        self._line = _connected(path)
        self._deframer = Deframer()
        self._replies: dict[int, Reply] = {}
        self._number = 0
        self.hello: Hello | None = None
        self.view: DeskView | None = None

    def close(self) -> None:
        self._line.close()

    def until(self, condition: Callable[[DeskView], bool]) -> DeskView:
        """Return the view once `condition` holds of it."""
        deadline = time.monotonic() + PATIENCE_S
        while self.view is None or not condition(self.view):
            assert time.monotonic() < deadline, f"in vain: {brief(self.view)}"
            self._read()
        return self.view

    def ask(self, intent: Intent) -> Reply:
        """Return the desk's answer."""
        self._number += 1
        self._line.sendall(frame(encode(Ask(number=self._number, intent=intent))))
        deadline = time.monotonic() + PATIENCE_S
        while self._number not in self._replies:
            assert time.monotonic() < deadline, f"no answer to {intent}"
            self._read()
        return self._replies[self._number]

    def until_lost(self) -> None:
        """Read until the desk closes the line."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                self._read()
            except (EOFError, ConnectionResetError):
                return
        raise AssertionError("the desk did not close the line")

    def _read(self) -> None:
        self._line.settimeout(1.0)
        try:
            data = self._line.recv(1 << 16)
        except TimeoutError:
            return
        if not data:
            raise EOFError
        for payload in self._deframer.feed(data):
            self._take(payload)

    def _take(self, payload: bytes) -> None:
        message = decode_to_terminal(payload)
        if isinstance(message, Hello):
            self.hello = message
        elif isinstance(message, Whole):
            self.view = message.view
        elif isinstance(message, Reply):
            self._replies[message.number] = message
        elif isinstance(message, Refused):
            raise ConnectionRefusedError(message.text)
        elif self.view is None:
            return
        elif isinstance(message, Observed):
            panel = getattr(self.view, message.panel)
            seen = msgspec.structs.replace(panel, observed_mono=message.observed_mono)
            self.view = msgspec.structs.replace(self.view, **{message.panel: seen})
        else:
            self.view = msgspec.structs.replace(self.view, **{message.panel: message.view()})


def _connected(path: Path) -> socket.socket:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            line.close()
            assert time.monotonic() < deadline, f"nothing listens at {path}"
            time.sleep(0.02)
        else:
            return line


class Demo:
    """A running demo: its launcher, its socket, and terminals attached to it."""

    def __init__(self, market: SimulatorSettings) -> None:
        clock = SystemClock()
        self.way: Launcher = launcher(market, clock)
        assert self.way.claim()
        put_aside(clock)
        self.way.start()
        self.socket = Path(os.environ["XDG_RUNTIME_DIR"]) / "perptui" / "demo" / "desk.sock"
        self.state = Path(os.environ["XDG_STATE_HOME"]) / "perptui" / "demo"
        self._terminals: list[Terminal] = []

    def attach(self) -> Terminal:
        terminal = Terminal(self.socket)
        self._terminals.append(terminal)
        return terminal

    def ready(self) -> Terminal:
        """Return a terminal whose five panels are filled and which may send."""
        terminal = self.attach()
        terminal.until(filled)
        terminal.until(lambda view: not view.status.sends_locked)
        return terminal

    def relaunch(self) -> None:
        """Do what a terminal does that lost its desk."""

        async def joined() -> None:
            _, writer = await self.way.relaunch()
            writer.close()
            await writer.wait_closed()

        asyncio.run(joined())

    def end(self) -> None:
        for terminal in self._terminals:
            terminal.close()
        self.way.end()


def filled(view: DeskView) -> bool:
    """Return True when all five panels have figures."""
    five = (view.positions, view.funding, view.regime, view.rebalance, view.limits)
    return all(panel.waiting is None for panel in five) and view.rebalance.state == "ready"


def market(data: str = "", start: str = "", speed: float = 1.0) -> SimulatorSettings:
    """Return the generated market, or a replay."""
    return SimulatorSettings(seed=7, data=data, start=start, speed=speed)


@contextmanager
def running_demo(settings: SimulatorSettings) -> Iterator[Demo]:
    """Run a demo; whatever happens, nothing of it is left."""
    demo = Demo(settings)
    try:
        yield demo
    finally:
        demo.end()


def brief(view: DeskView | None) -> str:
    """Return of a view what tells why something does not come."""
    if view is None:
        return "no view at all"
    waiting = (view.positions.waiting, view.regime.waiting, view.rebalance.waiting)
    return f"{waiting} {view.status.feeds} {view.status.sends_locked} {view.status.news}"


def alive(pid: int) -> bool:
    """Return True while a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children_of(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def confirm(terminal: Terminal) -> DeskView:
    """Open a ticket of a new proposal, read it, type its end, and return the view when it ended."""
    type_end(terminal)
    return terminal.until(lambda view: view.ticket.phase == "done")


def type_end(terminal: Terminal) -> TicketView:
    """Open a ticket of a new proposal, confirm it, and return it as it was shown."""
    assert terminal.ask(Solve()).ok
    view = terminal.until(lambda view: view.rebalance.state == "ready")
    reply = terminal.ask(OpenTicket(view.rebalance.digest, "send", 120, 40))
    assert reply.ok, reply.text
    ticket = terminal.until(lambda view: view.ticket.phase == "confirm").ticket
    while time.monotonic() < ticket.opens_mono:
        time.sleep(0.05)
    typed = ConfirmTicket(ticket.id, ticket.token[-4:], True, TYPED_MS, 120, 40)
    reply = terminal.ask(typed)
    assert reply.ok, reply.text
    return ticket
