"""Virtual time and virtual death: an event loop whose clock jumps, a process that just ends."""

from __future__ import annotations

import asyncio
import selectors
import sqlite3
from collections.abc import Callable
from typing import Any, cast

from perptui.journal.database import Database
from perptui.journal.events import Actor
from perptui.journal.journal import Journal
from perptui.journal.verify import Verdict
from perptui.model.clock import Clock, ManualClock


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: where the loop would sleep, the clock moves on."""

    def __init__(self, loop_clock: list[ManualClock]) -> None:
        super().__init__()
        self._clocks = loop_clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("expected something to happen, was nothing left to wait for")
        if timeout > 0:
            self._clocks[-1].advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs the desk's own tasks in virtual time; one loop serves many sessions, one at a time."""

    def __init__(self) -> None:
        self.clocks = [ManualClock(0)]
        super().__init__(_JumpingSelector(self.clocks))

    def time(self) -> float:
        return self.clocks[-1].monotonic()


class Died(BaseException):
    """The desk's process ended here, with nothing said and nothing written."""


class Mortality:
    """When the process dies: the fuse counts statements of SQL that change, and named points.

    Attributes
    ----------
    dead : bool
        From then on no statement and no request gets through.
    """

    def __init__(self) -> None:
        self.dead = False
        self._statements = -1
        self._point = ""
        self._passes = 0
        self._fault: sqlite3.Error | None = None
        self._healthy = 0

    def at_statement(self, count: int) -> None:
        """Die before the `count`-th statement from now on that changes the journal."""
        self._statements = count

    def at_fault(self, fault: sqlite3.Error | None, statements: int) -> None:
        """Let every statement that changes the journal fail after so many; None: none does."""
        self._fault, self._healthy = fault, statements

    def at_point(self, point: str, passes: int = 0) -> None:
        """Die when `point` is reached for the time after `passes` others."""
        self._point, self._passes = point, passes

    def statement(self, sql: str) -> None:
        """Let a statement through, or die."""
        if self.dead:
            raise Died
        if sql.startswith("SELECT"):
            return
        self._statements -= 1
        if self._statements == 0:
            self.die()
        if self._fault is not None:
            self._healthy -= 1
            if self._healthy < 0:
                raise self._fault

    def reach(self, point: str) -> None:
        """Pass a named point, or die there."""
        if self.dead:
            raise Died
        if point == self._point:
            self._passes -= 1
            if self._passes < 0:
                self.die()

    def die(self) -> None:
        """End the process."""
        self.dead = True
        raise Died


class _MortalConnection:
    """The journal's connection for as long as the process lives."""

    def __init__(self, connection: sqlite3.Connection, mortality: Mortality) -> None:
        self._connection = connection
        self._mortality = mortality

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql != "ROLLBACK":
            self._mortality.statement(sql)
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def mortal_journal(mortality: Mortality) -> type[Journal]:
    """Return a journal whose process may die at any statement."""

    class MortalJournal(Journal):
        def __init__(
            self, database: Database, clock: Clock, actor: Actor, verified: Verdict
        ) -> None:
            database.connection = cast(
                "sqlite3.Connection", _MortalConnection(database.connection, mortality)
            )
            super().__init__(database, clock, actor, verified)

    return MortalJournal


def probe(path: str) -> tuple[sqlite3.Connection, Callable[[], int]]:
    """Return a connection of one's own, and what tells the last event that is on disk."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA busy_timeout = 2000")

    def committed() -> int:
        (seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
        return int(seq)

    return connection, committed
