"""What happens at a venue without being asked: a script of (moment or nth call, event).

A script is data, as the faults on the wire are: it repeats exactly, and every event that happened
is written into the venue's true history.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum

import msgspec

from perptui.model.errors import InputError
from perptui.model.instrument import MarginTier
from perptui.model.money import ZERO, ceil_to_tick, floor_to_tick, truncate_to_step
from perptui.model.order import Side
from perptui.risk.contract_rules import QUOTE
from perptui.risk.margin import float_tiers
from perptui.simulator.accounts import Holding, booked
from perptui.simulator.altered import AlteredSource, FundingChange
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import OrderRequest, OrderType, Status
from perptui.simulator.state import Ending

NO_LEVERAGE = Decimal(1)


class EventKind(StrEnum):
    """What happens; the comment says what `symbol`, `amount` and `text` mean."""

    POSITION_CHANGED = "position_changed"
    """Somebody else trades `amount` (signed, base) of `symbol` on the same account."""
    DELEVERAGED = "deleveraged"
    """The venue takes the share `amount` of the position in `symbol` at the mark (ADL)."""
    LIQUIDATED = "liquidated"
    """The venue closes the whole account."""
    FUNDING_FLIPPED = "funding_flipped"
    """Funding of `symbol` changes its sign."""
    FUNDING_INTERVAL = "funding_interval"
    """Funding of `symbol` is settled every `amount` hours."""
    TIERS_CHANGED = "tiers_changed"
    """Maintenance rates of `symbol` are times `amount`, its leverages divided by it."""
    CONTRACT_CLOSED = "contract_closed"
    """`symbol` is settled: the position goes at the mark, orders are refused."""
    CONTRACT_RENAMED = "contract_renamed"
    """`symbol` goes on as `text`, in units of `amount` coins (1000: a 1000X contract)."""
    MIN_NOTIONAL_CHANGED = "min_notional_changed"
    """The smallest order of `symbol` is `amount` USD."""
    STEP_CHANGED = "step_changed"
    """The quantity step of `symbol` is `amount`."""
    TICK_CHANGED = "tick_changed"
    """The price tick of `symbol` is `amount`."""
    BAND_CHANGED = "band_changed"
    """Prices of `symbol` may stray the fraction `amount` from the mark."""
    TRANSFERRED = "transferred"
    """`amount` USD go into the wallet, or out of it."""
    ENDED_PARTLY = "ended_partly"
    """The next order in `symbol` fills to the share `amount` and ends as `text`."""
    CLOCK_SKEWED = "clock_skewed"
    """The venue's clock is `amount` seconds off from here on; below zero it lags."""


class Event(msgspec.Struct, frozen=True):
    """One event of a script.

    Attributes
    ----------
    kind : EventKind
        What happens, and what `symbol`, `amount` and `text` mean.
    at_ms : int
        Venue time at which it happens; 0: not by the clock.
    endpoint : str
        ``METHOD /path``: it happens just before the `nth` call of it, counted from 1.
    """

    kind: EventKind
    at_ms: int = 0
    endpoint: str = ""
    nth: int = 0
    symbol: str = ""
    amount: Decimal = ZERO
    text: str = ""


class EventScript:
    """Says which events are due; each happens once.

    Raises
    ------
    InputError
        When an amount or a text is none of its event's kind.
    """

    def __init__(self, events: tuple[Event, ...] = ()) -> None:
        for event in events:
            check(event)
        self.events = events
        self._timed = sorted((e for e in events if e.at_ms), key=lambda event: event.at_ms)
        self._called = [event for event in events if not event.at_ms]
        self._calls: Counter[str] = Counter()

    def due(self, now_ms: int) -> list[Event]:
        """Return the events up to `now_ms` that have not been returned yet, in order of time."""
        found = [event for event in self._timed if event.at_ms <= now_ms]
        self._timed = self._timed[len(found) :]
        return found

    def called(self, endpoint: str) -> list[Event]:
        """Count one call of `endpoint` and return what happens just before it."""
        self._calls[endpoint] += 1
        now = self._calls[endpoint]
        return [e for e in self._called if e.endpoint == endpoint and e.nth == now]


