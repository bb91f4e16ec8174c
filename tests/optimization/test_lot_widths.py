"""An optimum that no lots come near is not called a lack of gain, and what it asks for would do."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perptui.model.proposal import Proposal
from perptui.optimization.compose import compose
from perptui.optimization.rebalance import rebalance
from tests.optimization.explain.markets import LOOSE, PLAIN, one_venue


def proposed(**limits: Any) -> Proposal:
    told = one_venue(0)
    inputs = told.posed(msgspec.structs.replace(LOOSE, **limits))
    answer = rebalance(inputs)
    return compose(inputs, answer, told.snapshot, told.estimates, PLAIN, "digest")


@pytest.mark.unmeasured
@pytest.mark.parametrize("setting", ["market_correlation_max", "beta_max"])
def test_a_limit_of_no_width_says_so_and_the_width_that_would_do(setting: str) -> None:
    found = proposed(**{setting: 0.0})
    assert (found.status, found.orders) == ("no_trade", ())
    assert found.explanation.objective_usd_per_day is not None
    assert found.explanation.objective_usd_per_day > 1.0
    assert found.reasons[0].startswith("lots are too coarse for the optimum, which gains ")
    said = re.search(rf"keeps {setting} 0; {setting} (\S+) would do", found.reasons[0])
    assert said is not None, found.reasons[0]
    wider = proposed(**{setting: float(said[1])})
    assert (wider.status, wider.exportable) == ("ok", True)


def test_trades_that_are_all_too_small_are_not_called_a_lack_of_gain() -> None:
    found = proposed(trade_min_usd=Decimal(450_000))
    assert found.status == "no_trade"
    assert found.reasons[0].startswith("every trade that would gain is too small to be made: ")
    assert found.reasons[0].endswith("is below the smallest of 450,000 USD")


def test_no_contract_is_traded_that_is_explained_as_left_out() -> None:
    for smallest in (300_000, 450_000):
        found = proposed(trade_min_usd=Decimal(smallest))
        left_out = {
            one.name.removeprefix("trade_min:")
            for one in found.explanation.limits
            if one.name.startswith("trade_min:")
        }
        assert left_out
        assert not [one.id for one in found.rows if one.trade_usd and one.id in left_out]
