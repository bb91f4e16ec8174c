"""What is worked out between two what-ifs: once for each market, and only while they are made."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from perptui.desk.proposing.ahead import BEHIND_S, BENDING_S, Ahead
from perptui.desk.proposing.proposal_picture import ProposalPicture
from perptui.model.clock import ManualClock
from perptui.model.errors import WorkerError
from perptui.model.jobs import Prepared, PrepareJob, ProposeJob
from perptui.model.snapshot import MarketSnapshot
from perptui.settings.load import load
from tests.desk.market import FUNDING, INSTRUMENTS, NOW_MS, QUOTES, account

pytestmark = pytest.mark.asyncio
SNAPSHOT = MarketSnapshot(NOW_MS, INSTRUMENTS, QUOTES, FUNDING, (account(),))


class Preparing:
    """A quant process that is asked to prepare, and refuses where it has no answers left."""

    def __init__(self) -> None:
        self.asked: list[PrepareJob] = []
        self.news = asyncio.Event()
        self.answers: list[Prepared] = []

    async def ask(self, job: PrepareJob, *_: Any, **how: Any) -> Prepared:
        assert how == {"replaces": "prepare", "background": True}
        self.asked.append(job)
        self.news.set()
        if self.answers:
            return self.answers.pop(0)
        raise WorkerError("expected bars, was none; wait")


class Solved:
    """A proposer whose proposal was solved at the start, on another market."""

    def __init__(self, solved_mono: float | None) -> None:
        self.picture = ProposalPicture(strategy="balanced", solved_mono=solved_mono)

    def job_on(self, snapshot: MarketSnapshot) -> ProposeJob:
        settings = load(None, {"desk.mode": "paper"}).settings
        return ProposeJob(snapshot, settings.chosen_strategy, settings.limits)


class Desk:
    """A market, and a what-if made at its start."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.quant = Preparing()
        self.snapshot: MarketSnapshot | str = SNAPSHOT
        self.proposer = Solved(self.clock.monotonic())
        self.ahead = Ahead(
            cast(Any, self.quant), self.clock, cast(Any, self.proposer), lambda: self.snapshot
        )


async def test_each_market_is_prepared_for_once() -> None:
    desk = Desk()
    await desk.ahead.prepare()
    await desk.ahead.prepare()
    assert [job.asked.snapshot for job in desk.quant.asked] == [SNAPSHOT]
    desk.snapshot = msgspec.structs.replace(SNAPSHOT, as_of_ms=NOW_MS + 1)
    await desk.ahead.prepare()
    assert len(desk.quant.asked) == 2
    # What is solved on a market needs nothing prepared on it.
    desk.snapshot = msgspec.structs.replace(SNAPSHOT, as_of_ms=NOW_MS + 2)
    desk.proposer.picture = msgspec.structs.replace(desk.proposer.picture, snapshot=desk.snapshot)
    await desk.ahead.prepare()
    assert len(desk.quant.asked) == 2


async def test_nothing_is_prepared_without_a_market_or_long_after_the_last_solve() -> None:
    desk = Desk()
    desk.snapshot = "waiting for binanceusdm quotes"
    await desk.ahead.prepare()
    desk.snapshot = SNAPSHOT
    desk.clock.advance(BENDING_S + 1.0)
    await desk.ahead.prepare()
    desk.proposer.picture = msgspec.structs.replace(desk.proposer.picture, solved_mono=None)
    await desk.ahead.prepare()
    assert desk.quant.asked == []


async def test_a_preview_rests_on_the_market_before_until_the_newest_is_worked_out() -> None:
    desk = Desk()
    ahead, before = desk.ahead, msgspec.structs.replace(SNAPSHOT, as_of_ms=NOW_MS - 2000)
    assert ahead.at_hand(SNAPSHOT) is SNAPSHOT  # nothing is ready: there is no market before
    desk.proposer.picture = msgspec.structs.replace(desk.proposer.picture, snapshot=before)
    assert ahead.at_hand(SNAPSHOT) is before
    desk.quant.answers = [Prepared(done=False), Prepared(done=False), Prepared()]
    await ahead.prepare()
    assert len(desk.quant.asked) == 3
    assert ahead.at_hand(SNAPSHOT) is SNAPSHOT


async def test_a_preview_is_never_long_behind_nor_beside_a_position_that_changed() -> None:
    desk = Desk()
    before = msgspec.structs.replace(SNAPSHOT, as_of_ms=NOW_MS - 2000)
    desk.proposer.picture = msgspec.structs.replace(desk.proposer.picture, snapshot=before)
    (held, *others), *_ = (one.positions for one in SNAPSHOT.accounts)
    filled = msgspec.structs.replace(held, contracts=held.contracts * 2)
    accounts = (msgspec.structs.replace(SNAPSHOT.accounts[0], positions=(filled, *others)),)
    traded = msgspec.structs.replace(SNAPSHOT, accounts=accounts)
    assert desk.ahead.at_hand(traded) is traded
    assert desk.ahead.at_hand(SNAPSHOT) is before
    desk.clock.advance(BEHIND_S + 0.01)
    assert desk.ahead.at_hand(SNAPSHOT) is SNAPSHOT
    # A market that could not be prepared for is solved on all the same, once it is late.
    await desk.ahead.prepare()
    assert desk.ahead.at_hand(SNAPSHOT) is SNAPSHOT


async def test_it_prepares_when_the_market_moves() -> None:
    desk = Desk()
    running = asyncio.create_task(desk.ahead.run())
    await asyncio.sleep(0)
    desk.ahead.moved()
    async with asyncio.timeout(10.0):
        await desk.quant.news.wait()
    running.cancel()
    assert len(desk.quant.asked) == 1
