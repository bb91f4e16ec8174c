"""When what the desk changed is painted: at once where a person waits for it, else at most 2 Hz."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Protocol

PAINT_S = 0.5
"""Least time between two paints of the desk's own changes; keys paint at once."""


class Painter(Protocol):
    """What paints."""

    def paint_panels(self, panels: Collection[str]) -> None:
        """Paint these panels and send them to the terminal."""
        ...

    def set_timer(self, delay: float, callback: Callable[[], None], /) -> object:
        """Call back after some seconds."""
        ...


class Painting:
    """The panels that changed since they were painted, and when they are painted next.

    Parameters
    ----------
    waited_for : Callable[[], bool]
        Whether a person waits for an answer of the desk.
    """

    def __init__(self, painter: Painter, waited_for: Callable[[], bool]) -> None:
        self._painter = painter
        self._waited_for = waited_for
        self._dirty: set[str] = set()
        self._painted_at = -1e9
        self._due = False
        self._asked = False
        self._owes_limits = False

    def mark(self, panel: str) -> None:
        """Note a change and paint it now, or as soon as half a second is over."""
        # The Rebalance view draws the limits beside the trades of the same proposal.
        self._dirty.update(("limits", "rebalance") if panel == "limits" else (panel,))
        if self._waited_for() or (panel == "limits" and self._owes_limits):
            # What the key asked for stands on the screen at once, and the limits of that proposal
            # with it, though its answer came before them.
            self._owes_limits = panel == "rebalance" or (self._owes_limits and panel != "limits")
            self._at_once()
            return
        if self._due:
            return
        wait_s = PAINT_S - (time.monotonic() - self._painted_at)
        if wait_s <= 0:
            self.paint()
        else:
            self._due = True
            self._painter.set_timer(wait_s, self.paint)

    def clear(self) -> None:
        """Note that everything is painted now, by another."""
        self._painted_at = time.monotonic()
        self._dirty.clear()

    def paint(self) -> None:
        """Paint what changed."""
        self._due = self._asked = False
        self._painted_at = time.monotonic()
        dirty, self._dirty = self._dirty, set()
        if self._waited_for() and {"status", "rebalance"} <= dirty:
            # What was asked for is on the screen before the lines around it are drawn.
            dirty.discard("status")
            self._dirty.add("status")
            self._at_once()
        self._painter.paint_panels(dirty)

    def _at_once(self) -> None:
        """Paint once what came together: after all that was read, before anything else is."""
        if not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_soon(self.paint)
