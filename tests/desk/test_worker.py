"""The real quant process: fed, killed, restarted; a late job loses to a newer one."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from perptui.desk.worker import QuantWorker, SupersededError
from perptui.model.clock import SystemClock
from perptui.model.errors import WorkerError
from perptui.model.jobs import (
    AppendHistory,
    AskHistory,
    BarSeries,
    FundingSeries,
    HistoryReach,
    ProposeDone,
    ProposeJob,
)
from perptui.model.market import Bar, FundingSettlement
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.settings.load import load
from tests.desk.market import FUNDING, INSTRUMENTS, NOW_MS, QUOTES, account, hours

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]
PATIENCE_S = 60.0
WEEKS = 8


class Watched:
    """A worker whose status changes can be waited for."""

    def __init__(self, folder: Path) -> None:
        self._news = asyncio.Event()
        history = folder / "history"
        history.mkdir()
        self.log = folder / "quant.log"
        self.worker = QuantWorker(history, self.log, SystemClock(), changed=self._news.set)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()


@pytest_asyncio.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    one = Watched(tmp_path)
    one.worker.start()
    yield one
    await one.worker.close()


def bars(count: int) -> BarSeries:
    rows = tuple(
        Bar(NOW_MS // hours(1) * hours(1) - hours(count - index), 100.0, 101.0, 99.0, 100.5, 7.0)
        for index in range(count)
    )
    return BarSeries("binanceusdm", "BTCUSDT", "1h", rows)


def weeks_of_bars() -> AppendHistory:
    """Return bars and funding of every contract, without a trend: enough to estimate from."""
    last_ms = NOW_MS // hours(1) * hours(1)
    series: list[BarSeries | FundingSeries] = []
    for place, one in enumerate(INSTRUMENTS):
        rows = []
        for index in range(WEEKS * 7 * 24):
            close = 100.0 * (1.0 + 0.01 * math.sin((place + 1) * index * 0.37))
            stamp = last_ms - hours(WEEKS * 7 * 24 - index)
            rows.append(Bar(stamp, close, close * 1.002, close * 0.998, close, 1e6))
        stamps = [bar.ts_ms for bar in rows if bar.ts_ms % hours(8) == 0]
        paid = tuple(FundingSettlement(stamp, 1e-4, 8.0) for stamp in stamps)
        series.append(BarSeries(one.venue, one.venue_symbol, "1h", tuple(rows)))
        series.append(FundingSeries(one.venue, one.venue_symbol, paid))
    return AppendHistory(tuple(series))


def proposal_from_nothing() -> ProposeJob:
    settings = load(None, {"desk.mode": "paper"}).settings
    snapshot = MarketSnapshot(NOW_MS, INSTRUMENTS, QUOTES, FUNDING, (account(),))
    return ProposeJob(snapshot, settings.chosen_strategy, settings.limits)


async def test_it_keeps_history_and_says_how_far_it_reaches(watched: Watched) -> None:
    ask = watched.worker.ask
    await ask(AppendHistory(series=(bars(5),)), "keeping", PATIENCE_S)
    reach = await ask(AskHistory(), "reading", PATIENCE_S)
    assert isinstance(reach, HistoryReach)
    assert set(reach.last_ms.values()) == {NOW_MS // hours(1) * hours(1) - hours(1)}


@pytest.mark.unmeasured
async def test_estimates_that_it_holds_are_put_back_into_the_answer(watched: Watched) -> None:
    ask = watched.worker.ask
    await ask(weeks_of_bars(), "keeping", PATIENCE_S)
    job = proposal_from_nothing()
    first = await ask(job, "solving", PATIENCE_S)
    bent = msgspec.structs.replace(job, what_if=WhatIf(limits={"gross_max": 1.5}))
    again = await ask(bent, "solving", PATIENCE_S)
    assert isinstance(first, ProposeDone)
    assert isinstance(again, ProposeDone)
    assert again.estimates is first.estimates
    assert again.proposal.digest != first.proposal.digest
    later = msgspec.structs.replace(job.snapshot, as_of_ms=NOW_MS + 1)
    moved = await ask(msgspec.structs.replace(job, snapshot=later), "solving", PATIENCE_S)
    assert isinstance(moved, ProposeDone)
    assert moved.estimates.as_of_ms == NOW_MS + 1
    # The market that the process has is not sent again; another process has none.
    pid = watched.worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await watched.until(lambda: watched.worker.restarts == 1)
    anew = await ask(msgspec.structs.replace(job, snapshot=later), "solving", PATIENCE_S)
    assert isinstance(anew, ProposeDone)
    assert anew.proposal.digest == moved.proposal.digest


@pytest.mark.unmeasured
async def test_a_refused_job_says_why_and_the_process_goes_on(watched: Watched) -> None:
    with pytest.raises(WorkerError):
        await watched.worker.ask(proposal_from_nothing(), "solving", PATIENCE_S)
    assert isinstance(await watched.worker.ask(AskHistory(), "reading", PATIENCE_S), HistoryReach)
    assert watched.worker.restarts == 0


async def test_killed_it_is_restarted_and_the_job_in_it_fails(watched: Watched) -> None:
    await watched.worker.ask(AskHistory(), "reading", PATIENCE_S)
    first = watched.worker.pid
    assert first is not None
    job = asyncio.create_task(watched.worker.ask(AskHistory(), "reading", PATIENCE_S))
    os.kill(first, signal.SIGSTOP)
    await watched.until(lambda: watched.worker.status == "reading")
    os.kill(first, signal.SIGKILL)
    with pytest.raises(WorkerError, match="was the end of the process"):
        await job
    again = await watched.worker.ask(AskHistory(), "reading", PATIENCE_S)
    assert isinstance(again, HistoryReach)
    assert watched.worker.pid not in {first, None}
    assert watched.worker.restarts == 1


async def test_killed_while_idle_it_is_restarted(watched: Watched) -> None:
    await watched.worker.ask(AskHistory(), "reading", PATIENCE_S)
    first = watched.worker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await watched.until(lambda: watched.worker.restarts == 1)
    await watched.until(lambda: watched.worker.status == "idle")
    assert watched.worker.pid != first


async def test_a_job_that_takes_too_long_is_ended_with_its_process(watched: Watched) -> None:
    await watched.worker.ask(AskHistory(), "reading", PATIENCE_S)
    first = watched.worker.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(WorkerError, match=r"expected reading within 0\.05 s"):
        await watched.worker.ask(AskHistory(), "reading", 0.05)
    await watched.until(lambda: watched.worker.restarts == 1)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


async def test_the_latest_what_if_wins(watched: Watched) -> None:
    ask = watched.worker.ask
    running = asyncio.create_task(ask(AskHistory(), "reading", PATIENCE_S))
    older = asyncio.create_task(ask(AskHistory(), "solving", PATIENCE_S, replaces="solve"))
    other = asyncio.create_task(ask(AskHistory(), "keeping", PATIENCE_S))
    await asyncio.sleep(0)
    newer = asyncio.create_task(ask(AskHistory(), "solving", PATIENCE_S, replaces="solve"))
    with pytest.raises(SupersededError):
        await older
    for task in (running, other, newer):
        assert isinstance(await task, HistoryReach)


async def test_what_is_in_the_background_comes_last_and_goes_with_its_asker(
    watched: Watched,
) -> None:
    done: list[str] = []

    async def ask(name: str, *, background: bool = False) -> None:
        await watched.worker.ask(AskHistory(), name, PATIENCE_S, background=background)
        done.append(name)

    running = asyncio.create_task(ask("running"))
    await asyncio.sleep(0)
    behind = [asyncio.create_task(ask(name, background=True)) for name in ("dropped", "behind")]
    await asyncio.sleep(0)
    before = asyncio.create_task(ask("before"))
    await asyncio.sleep(0)
    behind[0].cancel()
    await asyncio.gather(running, behind[1], before)
    assert done == ["running", "before", "behind"]
    assert behind[0].cancelled()


async def test_closing_ends_the_process_and_fails_what_waits(tmp_path: Path) -> None:
    worker = QuantWorker(tmp_path, tmp_path / "quant.log", SystemClock())
    worker.start()
    await worker.ask(AskHistory(), "reading", PATIENCE_S)
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    waiting = [
        asyncio.create_task(worker.ask(AskHistory(), "reading", PATIENCE_S)) for _ in range(2)
    ]
    await asyncio.sleep(0)
    await worker.close()
    for task in waiting:
        with pytest.raises(WorkerError):
            await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
