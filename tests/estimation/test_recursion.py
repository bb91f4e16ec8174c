import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import lfilter

from perptui.estimation.recursion import carried, decay, decayed_sum, divided, ewma, lagged


def test_half_of_the_weight_is_lost_in_a_half_life() -> None:
    assert decay(7.0) ** 7 == pytest.approx(0.5, rel=1e-14)
    with pytest.raises(ValueError, match="positive half-life"):
        decay(0.0)


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 500])
def test_the_blocked_sum_is_the_recursive_filter(rows: int) -> None:
    x = np.random.default_rng(5).normal(size=(rows, 3))
    np.testing.assert_allclose(
        decayed_sum(x, 0.97), lfilter([1.0], [1.0, -0.97], x, axis=0), rtol=1e-11, atol=1e-12
    )


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 150), st.integers(1, 3)),
        elements=st.one_of(st.floats(-10, 10), st.just(np.nan)),
    ),
    st.floats(0.5, 100),
)
def test_the_mean_is_that_of_pandas_with_holes(x: np.ndarray, halflife: float) -> None:
    expected = pd.DataFrame(x).ewm(halflife=halflife, adjust=True, ignore_na=False).mean()
    np.testing.assert_allclose(ewma(x, halflife), expected.to_numpy(), rtol=1e-7, atol=1e-9)


def test_the_mean_follows_the_bias_corrected_recursion_of_the_method() -> None:
    x = np.random.default_rng(2).normal(size=40) ** 2
    b, mean = 2.0 ** (-1.0 / 9.0), 0.0
    expected = []
    for t, value in enumerate(x):
        mean += (1 - b) * (value - mean) / (1 - b ** (t + 1))
        expected.append(mean)
    np.testing.assert_allclose(ewma(x, 9.0), expected, rtol=1e-12)


def test_division_and_lag_leave_holes() -> None:
    x = np.array([4.0, 9.0])
    assert divided(x, np.array([2.0, 0.0]), np.array([True, False]), 7.0).tolist() == [2.0, 7.0]
    assert np.isnan(lagged(x)[0])
    assert lagged(x)[1] == 4.0


@pytest.mark.parametrize("rows", [0, 1, 2, 500])
def test_a_sum_is_carried_by_the_share_of_each_row(rows: int) -> None:
    rng = np.random.default_rng(rows)
    x, share = rng.normal(size=(rows, 2)), rng.uniform(-0.5, 1.0, rows)
    written, before = np.empty((rows, 2)), np.zeros(2)
    for t in range(rows):
        before = written[t] = share[t] * before + x[t]
    np.testing.assert_allclose(carried(x, share), written, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(carried(x[:, 0], share), carried(x, share)[:, 0])
    for cut in (1, rows // 2):
        early = carried(x[:cut], share[:cut])
        np.testing.assert_array_equal(early, carried(x, share)[:cut])
    if rows:
        filtered = lfilter([1.0], [1.0, -0.9], x, axis=0)
        np.testing.assert_allclose(carried(x, 0.9), filtered, rtol=1e-12, atol=1e-14)