def random_events(
    seed: int, symbols: tuple[str, ...], begin_ms: int, end_ms: int, count: int
) -> tuple[Event, ...]:
    """Return `count` events drawn from `seed`, between two moments of venue time."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        kind = draw.choice(list(EventKind))
        at_ms = draw.randint(begin_ms, end_ms)
        amount, text = _drawn(draw, kind)
        found.append(Event(kind, at_ms, symbol=draw.choice(symbols), amount=amount, text=text))
    return tuple(found)


AMOUNTS: dict[EventKind, tuple[str, ...]] = {
    EventKind.POSITION_CHANGED: ("0.01", "-0.01", "0.5", "-0.5"),
    EventKind.DELEVERAGED: ("0.25", "0.5", "1"),
    EventKind.FUNDING_INTERVAL: ("1", "4", "8"),
    EventKind.TIERS_CHANGED: ("0.5", "1.5", "2"),
    EventKind.CONTRACT_RENAMED: ("1", "1000"),
    EventKind.MIN_NOTIONAL_CHANGED: ("5", "500"),
    EventKind.STEP_CHANGED: ("0.01", "1"),
    EventKind.TICK_CHANGED: ("0.01", "1"),
    EventKind.BAND_CHANGED: ("0.001", "0.02"),
    EventKind.TRANSFERRED: ("-1000000", "-10000", "10000"),
    EventKind.ENDED_PARTLY: ("0", "0.3", "0.9"),
    EventKind.CLOCK_SKEWED: ("-60", "-2", "0", "2", "60"),
}
"""What `random_events` draws amounts from; 0 where a kind has none."""

ENDINGS = (Status.CANCELED, Status.EXPIRED, Status.REJECTED)


def _drawn(draw: random.Random, kind: EventKind) -> tuple[Decimal, str]:
    amount = Decimal(draw.choice(AMOUNTS.get(kind, ("0",))))
    if kind is EventKind.CONTRACT_RENAMED:
        return amount, f"{int(amount)}NEW{draw.randint(1, 99)}{QUOTE}"
    return amount, str(draw.choice(ENDINGS)) if kind is EventKind.ENDED_PARTLY else ""


def check(event: Event) -> None:
    """Refuse an event that cannot happen.

    Raises
    ------
    InputError
        When its amount or text is none of its kind.
    """
    if event.kind in _ABOVE_ZERO and event.amount <= 0:
        raise InputError(f"expected an amount above zero of {event.kind}, was {event.amount}")
    if event.kind is EventKind.ENDED_PARTLY and event.text not in ENDINGS:
        raise InputError(
            f"expected an order to end as {', '.join(ENDINGS)}, was {event.text!r}; choose one"
        )
    if event.kind is EventKind.CONTRACT_RENAMED and not event.text.endswith(QUOTE):
        raise InputError(f"expected a {QUOTE} contract, was {event.text!r}; name one")


def happen(exchange: Exchange, event: Event) -> None:
    """Let a checked `event` happen at the exchange's present moment.

    An event of a contract that is not traded, of a position that is not held, or that gives a
    contract the name of another one, does nothing.
    """
    act = _ACTS[event.kind]
    if event.kind in _OF_A_CONTRACT:
        if event.symbol not in exchange.market.listed(exchange.now_ms):
            return
        if event.symbol in exchange.market.settling:
            return
    act(exchange, event)


# ---------------------------------------------------------------- positions


def _at_the_mark(exchange: Exchange, symbol: str, signed: Decimal, client_id: str) -> None:
    """Execute `signed` contracts at the mark, without a fee and whatever the margin."""
    side = Side.BUY if signed > 0 else Side.SELL
    rounded = ceil_to_tick if side is Side.BUY else floor_to_tick
    price = rounded(exchange.mark(symbol), exchange.rules[symbol].tick)
    request = OrderRequest(symbol, side, OrderType.MARKET, abs(signed), client_id=client_id)
    order = exchange.new_order(request, client_id)
    exchange.execute(order, abs(signed), price, ZERO, maker=False)


def _position_changed(exchange: Exchange, event: Event) -> None:
    if event.amount:
        client_id = f"web_{exchange.last_id}"
        _at_the_mark(exchange, event.symbol, event.amount, client_id)


def _deleveraged(exchange: Exchange, event: Event) -> None:
    held = exchange.account.quantity(event.symbol)
    step = exchange.rules[event.symbol].step
    taken = truncate_to_step(abs(held) * min(event.amount, Decimal(1)), step)
    if taken:
        signed = -taken if held > 0 else taken
        _at_the_mark(exchange, event.symbol, signed, f"adl_autoclose{exchange.last_id}")


def _liquidated(exchange: Exchange, event: Event) -> None:
    exchange.liquidator.liquidate(exchange)


def _transferred(exchange: Exchange, event: Event) -> None:
    exchange.account.book(exchange.now_ms, "TRANSFER", "", event.amount)


def _ended_partly(exchange: Exchange, event: Event) -> None:
    exchange.endings[event.symbol] = Ending(min(event.amount, Decimal(1)), Status(event.text))


def _clock_skewed(exchange: Exchange, event: Event) -> None:
    exchange.skew_ms = round(event.amount * 1000)


# ---------------------------------------------------------------- funding and rules


def altered(exchange: Exchange) -> AlteredSource:
    """Return the source of the exchange's market, with room for changes."""
    source = exchange.market.source
    if not isinstance(source, AlteredSource):
        source = AlteredSource(source)
        exchange.market.source = source
    return source


