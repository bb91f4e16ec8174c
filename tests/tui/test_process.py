"""The terminal as a real process on a pseudo-terminal: it leaves the screen as it found it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from perptui.tui.ending import SIGNALS

ROOT = Path(__file__).resolve().parents[2]
END_S = 2.0
"""How long a terminal may take to end once it is told to."""
CUT = 1
"""Exit code where a busy machine had no time for the end in order."""
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

BUSY = """
from perptui.tui import app
app.TICK_S = 0.02

def paint_everything(self):
    for picture in self.desk_screen.pictures():
        picture.forget()
        picture.refresh()
    self.desk_screen.repaint_all()

terminal.DeskApp.tick = paint_everything
"""

STUCK = """
import threading
never = threading.Lock()

def stuck(self):
    never.acquire()
    never.acquire()

terminal.DeskApp.tick = stuck
"""

CRASH = """
def broken(self):
    canary = {"apiKey": "CANARY-7531"}
    raise RuntimeError("broken on purpose")

terminal.DeskApp.tick = broken
"""


class Terminal:
    """A child on a pseudo-terminal, and all it has written."""

    def __init__(
        self, source: str, environment: dict[str, str], *, controlling: bool = True
    ) -> None:
        self.seen = b""
        self.pid, self.master = pty.fork() if controlling else fork_uncontrolled()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", source], environment)  # noqa: S606

    def until(self, fulfilled: Callable[[bytes], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not fulfilled(self.seen) and time.monotonic() < deadline:
            ready, _, _ = select.select([self.master], [], [], 0.1)
            if ready:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break
        assert fulfilled(self.seen), self.seen[-2000:]

    def end(self) -> int:
        """Read to the end and return the exit code."""
        self.until(lambda seen: MAIN in seen)
        status = self._reap()
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)

    def _reap(self) -> int:
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            ready, _, _ = select.select([self.master], [], [], 0.1)
            if ready:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    return os.waitpid(self.pid, 0)[1]


def fork_uncontrolled() -> tuple[int, int]:
    """Fork a child on a pseudo-terminal that sends it no signals."""
    master, slave = os.openpty()
    pid = os.fork()
    if pid == 0:
        os.close(master)
        for file in range(3):
            os.dup2(slave, file)
    os.close(slave)
    return pid, master


def start(
    folder: Path, *, before: str = "", theme: str = "dark", controlling: bool = True, **extra: str
) -> Terminal:
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **extra}
    source = SOURCE.format(before=before, theme=theme, folder=str(folder))
    return Terminal(source, environment, controlling=controlling)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_leaves_the_terminal_clean(tmp_path: Path, number: signal.Signals) -> None:
    made = start(tmp_path)
    made.until(lambda seen: b"Positions" in seen)
    os.kill(made.pid, number)
    assert made.end() == 128 + number
    assert made.seen.rindex(MAIN) > made.seen.rindex(ALTERNATE)
    assert b"Traceback" not in made.seen


def ends(made: Terminal) -> tuple[int, float]:
    """Return the exit code, and how long the end took from now, without reading on, s."""
    began = time.monotonic()
    while time.monotonic() - began < 10:
        pid, status = os.waitpid(made.pid, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), time.monotonic() - began
        time.sleep(0.01)
    os.kill(made.pid, signal.SIGKILL)
    os.waitpid(made.pid, 0)
    raise AssertionError("expected the end within 10 s, was none")


def busy(folder: Path, unread_s: float = 0.0) -> Terminal:
    """Return a terminal that paints all the time, which nobody has read for some time."""
    made = start(folder, before=BUSY)
    fcntl.ioctl(made.master, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
    made.until(lambda seen: b"Positions" in seen)
    time.sleep(unread_s)
    return made


@pytest.mark.unmeasured
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_terminal_whose_line_takes_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    made = busy(tmp_path, unread_s=1.5)
    os.kill(made.pid, number)
    code, seconds = ends(made)
    os.close(made.master)
    assert code in {128 + number, CUT}
    assert seconds < END_S


@pytest.mark.unmeasured
@pytest.mark.parametrize("unread_s", [0.0, 0.4, 1.0])
def test_a_line_that_is_cut_ends_a_terminal_at_any_moment(tmp_path: Path, unread_s: float) -> None:
    made = busy(tmp_path, unread_s)
    os.close(made.master)
    code, seconds = ends(made)
    assert code in {128 + signal.SIGHUP, CUT}
    assert seconds < END_S


@pytest.mark.unmeasured
@pytest.mark.parametrize("before", ["", BUSY])
def test_a_line_that_is_cut_ends_a_terminal_that_gets_no_signal(
    tmp_path: Path, before: str
) -> None:
    made = start(tmp_path, before=before, controlling=False)
    made.until(lambda seen: b"Positions" in seen)
    os.close(made.master)
    code, seconds = ends(made)
    assert code in {128 + signal.SIGHUP, CUT}
    assert seconds < END_S


@pytest.mark.unmeasured
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_terminal_whose_thread_waits_for_ever(
    tmp_path: Path, number: signal.Signals
) -> None:
    made = start(tmp_path, before=STUCK)
    made.until(lambda seen: b"Positions" in seen)
    time.sleep(1.5)
    os.kill(made.pid, number)
    code, seconds = ends(made)
    os.close(made.master)
    assert code == CUT
    assert seconds < END_S


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
