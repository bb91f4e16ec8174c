"""What trading sees of the desk: profit with transfers taken out, and whose books are read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from perptui.desk.books import BookShelf
from perptui.desk.orders.trading_picture import ProfitMark
from perptui.desk.sight import Sight
from perptui.desk.state import DeskState
from perptui.model.clock import ManualClock
from perptui.settings.load import load
from perptui.venues.base import Reading
from tests.desk.market import BTC, ETH, NOW_MS, VENUE, account, book_around, flow
from tests.desk.proposing.test_proposer import waiting


class Looking:
    """A desk's state and what trading sees of it."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOW_MS)
        self.state = DeskState({VENUE: (BTC, ETH)}, load().settings.polling, self.clock)
        self.shelf = BookShelf(self.clock, 15.0)
        self.sight = Sight(self.state, waiting(folder), self.clock, "digest", self.shelf)

    def reads(self, equity: str, seconds: float = 1) -> None:
        """Let the account be read after so many seconds."""
        self.clock.advance(seconds)
        found = account(self.clock.utc_ms(), equity=equity)
        now = self.clock.monotonic()
        self.state.observe(VENUE, "account", Reading(found, None, now, "account"))


def test_profit_is_not_known_before_every_account_was_read(tmp_path: Path) -> None:
    looking = Looking(tmp_path)
    assert looking.sight.profit() is None
    looking.reads("30000")
    since = NOW_MS + 1000
    assert looking.sight.profit() == ProfitMark(Decimal(30000), {VENUE: (since, Decimal(0))})


def test_a_transfer_is_no_profit_and_no_loss(tmp_path: Path) -> None:
    """30,000 to 28,900 with 1,000 withdrawn: 100 are lost."""
    looking = Looking(tmp_path)
    looking.reads("30000")
    looking.reads("28900", seconds=5)
    looking.state.add_flows(VENUE, [flow("transfer", "-1000", NOW_MS + 3000)])
    mark = looking.sight.profit()
    assert mark is not None
    assert mark == ProfitMark(Decimal(28900), {VENUE: (NOW_MS + 1000, Decimal(-100))})


def test_a_clock_that_was_not_read_lately_is_not_known(tmp_path: Path) -> None:
    """Read every 60 s, stale after three intervals: the gate then refuses."""
    looking = Looking(tmp_path)
    assert looking.sight.clock_offset_ms() == {}
    looking.clock.advance(500)
    looking.state.set_offset(VENUE, -12.4)
    looking.clock.advance(180)
    assert looking.sight.clock_offset_ms() == {VENUE: -12}
    looking.clock.advance(0.5)
    assert looking.sight.clock_offset_ms() == {}
    looking.state.set_offset(VENUE, 7.6)
    assert looking.sight.clock_offset_ms() == {VENUE: 8}


def test_books_of_tickets_are_wanted_and_fresh_ones_shown(tmp_path: Path) -> None:
    looking = Looking(tmp_path)
    assert looking.sight.traded() == frozenset()
    looking.sight.ticketed = lambda: frozenset({BTC})
    assert looking.sight.traded() == {BTC}
    book = book_around(BTC, Decimal(97500))
    looking.shelf.put(Reading(book, NOW_MS, looking.clock.monotonic(), "book"))
    assert looking.sight.books() == {BTC: book}
    looking.clock.advance(16)
    assert looking.sight.books() == {}
