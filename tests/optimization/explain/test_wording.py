"""Figures of settings as a trader says them."""

from __future__ import annotations

import pytest

from perptui.optimization.explain.wording import figure


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("gross_max", 2.0, "2x"),
        ("volatility_max", 0.6, "60%"),
        # Whose limits are volatilities: 100 % of 60 % a year is not 100 % a year.
        ("standalone_risk_max", 1.0, "100% of volatility_max"),
        ("first_component_max", 0.5, "50% of volatility_max"),
        ("beta_max", 0.3, "0.3"),
        ("order_notional_max_usd", 250_000.0, "250000 USD"),
    ],
)
def test_a_figure_has_its_unit(setting: str, value: float, words: str) -> None:
    assert figure(setting, value) == words
