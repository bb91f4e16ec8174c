"""What-if intents on their way to the desk: one asked at a time, in order, none left out.

But of what is still being typed only the latest is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, NamedTuple

import msgspec

from perptui.protocol.frames import Reply
from perptui.protocol.intents import (
    Bend,
    Intent,
    Recall,
    Redo,
    Reduce,
    Relax,
    Unbend,
    Undo,
    Withdraw,
)

STEPS = Bend | Unbend | Withdraw | Relax | Reduce | Recall | Undo | Redo
"""Intents that lead from one what-if to another: a step back is of the one that was put before."""


class Waiting(NamedTuple):
    """An intent that is not sent yet, and what it edits."""

    intent: Intent
    edits: object


def unsettled(intent: Intent) -> bool:
    """Return whether an intent is of something still being typed, or takes that back."""
    return isinstance(intent, Withdraw) or (isinstance(intent, Bend) and intent.preview)


def _puts(intent: Intent) -> bool:
    """Return whether an intent puts a step that an undo takes back."""
    return isinstance(intent, STEPS) and not isinstance(intent, Undo | Redo | Withdraw)


def _surely(intent: Undo | Redo, before: Iterable[Intent]) -> bool:
    """Return whether an undo or redo is of no older step, whatever is refused before it.

    One behind others of its own kind goes no further than all of them were to go.
    """
    return all(isinstance(one, type(intent)) for one in before if isinstance(one, STEPS))


class IntentQueue:
    """Sends intents one after the other, in the order they were put.

    Parameters
    ----------
    ask : Callable[[Intent], Awaitable[Reply]]
        Sends an intent before it returns; its answer is waited for.
    """

    def __init__(self, ask: Callable[[Intent], Awaitable[Reply]]) -> None:
        self._ask = ask
        self._waiting: list[Waiting] = []
        self._sent: Intent | None = None
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether an intent is under way."""
        return self._busy

    @property
    def under_way(self) -> tuple[Intent, ...]:
        """The intents whose answers are still to come, in their order."""
        sent = () if self._sent is None else (self._sent,)
        return *sent, *(one.intent for one in self._waiting)

    @property
    def rests(self) -> bool:
        """Whether none waits behind the one that is under way."""
        return not self._waiting

    def put(self, intent: Intent, edits: object = None) -> bool:
        """Note an intent; return whether `drain` must be started.

        Parameters
        ----------
        edits : object
            What it edits: a line, a cell, a row's target. A preview of the same that still waits
            is not sent any more, nor is its withdrawal; everything else is. None: nothing.
        """
        if edits is not None:
            self._waiting = [
                one for one in self._waiting if one.edits != edits or not unsettled(one.intent)
            ]
        self._waiting.append(Waiting(intent, edits))
        return not self._busy

    def send_all(self) -> None:
        """Send what waits without its answers: the terminal leaves.

        But no undo or redo of a step that may be refused yet: it would be of an older one. A step
        that waits itself is left out with its undo.
        """
        waiting, self._waiting = self._waiting, []
        before = [] if self._sent is None else [self._sent]
        sent = len(before)
        for one in waiting:
            if not isinstance(one.intent, Undo | Redo) or _surely(one.intent, before):
                before.append(one.intent)
            elif isinstance(one.intent, Undo) and len(before) > sent and _puts(before[-1]):
                del before[-1]
        for intent in before[sent:]:
            self._ask(intent)

    def drain(self, answered: Callable[[Intent, Reply], None]) -> Coroutine[Any, Any, None]:
        """Send until nothing waits; hand each answer to `answered`.

        The first is sent before this returns: a key is on its way before its echo is drawn.
        """
        first = None
        if not self._busy and self._waiting:
            self._busy = True
            first = self._send_next()
        return self._drain(first, answered)

    def _leave_out(self) -> bool:
        """Leave out the undo or redo of what was refused: it would be of an older step."""
        waiting = len(self._waiting)
        while self._waiting and isinstance(self._waiting[0].intent, Undo | Redo):
            del self._waiting[0]
        return len(self._waiting) < waiting

    def _send_next(self) -> tuple[Intent, Awaitable[Reply]]:
        self._sent = self._waiting.pop(0).intent
        return self._sent, self._ask(self._sent)

    async def _drain(
        self,
        sent: tuple[Intent, Awaitable[Reply]] | None,
        answered: Callable[[Intent, Reply], None],
    ) -> None:
        if sent is None:
            return
        try:
            while sent is not None:
                intent, coming = sent
                reply = await coming
                self._sent = None
                if not reply.ok and isinstance(intent, STEPS) and self._leave_out():
                    text = f"{reply.text}; nothing before it was undone or redone"
                    reply = msgspec.structs.replace(reply, text=text)
                answered(intent, reply)
                sent = self._send_next() if self._waiting else None
        finally:
            self._sent, self._busy = None, False
