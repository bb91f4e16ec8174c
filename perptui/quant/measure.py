"""Measure books by the yardstick of another proposal, so that figures of both compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perptui.model.jobs import BookFigures, MeasureJob
from perptui.model.proposal import TargetRow
from perptui.optimization.checks import exact_book, weights_of
from perptui.optimization.explain.drift import usd_a_day
from perptui.optimization.explain.figures import book_risk
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.orders import cost_of
from perptui.quant.answer import Told, posed
from perptui.risk.book import turnover


def measured(job: MeasureJob, told: Told, parents: Sequence[Told] = ()) -> tuple[BookFigures, ...]:
    """Return the figures of each book after its trades, with the estimates of `job.asked`.

    Of a hybrid they are by its own program. Puts that it buys are held beside each book.

    Raises
    ------
    OptimizationError
        When the program cannot be posed.
    """
    inputs = posed(job.asked, told, parents).own
    return tuple(_figures(inputs, rows) for rows in job.books)


def _figures(inputs: ProgramInputs, rows: Sequence[TargetRow]) -> BookFigures:
    after = {row.id: row.contracts_after for row in rows}
    positions = [after.get(one.id, one.position) for one in inputs.contracts]
    book = exact_book(inputs, positions)
    objective = float(inputs.objective(np.asarray(weights_of(book))))
    return BookFigures(
        risk=book_risk(inputs, book),
        objective_usd_per_day=usd_a_day(inputs, objective),
        weights={
            one.id: float(held * one.usd_per_contract / inputs.equity)
            for one, held in zip(inputs.contracts, positions, strict=True)
        },
        turnover=float(turnover(book)),
        cost_usd=cost_of(inputs, positions),
    )
