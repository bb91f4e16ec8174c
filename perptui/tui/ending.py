"""The end of the terminal by a signal, or because its line hung up: in order, and always in time.

The desk keeps all that is to be kept and ends by itself where it was ours, so nothing is lost by
leaving in a hurry.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""What ends the terminal from outside; its own ctrl+c and ctrl+\\ are keys, not signals."""
DEADLINE_S = 1.5
"""How long the end in order may take; then the process ends wherever its threads stand."""


class Ending:
    """Ends the terminal when it is told to from outside.

    Parameters
    ----------
    leave : Callable[[int], object]
        Begins the end in order with an exit code, on the event loop.

    Attributes
    ----------
    begun : bool
        Whether the end has begun; nothing is to be waited for from then on.
    """

    def __init__(self, leave: Callable[[int], object]) -> None:
        self._leave = leave
        self._loop: asyncio.AbstractEventLoop | None = None
        self.begun = False

    def watch(self) -> None:
        """Heed the signals, on the main thread of a running loop.

        A handler of the loop's own would wait for its next turn, which a thread that waits for a
        lock never gives it.
        """
        self._loop = asyncio.get_running_loop()
        self._nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in SIGNALS:
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self.begin(128 + number)

    def begin(self, code: int) -> None:
        """Begin the end, from any thread: in order if there is time, else with exit code 1."""
        if self.begun or self._loop is None:
            return
        self.begun = True
        # Its thread is none of Python's: it waits for no lock of ours.
        faulthandler.dump_traceback_later(DEADLINE_S, exit=True, file=self._nowhere)
        with suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._leave, code)
