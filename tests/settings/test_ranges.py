"""Limits that contradict each other, or leave nothing to hold, are refused with the cure."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from perptui.settings.load import load
from perptui.settings.ranges import contradictions, range_of

SETTINGS = load().settings


def test_the_shipped_settings_agree_with_themselves() -> None:
    assert list(contradictions(SETTINGS)) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"net_min": 3.5, "net_max": 4.0}, "limits.net_min"),
        ({"net_min": -9.0, "net_max": -3.5}, "limits.net_max"),
        ({"trade_min_usd": Decimal(600_000)}, "limits.trade_min_usd"),
        ({"free_collateral_min": 1.0}, "limits.free_collateral_min"),
        ({"coin_net_max": 1.3}, "limits.coin_net_max"),
        ({"drawdown_max": 0.0}, "strategy.balanced.drawdown_control"),
    ],
)
def test_two_limits_that_no_book_keeps_are_named(changes: dict[str, object], path: str) -> None:
    limits = msgspec.structs.replace(SETTINGS.limits, **changes)
    found = dict(contradictions(msgspec.structs.replace(SETTINGS, limits=limits)))
    assert path in found
    assert "expected" in found[path]
    assert ";" in found[path]


def test_a_sleeve_of_everything_leaves_no_margin() -> None:
    balanced = msgspec.structs.replace(
        SETTINGS.strategy["balanced"], stablecoin_min=(0.0, 0.0, 0.5, 1.0)
    )
    changed = msgspec.structs.replace(
        SETTINGS, strategy={**SETTINGS.strategy, "balanced": balanced}
    )
    assert [path for path, _ in contradictions(changed)] == ["strategy.balanced.stablecoin_min"]


def test_what_others_are_shares_of_is_never_zero() -> None:
    for name in ("volatility_max", "cvar_max"):
        bounds = range_of(f"limits.{name}")
        assert bounds is not None
        assert bounds[0] > 0.0