def _funding_flipped(exchange: Exchange, event: Event) -> None:
    change = FundingChange(exchange.now_ms, sign=-1.0)
    altered(exchange).change_funding(event.symbol, change)


def _funding_interval(exchange: Exchange, event: Event) -> None:
    change = FundingChange(exchange.now_ms, hours=float(event.amount))
    altered(exchange).change_funding(event.symbol, change)


def _tiers_changed(exchange: Exchange, event: Event) -> None:
    multiple = event.amount
    rules = exchange.rules[event.symbol]
    tiers = tuple(
        MarginTier(
            tier.floor_usd,
            tier.cap_usd,
            tier.rate * multiple,
            tier.deduction_usd * multiple,
            max(NO_LEVERAGE, (tier.max_leverage / multiple).to_integral_value()),
        )
        for tier in rules.tiers
    )
    exchange.rules[event.symbol] = msgspec.structs.replace(rules, tiers=tiers)
    exchange.float_tiers[event.symbol] = float_tiers(tiers)


def _rule(name: str) -> Callable[[Exchange, Event], None]:
    def change(exchange: Exchange, event: Event) -> None:
        rules = exchange.rules[event.symbol]
        changed = msgspec.structs.replace(rules, **{name: event.amount})
        exchange.rules[event.symbol] = changed

    return change


def _contract_closed(exchange: Exchange, event: Event) -> None:
    symbol = event.symbol
    exchange.cancel_all(symbol)
    held = exchange.account.quantity(symbol)
    if held:
        _at_the_mark(exchange, symbol, -held, f"settlement_autoclose-{exchange.last_id}")
    exchange.market.settling.add(symbol)


def _contract_renamed(exchange: Exchange, event: Event) -> None:
    old, new, multiple = event.symbol, event.text, event.amount
    if new in exchange.rules:
        return
    exchange.cancel_all(old)
    altered(exchange).rename(old, new, float(multiple))
    rules = exchange.rules[old]
    exchange.rules[new] = msgspec.structs.replace(
        rules,
        symbol=new,
        coin=new.removesuffix(QUOTE),
        tick=rules.tick * multiple,
        step=rules.step / multiple,
        max_limit=rules.max_limit / multiple,
        max_market=rules.max_market / multiple,
    )
    exchange.float_tiers[new] = exchange.float_tiers[old]
    account = exchange.account
    held = account.holdings.pop(old, None)
    if held is not None:
        account.holdings[new] = Holding(
            booked(held.quantity / multiple), held.cost, held.updated_ms
        )
    account.leverage[new] = account.leverage_of(old)
    exchange.market.gone.add(old)


_ACTS: dict[EventKind, Callable[[Exchange, Event], None]] = {
    EventKind.POSITION_CHANGED: _position_changed,
    EventKind.DELEVERAGED: _deleveraged,
    EventKind.LIQUIDATED: _liquidated,
    EventKind.FUNDING_FLIPPED: _funding_flipped,
    EventKind.FUNDING_INTERVAL: _funding_interval,
    EventKind.TIERS_CHANGED: _tiers_changed,
    EventKind.CONTRACT_CLOSED: _contract_closed,
    EventKind.CONTRACT_RENAMED: _contract_renamed,
    EventKind.MIN_NOTIONAL_CHANGED: _rule("min_notional"),
    EventKind.STEP_CHANGED: _rule("step"),
    EventKind.TICK_CHANGED: _rule("tick"),
    EventKind.BAND_CHANGED: _rule("band"),
    EventKind.TRANSFERRED: _transferred,
    EventKind.ENDED_PARTLY: _ended_partly,
    EventKind.CLOCK_SKEWED: _clock_skewed,
}
_OF_A_CONTRACT = frozenset(EventKind) - {
    EventKind.LIQUIDATED,
    EventKind.TRANSFERRED,
    EventKind.CLOCK_SKEWED,
}
_ABOVE_ZERO = frozenset(
    {
        EventKind.DELEVERAGED,
        EventKind.FUNDING_INTERVAL,
        EventKind.TIERS_CHANGED,
        EventKind.CONTRACT_RENAMED,
        EventKind.MIN_NOTIONAL_CHANGED,
        EventKind.STEP_CHANGED,
        EventKind.TICK_CHANGED,
        EventKind.BAND_CHANGED,
    }
)
