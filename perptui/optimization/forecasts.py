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
    """The estimates as arrays in the order of the contracts.

    Attributes
    ----------
    expected_return, deviation : (N,) arrays
        mu over the horizon, funding included, and sqrt(Omega_ii).
    sigma_day, volume, half_spread : (N,) arrays
        Daily deviation, USD a day, fraction of the price.
    covariance, omega : (N, N) arrays
        Of returns, and of the uncertainty of the expected ones.
    """

    expected_return: FloatArray
    deviation: FloatArray
    sigma_day: FloatArray
    volume: FloatArray
    half_spread: FloatArray
    covariance: FloatArray
    omega: FloatArray

    @classmethod
    def of(
        cls, contracts: Sequence[Contract], estimates: Estimates, strategy: StrategyParameters
    ) -> ForecastArrays:
        """Return the arrays; a contract without estimates gets the costliest and wildest known."""
        rows = [contract.forecast for contract in contracts]
        known = [row for row in rows if row is not None]

        def column(values: list[float | None], stand_in: float) -> FloatArray:
            return np.array([stand_in if value is None else value for value in values])

        sigma = [_annual(row, strategy) if row else None for row in rows]
        deviation = column([row.expected_return_sd if row else None for row in rows], 0.0)
        return cls(
            expected_return=column([row.expected_return if row else None for row in rows], 0.0),
            deviation=deviation,
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
            covariance=_covariance(rows, estimates),
            omega=_omega(rows, estimates, deviation),
        )


def _annual(row: InstrumentForecast, strategy: StrategyParameters) -> float:
    return row.volatility.combined if strategy.combined_volatility else row.volatility.ewma


def _covariance(rows: Sequence[InstrumentForecast | None], estimates: Estimates) -> FloatArray:
    """Return Sigma of the contracts; one without estimates varies alone, like the wildest known."""
    wildest = max(row[index] for index, row in enumerate(estimates.covariance))
    return _placed(rows, estimates, estimates.covariance, np.full(len(rows), wildest))


def _omega(
    rows: Sequence[InstrumentForecast | None], estimates: Estimates, deviation: FloatArray
) -> FloatArray:
    """Return Omega of the contracts; without its off-diagonals where they were not estimated."""
    if not estimates.omega:
        return np.diag(np.square(deviation))
    return _placed(rows, estimates, estimates.omega, np.zeros(len(rows)))


def _placed(
    rows: Sequence[InstrumentForecast | None],
    estimates: Estimates,
    matrix: Sequence[Sequence[float]],
    alone: FloatArray,
) -> FloatArray:
    """Return a matrix of the estimates in the order of `rows`; `alone` for those without."""
    place = {forecast.id: index for index, forecast in enumerate(estimates.instruments)}
    placed = np.diag(alone)
    known = [index for index, row in enumerate(rows) if row is not None]
    source = [place[row.id] for row in rows if row is not None]
    placed[np.ix_(known, known)] = np.array(matrix, dtype=float)[np.ix_(source, source)]
    return np.asarray((placed + placed.T) / 2.0)
