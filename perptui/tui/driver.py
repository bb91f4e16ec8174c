"""Textual's driver of a Unix terminal, which here also notices that the terminal is gone."""

from __future__ import annotations

import os
import select
import signal
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, cast

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from perptui.tui.ending import Ending
from perptui.tui.output import Output

LOOK_MS = 100
READ = 4096
TURN_S = 0.0002
"""How long a thread that reads or writes waits for the one that draws: of Python's own 5 ms, most
would be seen between a key and its picture."""
HUNG_UP = 128 + signal.SIGHUP
"""Exit code where the terminal went without a signal."""


class Ends(Protocol):
    """The application, as its driver knows it."""

    ending: Ending


class TerminalDriver(LinuxDriver):
    """Reads and writes so that a terminal which vanished, or takes nothing, never holds the end."""

    def start_application_mode(self) -> None:
        """Begin to write by a thread of ours; Textual's own stays without work.

        After ctrl+z the screen is empty: Textual would go on painting only what changes.
        """
        empty = self._must_signal_resume
        encoding = self._file.encoding if self._file is not None else "utf-8"
        ending = cast("Ends", self._app).ending
        self._output = Output(2, encoding, lambda: ending.begun, self._lost)
        self._output.start()
        sys.setswitchinterval(TURN_S)
        begin: Callable[[], None] = super().start_application_mode
        begin()
        if empty:
            self._app.call_later(self._app.refresh, layout=True)

    def write(self, data: str) -> None:
        """Have `data` written."""
        self._output.write(data)

    def close(self) -> None:
        """End the writing."""
        self._output.stop()
        super().close()

    def _lost(self) -> None:
        cast("Ends", self._app).ending.begin(HUNG_UP)

    def run_input_thread(self) -> None:
        """Read keys until the end; Textual's own would spin on a terminal that hung up."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        watch = select.poll()
        watch.register(self.fileno, select.POLLIN)
        while not self.exit_event.is_set():
            if watch.poll(LOOK_MS):
                data = self._read()
                if not data:
                    break
                for message in parser.feed(decode(data)):
                    self.process_message(message)
            for message in parser.tick():
                self.process_message(message)
        with suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass

    def _read(self) -> bytes:
        """Return what was typed; nothing once the terminal hung up."""
        try:
            data = os.read(self.fileno, READ)
        except OSError:
            data = b""
        if not data and self.input_tty:
            self._lost()
        return data
