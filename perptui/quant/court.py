"""The court's sitting at midnight: how the forecasts did on the days that are over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perptui.estimation.judge import judge_calibration, judge_models, judge_value_at_risk
from perptui.estimation.panel import Panel
from perptui.estimation.recursion import FloatArray
from perptui.estimation.value_at_risk import (
    ValueAtRiskPath,
    book_var_path,
    equal_weights,
    funding_by_hour,
)
from perptui.estimation.volatility import MODELS, VarianceForecasts
from perptui.model.clock import HOUR_MS
from perptui.model.forecast import Court, ModelScore
from perptui.quant.gather import Gathered
from perptui.quant.track import BookPath

EQUAL = "equal weight"
"""The book of one equal part of each coin."""
LEVELS = (0.95, 0.99)
VAR_METHOD = "FHS 1 d"


@dataclass(frozen=True, slots=True)
class Sitting:
    """The models' scores, and the verdicts in records and words."""

    models: tuple[ModelScore, ...]
    court: Court


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
    coverage = tuple(
        judge_value_at_risk(EQUAL, VAR_METHOD, level, path.realised, path.forecast)
        for level, path in zip(LEVELS, _paths(panel, gathered), strict=True)
    )
    bias = judge_calibration(EQUAL, book.returns[1:], np.sqrt(book.forecast[:-1]))
    words = (*found.words, *(row.text for row in coverage), bias.text)
    return Sitting((*found.scores, found.combined), Court(coverage, (bias,), words))


def _paths(panel: Panel, gathered: Sequence[Gathered]) -> list[ValueAtRiskPath]:
    """Return the equal-weight book's value at risk by day at each of `LEVELS`."""
    funding = np.column_stack(
        [funding_by_hour(one.settled, panel.end_ms, panel.days) for one in gathered]
    )
    step = int(panel.width_ms.max()) // HOUR_MS
    held = equal_weights(panel)
    return [book_var_path(panel.closing, funding, held, level, step) for level in LEVELS]
