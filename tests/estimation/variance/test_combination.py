import numpy as np
import pytest

from perptui.estimation.recursion import FloatArray
from perptui.estimation.variance.combination import (
    combination_weights,
    combine,
    complete_mean,
    delayed,
    level_corrected,
    mean_relative_losses,
)

BOTH = np.array([True, True])


def slow_mean(values: FloatArray, halflife: float) -> float:
    """The weighted mean with weights 2^(-age/halflife), holes left out, straight from the text."""
    ages = np.arange(len(values))[::-1]
    weights = np.where(np.isfinite(values), 2.0 ** (-ages / halflife), 0.0)
    return float((weights * np.where(np.isfinite(values), values, 0.0)).sum() / weights.sum())


def slow_combination(forecasts: FloatArray, variance: FloatArray, horizon: int) -> FloatArray:
    """Method §2 by loops over days, contracts and models; all models preferred."""
    models, days, contracts = forecasts.shape
    target = np.full((days, contracts), np.nan)
    for t in range(horizon - 1, days):
        target[t] = variance[t - horizon + 1 : t + 1].mean(axis=0)
    own = np.full(forecasts.shape, np.nan)
    for m, t, n in np.ndindex(forecasts.shape):
        pairs = [
            (target[s, n], forecasts[m, s - horizon, n]) if s >= horizon else (np.nan, np.nan)
            for s in range(t + 1)
        ]
        both = np.array([pair if np.isfinite(pair).all() else (np.nan, np.nan) for pair in pairs])
        level = 1.0
        if np.isfinite(both[:, 0]).sum() >= 20:
            ratio = slow_mean(both[:, 0], 60.0) / slow_mean(both[:, 1], 60.0)
            level = min(max(ratio ** (1 / (1 + horizon)), 0.7), 1.6)
        own[m, t, n] = level * forecasts[m, t, n]
    losses = np.full(forecasts.shape, np.nan)
    ratio = target[None, horizon:] / own[:, :-horizon]
    losses[:, horizon:] = ratio - np.log(ratio) - 1
    combined = np.full((days, contracts), np.nan)
    for t in range(days):
        excess = np.full((models, contracts), np.nan)
        for m, n in np.ndindex(models, contracts):
            seen = losses[m, : t + 1, n]
            count = np.isfinite(seen).sum()
            if count >= 20:
                difference = seen - losses[0, : t + 1, n]
                excess[m, n] = (
                    slow_mean(difference, 60.0 * horizon) * count / (count + 60.0 * horizon)
                )
        known = np.isfinite(excess)
        pooled = np.array(
            [row[~np.isnan(row)].mean() if any(row == row) else np.nan for row in excess]
        )
        for n in range(contracts):
            score = np.where(known[:, n], 0.5 * excess[:, n] + 0.5 * pooled, pooled)
            part = np.isfinite(own[:, t, n]) & np.isfinite(score)
            if not part.any():
                part, score = np.isfinite(own[:, t, n]), np.zeros(models)
            if not part.any():
                continue
            raw = np.where(part, np.exp(-(score - score[part].min()) / 0.02), 0.0)
            weight = 0.9 * raw / raw.sum() + 0.1 * part / part.sum()
            combined[t, n] = np.exp((weight[part] * np.log(own[part, t, n])).sum())
    return combined


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_combination_is_that_of_a_plain_loop(horizon: int) -> None:
    rng = np.random.default_rng(horizon)
    variance = np.exp(rng.normal(-7.0, 0.8, (110, 3)))
    forecasts = np.exp(rng.normal(-7.0, 0.3, (3, 110, 3)))
    forecasts[0] = np.exp(-7.2)
    forecasts[1, :50] = np.nan
    forecasts[2, :, 1] = np.nan
    forecasts[2, 80:84, 0] = np.nan
    variance[30:33, 2] = np.nan
    found = combine(forecasts, variance, horizon, np.ones(3, dtype=bool))
    expected = slow_combination(forecasts, variance, horizon)
    np.testing.assert_allclose(found.combined, expected, rtol=1e-10)


