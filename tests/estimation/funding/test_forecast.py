from dataclasses import replace

import numpy as np
import pytest

from perptui.estimation.funding.fit import ANCHOR_SHARE
from perptui.estimation.funding.forecast import (
    FundingEstimate,
    Open,
    Settled,
    fit_funding,
    forecast,
    forecast_funding,
    settlements_ahead,
)
from perptui.estimation.funding.score import MEMBERS
from perptui.estimation.funding.series import INTEREST_PER_HOUR, check_settled
from perptui.model.clock import DAY_MS, HOUR_MS, MINUTE_MS
from perptui.model.errors import EstimationError
from tests.estimation.funding.made import (
    NOW,
    SHOCK,
    THETA,
    autoregressive,
    mixed,
    series,
)


def clamped(count: int, seed: int, now_ms: int = NOW) -> Settled:
    """Rates of a Binance-type rule: a premium of sd 6 bp around I - 1 bp, half-life 2 days."""
    rng, premium = np.random.default_rng(seed), np.empty(count)
    phi, x = 0.5 ** (1 / 6), 0.0
    for k in range(count):
        x = phi * x + 6e-4 * np.sqrt(1 - phi**2) * rng.standard_normal()
        premium[k] = x - 1e-4
    off = np.sign(premium) * np.maximum(np.abs(premium) - 5e-4, 0.0)
    return series(1e-4 + off, now_ms=now_ms)


def test_settlements_are_counted_in_the_open_and_closed_interval() -> None:
    opened = Open(1e-4, NOW + 8 * HOUR_MS, 8.0)
    assert settlements_ahead(NOW, 1.0, opened) == 3
    assert settlements_ahead(NOW + 1, 1.0, opened) == 3
    assert settlements_ahead(NOW - 1, 1.0, opened) == 2
    assert settlements_ahead(NOW, 0.3, opened) == 0
    assert settlements_ahead(NOW, 14.0, Open(1e-4, NOW + HOUR_MS, 1.0)) == 14 * 24


def test_a_forecast_says_what_it_is_made_of() -> None:
    history = autoregressive(800)
    opened = Open(5e-4, NOW + 4 * HOUR_MS, 8.0)
    estimate = forecast_funding(history, opened, NOW, 7.0)
    found, recent = estimate.forecast, history.rate[-271:]
    assert found.rate == 5e-4
    assert found.apr == pytest.approx(5e-4 * 3 * 365)
    assert found.mean_1d == pytest.approx(history.rate[-3:].mean())
    assert found.mean_7d == pytest.approx(history.rate[-21:].mean())
    assert found.mean_30d == pytest.approx(history.rate[-90:].mean())
    assert found.z == pytest.approx((5e-4 - recent.mean()) / recent.std(ddof=1))
    assert found.trend == pytest.approx(tuple(history.rate[-24:] / 8))
    assert tuple(part.name for part in found.parts) == MEMBERS
    assert sum(part.weight for part in found.parts) == pytest.approx(1.0)
    mean = sum(part.weight * part.mean for part in found.parts)
    assert found.horizon_mean == pytest.approx(mean)
    assert found.horizon_z == pytest.approx(found.horizon_mean / found.horizon_sd)
    anchor = (1 - ANCHOR_SHARE) * history.hourly[-90:].mean() + ANCHOR_SHARE * INTEREST_PER_HOUR
    assert found.anchor_apr == pytest.approx(anchor * 8760)
    # The AR(1)'s phi of .8 at 8 h is a half-life of 8 ln .5/ln .8 = 24.9 h.
    assert found.halflife_h == pytest.approx(24.9, rel=0.5)
    assert estimate.parameter_variance > 0
    assert estimate.flags == ()


def test_the_term_structure_counts_settlements_of_the_contracts_own_interval() -> None:
    history = autoregressive(800)
    opened = Open(5e-4, NOW + 4 * HOUR_MS, 8.0)
    found = forecast_funding(history, opened, NOW, 7.0).forecast
    assert [(row.span, row.hours) for row in found.term] == [
        ("next", 4.0),
        ("1d", 24.0),
        ("7d", 168.0),
        ("30d", 720.0),
    ]
    week = found.term[2]
    assert (week.mean, week.sd) == (found.horizon_mean, found.horizon_sd)
    assert np.all(np.diff([row.sd for row in found.term]) > 0)
    one = forecast_funding(history, opened, NOW, 0.25).forecast
    assert (one.horizon_mean, one.horizon_sd) == (found.term[0].mean, found.term[0].sd)


