"""What a way out of a conflict needs where venues take whole lots only, by hand."""

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from perptui.optimization.explain.clash import clashes, summary
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.rebalance import rebalance
from tests.optimization.market import BALANCED, LIMITS
from tests.optimization.three_coins import BTC, DRIFTLESS, market_of


def held_in_lots_of(step: str) -> Callable[[str], ProgramInputs]:
    """Return how the program is posed of a book of 2.5 BTC, 1.5 of equity, with a turnover of .3.

    By .35 it would come down to the .8 that a coin may have.
    """
    snap = market_of({BTC: "2.5"})
    lot = Decimal(step)
    coarse = {"step": lot, "min_contracts": lot}
    instruments = tuple(
        msgspec.structs.replace(one, **coarse) if one.id == BTC else one for one in snap.instruments
    )
    snap = msgspec.structs.replace(snap, instruments=instruments)
    rules = msgspec.structs.replace(LIMITS, turnover_max=0.3)

    def posed(assignment: str) -> ProgramInputs:
        setting, _, value = assignment.partition("=")
        bent = msgspec.structs.replace(rules, **{setting: float(value)})
        return program_inputs(snap, DRIFTLESS, BALANCED, bent, {})

    return posed


@pytest.mark.parametrize(("step", "least"), [("0.1", 0.36), ("0.25", 0.375), ("0.5", 0.45)])
def test_what_is_needed_in_lots_is_the_first_that_does(step: str, least: float) -> None:
    """Lots of .06, .15 and .3 of equity: twelve, five and three of them sell the .7 or more."""
    posed = held_in_lots_of(step)
    found = {one.setting: one.needed for one in clashes(posed("turnover_max=0.3"), posed)}
    needed = found["turnover_max"]
    assert needed is not None
    # Within half a percent of the change from .3, and the last digit that is said.
    assert least <= needed <= least + 0.005 * (least - 0.3) + 2e-4
    assert rebalance(posed(f"turnover_max={needed!r}")).solution.status == "optimal"


def test_lots_too_coarse_for_what_is_needed_are_no_fault_of_the_solver() -> None:
    # One lot is the whole book: all of it or nothing is sold.
    posed = held_in_lots_of("2.5")
    found = clashes(posed("turnover_max=0.3"), posed)
    assert {one.setting: one.needed for one in found} == {
        "turnover_max": None,
        "coin_net_max": None,
    }
    for one in found:
        assert one.text.endswith(": with what it needs alone no book in whole lots was found")
    assert summary(found).endswith(
        ": with what one of them needs alone no book in whole lots was found"
    )