def test_levels_are_corrected_towards_what_came_within_bounds() -> None:
    target = np.full((50, 1), 4.0)
    for horizon in (1, 7):
        power = 1 / (1 + horizon)
        level = level_corrected(np.full((50, 1), 3.2), target, horizon)[-1, 0]
        assert level == pytest.approx(3.2 * 1.25**power)
    assert level_corrected(np.full((50, 1), 1.0), target, 1)[-1, 0] == pytest.approx(1.6)
    assert level_corrected(np.full((50, 1), 9.0), target, 1)[-1, 0] == pytest.approx(
        9.0 * max(0.7, (4 / 9) ** 0.5)
    )


def test_a_level_is_left_alone_until_there_are_twenty_pairs() -> None:
    corrected = level_corrected(np.full((30, 1), 1.0), np.full((30, 1), 4.0), 1)
    assert (corrected[:20] == 1.0).all()
    assert (corrected[20:] == 1.6).all()


def test_weights_are_those_of_the_formula() -> None:
    losses = np.array([[[0.50], [0.52]], [[np.nan], [np.nan]]])
    weights = combination_weights(losses, np.ones((2, 2, 1), dtype=bool), BOTH)
    share = 1 / (1 + np.exp(-1.0))
    assert weights[0, :, 0] == pytest.approx([0.9 * share + 0.05, 0.9 * (1 - share) + 0.05])
    assert weights[1, :, 0].tolist() == [0.5, 0.5]


def test_who_takes_part_falls_from_preferred_and_judged_to_whoever_speaks() -> None:
    losses = np.array([0.0, -0.1, np.nan, -0.2])[None, :, None]
    preferred = np.array([False, False, True, True])

    def weighted(*speaks: bool) -> list[bool]:
        weights = combination_weights(losses, np.array(speaks)[None, :, None], preferred)
        return [bool(weight > 0) for weight in weights[0, :, 0]]

    assert weighted(True, True, True, True) == [False, False, False, True]
    assert weighted(True, True, True, False) == [False, False, True, False]
    assert weighted(True, True, False, False) == [True, True, False, False]
    assert weighted(False, False, True, False) == [False, False, True, False]
    nobody = combination_weights(losses, np.zeros((1, 4, 1), dtype=bool), preferred)
    assert np.isnan(nobody).all()


def test_a_newcomer_counts_as_the_first_model_until_its_scores_speak() -> None:
    days = 400
    losses = np.stack([np.full(days, 0.6), np.full(days, 0.5)], axis=1)[:, :, None]
    scores = np.repeat(np.arange(1, days + 1), 2).reshape(days, 2, 1)
    relative = mean_relative_losses(losses, scores, 1)[:, 1, 0]
    assert np.isnan(relative[:19]).all()
    # The mean is -.1 throughout; n/(n + 60) of it is believed.
    assert relative[59] == pytest.approx(-0.1 * 60 / 120)
    assert relative[-1] == pytest.approx(-0.1 * 400 / 460)


def test_a_model_gains_nothing_by_silence_on_wild_days() -> None:
    rng = np.random.default_rng(4)
    wild = np.arange(300) % 3 == 0
    losses = np.repeat(np.where(wild, 2.0, 0.2)[:, None] + rng.normal(0, 0.01, (300, 1)), 2, axis=1)
    losses[wild, 1] = np.nan
    scores = np.cumsum(np.isfinite(losses), axis=0)
    relative = mean_relative_losses(losses[:, :, None], scores[:, :, None], 1)
    assert relative[-1, 1, 0] == pytest.approx(0.0, abs=1e-12)


