"""Limits that contradict each other, or leave nothing to hold, are refused with the cure."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.model.errors import ConfigError
from perptui.model.stress import Stress
from perptui.model.whatif import PutQuote
from perptui.settings.load import load
from perptui.settings.paths import resource
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
        ({"net_min": 0.5, "gross_max": 0.3}, "limits.net_min"),
        (
            {"trade_min_usd": Decimal(60_000), "ticket_notional_max_usd": Decimal(50_000)},
            "limits.trade_min_usd",
        ),
        ({"drawdown_max": 0.0}, "strategy.balanced.drawdown_control"),
    ],
)
def test_two_limits_that_no_book_keeps_are_named(changes: dict[str, object], path: str) -> None:
    limits = msgspec.structs.replace(SETTINGS.limits, **changes)
    found = dict(contradictions(msgspec.structs.replace(SETTINGS, limits=limits)))
    assert path in found
    assert "expected" in found[path]
    assert ";" in found[path]


@pytest.mark.parametrize(
    "changes",
    [
        {"coin_gross_max": 0.2},
        {"coin_net_max": 1.3},
        {"ticket_notional_max_usd": Decimal(50_000)},
        {"day_notional_max_usd": Decimal(50_000)},
        {"messages_per_minute": 1},
    ],
)
def test_of_two_ceilings_the_lower_rules(changes: dict[str, object]) -> None:
    limits = msgspec.structs.replace(SETTINGS.limits, **changes)
    assert list(contradictions(msgspec.structs.replace(SETTINGS, limits=limits))) == []


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


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"held": 2.5}, ""),
        ({"premium_usd": 0.0}, "expected a positive strike"),
        ({"held": -1.0}, "held of 0 or more"),
        ({"premium_usd": 50_000.0}, "expected a premium_usd below the strike of 50000"),
        ({"expiry_ms": 1_798_000_000}, "write all thirteen digits"),
    ],
)
def test_a_put_that_no_market_has_is_refused(changes: dict[str, float], why: str) -> None:
    put = msgspec.structs.replace(PutQuote("BTC", 50_000.0, 1_798_000_000_000, 1_200.0), **changes)
    balanced = msgspec.structs.replace(SETTINGS.strategy["balanced"], puts=(put,))
    changed = msgspec.structs.replace(
        SETTINGS, strategy={**SETTINGS.strategy, "balanced": balanced}
    )
    found = dict(contradictions(changed))
    assert list(found) == (["strategy.balanced.puts"] if why else [])
    assert why in found.get("strategy.balanced.puts", "")


@pytest.mark.parametrize(
    ("moves", "path"),
    [
        ({"crash": {"BTC": -0.4, "*": -0.5}}, ""),
        ({"up": {"BTC": 0.4}}, "stress.moves.up"),
        ({"a b": {"BTC": 0.4}}, "stress.moves.a b"),
        ({"crash": {}}, "stress.moves.crash"),
        ({"crash": {"btc": -0.4}}, "stress.moves.crash"),
    ],
)
def test_a_stress_is_named_and_moves_coins(moves: dict[str, dict[str, float]], path: str) -> None:
    changed = msgspec.structs.replace(SETTINGS, stress=Stress(moves, 0.1))
    assert [found for found, _ in contradictions(changed)] == ([path] if path else [])


def test_a_stress_of_ones_own_replaces_the_shipped_ones(tmp_path: Path) -> None:
    limits = resource("config.toml").read_text().partition("[limits]")[2].partition("# ---")[0]
    file = tmp_path / "config.toml"
    file.write_text(f'[limits]{limits}\n[stress]\n[stress.moves]\nmine = {{ "*" = -0.3 }}\n')
    assert load(file).settings.stress == Stress({"mine": {"*": -0.3}}, 0.0)
    file.write_text(f'[limits]{limits}\n[stress.moves]\nmine = {{ "*" = -1.0 }}\n')
    with pytest.raises(ConfigError, match=r"stress\.moves\.mine\.\*.*-0\.95 to 10"):
        load(file)
    file.write_text(f"[limits]{limits}\n")
    assert load(file).settings.stress == SETTINGS.stress
    assert len(SETTINGS.stress.moves) == 2
