"""A signal while a ticket is on the screen: the terminal is left as it was found, nothing typed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.tui.test_process import ALTERNATE, MAIN, start

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

DESK = """
from tests.tui import book
from tests.tui.served import ServedDesk

SystemClock = book.clock

async def connect():
    desk = ServedDesk(Path({path!r}), book.desk(ticket={ticket}))
    await desk.start()
    return await desk.connect()
"""
TICKETS = {
    "confirming": ("book.ticket()", b"scroll"),
    "sending": ("book.ticket(phase='sending', legs=book.progress())", b"HALT"),
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("phase", TICKETS)
def test_a_signal_on_the_ticket_leaves_the_terminal_clean(
    tmp_path: Path, phase: str, number: signal.Signals
) -> None:
    ticket, words = TICKETS[phase]
    path = str(Path(os.environ["XDG_RUNTIME_DIR"]) / "desk.sock")
    made = start(tmp_path, before=DESK.format(path=path, ticket=ticket))
    made.until(lambda seen: b"421,300" in seen)
    before = len(made.seen)
    os.write(made.master, b"c")
    made.until(lambda seen: words in seen[before:])
    os.kill(made.pid, number)
    assert made.end() == 128 + number
    assert made.seen.rindex(MAIN) > made.seen.rindex(ALTERNATE)
    assert b"Traceback" not in made.seen


def test_after_a_stop_the_whole_picture_comes_back(tmp_path: Path) -> None:
    """ctrl+z in a shell, `fg`: what does not change with time must not stay away."""
    path = str(Path(os.environ["XDG_RUNTIME_DIR"]) / "desk.sock")
    made = start(tmp_path, before=DESK.format(path=path, ticket="book.ticket()"))
    made.until(lambda seen: b"421,300" in seen)
    time.sleep(1.0)
    os.kill(made.pid, signal.SIGTSTP)
    made.until(lambda seen: MAIN in seen)
    _, status = os.waitpid(made.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    stopped = len(made.seen)
    os.kill(made.pid, signal.SIGCONT)
    made.until(lambda seen: ALTERNATE in seen[stopped:])
    made.until(lambda seen: b"421,300" in seen[stopped:] and b"palette" in seen[stopped:], 5)
    os.kill(made.pid, signal.SIGTERM)
    made.until(lambda seen: MAIN in seen[stopped:])
    assert made.end() == 128 + signal.SIGTERM
