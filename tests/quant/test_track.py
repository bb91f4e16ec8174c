"""The equal-weight book against the matrix it stands for."""

import numpy as np
import pytest

from perptui.model.clock import DAY_MS
from perptui.quant.track import BookPath, book_path, book_volatility, volatility_track

RNG = np.random.default_rng(8)


def test_book_volatility_is_that_of_equal_parts() -> None:
    # Two coins of one deviation s: s·sqrt((1 + rho)/2).
    rho = np.array([[1.0, 0.6], [0.6, 1.0]])
    found = book_volatility(np.full(2, 0.03**2), rho)
    assert found == pytest.approx(0.03 * np.sqrt(0.8 * 365))
    assert book_volatility(np.array([0.04**2]), np.eye(1)) == pytest.approx(0.04 * np.sqrt(365))


def test_the_path_is_w_sigma_w_with_one_correlation_for_all() -> None:
    variance = RNG.uniform(1e-4, 9e-4, (5, 4))
    variance[2, 3] = np.nan
    variance[4] = np.nan
    rho = np.array([0.0, 0.3, 0.6, 0.9, 0.5])
    hours = RNG.normal(0, 0.01, 24 * 5)
    hours[30] = np.nan
    path = book_path(variance, rho, hours)
    for day in range(4):
        s = np.sqrt(variance[day][np.isfinite(variance[day])])
        matrix = np.full((len(s), len(s)), rho[day])
        np.fill_diagonal(matrix, 1.0)
        w = np.full(len(s), 1 / len(s))
        assert path.forecast[day] == pytest.approx(w @ (np.outer(s, s) * matrix) @ w, rel=1e-12)
    assert np.isnan(path.forecast[4])
    assert path.realised[0] == pytest.approx((hours[:24] ** 2).sum())
    assert path.returns[4] == pytest.approx(hours[96:].sum())
    assert np.isnan(path.realised[1])
    assert np.isnan(path.returns[1])


def test_the_track_sets_yesterdays_forecast_beside_the_day() -> None:
    days = 100
    book = BookPath(
        RNG.uniform(2e-4, 6e-4, days), RNG.uniform(2e-4, 6e-4, days), RNG.normal(0, 0.02, days)
    )
    book.realised[70] = np.nan
    book.forecast[80] = 0.0
    track = volatility_track(book, days * DAY_MS)
    kept = [day for day in range(40, 100) if day not in (70, 81)]
    assert track.ts_ms == tuple(day * DAY_MS for day in kept)
    np.testing.assert_allclose(track.forecast, np.sqrt(365 * book.forecast[np.array(kept) - 1]))
    np.testing.assert_allclose(track.realised, np.sqrt(365 * book.realised[kept]))
    # Nothing later has a part in what stands there.
    early = volatility_track(
        BookPath(book.forecast[:90], book.realised[:90], book.returns[:90]), 90 * DAY_MS
    )
    shared = [stamp for stamp in early.ts_ms if stamp in track.ts_ms]
    at = [early.ts_ms.index(stamp) for stamp in shared], [track.ts_ms.index(s) for s in shared]
    for name in ("forecast", "realised"):
        first, second = getattr(early, name), getattr(track, name)
        assert [first[k] for k in at[0]] == [second[k] for k in at[1]]


def test_a_track_of_nothing_known_is_empty() -> None:
    nothing = np.full(30, np.nan)
    track = volatility_track(BookPath(nothing, nothing, nothing), 30 * DAY_MS)
    assert track.ts_ms == track.forecast == track.low == ()
