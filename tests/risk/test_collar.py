"""The collar of limit prices: narrow where a leg adds, wide in a storm where it reduces."""

from __future__ import annotations

from decimal import Decimal

import pytest

from perptui.model.order import Side
from perptui.risk.collar import collar_bps, collar_width, limit_price
from tests.optimization.market import LIMITS

D = Decimal


@pytest.mark.parametrize(
    ("reducing", "sigma", "expected"),
    [
        (False, 5.0, 30.0),
        (True, None, 30.0),
        (True, 0.5, 30.0),
        # 3 x 4.0 x sqrt(30 s / 365 d) = 117.04 bp
        (True, 4.0, 117.041),
        (True, 20.0, 200.0),
    ],
)
def test_the_collar_widens_for_reducing_legs_in_a_storm(
    reducing: bool, sigma: float | None, expected: float
) -> None:
    found = collar_bps(LIMITS, sigma, reducing=reducing)
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("side", "tick", "expected"),
    [
        (Side.BUY, "0.1", "60222"),
        (Side.SELL, "0.1", "59778"),
        (Side.BUY, "5", "60220"),
        (Side.SELL, "5", "59780"),
    ],
)
def test_prices_stand_at_the_collar_towards_the_mark(side: Side, tick: str, expected: str) -> None:
    """60 000 and 37 bp: 222 either way, rounded towards the mark."""
    price = limit_price(D(60000), D(tick), side, 37.0)
    assert price == D(expected)
    assert abs(price - D(60000)) <= collar_width(D(60000), 37.0) == D(222)


def test_a_collar_that_leaves_no_price_is_refused() -> None:
    with pytest.raises(ValueError, match="positive limit price"):
        limit_price(D(3), D("0.1"), Side.SELL, 10_000.0)
