"""Other users of the machine, each a process of its own uid with a plain terminal."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from perptui.protocol.frames import Reply
from perptui.protocol.intents import Intent
from perptui.protocol.proof import proven_token
from perptui.protocol.views_ticket import TicketView
from tests.desk.attached import Terminal

FORK = multiprocessing.get_context("fork")
"""A user cannot read this user's libraries: what the process needs is loaded before it is one."""


LISTENER = 61_005
"""No user of any machine that runs these tests."""


@contextmanager
def listening(path: Path, uid: int) -> Iterator[None]:
    """Listen at `path` as another user; nothing is ever answered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        # The kernel tells who listens by who called `listen`.
        os.seteuid(uid)
        try:
            listener.listen()
        finally:
            os.seteuid(0)
        yield


class User:
    """A terminal that runs as another uid; fork it before any thread is started.

    Parameters
    ----------
    groups : tuple of int
        Its supplementary groups.
    """

    def __init__(self, uid: int, groups: tuple[int, ...], path: Path) -> None:
        self._line, theirs = FORK.Pipe()
        self._process = FORK.Process(target=_live, args=(theirs, uid, groups, path), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, intent: Intent) -> Reply:
        """Return the desk's answer."""
        answer: Reply = self._call("ask", intent)
        return answer

    def ticket(self, phase: str) -> TicketView:
        """Return the ticket that this user sees once it is in `phase`."""
        view: TicketView = self._call("ticket", phase)
        return view

    def proven(self) -> str:
        """Return the token that this user's own process makes of the ticket it sees."""
        token: str = self._call("proven", None)
        return token

    def roles(self) -> tuple[str, ...]:
        """Return what the desk says that this user may do."""
        roles: tuple[str, ...] = self._call("roles", None)
        return roles

    def end(self) -> None:
        self._line.send(("end", None))
        self._line.close()
        self._process.join(10)

    def _call(self, what: str, value: Any) -> Any:
        self._line.send((what, value))
        answer = self._line.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _live(line: Connection[Any, Any], uid: int, groups: tuple[int, ...], path: Path) -> None:
    os.setgroups(list(groups))
    os.setgid(uid)
    os.setuid(uid)
    terminal: Terminal | None = None
    while True:
        what, value = line.recv()
        if what == "end":
            os._exit(0)
        try:
            terminal = terminal or Terminal(path)
            line.send(ANSWERS[what](terminal, value))
        except (OSError, EOFError) as error:
            line.send(error)


def _ticket(terminal: Terminal, phase: str) -> TicketView:
    return terminal.until(lambda view: view.ticket.phase == phase).ticket


def _proven(terminal: Terminal, _: None) -> str:
    assert terminal.view is not None
    return proven_token(terminal.view.ticket)


def _roles(terminal: Terminal, _: None) -> tuple[str, ...]:
    terminal.until(lambda _: True)
    assert terminal.hello is not None
    return terminal.hello.roles


ANSWERS: dict[str, Callable[[Terminal, Any], Any]] = {
    "ask": lambda terminal, intent: terminal.ask(intent),
    "ticket": _ticket,
    "proven": _proven,
    "roles": _roles,
}
