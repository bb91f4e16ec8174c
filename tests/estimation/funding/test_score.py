import math

import numpy as np
import pandas as pd
import pytest

from perptui.estimation.funding.process import Persistence
from perptui.estimation.funding.score import (
    MEMBERS,
    MOST_SCALE,
    PRIOR_DAYS,
    PRIOR_ERRORS,
    PRIOR_SCALE,
    SPANS_H,
    Levels,
    Verdict,
    judge,
)
from perptui.estimation.funding.series import (
    Settled,
    Totals,
    decayed_at,
    interest_of,
    missing_share,
    origins_before,
)
from perptui.model.clock import DAY_MS, HOUR_MS
from tests.estimation.funding.made import NOW, autoregressive, mixed, series


def verdict_of(history: Settled, level: float) -> tuple[Verdict, Levels]:
    """Judge members of which the 7-day EWMA is said to know the `level`, by the hour."""
    origins = origins_before(history, 120)
    at = np.searchsorted(history.ts_ms, origins, side="right") - 1
    flat = np.ones(len(origins))
    levels = Levels(
        last=history.hourly[at],
        interval_h=8.0 * flat,
        day=history.hourly[at] + 1e-5,
        week=level * flat,
        theta=level * flat - 1e-5,
        local=history.hourly.var() * flat,
    )
    process = Persistence(np.inf * flat, history.hourly.var() * flat, 100 * flat.astype(np.int64))
    return judge(history, origins, levels, process), levels


def test_weights_go_by_past_errors_and_pooled_ones() -> None:
    rng = np.random.default_rng(2)
    history = series(2e-4 + 5e-5 * rng.standard_normal(500))
    verdict, levels = verdict_of(history, 2e-4 / 8)
    # Written anew for one day ahead: errors of origins at least a day old, half-life 60 d.
    origins = origins_before(history, 120)[:-1]
    ends = np.searchsorted(history.ts_ms, origins, side="right")
    came = np.array([history.rate[k : k + 3].sum() for k in ends])
    said = 24 * np.column_stack([levels.last, levels.day, levels.week, levels.theta])[:-1]
    age = np.arange(1, 120)[::-1]
    fading = 0.5 ** (age / 60)
    error = fading @ np.abs(came[:, None] - said) / fading.sum()
    relative = error / np.exp(np.log(error / PRIOR_ERRORS[1]).mean())
    score = (fading.sum() * relative + PRIOR_DAYS * PRIOR_ERRORS[1]) / (fading.sum() + PRIOR_DAYS)
    expected = score**-4 / (score**-4).sum()
    assert verdict.weight[1] == pytest.approx(tuple(expected))
    assert MEMBERS[int(np.argmax(verdict.weight[1]))] == "ewma 7 d"


def test_without_a_past_the_pooled_weights_and_scales_speak() -> None:
    verdict, _ = verdict_of(autoregressive(3), 2e-5)
    for s in range(1, len(SPANS_H)):
        assert verdict.weight[s] == pytest.approx(
            tuple(PRIOR_ERRORS[s] ** -4 / (PRIOR_ERRORS[s] ** -4).sum())
        )
        assert verdict.scale[s] == PRIOR_SCALE[s]


def test_a_contract_without_errors_keeps_the_pooled_weights() -> None:
    verdict, _ = verdict_of(series(np.zeros(500)), 0.0)
    assert np.isfinite(verdict.weight).all()
    assert np.sum(verdict.weight, axis=1) == pytest.approx(np.ones(len(SPANS_H)))


def test_scales_stay_within_reach_of_the_pooled_ones() -> None:
    quiet, _ = verdict_of(series(np.append(np.full(400, 1e-4), np.full(100, 3e-2))), 1e-4 / 8)
    for scale, pooled in zip(quiet.scale, PRIOR_SCALE, strict=True):
        assert pooled / MOST_SCALE <= scale <= pooled * MOST_SCALE


def test_between_spans_a_verdict_is_linear_in_the_logarithm_of_hours() -> None:
    verdict = Verdict(
        tuple(math.log(h) for h in (8.0, *SPANS_H[1:])),
        tuple((float(s), 1.0 - s, 0.0, 0.0) for s in range(6)),
        tuple(float(s) for s in range(6)),
    )
    assert verdict.at(24.0)[1] == pytest.approx(1.0)
    assert verdict.at(math.sqrt(24.0 * 72.0))[1] == pytest.approx(1.5)
    assert verdict.at(math.sqrt(24.0 * 72.0))[0] == pytest.approx((1.5, -0.5, 0.0, 0.0))
    assert verdict.at(0.0)[1] == pytest.approx(0.0)
    assert verdict.at(9999.0)[1] == pytest.approx(5.0)


# The series itself.


def test_decayed_sums_are_those_of_pandas_on_hours() -> None:
    """Mixed intervals against an hourly series of the same rates, exponentially weighted."""
    whole = mixed(np.repeat([8, 2, 1], [60, 100, 96]), 0.05, 2e-5, 1)
    origins = origins_before(whole, 400)
    both = np.column_stack([whole.rate, whole.interval_h])
    sums = decayed_at(whole, origins, (whole.rate, whole.interval_h), 7.0)
    for g in (len(origins) - 1, len(origins) // 2):
        known = whole.ts_ms <= origins[g]
        age = (origins[g] - whole.ts_ms[known]) / DAY_MS
        assert sums[g] == pytest.approx(0.5 ** (age / 7) @ both[known])
    regular = autoregressive(300)
    found = decayed_at(regular, origins_before(regular, 30), (regular.rate,), 1.0)
    mean = found / decayed_at(regular, origins_before(regular, 30), (np.ones(300),), 1.0)
    expected = pd.Series(regular.rate).ewm(halflife=3.0).mean().to_numpy()[-1]
    assert mean[-1, 0] == pytest.approx(expected)


def test_levels_weigh_hours_and_fall_back_to_the_last_rate() -> None:
    whole = mixed(np.array([8, 8, 8, 2, 2, 4]), 0.05, 2e-5, 2)
    totals = Totals.of(whole)
    last = whole.ts_ms[-1:]
    assert totals.level(last, 8 * HOUR_MS)[0] == pytest.approx(whole.rate[-3:].sum() / 8)
    assert totals.level(last + 90 * DAY_MS, DAY_MS)[0] == pytest.approx(whole.hourly[-1])
    every = totals.level(last, np.array([4, 8, 32]) * HOUR_MS)
    assert every == pytest.approx(
        [whole.hourly[-1], whole.rate[-3:].sum() / 8, whole.rate.sum() / 32]
    )


def test_the_interest_is_the_rate_that_comes_again() -> None:
    rng = np.random.default_rng(3)
    rates = 1e-5 * rng.standard_normal(200)
    assert interest_of(rates) == (1e-4 / 8, False)
    rates[::4] = 3e-6
    assert interest_of(rates) == (3e-6, True)
    assert interest_of(np.array([1e-5, 2e-5, 3e-5]), 7e-6) == (7e-6, False)


def test_origins_and_missing_hours_are_counted_back_from_the_last_stamp() -> None:
    whole = autoregressive(31)
    assert origins_before(whole, 400).tolist() == [NOW - DAY_MS * d for d in range(10, -1, -1)]
    assert len(origins_before(whole, 5)) == 5
    assert missing_share(whole, 30) == pytest.approx(0.0)
    keep = np.arange(31) % 2 == 0
    half = Settled(whole.ts_ms[keep], whole.rate[keep], whole.interval_h[keep])
    assert missing_share(half, 30) == pytest.approx(1 - 16 / 31)
