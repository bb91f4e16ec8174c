"""Orders that the venue does not find, and a clock of its own that jumps."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from perptui.model.clock import ManualClock
from perptui.venues.base import Reading
from tests.desk.dealing import REDUCE_BTC, Deal
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import NOW_MS

pytestmark = pytest.mark.asyncio


class Jumping(LedgerVenue):
    """A venue whose clock is set forward."""

    ahead_ms = 0

    async def server_time(self) -> Reading[int]:
        reading = await super().server_time()
        assert reading.value is not None
        return msgspec.structs.replace(reading, value=reading.value + self.ahead_ms)


async def test_a_jump_of_the_venues_clock_makes_no_order_too_old_to_be_accepted(
    tmp_path: Path,
) -> None:
    """safety.md, Reconcile and Faults: only after recvWindow and 30 s; clock skew of 60 s."""
    clock = ManualClock(NOW_MS)
    venue = Jumping(clock, ("lost",))
    deal = Deal(tmp_path, venue=venue, clock=clock)
    await deal.deal(REDUCE_BTC)
    venue.ahead_ms = 60_000
    for _ in range(6):
        clock.advance(5)
        await deal.trading.reconcile()
    assert deal.states() == ["UNKNOWN"]
    for _ in range(5):
        clock.advance(5)
        await deal.trading.reconcile()
    assert deal.states() == ["NEVER_ACCEPTED"]
