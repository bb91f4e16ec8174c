"""What really happened: at the venue, to the market, under the hands of traders; in order.

Every entry carries the number of the last event that the journal held on disk at that instant, so
that "journalled before it was sent" can be read from two independent records.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import msgspec

from perptui.model.order import LegState, OrderKind, Side


class Entry(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """`ts_ms`: true venue time; `seq`: last event committed to the journal by then."""

    ts_ms: int
    seq: int


class Opened(Entry, frozen=True, tag=True):
    """The account as it was before the desk ever looked."""

    positions: dict[str, Decimal]


class Sent(Entry, frozen=True, tag=True):
    """An order left the desk; `fate` says what becomes of it and of its answer."""

    client_id: str
    instrument: str
    side: Side
    contracts: Decimal
    limit_price: Decimal
    reduce_only: bool
    kind: OrderKind
    trigger_price: Decimal | None
    fate: str


class CancelSent(Entry, frozen=True, tag=True):
    """A cancel left the desk."""

    client_id: str
    instrument: str
    fate: str


class Armed(Entry, frozen=True, tag=True):
    """A dead man's countdown left the desk; 0 disarms."""

    instrument: str
    countdown_ms: int
    fate: str


class Hung(Entry, frozen=True, tag=True):
    """A question of the desk got no answer for as long as it waits for one."""

    call: str


class Counting(Entry, frozen=True, tag=True):
    """The venue counts down from here on; 0: no more."""

    instrument: str
    countdown_ms: int


class Swept(Entry, frozen=True, tag=True):
    """A countdown ran out: the venue cancelled the contract's orders, `stops` among them."""

    instrument: str
    stops: tuple[str, ...]


class Taken(Entry, frozen=True, tag=True):
    """The venue has the order."""

    order_id: str
    client_id: str
    instrument: str
    side: Side
    contracts: Decimal
    protective: bool


class Foreign(Entry, frozen=True, tag=True):
    """Another hand placed an order; `client_id` may look like one of ours."""

    order_id: str
    client_id: str
    instrument: str


class Traded(Entry, frozen=True, tag=True):
    """An order of the desk was executed."""

    order_id: str
    client_id: str
    trade_id: str
    instrument: str
    side: Side
    contracts: Decimal
    price: Decimal


class Over(Entry, frozen=True, tag=True):
    """The venue has ended the order."""

    order_id: str
    client_id: str
    state: LegState
    filled: Decimal


class Outside(Entry, frozen=True, tag=True):
    """A position was changed by another hand, an ADL or a liquidation."""

    instrument: str
    before: Decimal
    after: Decimal
    why: str


class Sky(Entry, frozen=True, tag=True):
    """The market or the desk's view of it changed: `what` is so from here on; "" is well."""

    what: str
    value: str


class Mark(Entry, frozen=True, tag=True):
    """The mark of a contract from here on."""

    instrument: str
    price: Decimal


class Lost(Entry, frozen=True, tag=True):
    """The account lost this share of its equity at once."""

    share: Decimal


class Typed(Entry, frozen=True, tag=True):
    """A trader answered a ticket. `use`: confirm, approve or decline; `age_s`: since shown."""

    use: str
    uid: int
    ticket: str
    typed: str
    age_s: float
    gap_ms: float
    seen_end: bool
    columns: int
    rows: int


class Asked(Entry, frozen=True, tag=True):
    """A person asked for the cancel of protective stops."""

    uid: int


class Life(Entry, frozen=True, tag=True):
    """A desk process began or ended."""

    what: str


class Calm(Entry, frozen=True, tag=True):
    """No fault happens from here on."""


class Shown(Entry, frozen=True, tag=True):
    """A text that reached a screen."""

    text: str


E = TypeVar("E", bound=Entry)


class Truth:
    """The log; written by the world alone, read by the checker.

    Parameters
    ----------
    venue_ms : callable
        True venue time.
    """

    def __init__(self, venue_ms: Callable[[], int]) -> None:
        self._venue_ms = venue_ms
        self.committed: Callable[[], int] = lambda: 0
        self.entries: list[Entry] = []

    def now(self) -> dict[str, int]:
        """Return the fields that every entry made now carries."""
        return {"ts_ms": self._venue_ms(), "seq": self.committed()}

    def add(self, entry: Entry) -> None:
        """Write an entry down."""
        self.entries.append(entry)

    def all(self, kind: type[E]) -> list[E]:
        """Return the entries of one kind, oldest first."""
        return [entry for entry in self.entries if type(entry) is kind]

    def lines(self) -> bytes:
        """Return the whole history as JSON lines."""
        encode = msgspec.json.Encoder(decimal_format="string").encode
        return b"\n".join(encode(entry) for entry in self.entries) + b"\n"
