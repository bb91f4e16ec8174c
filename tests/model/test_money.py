from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.money import (
    ceil_to_tick,
    decimal_of,
    floor_to_tick,
    nearest_step,
    plain,
    to_cents,
    truncate_to_step,
)

amounts = st.decimals(-(10**9), 10**9, places=6)
steps = st.sampled_from([Decimal(text) for text in ("1000", "1", "0.1", "0.001", "0.25")])


def test_floats_keep_their_shortest_decimal_form() -> None:
    assert decimal_of(0.1, "price") == Decimal("0.1")
    assert decimal_of("97844.20", "price") == Decimal("97844.2")


@pytest.mark.parametrize(
    "bad", [None, True, "", "abc", "NaN", "1e999x", float("nan"), "Infinity", []]
)
def test_what_is_no_finite_number_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="mark"):
        decimal_of(bad, "mark")


@given(amounts, steps)
def test_truncating_never_enlarges_a_position(amount: Decimal, step: Decimal) -> None:
    rounded = truncate_to_step(amount, step)
    assert rounded % step == 0
    assert abs(rounded) <= abs(amount)
    assert abs(amount) - abs(rounded) < step


@given(amounts, steps)
def test_a_price_lies_between_its_ticks(price: Decimal, tick: Decimal) -> None:
    assert floor_to_tick(price, tick) <= price <= ceil_to_tick(price, tick)
    assert ceil_to_tick(price, tick) - floor_to_tick(price, tick) in {Decimal(0), tick}
    assert abs(nearest_step(price, tick) - price) <= tick / 2


def test_a_step_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive step"):
        truncate_to_step(Decimal(5), Decimal(0))


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+2", "100"), ("0.500", "0.5"), ("-0", "0"), ("-12.340", "-12.34"), ("1E-7", "0.0000001")],
)
def test_plain_text_has_no_exponent(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


@pytest.mark.parametrize(
    ("amount", "cents"), [("0.125", "0.12"), ("0.135", "0.14"), ("-0.001", "0.00")]
)
def test_cents_do_not_rest_on_the_threads_rounding(amount: str, cents: str) -> None:
    with localcontext() as context:
        context.rounding = ROUND_HALF_UP
        assert str(to_cents(Decimal(amount))) == cents
