"""A journal with tickets in it, made by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from perptui.journal.database import Database
from perptui.journal.events import Actor, client_id
from perptui.journal.journal import Journal
from perptui.journal.verify import verify_database
from perptui.model.clock import Clock, ManualClock
from perptui.model.order import Effect, Fill, Leg, OrderIntent, Side, Ticket

NOW_MS = 1_722_842_400_000
VENUE = "binanceusdm"
BTC = f"{VENUE}:BTC/USDT:USDT"
ETH = f"{VENUE}:ETH/USDT:USDT"
ALICE = Actor(uid=1000, name="alice", ssh="10.0.0.7")
DESK = Actor(uid=1000, name="desk")


def journal_in(
    folder: Path, clock: Clock | None = None, desk: str = "main", account: str = "main"
) -> Journal:
    """Open the journal of a desk and account."""
    return Journal.open(
        folder / "journal.db",
        desk=desk,
        account=account,
        clock=clock or ManualClock(NOW_MS),
        actor=DESK,
        version="0.1.0",
    )


def journal_on(database: Database, clock: Clock | None = None) -> Journal:
    """Return the journal in a file that a test has opened itself."""
    verdict = verify_database(database.connection)
    return Journal(database, clock or ManualClock(NOW_MS), DESK, verdict)


def let_grow_no_more(database: Database) -> None:
    """Fill the disk, as far as SQLite can see."""
    (pages,) = database.connection.execute("PRAGMA page_count").fetchone()
    database.connection.execute(f"PRAGMA max_page_count = {pages}")


def intent(identifier: str = BTC, contracts: str = "0.2") -> OrderIntent:
    """Return an order that buys."""
    size = Decimal(contracts)
    return OrderIntent(
        id=identifier,
        side=Side.BUY,
        effect=Effect.ADD,
        contracts=size,
        notional_usd=size * 50000,
        limit_price=Decimal(50100),
        mark_price=Decimal(50000),
        reduce_only=False,
        before=Decimal(0),
        after=size,
    )


def ticket(number: int = 1, *intents: OrderIntent) -> Ticket:
    """Return a ticket of these orders, one of BTC and one of ETH unless given."""
    identifier = f"T{number}"
    token = f"{number:064x}"
    orders = intents or (intent(), intent(ETH))
    return Ticket(
        id=identifier,
        purpose="send",
        desk="main",
        account="main",
        trader="alice",
        created_ms=NOW_MS,
        expires_mono=1030.0,
        proposal_digest="a" * 64,
        settings_digest="b" * 64,
        model_version="balanced-1",
        legs=tuple(
            Leg(index, client_id("main", "main", identifier, index, token), order)
            for index, order in enumerate(orders)
        ),
        text=(f"CONFIRM ticket {identifier}", "", " 1  BTC  buy 0.2"),
        token=token,
    )


def fill(leg: Leg, contracts: str, trade_id: str = "1") -> Fill:
    """Return an execution of a leg."""
    return Fill(
        id=leg.intent.id,
        trade_id=trade_id,
        venue_order_id="77",
        side=leg.intent.side,
        contracts=Decimal(contracts),
        price=Decimal(50010),
        fee_usd=Decimal("5.001"),
        ts_ms=NOW_MS,
        client_id=leg.client_id,
    )
