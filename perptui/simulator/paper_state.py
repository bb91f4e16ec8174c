"""A paper account on disk: written before an answer leaves, taken back at the next start."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from decimal import Decimal
from pathlib import Path

import msgspec

from perptui.model.errors import InputError
from perptui.risk.contract_rules import ContractRules
from perptui.risk.margin import float_tiers
from perptui.simulator.accounts import BOOKINGS_KEPT, Booking, Holding, MarginAccount
from perptui.simulator.exchange import Exchange
from perptui.simulator.market import Settlement
from perptui.simulator.orders import OPEN, Order, Stop, StopStatus, Trade
from perptui.simulator.paper_market import LiveMarket, Point

VERSION = 1
ENDED_KEPT = 5_000
"""Orders that ended, trades and bookings that stay in the file: the journal keeps them all."""


class PaperState(msgspec.Struct, frozen=True):
    """Everything that makes up the account; `now_ms` is where it was carried on to.

    Attributes
    ----------
    resting : tuple[int, ...]
        Ids of the orders that work, oldest first.
    points : dict[str, Point]
        Last prices, by the venue's symbol.
    pending : tuple[Settlement, ...]
        Funding that is to settle, as known.
    """

    version: int
    now_ms: int
    last_id: int
    wallet: Decimal
    holdings: dict[str, Holding]
    leverage: dict[str, Decimal]
    bookings: tuple[Booking, ...]
    next_booking: int
    orders: tuple[Order, ...]
    resting: tuple[int, ...]
    trades: tuple[Trade, ...]
    stops: tuple[Stop, ...]
    countdowns: dict[str, int]
    insurance: Decimal
    liquidations: tuple[int, ...]
    rules: dict[str, ContractRules]
    points: dict[str, Point]
    pending: tuple[Settlement, ...]


def state_of(exchange: Exchange, market: LiveMarket) -> PaperState:
    """Return the whole state of a paper account."""
    account = exchange.account
    working = [order for order in exchange.orders.values() if order.status in OPEN]
    ended = [order for order in exchange.orders.values() if order.status not in OPEN]
    orders = sorted([*working, *ended[-ENDED_KEPT:]], key=lambda order: order.id)
    return PaperState(
        version=VERSION,
        now_ms=exchange.now_ms,
        last_id=exchange.last_id,
        wallet=account.wallet,
        holdings=account.holdings,
        leverage=account.leverage,
        bookings=tuple(account.bookings)[-ENDED_KEPT:],
        next_booking=account.next_booking,
        orders=tuple(orders),
        resting=tuple(exchange.resting),
        trades=tuple(exchange.trades.values())[-ENDED_KEPT:],
        stops=tuple(exchange.stops.known.values()),
        countdowns=exchange.countdowns,
        insurance=exchange.liquidator.insurance,
        liquidations=tuple(exchange.liquidator.events),
        rules=exchange.rules,
        points=market.newest(),
        pending=market.pending(exchange.now_ms),
    )


def put_back(state: PaperState, exchange: Exchange, market: LiveMarket) -> None:
    """Make `exchange` and `market`, both new, what they were when `state` was taken."""
    exchange.now_ms = state.now_ms
    exchange.last_id = state.last_id
    bookings = deque(state.bookings, maxlen=BOOKINGS_KEPT)
    exchange.account = MarginAccount(
        state.wallet, dict(state.holdings), dict(state.leverage), bookings, state.next_booking
    )
    exchange.orders = OrderedDict((order.id, order) for order in state.orders)
    exchange.resting = {number: exchange.orders[number] for number in state.resting}
    exchange.trades = OrderedDict((trade.id, trade) for trade in state.trades)
    for stop in state.stops:
        if stop.order is not None:
            stop.order = exchange.orders.get(stop.order.id, stop.order)
        exchange.stops.known[stop.id] = stop
        if stop.status is StopStatus.NEW:
            exchange.waiting[stop.id] = stop
    exchange.countdowns = dict(state.countdowns)
    exchange.liquidator.insurance = state.insurance
    exchange.liquidator.events = list(state.liquidations)
    for symbol, rules in state.rules.items():
        set_rules(exchange, market, rules, symbol)
    market.restore(state.points, state.pending)


def set_rules(exchange: Exchange, market: LiveMarket, rules: ContractRules, symbol: str) -> None:
    """Let a contract be traded under `rules` from now on."""
    exchange.rules[symbol] = rules
    exchange.float_tiers[symbol] = float_tiers(rules.tiers)
    market.live.list_contract(symbol)


def read_state(file: Path) -> PaperState | None:
    """Return what `file` holds, None where there is none.

    Raises
    ------
    InputError
        When it cannot be read or is of another version: an account is never begun anew over one.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=PaperState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"expected a paper account in {file}, was not ({reason}); "
            "put it aside to begin another account"
        ) from None
    if found.version != VERSION:
        raise InputError(
            f"expected a paper account of version {VERSION} in {file}, was {found.version}; "
            "use the perptui that wrote it, or put it aside to begin another account"
        )
    return found


class StateFile:
    """Keeps a paper account on disk (0600): whole, by rename, and synced before it counts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written = b""

    def keep(self, state: PaperState) -> None:
        """Write `state` unless only its time has changed since it was written last.

        Raises
        ------
        OSError
            When it cannot be written: nothing of it counts then.
        """
        content = msgspec.json.encode(msgspec.structs.replace(state, now_ms=0, points={}))
        if content == self._written:
            return
        self.force(state)
        self._written = content

    def force(self, state: PaperState) -> None:
        """Write `state` now."""
        beside = self._file.with_name(f"{self._file.name}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(descriptor)
        beside.replace(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
