"""The bound on CVaR by mean and deviation: never below CVaR, and met by the worst distribution."""

from dataclasses import replace

import numpy as np
import pytest

from perptui.optimization.inputs import FloatArray
from perptui.optimization.tail_bound import surely_keep_tail
from perptui.risk.arrays import LimitArrays, book_shortfall
from tests.optimization.program.fat_tails import fat_inputs


def with_scenarios(scenarios: FloatArray, cap: float, tail: float = 0.05) -> LimitArrays:
    limits = fat_inputs(3, len(scenarios)).limits
    offset = np.zeros(len(scenarios))
    return replace(limits, scenarios=scenarios, scenario_offset=offset, tail=tail, cvar_max=cap)


@pytest.mark.unmeasured
@pytest.mark.parametrize("seed", range(6))
def test_what_surely_keeps_the_cap_keeps_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenarios = rng.standard_t(3, (400, 3)) * 0.05
    books = rng.normal(0.0, 0.5, (40, 3))
    cvar = book_shortfall(books, with_scenarios(scenarios, 1.0))
    kept = 0
    for share in (0.5, 0.99, 1.0, 3.0):
        for book, value in zip(books, cvar, strict=True):
            if surely_keep_tail(book[None, :], with_scenarios(scenarios, share * float(value))):
                kept += 1
                assert share > 1.0
    assert kept >= len(books)


def test_the_worst_distribution_has_no_less_than_the_bound() -> None:
    # Two points: t of the paths lose, the rest gain alike; -m + s·sqrt((1-t)/t) is their loss.
    moves = np.where(np.arange(400) < 20, -0.3, 0.02)[:, None] * np.ones(3)
    book = np.array([[0.5, 0.2, 0.3]])
    assert book_shortfall(book, with_scenarios(moves, 1.0))[0] == pytest.approx(0.3)
    assert not surely_keep_tail(book, with_scenarios(moves, 0.3 * (1.0 - 1e-6)))
    assert surely_keep_tail(book, with_scenarios(moves, 0.3 * (1.0 + 1e-6)))


def test_one_book_beyond_it_is_enough_and_other_holdings_are_never_sure() -> None:
    moves = np.where(np.arange(400) < 20, -0.3, 0.02)[:, None] * np.ones(3)
    limits = with_scenarios(moves, 0.31)
    books = np.array([[0.5, 0.2, 0.3], [0.9, 0.2, 0.3]])
    assert surely_keep_tail(books[:1], limits)
    assert not surely_keep_tail(books, limits)
    held = replace(limits, scenario_offset=np.full(400, 1e-3))
    assert not surely_keep_tail(books[:1], held)
