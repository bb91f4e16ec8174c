"""What ends a desk: signals, unless a line that hangs up was to be ignored."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from perptui.desk.lifecycle import end_by_signals


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


@pytest.mark.asyncio
async def test_after_nohup_a_line_that_hangs_up_ends_no_desk() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert not await ends_by(signal.SIGHUP)
    assert await ends_by(signal.SIGTERM)
