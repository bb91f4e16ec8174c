"""The drawdown stop: past the limit, a ticket that closes a share of every position waits.

It is made from positions, marks and contract rules alone, so that it is there when the optimiser,
or the whole quant process, is not. The desk never sends it: a person opens and confirms it as any
other ticket, and nothing that traders bent is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from perptui.desk.orders.gate_desk import drawdown_stop
from perptui.desk.orders.stops import held_in
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.journal.events import Alarm
from perptui.journal.journal import Journal
from perptui.model.clock import Clock, iso
from perptui.model.errors import InputError
from perptui.model.instrument import Instrument
from perptui.model.limit import Limits
from perptui.model.market import Quote
from perptui.model.money import ZERO, to_cents, truncate_to_step
from perptui.model.order import Effect, OrderIntent, Side
from perptui.model.snapshot import MarketSnapshot
from perptui.risk.collar import collar_bps, limit_price
from perptui.settings.schema import Settings

COMMAND = ":drawdown"
"""What a trader types to open the ticket's confirmation."""


def closing_orders(
    snapshot: MarketSnapshot,
    share: float,
    limits: Limits,
    volatility_annual: Mapping[str, float],
    volume_usd_day: Mapping[str, float],
) -> tuple[OrderIntent, ...]:
    """Return reduce-only orders that close `share` of every position, the largest first.

    Rounded down to the step; the whole position where the order, or what it leaves, would be too
    small to trade by itself. No order is above what the gate lets one be: the ticket is then a
    step, to be repeated.

    Raises
    ------
    InputError
        When a position has no contract rules or no price.
    """
    known = {one.id: one for one in snapshot.instruments}
    quotes = {quote.id: quote for quote in snapshot.quotes}
    orders = []
    for identifier, held in held_in(snapshot).items():
        rules, quote = known.get(identifier), quotes.get(identifier)
        if rules is None or quote is None:
            raise InputError(f"expected rules and price of {identifier}, was none; wait for them")
        most_usd = limits.order_notional_max_usd
        if (volume := volume_usd_day.get(identifier)) is not None and volume > 0:
            most_usd = min(most_usd, Decimal(repr(volume * limits.participation_max)))
        size = closed(held, share, rules, quote.mark, most_usd)
        if size > 0:
            bps = collar_bps(limits, volatility_annual.get(identifier), reducing=True)
            orders.append(_reduction(rules, quote, held, size, bps))
    return tuple(sorted(orders, key=lambda order: -order.notional_usd))


def closed(
    held: Decimal, share: float, rules: Instrument, mark: Decimal, most_usd: Decimal
) -> Decimal:
    """Return how many contracts of `held`, signed, are closed; 0 where none can be."""
    whole = abs(held)
    worth = rules.contract_size * (mark if rules.linear else 1)
    size = truncate_to_step(whole * Decimal(repr(share)), rules.step)
    least = max(rules.min_contracts, rules.step)
    dust = max(least * worth, rules.min_notional_usd)
    if size < least or (whole - size) * worth < dust:
        size = whole
    most = truncate_to_step(most_usd / worth, rules.step)
    if rules.max_contracts is not None:
        most = min(most, rules.max_contracts)
    return min(size, most)


def _reduction(
    rules: Instrument, quote: Quote, held: Decimal, size: Decimal, bps: float
) -> OrderIntent:
    side, mark = (Side.SELL if held > 0 else Side.BUY), quote.mark
    notional = size * rules.contract_size * (mark if rules.linear else 1)
    try:
        limit = limit_price(mark, rules.tick, side, bps)
    except ValueError as error:
        raise InputError(f"{rules.id}: {error}") from None
    return OrderIntent(
        id=rules.id,
        side=side,
        effect=Effect.REDUCE,
        contracts=size,
        notional_usd=notional,
        limit_price=limit,
        mark_price=mark,
        reduce_only=True,
        before=held,
        after=held - size if held > 0 else held + size,
        fee_usd=to_cents(notional * rules.taker_fee),
        slippage_usd=to_cents(notional * _half_spread(quote)),
    )


def _half_spread(quote: Quote) -> Decimal:
    if quote.bid is None or quote.ask is None or quote.ask <= quote.bid:
        return ZERO
    return (quote.ask - quote.bid) / (quote.ask + quote.bid)


class DrawdownStop:
    """Says when a drawdown ticket is ready to be opened, and says so once a day for good."""

    def __init__(
        self, journal: Journal, settings: Settings, clock: Clock, picture: TradingPicture
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._picture = picture

    @property
    def words(self) -> str:
        """What is prepared and how to open it; "" while nothing is."""
        share, snapshot = self._settings.stops.drawdown_share, self._picture.snapshot()
        if share <= 0 or snapshot is None or not held_in(snapshot):
            return ""
        if not drawdown_stop(snapshot, self._settings.limits):
            return ""
        return f"{COMMAND} opens a ticket that closes {share:.0%} of every position"

    def look(self) -> bool:
        """Journal, once a UTC day, that the ticket is ready; True when it was journalled now."""
        words = self.words
        if not words:
            return False
        key = f"drawdown:{iso(self._clock.utc_ms())[:10]}"
        if self._journal.has_notice(key):
            return False
        why = drawdown_stop(self._picture.snapshot(), self._settings.limits)
        self._journal.append(Alarm("drawdown", key, f"{why}: {words}"))
        return True