def test_the_shown_rate_counts_by_the_share_of_its_interval_that_passed() -> None:
    fit = fit_funding(autoregressive(800))
    nothing = forecast(fit, Open(9e-4, NOW + 8 * HOUR_MS, 8.0), NOW, 1.0).forecast.term[0]
    silent = forecast(fit, None, NOW, 1.0).forecast.term[0]
    half = forecast(fit, Open(9e-4, NOW + 8 * HOUR_MS, 8.0), NOW + 4 * HOUR_MS, 1.0).forecast
    done = forecast(fit, Open(9e-4, NOW + 8 * HOUR_MS, 8.0), NOW + 8 * HOUR_MS - 1, 1.0).forecast
    assert (nothing.mean, nothing.sd) == pytest.approx((silent.mean, silent.sd))
    assert silent.mean < half.term[0].mean < done.term[0].mean
    assert silent.sd > half.term[0].sd > done.term[0].sd
    assert done.term[0].mean == pytest.approx(9e-4, rel=1e-5)
    assert done.term[0].sd < 1e-9


def test_forecasts_of_simulated_funding_are_unbiased_and_their_deviation_is_right() -> None:
    scores = {days: [] for days in (1, 7, 30)}  # type: dict[int, list[float]]
    for seed in range(100):
        whole = autoregressive(810 + 90, seed=seed, now_ms=NOW + 30 * DAY_MS)
        found = forecast_funding(whole, None, NOW, 7.0).forecast
        for row, days in zip(found.term[1:], scores, strict=True):
            came = whole.rate[810 : 810 + 3 * days].sum()
            scores[days].append((came - row.mean) / row.sd)
    # The anchor draws the level a quarter of the way to the interest term: that bias is by design.
    assert np.mean(scores[1]) == pytest.approx(0.1, abs=0.35)
    for days, z in scores.items():
        # Real funding moves its level and has fat tails, and the scale is shrunk to that of real
        # contracts: on this calm process the deviation of 30 days is on the safe side.
        assert 0.5 < np.mean(np.abs(z) < 1) < (0.9 if days < 30 else 0.97), days
        assert np.mean(np.abs(z) < 2) > 0.88, days


@pytest.mark.unmeasured
def test_the_premium_behind_the_clamp_forecasts_better_than_the_clamped_rate() -> None:
    """Mean squared error of the member alone, one day ahead, at 8 times of 40 simulated series."""
    missed: dict[str, list[float]] = {"premium": [], "plain": []}
    for seed in range(40):
        whole = clamped(430, seed)
        for k in range(270, 430, 20):
            past = Settled(whole.ts_ms[:k], whole.rate[:k], whole.interval_h[:k])
            fit = fit_funding(past)
            assert fit.premium is not None
            for name, one in (("premium", fit), ("plain", replace(fit, premium=None))):
                parts = forecast(one, None, int(past.ts_ms[-1]), 1.0).forecast.parts
                missed[name].append((whole.rate[k : k + 3].sum() - parts[-1].mean) ** 2)
    assert np.mean(missed["premium"]) < np.mean(missed["plain"])


def test_the_fit_kept_or_fresh_gives_the_same_bytes() -> None:
    history, opened = clamped(800, 4), Open(3e-4, NOW + 8 * HOUR_MS, 8.0)
    kept = fit_funding(history)
    for minutes in (0, 61, 300, 479):
        now = NOW + minutes * 60_000
        fresh = forecast_funding(history, opened, now, 3.5)
        assert repr(forecast(kept, opened, now, 3.5)) == repr(fresh)
    assert repr(fit_funding(history)) == repr(kept)


