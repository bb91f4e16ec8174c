"""What is said of puts that are still to be bought, and of puts held."""

from __future__ import annotations

import msgspec
import pytest

from perptui.model.limit import LimitCheck
from perptui.model.whatif import PutQuote
from perptui.optimization.hedges import withheld, withheld_rows
from perptui.optimization.unhedged import Unhedged
from tests.optimization.market import BALANCED

BROKEN = LimitCheck("cvar", 0.2, 0.1, ok=False)
PUT = PutQuote("BTC", 50_000.0, 1_800_000_000_000, 1_200.0)


@pytest.mark.parametrize(("asked", "cure"), [(True, "out of the what-if"), (False, "hedge_from=")])
def test_the_cure_is_one_that_changes_something(asked: bool, cure: str) -> None:
    words = Unhedged((BROKEN,), (BROKEN,), asked).words((), (BROKEN,))
    assert "cvar would be 0.2 against its limit 0.1 until the puts are bought" in words[0]
    assert cure in words[0]
    assert ("hedge_from=never" in words[0]) is not asked


def test_a_put_that_is_held_is_not_also_said_to_be_not_bought() -> None:
    why = withheld((PUT,), BALANCED, "calm")
    assert why == "not bought: balanced never hedges; set hedge_from"
    held = msgspec.structs.replace(PUT, held=4.44)
    assert [row.why for row in withheld_rows((PUT, held), why)] == [why]
