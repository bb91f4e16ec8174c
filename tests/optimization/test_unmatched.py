"""A configured name that matches nothing is said, and one that matches is not."""

from __future__ import annotations

import msgspec

from perptui.model.strategy import HoldingCost
from perptui.optimization.pose import program_inputs
from perptui.optimization.unmatched import unmatched
from tests.optimization.market import BALANCED, LIMITS
from tests.optimization.three_coins import BTC, FOUND, SNAP

STRANGER = "binanceusdm:XPR/USDT:USDT"


def test_each_name_that_matches_nothing_has_a_line() -> None:
    limits = msgspec.structs.replace(LIMITS, restricted=(BTC, STRANGER))
    strategy = msgspec.structs.replace(
        BALANCED,
        hedge_shorts=(BTC, STRANGER),
        holding_costs=(HoldingCost("binanceusdm", 0.01), HoldingCost("binance", 0.01)),
    )
    stresses = {"squeeze": {"BTX": -0.5, "BTC": -0.4}, "crash": {"LUNA": -0.9, "*": -0.5}}
    inputs = program_inputs(SNAP, FOUND, strategy, limits, {}, stresses=stresses)
    assert inputs.notes[:4] == (
        f"limits.restricted: {STRANGER} is no contract of this desk and restricts nothing",
        f"hedge_shorts: {STRANGER} is no contract of this desk and hedges nothing",
        "holding_costs: binance is no venue of this desk and costs nothing",
        "stress.moves.squeeze: BTX is no coin of this desk and moves nothing",
    )
    assert not any(note.endswith("nothing") for note in inputs.notes[4:])


def test_names_that_match_say_nothing() -> None:
    inputs = program_inputs(SNAP, FOUND, BALANCED, LIMITS, {})
    limits = msgspec.structs.replace(LIMITS, restricted=(BTC,))
    assert unmatched(inputs.contracts, limits, BALANCED, {"squeeze": {"BTC": -0.4}}) == ()
