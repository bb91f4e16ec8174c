"""The covariance on real history: likelier than simpler ones, and never singular."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.covariance import (
    CRISES,
    Estimator,
    daily_returns,
    desk,
    estimators,
    in_span,
    judged,
    months,
    stamp,
    venue_panel,
    venue_series,
    walk,
)
from perptui.estimation.covariance.forecast import CovarianceSettings, forecast_covariance
from perptui.estimation.panel import build_panel
from perptui.model.clock import HOUR_MS

pytestmark = [pytest.mark.history, pytest.mark.slow, pytest.mark.unmeasured]

SAMPLES = ("sample, expanding", "sample, 90 d", "sample, 250 d")
AVERAGES = ("RiskMetrics .94", "EWMA 21", "EWMA 63")


def test_the_days_that_came_were_likelier_under_the_desks_covariance(history_dir: Path) -> None:
    """All days of 2021-01 to 2025-06, ten coins, each forecast from the days before it.

    Combined volatilities and the iterated correlation shrunk to one factor; `benchmarks.covariance`
    prints all estimators.
    """
    days, returns = daily_returns(history_dir)
    rows = judged(days, returns)
    ours = desk(history_dir, days, returns, rows, 21.0, slows=(63.0,), mixture=False)
    rivals: dict[str, Estimator] = estimators()
    for name in (*SAMPLES, *AVERAGES):
        theirs = walk(returns, rows, rivals[name])
        for span in ("all", "2023-25"):
            inside = in_span(days[rows], span)
            for pair, path in ours.items():
                assert path[inside].mean() > theirs[inside].mean(), (pair, name, span)


def test_on_equal_volatilities_iteration_and_shrinkage_beat_one_average(history_dir: Path) -> None:
    """IEWMA 21/63 shrunk against plain EWMA 21: the same volatilities, another correlation."""
    days, returns = daily_returns(history_dir)
    rows = judged(days, returns, every=4)
    rivals = estimators()
    shrunk, raw, plain = (
        walk(returns, rows, rivals[name])
        for name in ("IEWMA 21/63, shrunk", "IEWMA 21/63", "EWMA 21")
    )
    for span in ("to 2022", "2023-25", "all"):
        inside = in_span(days[rows], span)
        assert shrunk[inside].mean() > raw[inside].mean() > plain[inside].mean()


@pytest.mark.parametrize(
    ("hyperliquid", "first"), [(False, "2021-12"), (True, "2023-08")], ids=["bybit", "hyperliquid"]
)
def test_one_coin_on_two_venues_never_makes_it_singular(
    history_dir: Path, first: str, *, hyperliquid: bool
) -> None:
    dates = months(first, "2025-06") + [day for day in CRISES if day >= first]
    for day in dates:
        panel = venue_panel(history_dir, stamp(day), 60, hyperliquid=hyperliquid)
        for horizon in (1.0, 7.0, 30.0):
            made = forecast_covariance(panel, CovarianceSettings(21.0, 63.0, horizon))
            least = float(np.linalg.eigvalsh(made.sigma)[0])
            assert least >= horizon * 4e-8, (day, horizon)
            assert made.least_eigenvalue == least
            assert not made.basis.assumed.any(), day


def test_nothing_after_the_end_is_seen(history_dir: Path) -> None:
    """Fifty random hours: files cut there give the same bytes as whole ones read up to there."""
    settings = CovarianceSettings(21.0, 63.0, 7.0)
    for hour in np.random.default_rng(50).integers(0, 24 * 1000, 50).tolist():
        end = stamp("2022-04-01") + hour * HOUR_MS
        series = venue_series(history_dir, hyperliquid=False)
        cut = [
            replace(one, close_ms=one.close_ms[: len(kept)], price=kept)
            for one in series
            for kept in [one.price[one.close_ms <= end]]
        ]
        whole, alone = (
            forecast_covariance(build_panel(part, end, 60), settings) for part in (series, cut)
        )
        assert whole.sigma.tobytes() == alone.sigma.tobytes()
