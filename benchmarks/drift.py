"""Judge the expected price drift year by year, step by step, against a forecast of nothing.

    uv run python -m benchmarks.drift --data ../shared/data [--until 2023-01-01]

Ten contracts on Binance, days from 2020 that end at 00:00 UTC. Each cell is the out-of-sample R²
in percent, squared errors divided by each contract's variance forecast: of the default blend of
shrunk lookbacks, of the walked ridge weights, of these after Bayes-Stein, of these after the cap,
and of what a desk would have used, which is nothing on days when the year of forecasts before them
had an R² of zero or less. "in use" is the share of days on which it was not nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.value_at_risk import BEGIN, SPANS, read_market, rows_of
from perptui.estimation.covariance.correlation import standardise
from perptui.estimation.drift.blend import DEFAULT_BLEND, bayes_stein
from perptui.estimation.drift.forecast import (
    EVIDENCE_DAYS,
    DriftPath,
    drift_path,
    lookback_drifts,
    outcomes,
    walk_forward,
)
from perptui.estimation.variance.forecast import forecast_variances
from perptui.model.clock import parse_iso
from perptui.quant.track import mean_pair_correlation

FloatArray = NDArray[np.float64]

VOLATILITY_HALFLIFE, CORRELATION_HALFLIFE = 21.0, 63.0
HORIZONS = (1, 3, 7, 14, 30)


def r_squared(made: FloatArray, came: FloatArray, variance: FloatArray) -> float:
    """Return 1 - (sum of squared errors)/(sum of squares), rows weighed by 1/variance."""
    known = np.isfinite(made) & np.isfinite(came)
    missed, nothing = ((came - made) ** 2 / variance)[known], (came**2 / variance)[known]
    return float(1.0 - missed.sum() / nothing.sum()) if known.any() else float("nan")


def in_use(
    path: DriftPath, log_price: FloatArray, variance: FloatArray, horizon: int
) -> FloatArray:
    """Return on which days the evidence by then was for the drift, (D, 1) of 0 and 1."""
    days = len(variance)
    used = np.zeros((days, 1))
    for day in range(days):
        first = max(0, day + 1 - EVIDENCE_DAYS - horizon)
        rows = slice(first, day + 1)
        found, _ = walk_forward(
            path.blends[rows], log_price[first : day + 2], variance[rows], horizon
        )
        used[day] = found > 0.0
    return used


def main() -> None:
    """Print one table a horizon."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--until", default="2023-01-01")
    arguments = parser.parse_args()
    end_ms = parse_iso(f"{arguments.until}T00:00Z")
    panel = read_market(arguments.data, end_ms).panel
    z = standardise(panel.daily, VOLATILITY_HALFLIFE)
    rho = mean_pair_correlation(z, CORRELATION_HALFLIFE)
    spans = {name: span for name, span in SPANS.items() if parse_iso(f"{span[0]}T00:00Z") < end_ms}
    print("H   year     default    ridge    Stein   capped     used   in use   weights  pull")
    for horizon in HORIZONS:
        variance = forecast_variances(panel, VOLATILITY_HALFLIFE, float(horizon)).combined
        path = drift_path(panel.log_price, variance, rho, float(horizon))
        came = outcomes(panel.log_price, variance, horizon)
        ridge = np.einsum("dl,ldc->dc", path.weights, path.shrunk)
        observed = np.einsum("dl,ldc->dc", path.weights, lookback_drifts(panel.log_price, variance))
        drawn, _ = bayes_stein(ridge, observed, variance, rho, path.lookback)
        used = in_use(path, panel.log_price, variance, horizon)
        steps = (
            np.einsum("l,ldc->dc", DEFAULT_BLEND, path.shrunk),
            ridge,
            drawn,
            path.blends,
            used * path.blends,
        )
        for name, span in {**spans, "all": ("2021-01-01", arguments.until)}.items():
            rows = rows_of(panel.days, span)
            cells = [100.0 * r_squared(x[rows], came[rows], variance[rows]) for x in steps]
            last = " ".join(f"{weight:5.2f}" for weight in path.weights[rows[-1]])
            figures = " ".join(f"{cell:8.2f}" for cell in cells)
            pull = float(path.pull[rows].mean())
            print(
                f"{horizon:<3d} {name:7s} {figures} {used[rows].mean():7.0%}   {last}  {pull:.2f}"
            )
    print(f"{panel.days} days from {BEGIN}")


if __name__ == "__main__":
    main()
