"""What-if intents on their way to the desk: one asked at a time, in order, the latest of a kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from perptui.protocol.frames import Reply
from perptui.protocol.intents import Intent

PREVIEW = "preview"
"""The slot of what is still being typed."""


class IntentQueue:
    """Sends intents one after the other; in a slot only the latest waits.

    Parameters
    ----------
    ask : Callable[[Intent], Awaitable[Reply]]
        Sends an intent and waits for its answer.
    """

    def __init__(self, ask: Callable[[Intent], Awaitable[Reply]]) -> None:
        self._ask = ask
        self._waiting: dict[str, Intent] = {}
        self._number = 0
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether an intent is under way."""
        return self._busy

    def put(self, intent: Intent, slot: str = "") -> bool:
        """Note an intent; return whether `drain` must be started.

        Parameters
        ----------
        slot : str
            An intent that waits in the same slot is not sent any more; "" has no such.
        """
        self._number += 1
        self._waiting.pop(slot, None)
        self._waiting[slot or f"#{self._number}"] = intent
        return not self._busy

    def drop(self, slot: str) -> None:
        """Forget what waits in a slot."""
        self._waiting.pop(slot, None)

    async def drain(self, answered: Callable[[Intent, Reply], None]) -> None:
        """Send until nothing waits; hand each answer to `answered`."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                intent = self._waiting.pop(next(iter(self._waiting)))
                answered(intent, await self._ask(intent))
        finally:
            self._busy = False
