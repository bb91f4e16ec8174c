"""Ways out of a clash: what is said of them is what taking them leads to."""

import msgspec
import pytest

from perptui.optimization.checks import checks_of, exact_book
from perptui.optimization.explain.reduction import reduce_only_share
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.orders import positions_after
from perptui.optimization.pose import program_inputs
from perptui.optimization.rebalance import rebalance
from perptui.optimization.ways_out import reduction_of
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    covariance,
    estimates,
    instrument,
    snapshot,
)

LEGS = [instrument("BTC"), instrument("ETH"), instrument("SOL", step="1")]
BTC, ETH, SOL = (one.id for one in LEGS)
MARKS = {BTC: "60000", ETH: "3000", SOL: "150"}
FOUND = estimates(LEGS, MARKS, [0.0] * 3, covariance([0.5, 0.65, 0.9], 0.7))
SNAP = snapshot(LEGS, MARKS, {"binanceusdm": "100000"}, {BTC: "1", ETH: "20", SOL: "-400"})


def posed(
    targets: dict[str, float] | None = None, *, reduce_only: bool = False, **limits: float
) -> ProgramInputs:
    rules = msgspec.structs.replace(LIMITS, **limits)
    return program_inputs(SNAP, FOUND, BALANCED, rules, targets or {}, reduce_only=reduce_only)


@pytest.mark.parametrize(("turnover_max", "share"), [(0.2, 0.5), (0.5, 0.5), (0.5, None)])
def test_where_only_reducing_leads_is_where_taking_it_leads(
    turnover_max: float, share: float | None
) -> None:
    # .6 of each of three: to half of it takes a turnover of .45.
    inputs = posed(gross_max=0.9, turnover_max=turnover_max)
    assert reduce_only_share(inputs) == 0.5
    found = reduction_of(inputs, share)
    assert found is not None
    only = posed(reduce_only=True, gross_max=0.9, turnover_max=turnover_max)
    book = exact_book(only, positions_after(only, rebalance(only).steps))
    left = tuple(check.name for check in checks_of(only, book) if not check.ok)
    assert found.breached == left
    assert found.share_at_once == (turnover_max == 0.5 and share is not None)
    if turnover_max == 0.2:
        assert "gross" in left
        assert found.turnover == pytest.approx(0.2, abs=1e-3)
    else:
        assert left == ()


def test_what_is_asked_for_already_or_opens_is_no_way_out() -> None:
    assert reduction_of(posed(reduce_only=True, gross_max=0.9), 0.5) is None
    assert reduction_of(posed({BTC: 0.7}, gross_max=0.9), 0.5) is None
    # A fixed target that reduces may stay.
    assert reduction_of(posed({BTC: 0.5}, gross_max=0.9), 0.5) is not None
    flat = snapshot(LEGS, MARKS, {"binanceusdm": "100000"})
    rules = msgspec.structs.replace(LIMITS, net_min=0.5, gross_max=0.4)
    assert reduction_of(program_inputs(flat, FOUND, BALANCED, rules, {}), None) is None
