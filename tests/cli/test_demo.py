"""`perptui demo`: what it refuses, and a whole one on a pseudo-terminal from start to `q`."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from perptui.cli.app import run
from perptui.settings.paths import journal_file
from tests.desk.attached import PATIENCE_S, Terminal, alive, children_of, filled


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["--speed", "0"], "expected --speed above 0"),
        (["--start", "soon"], "write it like 2024-08-04T12:00Z"),
        (["--data", "/nowhere"], "point --data at a directory"),
        (["--seed", "-1"], "expected --seed of 0 or above, was -1"),
        (["--seed", "many"], "see `perptui demo --help`"),
    ],
)
def test_bad_options_are_one_line_with_the_cure(
    arguments: list[str], cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", *arguments]) == 2
    said = capsys.readouterr().err
    assert cure in said
    assert said.count("\n") == 1


class OnTerminal:
    """A command on a pseudo-terminal of 120 columns and 40 rows, its output read all the time."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        os.environ["COLUMNS"], os.environ["LINES"] = "120", "40"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perptui", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.output = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                return
            if not data:
                return
            self.output += data

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until_shown(self, text: bytes) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.output:
            assert self.process.poll() is None, self.output[-2000:]
            assert time.monotonic() < deadline, self.output[-2000:]
            time.sleep(0.05)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        self._reader.join(5)


def socket_path() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "perptui" / "demo" / "desk.sock"


@pytest.mark.unmeasured
@pytest.mark.slow
def test_a_demo_starts_attaches_a_second_terminal_and_ends_with_q() -> None:
    first = OnTerminal("demo")
    try:
        watcher = Terminal(socket_path())
        watcher.until(filled)
        assert watcher.hello is not None
        assert not watcher.hello.private, "the desk ends with its own terminal, not with this one"
        pids = children_of(first.process.pid)
        assert len(pids) == 2
        second = OnTerminal()
        try:
            second.until_shown(b"SIMULATED")
            assert len(children_of(second.process.pid)) == 0
            second.type("q")
            assert second.process.wait(PATIENCE_S) == 0
        finally:
            second.close()
        first.type("q")
        assert first.process.wait(PATIENCE_S) == 0
        watcher.until_lost()
        watcher.close()
        assert not [pid for pid in pids if alive(pid)]
    finally:
        first.close()


def until_gone(pids: list[int]) -> None:
    """Wait until none of these processes is left."""
    deadline = time.monotonic() + PATIENCE_S
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_terminal_that_is_killed_takes_its_demo_with_it() -> None:
    first = OnTerminal("demo")
    try:
        watcher = Terminal(socket_path())
        watcher.until(lambda _: True)
        pids = children_of(first.process.pid)
        assert pids
        first.process.send_signal(signal.SIGKILL)
        watcher.until_lost()
        watcher.close()
        until_gone(pids)
    finally:
        first.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_is_signalled_ends_at_once_and_its_demo_after_it(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    first = OnTerminal("demo")
    try:
        watcher = Terminal(socket_path())
        watcher.until(filled)
        watcher.close()
        pids = children_of(first.process.pid)
        assert len(pids) == 2
        first.process.send_signal(number)
        assert first.process.wait(2.0) in {128 + number, 1}
        until_gone(pids)
    finally:
        first.close()
    assert run(["audit", "verify", str(journal_file("demo"))]) == 0, capsys.readouterr().err
