"""What-if intents on their way to the desk: one asked at a time, in order, the latest of a kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from perptui.protocol.frames import Reply
from perptui.protocol.intents import Intent

PREVIEW = "preview"
"""The slot of what is still being typed."""


class IntentQueue:
    """Sends intents one after the other; in a slot only the latest waits.

    Parameters
    ----------
    ask : Callable[[Intent], Awaitable[Reply]]
        Sends an intent before it returns; its answer is waited for.
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

    def drain(self, answered: Callable[[Intent, Reply], None]) -> Coroutine[Any, Any, None]:
        """Send until nothing waits; hand each answer to `answered`.

        The first is sent before this returns: a key is on its way before its echo is drawn.
        """
        first = None
        if not self._busy and self._waiting:
            self._busy = True
            first = self._send_next()
        return self._drain(first, answered)

    def _send_next(self) -> tuple[Intent, Awaitable[Reply]]:
        intent = self._waiting.pop(next(iter(self._waiting)))
        return intent, self._ask(intent)

    async def _drain(
        self,
        sent: tuple[Intent, Awaitable[Reply]] | None,
        answered: Callable[[Intent, Reply], None],
    ) -> None:
        if sent is None:
            return
        try:
            while sent is not None:
                intent, reply = sent
                answered(intent, await reply)
                sent = self._send_next() if self._waiting else None
        finally:
            self._busy = False
