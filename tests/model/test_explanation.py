"""Relaxations are rounded one way, everywhere: away from the limit, to four digits."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.explanation import DIGITS, Clash, outward
from perptui.optimization.explain.wording import figure


@pytest.mark.parametrize(
    ("limit", "needed", "relaxed"),
    [
        (0.05, 1.05136, 1.052),
        (2.0, 2.87119, 2.872),
        (0.3, 0.123456, 0.1234),
        (0.5, -0.123412, -0.1235),
        (0.3, 0.1 + 0.2, 0.3),
        (1.0, 0.0, 0.0),
        (500_000.0, 612_340.4, 612_400.0),
    ],
)
def test_what_is_said_would_do(limit: float, needed: float, relaxed: float) -> None:
    assert Clash("gross", limit, needed).relaxed == relaxed


def test_without_a_value_there_is_none() -> None:
    assert Clash("gross", 1.0, None).relaxed is None


@given(st.floats(1e-6, 1e9), st.booleans())
def test_the_figure_is_never_narrower_and_little_wider(value: float, rising: bool) -> None:
    exact = Decimal(repr(value))
    found = outward(exact, rising=rising)
    dust = exact * Decimal("1e-9")
    assert found >= exact - dust if rising else found <= exact + dust
    assert abs(found - exact) <= exact * Decimal(10) ** (1 - DIGITS) + dust


def test_sentences_and_heads_hold_one_figure() -> None:
    assert figure("turnover_max", 1.05136, outward_from=0.05) == "105.2%"
    assert figure("target:binanceusdm:BTC/USDT:USDT", -0.6) == "-0.6"
