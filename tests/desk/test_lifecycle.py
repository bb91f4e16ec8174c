"""What ends a desk: signals, unless a line that hangs up was to be ignored."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from perptui.desk.lifecycle import desk_paths, end_by_signals, forget_market
from perptui.model.clock import parse_iso
from perptui.settings.load import load


@pytest.fixture(autouse=True)
def _signals_of_before() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


async def ends_by(number: signal.Signals) -> bool:
    """Return whether the signal begins the end."""
    ended = asyncio.Event()
    end_by_signals(ended.set)
    os.kill(os.getpid(), number)
    try:
        await asyncio.wait_for(ended.wait(), 0.5)
    except TimeoutError:
        return False
    return True


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_the_desk_in_order(number: signal.Signals) -> None:
    assert await ends_by(number)


def test_a_new_market_begins_a_journal_of_its_own() -> None:
    """A market anew knows none of the orders before it: the desk would take all for changes."""
    files = desk_paths(load(None, {"desk.name": "main"}).settings)
    for part in ("", "-wal"):
        Path(f"{files.journal}{part}").write_text(f"old{part}")
    files.peak.touch()
    (files.history / "bars").touch()
    (files.state / "KILL").touch()
    forget_market(files, parse_iso("2024-08-05T07:20:00Z") + 123)
    kept = files.state / "journal-20240805T072000Z.db"
    assert kept.read_text() == "old"
    assert Path(f"{kept}-wal").read_text() == "old-wal"
    assert not files.journal.exists()
    assert not files.peak.exists()
    assert not any(files.history.iterdir())
    assert (files.state / "KILL").exists(), "who halted the desk has not let it go"
    forget_market(files, 0)


@pytest.mark.asyncio
async def test_after_nohup_a_line_that_hangs_up_ends_no_desk() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert not await ends_by(signal.SIGHUP)
    assert await ends_by(signal.SIGTERM)
