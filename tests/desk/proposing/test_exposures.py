"""The exposure scale of the previous bar, and the risk aversions of a frontier."""

from __future__ import annotations

from perptui.desk.proposing.exposures import Exposures
from perptui.desk.proposing.frontier import aversions_around
from perptui.model.clock import HOUR_MS
from tests.desk.market import NOW_MS


def test_aversions_stay_in_range_and_come_once() -> None:
    around = aversions_around(4.0)
    assert around[2] == 4.0
    assert sorted(around)[0] == 4.0 / 32
    assert len(aversions_around(1000.0)) == 6
    assert max(aversions_around(1000.0)) == 1000.0


def test_the_exposure_before_is_that_of_the_previous_bar() -> None:
    exposures = Exposures()
    bar = NOW_MS // HOUR_MS * HOUR_MS
    assert exposures.before("balanced", bar) is None
    exposures.keep("balanced", bar + 5, 0.9)
    exposures.keep("balanced", bar + 9, 0.8)
    assert exposures.before("balanced", bar + 20) is None
    assert exposures.before("balanced", bar + HOUR_MS) == 0.8
    exposures.keep("balanced", bar + HOUR_MS + 1, 0.5)
    assert exposures.before("balanced", bar + HOUR_MS + 2) == 0.8
    assert exposures.before("balanced", bar + 2 * HOUR_MS) == 0.5
    assert exposures.before("tactical", bar + 2 * HOUR_MS) is None
