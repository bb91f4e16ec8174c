"""Ways out of a clash: what is said of them is what taking them leads to."""

import pytest

from perptui.optimization.checks import checks_of, exact_book
from perptui.optimization.explain.reduction import reduce_only_share
from perptui.optimization.orders import positions_after
from perptui.optimization.rebalance import rebalance
from perptui.optimization.search import run
from perptui.optimization.ways_out import reduction_of
from tests.optimization.three_coins import BTC, ETH, SOL, posed

HELD = {BTC: "1", ETH: "20", SOL: "-400"}


@pytest.mark.parametrize(("turnover_max", "share"), [(0.2, 0.5), (0.5, 0.5), (0.5, None)])
def test_where_only_reducing_leads_is_where_taking_it_leads(
    turnover_max: float, share: float | None
) -> None:
    # .6 of each of three: to half of it takes a turnover of .45.
    inputs = posed(HELD, limits={"gross_max": 0.9, "turnover_max": turnover_max})
    assert reduce_only_share(inputs) == 0.5
    found = run(reduction_of(inputs, share))
    assert found is not None
    only = posed(HELD, reduce_only=True, limits={"gross_max": 0.9, "turnover_max": turnover_max})
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
    assert run(reduction_of(posed(HELD, reduce_only=True, limits={"gross_max": 0.9}), 0.5)) is None
    assert run(reduction_of(posed(HELD, {BTC: 0.7}, limits={"gross_max": 0.9}), 0.5)) is None
    # A fixed target that reduces may stay.
    assert run(reduction_of(posed(HELD, {BTC: 0.5}, limits={"gross_max": 0.9}), 0.5)) is not None
    assert run(reduction_of(posed(limits={"net_min": 0.5, "gross_max": 0.4}), None)) is None