def test_nothing_after_now_is_looked_at() -> None:
    history = autoregressive(900)
    for now in (NOW - 100 * DAY_MS - 1, NOW - 33 * DAY_MS, NOW - 8 * HOUR_MS):
        k = int(np.searchsorted(history.ts_ms, now, side="right"))
        cut = Settled(history.ts_ms[:k], history.rate[:k], history.interval_h[:k])
        assert repr(forecast_funding(history, None, now, 7.0)) == repr(
            forecast_funding(cut, None, now, 7.0)
        )
    with pytest.raises(EstimationError, match="cut the history there"):
        forecast(fit_funding(history), None, NOW - 1, 7.0)


def test_without_a_quote_the_last_settlement_speaks_and_the_stamp_moves_on() -> None:
    history = autoregressive(270)
    found = forecast_funding(history, None, NOW + 3 * HOUR_MS, 1.0).forecast
    assert found.rate == history.rate[-1]
    assert found.interval_h == 8.0
    assert found.term[0].hours == 5.0
    old = forecast_funding(history, None, NOW + 30 * HOUR_MS, 1.0)
    assert "last funding settled 30 h ago" in old.flags


def test_no_settlement_ahead_is_no_funding() -> None:
    opened = Open(5e-4, NOW + 8 * HOUR_MS, 8.0)
    estimate = forecast_funding(autoregressive(270), opened, NOW, 0.25)
    assert estimate.forecast.horizon_mean == 0.0
    assert estimate.forecast.horizon_sd == 0.0
    assert estimate.forecast.horizon_z is None
    assert estimate.parameter_variance == 0.0


def test_a_changed_interval_is_flagged_and_rates_stay_comparable() -> None:
    history = autoregressive(200)
    estimate = forecast_funding(history, Open(1e-4, NOW + 4 * HOUR_MS, 4.0), NOW, 7.0)
    assert "funding interval changed from 8 h to 4 h" in estimate.flags
    assert estimate.forecast.mean_7d == pytest.approx(history.rate[-21:].mean() / 2)
    at_eight = forecast_funding(history, None, NOW, 7.0).forecast
    assert estimate.forecast.horizon_mean == pytest.approx(at_eight.horizon_mean, rel=0.05)
    assert estimate.forecast.horizon_sd == pytest.approx(at_eight.horizon_sd, rel=0.25)


def test_the_cap_bounds_every_sum() -> None:
    wild = series(np.full(300, 2e-3) + 1e-4 * np.arange(300) % 7e-4)
    loose = forecast(fit_funding(wild, cap=0.02), None, NOW, 7.0).forecast
    tight = forecast(fit_funding(wild, cap=1e-3), None, NOW, 7.0).forecast
    assert loose.horizon_mean > 0.03
    assert tight.horizon_mean == pytest.approx(21 * 1e-3)


# What is short, constant, gapped, jumping or malformed is refused or flagged.


def flags_of(estimate: FundingEstimate) -> str:
    return "; ".join(estimate.flags)


def test_short_series_are_refused_or_flagged() -> None:
    with pytest.raises(EstimationError, match="at least 3 funding settlements in 90 days, was 2"):
        forecast_funding(autoregressive(2), None, NOW, 7.0)
    with pytest.raises(EstimationError, match="was 0"):
        fit_funding(series(np.empty(0)))
    with pytest.raises(EstimationError, match="was 0; fetch"):
        forecast_funding(autoregressive(200), None, NOW + 200 * DAY_MS, 7.0)
    three = forecast_funding(autoregressive(3), None, NOW, 7.0)
    assert "3 funding settlements: persistence not estimated" in three.flags
    assert three.forecast.halflife_h is None
    assert three.forecast.horizon_sd > 0
    many = forecast_funding(autoregressive(61), None, NOW, 7.0)
    assert "persistence" not in flags_of(many)


def test_a_series_can_be_refused_before_it_is_fitted() -> None:
    check_settled(autoregressive(3), NOW)
    with pytest.raises(EstimationError, match="was 0"):
        check_settled(autoregressive(200), NOW + 200 * DAY_MS)


def test_a_constant_rate_is_expected_to_stay_and_flagged() -> None:
    for level in (1e-4, 0.0):
        found = forecast_funding(series(np.full(300, level)), None, NOW, 7.0)
        assert found.forecast.horizon_mean == pytest.approx(21 * level)
        assert found.forecast.horizon_sd == pytest.approx(0.0, abs=1e-12)
        assert found.forecast.z is None
        assert "funding constant over 271 settlements" in flags_of(found)


