"""The proposer without an answer: what it refuses and what it says meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from perptui.desk.proposer import Exposures, Proposer
from perptui.desk.worker import QuantWorker
from perptui.model.clock import HOUR_MS, ManualClock, SystemClock
from perptui.model.errors import InputError, WorkerError
from perptui.settings.load import load
from tests.desk.market import BTC, NOW_MS

SETTINGS = load().settings


def made(folder: Path) -> Proposer:
    worker = QuantWorker(folder, folder / "quant.log", SystemClock())
    return Proposer(
        worker,
        SETTINGS.strategy,
        SETTINGS.limits,
        "balanced",
        ManualClock(NOW_MS),
        lambda: "waiting for binanceusdm account",
        60.0,
    )


@pytest.mark.asyncio
async def test_without_a_snapshot_it_says_what_is_missing(tmp_path: Path) -> None:
    proposer = made(tmp_path)
    with pytest.raises(WorkerError, match="waiting for binanceusdm account"):
        await proposer.solve()
    assert proposer.picture.state == "failed"
    assert "waiting for binanceusdm account" in proposer.picture.failure
    assert not proposer.picture.fresh(0.0)


@pytest.mark.asyncio
async def test_steps_that_are_not_there_are_refused(tmp_path: Path) -> None:
    proposer = made(tmp_path)
    with pytest.raises(InputError, match="nothing to undo"):
        await proposer.undo()
    with pytest.raises(InputError, match="nothing to redo"):
        await proposer.redo()
    with pytest.raises(InputError, match="nothing to reset"):
        await proposer.reset()
    with pytest.raises(InputError, match="solve first"):
        await proposer.edit(BTC, 0.5)
    with pytest.raises(InputError, match="balanced, tactical"):
        await proposer.solve("lucky")


def test_the_exposure_before_is_that_of_the_previous_bar() -> None:
    exposures = Exposures()
    bar = NOW_MS // HOUR_MS * HOUR_MS
    assert exposures.before("balanced", bar) is None
    exposures.keep("balanced", bar + 5, 0.9)
    exposures.keep("balanced", bar + 9, 0.8)
    assert exposures.before("balanced", bar + 20) is None
    assert exposures.before("balanced", bar + HOUR_MS) == 0.8
    exposures.keep("balanced", bar + HOUR_MS + 1, 0.5)
    assert exposures.before("balanced", bar + HOUR_MS + 2) == 0.8
    assert exposures.before("balanced", bar + 2 * HOUR_MS) == 0.5
    assert exposures.before("tactical", bar + 2 * HOUR_MS) is None
