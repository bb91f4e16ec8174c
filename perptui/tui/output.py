"""What goes to the terminal, written by a thread of its own that nobody ever waits for in vain.

Textual 8.2.8 writes from a thread too, but one that dies of the first error and whose queue, once
full, then holds up the whole program: a terminal that was closed left it hanging for ever.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Thread

MOST_WAITING = 30
"""Texts that may wait; the next one waits for room, so that a slow line slows the painting."""
LOOK_S = 0.05
"""How often whoever waits looks whether the end has come."""
LAST_WORDS_S = 0.3
"""How long the end waits for a terminal that takes nothing."""


class Output(Thread):
    """Writes texts to a terminal in their order.

    Parameters
    ----------
    file : int
        The terminal's file descriptor.
    encoding : str
        Of the terminal; what it has no sign for becomes "?".
    hurried : Callable[[], bool]
        Whether the program is to end now: then older texts make way for the last ones.
    lost : Callable[[], None]
        Called, in this thread, once the terminal is gone; all further texts are dropped.
    """

    def __init__(
        self, file: int, encoding: str, hurried: Callable[[], bool], lost: Callable[[], None]
    ) -> None:
        super().__init__(daemon=True, name="terminal-output")
        self._file = file
        self._encoding = encoding
        self._hurried = hurried
        self._lost = lost
        self._gone = False
        self._waiting: Queue[str | None] = Queue(MOST_WAITING)

    def write(self, text: str | None) -> None:
        """Have `text` written; None ends the thread after what came before it."""
        while not self._gone:
            try:
                self._waiting.put(text, timeout=0.0 if self._hurried() else LOOK_S)
            except Full:
                if self._hurried():
                    with suppress(Empty):
                        self._waiting.get_nowait()
            else:
                return

    def stop(self) -> None:
        """Wait until all is written, the terminal is gone, or the end has no more time for it."""
        self.write(None)
        while self.is_alive() and not self._hurried():
            self.join(LOOK_S)
        self.join(LAST_WORDS_S)

    def run(self) -> None:
        """Write what waits, all of it at once: a picture is not to be seen half painted."""
        texts: list[str] = []
        while not self._gone and (text := self._waiting.get()) is not None:
            texts.append(text)
            if len(texts) >= MOST_WAITING or self._waiting.empty():
                self._send("".join(texts))
                texts.clear()
        self._send("".join(texts))

    def _send(self, text: str) -> None:
        left = text.encode(self._encoding, "replace")
        while left and not self._gone:
            try:
                left = left[os.write(self._file, left) :]
            except BlockingIOError:  # whoever shares the terminal may have made it so
                select.select([], [self._file], [], LOOK_S)
            except OSError:
                self._gone = True
                self._lost()
