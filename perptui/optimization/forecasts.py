"""The estimates as arrays, in the order of the program's contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perptui.model.forecast import Estimates, InstrumentForecast
from perptui.model.strategy import StrategyParameters
from perptui.optimization.inputs import Contract, FloatArray

DAYS_A_YEAR = 365


@dataclass(frozen=True, eq=False)
class ForecastArrays:
    """The estimates as arrays in the order of the contracts."""

    expected_return: FloatArray
    deviation: FloatArray
    sigma_day: FloatArray
    volume: FloatArray
    half_spread: FloatArray
    covariance: FloatArray

    @classmethod
    def of(
        cls, contracts: Sequence[Contract], estimates: Estimates, strategy: StrategyParameters
    ) -> ForecastArrays:
        """Return the arrays; a contract without estimates gets the costliest and wildest known."""
        rows = [contract.forecast for contract in contracts]
        known = [row for row in rows if row is not None]
        covariance = _covariance(rows, estimates)

        def column(values: list[float | None], stand_in: float) -> FloatArray:
            return np.array([stand_in if value is None else value for value in values])

        sigma = [_annual(row, strategy) if row else None for row in rows]
        return cls(
            expected_return=column([row.expected_return if row else None for row in rows], 0.0),
            deviation=column([row.expected_return_sd if row else None for row in rows], 0.0),
            sigma_day=column(sigma, max(_annual(row, strategy) for row in known))
            / np.sqrt(DAYS_A_YEAR),
            volume=np.maximum(
                column(
                    [row.volume_usd_day if row else None for row in rows],
                    min(row.volume_usd_day for row in known),
                ),
                1.0,
            ),
            half_spread=column(
                [row.half_spread if row else None for row in rows],
                max(row.half_spread for row in known),
            ),
            covariance=covariance,
        )


def _annual(row: InstrumentForecast, strategy: StrategyParameters) -> float:
    return row.volatility.combined if strategy.combined_volatility else row.volatility.ewma


def _covariance(rows: Sequence[InstrumentForecast | None], estimates: Estimates) -> FloatArray:
    """Return Sigma of the contracts; one without estimates varies alone, like the wildest known."""
    place = {forecast.id: index for index, forecast in enumerate(estimates.instruments)}
    full = np.array(estimates.covariance, dtype=float)
    count = len(rows)
    covariance = np.diag(np.full(count, float(np.diag(full).max())))
    known = [index for index, row in enumerate(rows) if row is not None]
    source = [place[row.id] for row in rows if row is not None]
    covariance[np.ix_(known, known)] = full[np.ix_(source, source)]
    return np.asarray((covariance + covariance.T) / 2.0)
