"""The terminal as a real process on a pseudo-terminal: it leaves the screen as it found it."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALTERNATE, MAIN = b"\x1b[?1049h", b"\x1b[?1049l"

SOURCE = """
import asyncio, sys
from pathlib import Path
from perptui.model.clock import SystemClock
from perptui.tui import run as terminal

async def connect():
    await asyncio.sleep(60)
    raise OSError("no desk")

{before}
sys.exit(terminal.run_terminal(
    connect, clock=SystemClock(), theme_folders=(Path("themes"),), theme="{theme}",
    crash_dir=Path({folder!r}),
))
"""

CRASH = """
def broken(self):
    canary = {"apiKey": "CANARY-7531"}
    raise RuntimeError("broken on purpose")

terminal.DeskApp.tick = broken
"""


class Terminal:
    """A child on a pseudo-terminal, and all it has written."""

    def __init__(self, source: str, environment: dict[str, str]) -> None:
        self.seen = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", source], environment)  # noqa: S606

    def until(self, fulfilled: Callable[[bytes], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not fulfilled(self.seen) and time.monotonic() < deadline:
            ready, _, _ = select.select([self._master], [], [], 0.1)
            if ready:
                try:
                    self.seen += os.read(self._master, 65536)
                except OSError:
                    break
        assert fulfilled(self.seen), self.seen[-2000:]

    def end(self) -> int:
        """Read to the end and return the exit code."""
        self.until(lambda seen: MAIN in seen)
        status = self._reap()
        os.close(self._master)
        return os.waitstatus_to_exitcode(status)

    def _reap(self) -> int:
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            ready, _, _ = select.select([self._master], [], [], 0.1)
            if ready:
                try:
                    self.seen += os.read(self._master, 65536)
                except OSError:
                    return os.waitpid(self.pid, 0)[1]


def start(folder: Path, *, before: str = "", theme: str = "dark", **extra: str) -> Terminal:
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **extra}
    source = SOURCE.format(before=before, theme=theme, folder=str(folder))
    return Terminal(source, environment)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_clean(tmp_path: Path, number: signal.Signals) -> None:
    made = start(tmp_path)
    made.until(lambda seen: b"Positions" in seen)
    os.kill(made.pid, number)
    assert made.end() == 128 + number
    assert made.seen.rindex(MAIN) > made.seen.rindex(ALTERNATE)
    assert b"Traceback" not in made.seen


def test_a_crash_restores_the_screen_and_names_a_report_without_variables(tmp_path: Path) -> None:
    made = start(tmp_path, before=CRASH)
    made.until(lambda seen: MAIN in seen)
    assert made.end() == 1
    said = made.seen[made.seen.rindex(MAIN) :]
    assert b"RuntimeError" in said
    assert b"CANARY-7531" not in made.seen
    (report,) = tmp_path.glob("perptui-crash-*.txt")
    text = report.read_text()
    assert "broken on purpose" in text
    assert "CANARY-7531" not in text.replace('{"apiKey": "CANARY-7531"}', "")


def test_no_color_draws_without_colour(tmp_path: Path) -> None:
    made = start(tmp_path, NO_COLOR="1")
    made.until(lambda seen: b"Positions" in seen)
    os.kill(made.pid, signal.SIGTERM)
    made.end()
    assert b"38;2;" not in made.seen
    assert b"48;2;" not in made.seen
