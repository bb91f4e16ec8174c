"""Figures of books by another proposal's yardstick: its own by its own are those it shows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.model.jobs import MeasureDone, MeasureJob, ProposeDone, ProposeJob
from perptui.model.whatif import WhatIf
from perptui.quant.worker import Worker
from tests.quant.market import written
from tests.quant.test_propose import VENUES, job_at


@pytest.mark.parametrize("strategy", ["balanced", "hybrid"])
def test_a_proposal_by_its_own_yardstick_is_what_it_shows(tmp_path: Path, strategy: str) -> None:
    history = written(tmp_path, VENUES)
    worker = Worker(history)
    job = job_at(history, "2023-05-20T00:00Z", "balanced")
    if strategy == "hybrid":
        hybrid = job_at(history, "2023-05-20T00:00Z", "hybrid")
        parents = [job, job_at(history, "2023-05-20T00:00Z", "tactical")]
        job = msgspec.structs.replace(hybrid, blended=tuple(one.strategy for one in parents))
    tight = msgspec.structs.replace(job, what_if=WhatIf(limits={"gross_max": 0.3}))
    stands, other = worker.answer(job), worker.answer(tight)
    assert isinstance(stands, ProposeDone)
    assert isinstance(other, ProposeDone)
    asked = MeasureJob(job, (stands.proposal.rows, other.proposal.rows, ()))
    done = worker.answer(asked)
    assert isinstance(done, MeasureDone)
    own, tighter, untouched = done.books
    for book, made in ((own, stands.proposal), (tighter, other.proposal)):
        assert book.weights == {row.id: row.weight_rounded for row in made.rows}
        assert (book.turnover, book.cost_usd) == (made.turnover, made.cost_usd)
    assert untouched.weights == {row.id: row.weight_now for row in stands.proposal.rows}
    assert (untouched.turnover, untouched.cost_usd) == (0.0, Decimal(0))
    assert own.risk == stands.proposal.risk
    # Limits aside the yardstick is the same, and without rows the book is the present one.
    assert tighter.risk == msgspec.structs.replace(
        other.proposal.risk, accounts=tighter.risk.accounts
    )
    assert untouched.risk == stands.proposal.risk_now
    best = stands.proposal.explanation.objective_usd_per_day
    assert best is not None
    # Lots move the book off its optimum by little, and less room never makes it better.
    if strategy == "balanced":
        assert own.objective_usd_per_day == pytest.approx(best, rel=1e-2)
    else:
        # What a hybrid prints is its parts' optima mixed; its yardstick is its own program, of
        # which the mixture is a book like any other, so no better than that program's best.
        assert own.objective_usd_per_day <= _best_alone(worker, job)
    assert tighter.objective_usd_per_day < own.objective_usd_per_day


def _best_alone(worker: Worker, job: ProposeJob) -> float:
    """Return what the program of a hybrid comes to when nothing is blended, USD a day."""
    plain = msgspec.structs.replace(job.strategy, blend=())
    done = worker.answer(msgspec.structs.replace(job, strategy=plain, blended=()))
    assert isinstance(done, ProposeDone)
    best = done.proposal.explanation.objective_usd_per_day
    assert best is not None
    return best
