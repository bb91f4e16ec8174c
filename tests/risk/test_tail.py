"""CVaR on scenarios, against Rockafellar and Uryasev's own minimisation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.risk.tail import FloatArray, shortfall, shortfall_slope, tail_count, worst_of


def by_minimisation(losses: FloatArray, tail: float) -> float:
    """min_a a + E[(loss - a)+]/tail: piecewise linear in a, so least at one of the losses."""
    return float(min(a + np.maximum(losses - a, 0.0).mean() / tail for a in losses))


@given(
    st.integers(1, 60),
    st.sampled_from([0.01, 0.05, 0.1, 1 / 3, 0.5, 1.0]),
    st.integers(0, 1000),
    st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_shortfall_is_the_minimum_of_rockafellar_and_uryasev(
    paths: int, tail: float, seed: int, tied: bool
) -> None:
    returns = np.random.default_rng(seed).standard_t(3, (3, paths))
    if tied:
        returns = np.round(returns)
    expected = [by_minimisation(-book, tail) for book in returns]
    assert shortfall(returns, tail) == pytest.approx(expected, abs=1e-12)


def test_the_atom_at_the_edge_of_the_tail_counts_by_its_fraction() -> None:
    # A tail of 2.5 paths of 10: the two worst, and half of the third.
    returns = np.array([[-10.0, -6.0, -4.0, *range(7)]])
    assert tail_count(10, 0.25) == (2, 0.5)
    assert shortfall(returns, 0.25)[0] == pytest.approx((10 + 6 + 0.5 * 4) / 2.5)
    # .05 of 1 000 is fifty, whatever floats say.
    assert tail_count(1000, 0.05) == (50, 0.0)
    assert tail_count(7, 1.0) == (7, 0.0)


@given(st.integers(0, 500), st.sampled_from([0.05, 0.13, 1.0]))
@settings(max_examples=60, deadline=None)
def test_the_slope_bounds_every_other_book_from_below(seed: int, tail: float) -> None:
    generator = np.random.default_rng(seed)
    scenarios = generator.standard_t(4, (80, 4))
    beside = generator.normal(0, 0.1, 80)
    book = generator.normal(0, 1, 4)
    value, slope = shortfall_slope(scenarios, scenarios @ book + beside, tail)
    assert value == pytest.approx(shortfall((scenarios @ book + beside)[None, :], tail)[0])
    others = book + generator.normal(0, 1, (40, 4)) * generator.choice([1e-4, 0.1, 2.0], (40, 1))
    true = shortfall(others @ scenarios.T + beside, tail)
    assert (true >= value + (others - book) @ slope - 1e-12).all()
    # And it is the gradient: central differences, where no two paths change places.
    step = 1e-7
    nudged = np.concatenate([book + step * np.eye(4), book - step * np.eye(4)])
    moved = shortfall(nudged @ scenarios.T + beside, tail)
    assert (moved[:4] - moved[4:]) / (2 * step) == pytest.approx(slope, abs=1e-5)


def test_the_worst_paths_are_those_that_the_tail_is_made_of() -> None:
    returns = np.random.default_rng(4).normal(0, 1, 1000)
    worst = worst_of(returns, 0.05, 3.0)
    assert len(worst) == 151
    assert (np.diff(worst) > 0).all()
    assert set(np.argsort(returns)[:150]) <= set(worst)
    # A mean over as many as the tail of all holds is the shortfall of all.
    assert shortfall(returns[None, worst], 0.05 * 1000 / 151)[0] == pytest.approx(
        shortfall(returns[None, :], 0.05)[0]
    )
    assert worst_of(returns[:10], 0.5, 3.0).tolist() == list(range(10))