def test_rates_that_are_not_numbers_or_misscaled_are_refused() -> None:
    history = autoregressive(200)
    broken = history.rate.copy()
    broken[150] = np.nan
    with pytest.raises(EstimationError, match="expected finite funding rates, was 1 not"):
        fit_funding(series(broken))
    with pytest.raises(EstimationError, match="check their scale"):
        fit_funding(series(history.rate * 1e-14))
    with pytest.raises(EstimationError, match="of one length"):
        fit_funding(Settled(history.ts_ms, history.rate[1:], history.interval_h))
    with pytest.raises(EstimationError, match="rising stamps"):
        fit_funding(Settled(history.ts_ms[::-1], history.rate, history.interval_h))
    with pytest.raises(EstimationError, match="rising stamps"):
        fit_funding(Settled(history.ts_ms, history.rate, -history.interval_h))
    for shown in (Open(float("nan"), NOW + HOUR_MS, 8.0), Open(1e-4, NOW + HOUR_MS, 0.0)):
        with pytest.raises(EstimationError, match="take another snapshot"):
            forecast(fit_funding(history), shown, NOW, 7.0)


def test_gaps_jumps_and_shifts_are_flagged() -> None:
    history = autoregressive(300)
    keep = np.ones(300, bool)
    keep[240:270] = False
    gapped = Settled(history.ts_ms[keep], history.rate[keep], history.interval_h[keep])
    assert "33% of the last 30 days without settled funding" in fit_funding(gapped).flags
    jump = np.full(300, 1e-4)
    jump[200] = 1e-2
    assert "one settlement holds 100% of funding's variance" in fit_funding(series(jump)).flags
    moved = history.rate.copy()
    moved[-21:] += 1e-3
    shifted = fit_funding(series(moved))
    assert "funding level moved by +1" in "; ".join(shifted.flags)
    # A week after the level moved by 1e-3, most of the move is expected to stay for a week more.
    expected = forecast(shifted, None, NOW, 7.0).forecast
    assert 0.5 * 21 * 1e-3 < expected.horizon_mean < 21 * 1.4e-3


def test_hourly_and_mixed_intervals_are_forecast_in_their_own_count() -> None:
    hourly = forecast_funding(autoregressive(24 * 120, 1), None, NOW, 1.0).forecast
    assert hourly.interval_h == 1.0
    assert hourly.horizon_mean == pytest.approx(24 * THETA, rel=0.4)
    assert hourly.term[0].sd == pytest.approx(SHOCK, rel=0.4)
    changed = mixed(np.repeat([8, 2, 4], [250, 50, 40]), 0.05, 2e-5, 3)
    found = forecast_funding(changed, Open(5e-5, NOW + 4 * HOUR_MS, 4.0), NOW, 7.0)
    assert found.flags == ()
    assert found.forecast.interval_h == 4.0
    assert found.forecast.halflife_h == pytest.approx(np.log(2) / 0.05, rel=0.6)
    # 168 h around 1e-5 an hour, within the deviation of what was simulated.
    assert abs(found.forecast.horizon_mean - 168e-5) < 2 * found.forecast.horizon_sd


def test_a_rate_that_was_not_observed_counts_for_nothing() -> None:
    for history in (autoregressive(400), clamped(400, 4)):
        fit = fit_funding(history)
        for minutes in (1, 200, 479):
            now, settled_rate = NOW + minutes * MINUTE_MS, float(history.rate[-1])
            kept = Open(settled_rate, NOW + 8 * HOUR_MS, 8.0, observed=False)
            assert repr(forecast(fit, kept, now, 7.0)) == repr(forecast(fit, None, now, 7.0))
            seen = forecast(fit, replace(kept, observed=True), now, 7.0).forecast
            assert seen.term[0].sd < forecast(fit, kept, now, 7.0).forecast.term[0].sd
    # Its interval and its end do count.
    changed = Open(1e-4, NOW + 4 * HOUR_MS, 4.0, observed=False)
    assert "funding interval changed from 8 h to 4 h" in forecast(fit, changed, NOW, 7.0).flags