def test_a_contract_without_scores_takes_those_of_the_others() -> None:
    variance = np.full((200, 2), 1e-4)
    variance[:195, 1] = np.nan
    forecasts = np.stack([np.full((200, 2), 2.5e-4), np.full((200, 2), 1e-4)])
    found = combine(forecasts, variance, 1, BOTH)
    assert found.scores[:, -1, 1].tolist() == [5, 5]
    assert found.weights[1, -1, 1] > 0.9
    assert found.weights[1, -1, 1] == pytest.approx(found.weights[1, -1, 0])


def test_silence_has_no_weight_and_the_first_model_is_shown_in_its_place() -> None:
    rng = np.random.default_rng(5)
    variance = np.exp(rng.normal(-7, 0.5, (120, 2)))
    forecasts = np.full((2, 120, 2), np.exp(-7.0))
    forecasts[1, :, 1] = np.nan
    found = combine(forecasts, variance, 1, np.array([False, True]))
    assert (found.weights[:, :, 1] == np.array([1.0, 0.0])[:, None]).all()
    assert (found.weights[:, :, 0] == np.array([0.0, 1.0])[:, None]).all()
    np.testing.assert_array_equal(found.levelled[1, :, 1], found.levelled[0, :, 1])
    # Whoever has all the weight is the combination, to the last digit.
    np.testing.assert_array_equal(found.combined[:, 0], found.levelled[1, :, 0])
    np.testing.assert_array_equal(found.combined[:, 1], found.levelled[0, :, 1])
    # Nothing was said of the second contract, so there is nothing to judge.
    assert np.isnan(found.losses[1, :, 1]).all()
    assert not found.scores[1, :, 1].any()


def test_a_forecast_of_nothing_is_silence() -> None:
    forecasts = np.full((2, 60, 1), 1e-4)
    forecasts[1, 30:] = 0.0
    found = combine(forecasts, np.full((60, 1), 1e-4), 1, BOTH)
    assert (found.weights[1, 30:] == 0).all()
    np.testing.assert_allclose(found.combined[30:], 1e-4, rtol=1e-12)


def test_weights_sum_to_one_and_the_combination_lies_between_its_models() -> None:
    rng = np.random.default_rng(6)
    forecasts = np.exp(rng.normal(-7, 1, (4, 150, 3)))
    variance = np.exp(rng.normal(-7, 1, (150, 3)))
    found = combine(forecasts, variance, 2, np.ones(4, dtype=bool))
    np.testing.assert_allclose(found.weights.sum(axis=0), 1.0, rtol=1e-12)
    assert (found.combined <= found.levelled.max(axis=0) * (1 + 1e-12)).all()
    assert (found.combined >= found.levelled.min(axis=0) * (1 - 1e-12)).all()


def test_a_mean_of_days_wants_them_all() -> None:
    variance = np.array([[1.0], [2.0], [np.nan], [4.0], [6.0]])
    mean = complete_mean(variance, 2)[:, 0]
    np.testing.assert_array_equal(mean, [np.nan, 1.5, np.nan, np.nan, 5.0])
    assert np.isnan(complete_mean(variance, 9)).all()
    assert np.isnan(delayed(variance, 9)).all()


@pytest.mark.parametrize("horizon", [1, 7])
def test_cutting_the_future_changes_no_byte(horizon: int) -> None:
    rng = np.random.default_rng(7)
    variance = np.exp(rng.normal(-7, 1, (400, 4)))
    forecasts = np.exp(rng.normal(-7, 0.3, (3, 400, 4)))
    forecasts[2, :250] = np.nan
    preferred = np.array([False, True, True])
    whole = combine(forecasts, variance, horizon, preferred)
    for end in rng.integers(30, 400, 20):
        cut = combine(forecasts[:, :end], variance[:end], horizon, preferred)
        assert cut.combined.tobytes() == whole.combined[:end].tobytes()
        assert cut.weights.tobytes() == whole.weights[:, :end].tobytes()
        assert cut.losses.tobytes() == whole.losses[:, :end].tobytes()
