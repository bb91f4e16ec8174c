"""Edits of targets on their way to the desk: one asked at a time, always the latest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from perptui.protocol.frames import Reply
from perptui.protocol.intents import EditTarget, Intent


class EditQueue:
    """Sends the latest target of each instrument; what was overtaken while waiting is not sent.

    Parameters
    ----------
    ask : Callable[[Intent], Awaitable[Reply]]
        Sends an intent and waits for its answer.
    """

    def __init__(self, ask: Callable[[Intent], Awaitable[Reply]]) -> None:
        self._ask = ask
        self._waiting: dict[str, float] = {}
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether an edit is under way."""
        return self._busy

    def put(self, identifier: str, weight: float) -> bool:
        """Note the wanted target; return whether `drain` must be started."""
        self._waiting[identifier] = weight
        return not self._busy

    async def drain(self) -> Reply | None:
        """Send until nothing waits; return the last answer, or the first that was a no."""
        if self._busy:
            return None
        self._busy = True
        reply: Reply | None = None
        try:
            while self._waiting:
                identifier = next(iter(self._waiting))
                weight = self._waiting.pop(identifier)
                reply = await self._ask(EditTarget(id=identifier, weight=weight))
                if not reply.ok:
                    self._waiting.clear()
        finally:
            self._busy = False
        return reply
