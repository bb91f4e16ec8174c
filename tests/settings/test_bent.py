"""A what-if keeps to the ranges of config.toml, by the same table."""

from __future__ import annotations

import pytest

from perptui.model.assignment import LIMITS, PARAMETERS, bend_all
from perptui.model.errors import InputError
from perptui.model.whatif import WhatIf
from perptui.settings.bent import refuse_out_of_range
from perptui.settings.load import load
from perptui.settings.ranges import range_of

SETTINGS = load().settings


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["gross_max=10.5"], "expected gross_max from 0 to 10, was 10.5"),
        (["uncertainty=11"], "expected uncertainty from 0 to 10, was 11"),
        (["horizon_days=0.5"], "expected horizon_days from 1 to 30, was 0.5"),
        (["net_min=0.5", "net_max=0.2"], "limits.net_min: expected at most limits.net_max = 0.2"),
        (["stablecoin_min=0,0,0,1.5"], "expected stablecoin_min from 0 to 1, was 1.5"),
        (["stablecoin_min=0,0,0,1"], ".stablecoin_min: expected below 1, was 1.0"),
        (["margin_cushion=101"], "expected margin_cushion from 0 to 100, was 101"),
        (["stress:crsh:BTC=-0.4"], "expected a stress of the desk (covid-2020-03, ftx-2022-11"),
        (["strategy=lucky"], "expected a strategy among balanced, hybrid, tactical, was 'lucky'"),
    ],
)
def test_what_config_would_refuse_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(InputError) as refused:
        refuse_out_of_range(bend_all(WhatIf(), texts), SETTINGS)
    assert said in str(refused.value)


def test_what_config_allows_is_allowed() -> None:
    texts = ["gross_max=10", "uncertainty=0", "robust=off", "strategy=tactical", "horizon_days=30"]
    refuse_out_of_range(bend_all(WhatIf(), texts), SETTINGS)


def test_every_number_that_can_be_bent_has_a_range() -> None:
    numbers = [f"limits.{name}" for name in LIMITS]
    numbers += [f"strategy.*.{name}" for name, kind in PARAMETERS.items() if kind is float]
    assert [path for path in numbers if range_of(path) is None] == []


def test_collateral_that_loses_everything_is_no_supposition() -> None:
    with pytest.raises(InputError, match=r"expected depeg from 0 to 0\.99, was 1"):
        refuse_out_of_range(WhatIf(parameters={"depeg": 1.0}), SETTINGS)
