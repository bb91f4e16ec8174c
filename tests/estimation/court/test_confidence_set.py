import math
import subprocess
import sys

import numpy as np
import pytest
from arch.bootstrap import MCS

from perptui.estimation.court.confidence_set import block_length, confidence_set, resampled_means

Array = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def losses(seed: int, rows: int = 400) -> Array:
    """Four models' losses (T, 4) that share their days; the third is worse, the last far worse."""
    rng = np.random.default_rng(seed)
    common = rng.chisquare(2, (rows, 1)) * 0.2
    made: Array = common + rng.normal([0.10, 0.10, 0.14, 0.4], 0.1, (rows, 4))
    return made


def archs(given: Array, block: int) -> tuple[list[float], list[int]]:
    """Return the p-values and the set of arch 8 for the same statistic and bootstrap."""
    mcs = MCS(given, 0.10, reps=1000, block_size=block, method="R", seed=5)
    mcs.compute()
    return mcs.pvalues["Pvalue"].sort_index().tolist(), [int(str(m)) for m in mcs.included]


def monte_carlo_error(p: float) -> float:
    """Return four deviations of the difference of two p-values of 1000 draws each.

    Both draw their variances too, of which a hundredth of t is unknown: .01 of p at the most.
    """
    return 4.0 * math.sqrt(2.0 * p * (1.0 - p) / 1000.0) + 0.01


@pytest.mark.parametrize("seed", range(6))
def test_p_values_are_archs_within_monte_carlo_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shared = np.convolve(rng.normal(0, 1, 604), np.ones(5), mode="valid")[:, None]
    worse = [0.0, 0.005, 0.01, 0.02, 0.03, 0.08]
    given = 3.0 + shared + rng.normal(worse, 0.15, (600, 6)) * rng.chisquare(4, (600, 1)) / 4
    found = confidence_set(given, horizon=5)
    theirs, _ = archs(given, 9)
    assert found.p_values is not None
    for p, other in zip(found.p_values, theirs, strict=True):
        assert abs(p - other) <= monte_carlo_error(max(p, other))


@pytest.mark.parametrize("seed", range(3, 7))
def test_the_set_is_archs_where_the_case_is_clear(seed: int) -> None:
    given = losses(seed)
    found = confidence_set(given, horizon=5)
    assert found.kept is not None
    assert [m for m, kept in enumerate(found.kept) if kept] == archs(given, 8)[1]
    assert found.kept[3] is False
    assert found.observations == 400
    assert confidence_set(given, horizon=5) == found
    # Only ratios of losses count.
    assert confidence_set(1e-14 * given, horizon=5).kept == found.kept


def test_nearly_the_same_models_are_told_apart_as_arch_does() -> None:
    given = losses(3)
    rng = np.random.default_rng(9)
    near = np.column_stack([given, given[:, 0] + 1e-6 * (1.0 + 3.0 * rng.normal(size=400))])
    found = confidence_set(near)
    theirs, kept = archs(near, 8)
    assert found.p_values is not None
    assert found.kept is not None
    assert [m for m, one in enumerate(found.kept) if one] == kept
    assert found.p_values[4] < 0.05 < 0.9 < found.p_values[0]
    for p, other in zip(found.p_values, theirs, strict=True):
        assert abs(p - other) <= monte_carlo_error(max(p, other))
    rounded = np.column_stack([given, given[:, 0] * (1.0 + 2.0**-52)])
    both = confidence_set(rounded).p_values
    assert both is not None
    assert both[4] == both[0]


def test_a_constant_lead_is_certain() -> None:
    given = losses(4)[:, 0]
    found = confidence_set(np.column_stack([given, given + 0.25, np.full(400, 2.0)]))
    assert found.p_values is not None
    assert found.p_values[:2] == (1.0, 0.0)
    assert confidence_set(np.ones((400, 2))).kept == (True, True)
    # Losses of nothing at all: forecasts that were right to the last digit.
    assert confidence_set(np.zeros((400, 2))).kept == (True, True)


def test_resampled_means_vary_as_politis_and_romano_say() -> None:
    """Lemma 1 of Politis & Romano (1994): the bootstrap's variance in closed form."""
    rng = np.random.default_rng(1)
    x = np.convolve(rng.normal(0, 1, 303), np.ones(4), mode="valid")
    x -= x.mean()
    drawn = resampled_means(x[:, None], 8, repetitions=20_000, seed=3)[:, 0]
    days, stay = len(x), 1.0 - 1.0 / 8
    lags = np.arange(1, days)
    covariance = np.array([x[: days - k] @ x[k:] for k in range(days)]) / days
    weights = (1 - lags / days) * stay**lags + lags / days * stay ** (days - lags)
    exact = (covariance[0] + 2.0 * weights @ covariance[1:]) / days
    assert np.mean(drawn**2) == pytest.approx(exact, rel=4 * math.sqrt(2 / 20_000))
    assert abs(drawn.mean()) <= 4 * math.sqrt(exact / 20_000)


def test_every_draw_has_as_many_rows_as_there_are() -> None:
    assert (resampled_means(np.ones((250, 2)), 7) == 1.0).all()


def test_a_block_spans_the_horizon_and_grows_with_the_sample() -> None:
    assert block_length(1000, 1) == 10
    assert block_length(1001, 1) == 11
    assert block_length(1000, 30) == 30


def test_models_with_the_same_losses_share_a_verdict() -> None:
    given = losses(4)
    double = np.column_stack([given, given[:, 2], given[:, 0]])
    found = confidence_set(double)
    plain = confidence_set(given)
    assert found.p_values is not None
    assert plain.p_values is not None
    assert found.p_values[:4] == plain.p_values
    assert found.p_values[4:] == (plain.p_values[2], plain.p_values[0])


def test_a_silent_model_takes_no_part_and_holes_are_left_out() -> None:
    given = losses(5)
    gapped = np.insert(given, 100, np.nan, axis=0)
    silent = np.column_stack([gapped, np.full(401, np.nan)])
    found = confidence_set(silent)
    assert found.kept == (*(confidence_set(given).kept or ()), False)
    assert found.observations == 400
    alone = confidence_set(given[:, :1])
    assert alone.kept == (True,)


@pytest.mark.parametrize(("rows", "horizon", "needed"), [(249, 7, 250), (299, 30, 300)])
def test_too_few_days_make_no_set(rows: int, horizon: int, needed: int) -> None:
    found = confidence_set(losses(6, needed)[:rows], horizon)
    assert (found.kept, found.p_values) == (None, None)
    assert found.text == f"too few: {rows} of {needed} days"
    assert confidence_set(losses(6, needed), horizon).kept is not None


def test_a_set_is_found_without_loading_arch() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, numpy as np;"
            "from perptui.estimation.court.confidence_set import confidence_set;"
            "confidence_set(np.random.default_rng(1).random((300, 3)));"
            "print(sorted({'arch', 'pandas', 'scipy'} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "[]"
