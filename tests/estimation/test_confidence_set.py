import numpy as np
import pytest
from arch.bootstrap import MCS

from perptui.estimation.confidence_set import block_length, confidence_set


def losses(seed: int, rows: int = 400) -> np.ndarray:
    """Four models' losses (T, 4) that share their days; the third is worse, the last far worse."""
    rng = np.random.default_rng(seed)
    common = rng.chisquare(2, (rows, 1)) * 0.2
    return common + rng.normal([0.10, 0.10, 0.14, 0.4], 0.1, (rows, 4))


def test_the_set_is_archs() -> None:
    given = losses(3)
    found = confidence_set(given, horizon=5)
    mcs = MCS(given, 0.10, reps=1000, block_size=8, method="R", seed=2011)
    mcs.compute()
    assert found.kept is not None
    assert [m for m, kept in enumerate(found.kept) if kept] == mcs.included
    assert found.p_values == pytest.approx(mcs.pvalues["Pvalue"].sort_index().tolist(), abs=0.01)
    assert found.kept[3] is False
    assert found.observations == 400
    assert confidence_set(given, horizon=5) == found


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


def test_too_few_days_make_no_set() -> None:
    found = confidence_set(losses(6)[:69], horizon=7)
    assert (found.kept, found.p_values) == (None, None)
    assert found.text == "too few: 69 of 70 days"
