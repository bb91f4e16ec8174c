"""The court's sitting at midnight: how the forecasts did on the days that are over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
import numpy as np

from perptui.estimation.court.judge import (
    COMBINED,
    STEP_DAYS,
    judge_calibration,
    judge_models,
    judge_value_at_risk,
)
from perptui.estimation.panel import Panel
from perptui.estimation.recursion import FloatArray
from perptui.estimation.tails.value_at_risk import (
    SimpleReturns,
    equal_weights,
    funding_by_hour,
    simple_returns,
    var_paths,
)
from perptui.estimation.variance.forecast import MODELS, VarianceForecasts
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.forecast import Court, CoverageVerdict, ModelScore, ScoreTrack
from perptui.model.snapshot import MarketSnapshot
from perptui.quant.gather import Gathered
from perptui.quant.track import BookPath

EQUAL = "equal weight"
"""The book of one equal part of each coin."""
HELD = "book"
AT_TODAYS = "at today's weights"
LEVELS = (0.95, 0.99)
VAR_METHOD = "FHS 1 d"
KEPT_BOOKS = 4

Sizes = tuple[tuple[str, Decimal], ...]
"""Contracts held by id, in the ids' order: what a backtest of the held book depends on."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """The models' scores, and the verdicts in records and words.

    Attributes
    ----------
    court : Court
        What holds whatever is held.
    past : SimpleReturns
        Of the contracts of `gathered`, up to midnight.
    """

    models: tuple[ModelScore, ...]
    court: Court
    gathered: tuple[Gathered, ...]
    past: SimpleReturns
    _books: dict[Sizes, tuple[CoverageVerdict, ...]] = field(default_factory=dict)

    def court_on(self, snapshot: MarketSnapshot) -> Court:
        """Return the verdicts, those on the held book's VaR among them where one is held.

        The book has the weights of its positions at midnight's prices on every day, so that what
        is said of it changes with positions, not with quotes. A position without estimates is not
        in it.
        """
        sizes = _sizes(snapshot, self.gathered)
        if not sizes:
            return self.court
        if sizes not in self._books:
            while len(self._books) >= KEPT_BOOKS:
                del self._books[next(iter(self._books))]
            weights = _weights_at_close(sizes, self.gathered)
            self._books[sizes] = _covered(HELD, self.past, weights, AT_TODAYS)
        rows = self._books[sizes]
        return msgspec.structs.replace(
            self.court,
            coverage=(*self.court.coverage, *rows),
            words=(*self.court.words, *(row.text for row in rows)),
        )


def sit(
    panel: Panel,
    gathered: Sequence[Gathered],
    variances: VarianceForecasts,
    weights: FloatArray,
    book: BookPath,
) -> Sitting:
    """Return what the days up to the panel's end say of the forecasts made on them.

    Parameters
    ----------
    weights : (M,) array
        Of the models, as the strategy uses them.
    book : BookPath
        Of the equal-weight book.
    """
    found = judge_models(
        MODELS,
        variances.own,
        variances.combined,
        panel.variance,
        weights,
        variances.horizon,
    )
    past = _past(panel, gathered)
    coverage = _covered(EQUAL, past, equal_weights(panel))
    bias = judge_calibration(EQUAL, book.returns[1:], np.sqrt(book.forecast[:-1]))
    words = (*found.words, *(row.text for row in coverage), bias.text)
    court = Court(coverage, (bias,), words, _score_track(found.steps, panel.end_ms))
    return Sitting((*found.scores, found.combined), court, tuple(gathered), past)


def _score_track(steps: tuple[tuple[float | None, ...], ...], end_ms: int) -> ScoreTrack:
    ends = [end_ms - STEP_DAYS * DAY_MS * back for back in reversed(range(len(steps)))]
    return ScoreTrack(tuple(ends), (*MODELS, COMBINED), steps) if steps else ScoreTrack()


def _past(panel: Panel, gathered: Sequence[Gathered]) -> SimpleReturns:
    funding = np.column_stack(
        [funding_by_hour(one.settled, panel.end_ms, panel.days) for one in gathered]
    )
    return simple_returns(panel.closing, funding, int(panel.width_ms.max()) // HOUR_MS)


def _covered(
    book: str, past: SimpleReturns, weights: FloatArray, told: str = ""
) -> tuple[CoverageVerdict, ...]:
    """Return the verdicts on a book's value at risk by day, one for each of `LEVELS`."""
    return tuple(
        judge_value_at_risk(book, VAR_METHOD, level, path.realised, path.forecast, told)
        for level, path in zip(LEVELS, var_paths(past, weights, LEVELS), strict=True)
    )


def _sizes(snapshot: MarketSnapshot, gathered: Sequence[Gathered]) -> Sizes:
    estimated = {one.instrument.id for one in gathered}
    contracts: dict[str, Decimal] = {}
    for account in snapshot.accounts:
        for position in account.positions:
            if position.id in estimated:
                contracts[position.id] = contracts.get(position.id, Decimal(0)) + position.contracts
    return tuple((name, size) for name, size in sorted(contracts.items()) if size)


def _weights_at_close(sizes: Sizes, gathered: Sequence[Gathered]) -> FloatArray:
    """Return signed notional over gross notional at the last closes, (N,).

    Whether a loss goes beyond a VaR is the same for any multiple of a book.
    """
    held = dict(sizes)
    notional = np.array(
        [
            float(held.get(one.instrument.id, Decimal(0)) * one.instrument.contract_size)
            * (float(one.closes.price[-1]) if one.instrument.linear else 1.0)
            for one in gathered
        ]
    )
    weights: FloatArray = notional / np.abs(notional).sum()
    return weights
