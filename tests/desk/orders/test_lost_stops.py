"""A stop that was being sent when the desk died, and that the venue never had, is an alarm."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.desk.dealing import REDUCE_BTC, Deal, settings_of
from tests.desk.market import BTC

pytestmark = pytest.mark.asyncio


async def test_a_desk_that_died_before_the_alarm_of_a_refused_stop_raises_it_at_its_start(
    tmp_path: Path,
) -> None:
    settings = settings_of()
    settings = msgspec.structs.replace(
        settings, stops=msgspec.structs.replace(settings.stops, sigmas=2.0)
    )
    deal = Deal(tmp_path, settings=settings)
    deal.venue.stop_script = ["reject"]

    def die(point: str) -> None:
        deal.points.append(point)
        if deal.points.count("recorded") == 2:
            raise RuntimeError(point)

    deal.reached = die
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC))
    with pytest.raises(RuntimeError):
        await deal.trading.sent()
    assert deal.states() == ["FILLED", "REJECTED"]
    assert not [event for event in deal.events() if event.kind == "ALARM"]
    deal.journal.close()
    again = Deal(tmp_path, settings=settings, venue=deal.venue, clock=deal.clock)
    await again.trading.start()
    await again.trading.stop()
    (alarm,) = (event.body for event in again.events() if event.kind == "ALARM")
    assert alarm["what"] == "unprotected"
    assert "its stop is REJECTED" in alarm["text"]


async def test_a_stop_that_died_on_its_way_and_never_arrived_is_an_alarm(tmp_path: Path) -> None:
    """safety.md: SENDING found after a crash is UNKNOWN; nothing is lost, nor silently missing."""
    settings = settings_of()
    settings = msgspec.structs.replace(
        settings, stops=msgspec.structs.replace(settings.stops, sigmas=2.0)
    )
    deal = Deal(tmp_path, settings=settings)

    def die(point: str) -> None:
        deal.points.append(point)
        if deal.points.count("sending") == 2:
            raise RuntimeError(point)

    deal.reached = die
    await deal.trading.reconcile()
    await deal.confirm(await deal.open(REDUCE_BTC))
    with pytest.raises(RuntimeError):
        await deal.trading.sent()
    deal.journal.close()
    again = Deal(tmp_path, settings=settings, venue=deal.venue, clock=deal.clock)
    await again.trading.start()
    await again.trading.stop()
    for _ in range(10):
        again.clock.advance(10)
        await again.trading.reconcile()
    assert again.states() == ["FILLED", "NEVER_ACCEPTED"]
    (alarm,) = (event.body for event in again.events() if event.kind == "ALARM")
    assert alarm["what"] == "unprotected"
    assert f"the position in {BTC} may not be protected" in alarm["text"]
    assert ":protect" in alarm["text"]
