"""A whole day of one desk: tickets of every end, through the real trading side."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from perptui.journal.audit import export_lines
from perptui.model.order import OrderIntent, Side
from tests.desk.dealing import ALICE, Deal, order
from tests.desk.market import BTC, ETH

WORDS = ("fill", "ack", "half", "blind", "reject", "expire", "not_sent", "rest", "lost", "late")
"""What the venue does with the orders of the day, in turn."""


def turn(deal: Deal, number: int) -> OrderIntent:
    """Return a small order that goes to and fro, so that no limit is ever met."""
    identifier = (BTC, ETH)[number % 2]
    held = deal.venue.positions[identifier]
    size = "0.01" if identifier == BTC else "0.1"
    reducing = Side.SELL if held > 0 else Side.BUY
    return order(identifier, reducing, size, str(held), reduce_only=True)


async def whole_day(folder: Path, tickets: int = 24) -> Path:
    """Write the journal of a day; return it, closed."""
    deal = Deal(folder, script=tuple(WORDS[n % len(WORDS)] for n in range(tickets)))
    await deal.trading.start()
    for number in range(tickets):
        view = await deal.open(turn(deal, number))
        if number % 6 == 5:
            await deal.trading.reject(view.id, "not now", ALICE)
        else:
            await deal.confirm(view)
            await deal.trading.sent()
        deal.clock.advance(90)
        await deal.trading.reconcile()
        await deal.trading.cancel_working(ALICE)
        deal.clock.advance(90)
        await deal.trading.reconcile()
    deal.venue.positions[BTC] += Decimal("0.05")
    await deal.trading.reconcile()
    await deal.trading.kill("end of day", ALICE)
    await deal.trading.stop()
    deal.journal.close()
    return folder / "journal.db"


def exported(path: Path) -> Path:
    """Write the journal's export beside it."""
    file = path.with_suffix(".jsonl")
    file.write_bytes(b"".join(export_lines(path)))
    return file
