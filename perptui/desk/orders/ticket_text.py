"""The canonical ticket: plain text of at most 80 columns that the desk itself renders.

This text, not a screen's layout, is what a trader confirms and an approver sees, in any size and
theme. Contracts and limit prices stand in full; dollars are rounded to cents.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from decimal import Decimal

from perptui.desk.orders.gate_input import Refusal
from perptui.desk.orders.own_proposal import OWN
from perptui.desk.orders.stop_text import cancel_lines, count_line, policy_line, stop_lines
from perptui.desk.orders.stops import RestingStop
from perptui.model.assignment import assignments
from perptui.model.clock import iso
from perptui.model.instrument import Instrument
from perptui.model.limit import LimitCheck
from perptui.model.market import FundingQuote, Quote
from perptui.model.money import nearest_step, plain, to_cents
from perptui.model.order import OrderIntent
from perptui.model.proposal import Proposal
from perptui.model.record import Record
from perptui.model.snapshot import MarketSnapshot
from perptui.model.text import cells_of, folded

COLUMNS = 80
FAR = 10.0
"""Rises beyond this, as a fraction, are not told apart."""

MARKS = {
    "X": "the limit stays broken, by no more than now",
    "~": "the limit is soft and gives way",
}
"""What stands behind a limit that does not hold."""


class TicketInputs(Record, frozen=True):
    """Everything a ticket is made from; what the trader sees is rendered from this alone.

    Attributes
    ----------
    ticket : str
        Id of the ticket.
    purpose : str
        "send" or "export".
    mode : str
        In words: PAPER, LIVE, EXPORT.
    desk, account, trader : str
        Whose it is.
    created_ms : int
        Venue time at which it is shown.
    expiry_s : float
        How long it stands.
    legs : tuple[OrderIntent, ...]
        The proposal's orders as they are to be sent, priced at the marks of `snapshot`: those that
        only reduce come first.
    snapshot : MarketSnapshot
        The picture at `created_ms`: marks, positions, tiers and funding that the trader sees; that
        of the proposal where its orders are exported as proposed.
    basis : MarketSnapshot
        The picture that the proposal was made from.
    settings_digest, limits_digest : str
        What the desk's settings and limits are then.
    volume_usd_day : dict[str, float]
        Average daily volume of each leg's contract.
    hosts : dict[str, str]
        Where each venue's orders go, in words.
    approval : tuple[str, ...]
        Why a second person has to approve, in words; empty where one person is enough.
    override : str
        The reason given for passing over limits; "" where none is passed over.
    overridden : tuple[Refusal, ...]
        The gate's refusals that are passed over: breached limits with their values.
    cancels : tuple[RestingStop, ...]
        Stops of ours at the venue that are cancelled after the legs of their contracts.
    volatility_daily : dict[str, float]
        By contract with a stop: the standard deviation of a day that it was placed by.
    on_rejection : str
        "stop" or "go_on": what a rejected leg does to the rest.
    """

    ticket: str
    purpose: str
    mode: str
    desk: str
    account: str
    trader: str
    created_ms: int
    expiry_s: float
    proposal: Proposal
    legs: tuple[OrderIntent, ...]
    snapshot: MarketSnapshot
    basis: MarketSnapshot
    settings_digest: str
    limits_digest: str
    volume_usd_day: dict[str, float] = {}  # noqa: RUF012  msgspec copies an empty default
    hosts: dict[str, str] = {}  # noqa: RUF012  msgspec copies an empty default
    approval: tuple[str, ...] = ()
    override: str = ""
    overridden: tuple[Refusal, ...] = ()
    cancels: tuple[RestingStop, ...] = ()
    volatility_daily: dict[str, float] = {}  # noqa: RUF012  msgspec copies an empty default
    on_rejection: str = "stop"

    @property
    def trades(self) -> tuple[OrderIntent, ...]:
        """The legs that trade at once: all but the stops."""
        return tuple(leg for leg in self.legs if not leg.protective)

    def instrument(self, identifier: str) -> Instrument | None:
        """Return the instrument of that id in the snapshot."""
        return next((one for one in self.snapshot.instruments if one.id == identifier), None)

    def quote(self, identifier: str) -> Quote | None:
        """Return the quote of that id in the snapshot."""
        return next((one for one in self.snapshot.quotes if one.id == identifier), None)

    def funding(self, identifier: str) -> FundingQuote | None:
        """Return the funding of that id in the snapshot."""
        return next((one for one in self.snapshot.funding if one.id == identifier), None)


def render(inputs: TicketInputs) -> tuple[str, ...]:
    """Return the ticket's lines, none wider than 80 columns, without trailing spaces."""
    lines = [
        *_heading(inputs),
        *_second_person(inputs),
        "",
        *_orders(inputs),
        "",
        *_judged(inputs.proposal),
        *_closing(inputs),
    ]
    return tuple(part for line in lines for part in _fitted(line))


def _judged(proposal: Proposal) -> Iterator[str]:
    """Yield book and limits, which a proposal of the desk's own does not tell of."""
    if proposal.status in OWN:
        return
    yield from _book(proposal)
    yield ""
    yield from _limits(proposal)
    yield ""


def _fitted(line: str) -> list[str]:
    text = line.rstrip()
    if cells_of(text) <= COLUMNS:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    if not text.isascii():
        # What is wider than the screen would be cut there, and confirmed unseen.
        return folded(text, COLUMNS, indent)
    return textwrap.wrap(text, COLUMNS, subsequent_indent=indent)


def _heading(inputs: TicketInputs) -> Iterator[str]:
    proposal = inputs.proposal
    named = OWN.get(proposal.status, "plan")
    title = f"CONFIRM {named} {proposal.digest[:4]}, ticket {inputs.ticket}"
    yield f"{title}{inputs.mode:>{COLUMNS - len(title)}}"
    venues = ", ".join(sorted({leg.id.partition(":")[0] for leg in inputs.legs}))
    yield f"venue {venues} | account {inputs.account} | desk {inputs.desk}"
    yield f"trader {inputs.trader} | shown {iso(inputs.created_ms)}"
    if proposal.status in OWN:
        yield "made by the desk of positions and marks: no optimiser, no estimate of the book"
        yield f"expires {inputs.expiry_s:.0f} s after it was shown, or as soon as its inputs change"
        return
    yield (
        f"strategy {proposal.strategy} | model {proposal.model_version} | "
        f"regime {proposal.regime} | exposure x{proposal.exposure:.2f}"
    )
    bent = assignments(proposal.what_if)
    if bent:
        yield f"what-if {'; '.join(bent)}"
    yield from _left_broken(proposal)
    age_s = max(inputs.created_ms - inputs.snapshot.as_of_ms, 0) / 1000
    by = f" ({proposal.solver.name})" if proposal.solver.name else ""
    yield f"solver {proposal.solver.status}{by} | data {age_s:.0f} s old"
    if inputs.purpose == "export":
        yield "EXPORT: these orders are written to files; nothing is sent"
    else:
        yield f"expires {inputs.expiry_s:.0f} s after it was shown, or as soon as its inputs change"


def _second_person(inputs: TicketInputs) -> Iterator[str]:
    """Yield what is passed over and why, and why another user has to approve it."""
    yield from (f"OVERRIDDEN: {refusal.text}" for refusal in inputs.overridden)
    if inputs.override:
        yield f"reason of the override: {inputs.override}"
    if inputs.approval:
        yield f"takes a second person: {'; '.join(inputs.approval)}"


def _left_broken(proposal: Proposal) -> Iterator[str]:
    """Yield which limits a reduction leaves broken: it is sent all the same, and said to be so."""
    if proposal.stays_broken:
        yield f"{proposal.headline.upper()}: {', '.join(proposal.stays_broken)}"
        yield "  none of them by more than now: a step; propose again after it"


def _orders(inputs: TicketInputs) -> Iterator[str]:
    kinds = "each LIMIT immediate-or-cancel" if inputs.trades else "each a protective stop"
    yield f"ORDERS, {kinds}, in this order, one attempt each"
    if inputs.snapshot.as_of_ms != inputs.basis.as_of_ms:
        now, then = iso(inputs.snapshot.as_of_ms)[11:19], iso(inputs.basis.as_of_ms)[11:19]
        yield f"priced at the marks of {now}Z, proposed at those of {then}Z"
    for number, leg in enumerate(inputs.legs, start=1):
        if leg.protective:
            yield from stop_lines(number, leg, inputs.volatility_daily, inputs.cancels)
        else:
            yield from _order(inputs, number, leg)
    yield from _totals(inputs.trades)
    yield from count_line(inputs.legs)
    yield from cancel_lines(inputs.legs, inputs.cancels)
    yield policy_line(inputs.on_rejection, inputs.legs)
    for hedge in inputs.proposal.hedges:
        if hedge.quantity > 0:
            yield (
                f"the book counts on {hedge.quantity:g} {hedge.coin} of puts at "
                f"{hedge.strike:g} to {iso(hedge.expiry_ms)[:10]} for {usd(hedge.premium_usd)} "
                "USD: bought by hand, not sent"
            )


def _totals(trades: tuple[OrderIntent, ...]) -> Iterator[str]:
    if not trades:
        return
    total = sum((leg.notional_usd for leg in trades), Decimal(0))
    fees = sum((leg.fee_usd for leg in trades), Decimal(0))
    slippage = sum((leg.slippage_usd for leg in trades), Decimal(0))
    count = f"{len(trades)} order{'s' if len(trades) > 1 else ''}"
    yield f"{count}, {usd(total)} USD"
    yield f"fees {usd(fees)} + slippage {usd(slippage)} = {usd(fees + slippage)} USD"


def _order(inputs: TicketInputs, number: int, leg: OrderIntent) -> Iterator[str]:
    venue, _, symbol = leg.id.partition(":")
    reducing = "reduce-only" if leg.reduce_only else "may add"
    yield (
        f"{number:>2}  {symbol} {venue}  {leg.effect.value} {leg.side.value} "
        f"{plain(leg.contracts)} contracts  {reducing}"
    )
    worth = f"{_base(inputs.instrument(leg.id), leg)}{usd(leg.notional_usd)} USD"
    yield f"    {worth}  limit {plain(leg.limit_price)}{_mark(inputs, leg)}"
    yield (
        f"    fee {usd(leg.fee_usd)}  slippage {usd(leg.slippage_usd)}"
        f"{_share_of_volume(inputs, leg)}{_funding(inputs.funding(leg.id))}"
    )
    moved = f"{_signed(leg.before)} -> {_signed(leg.after)} contracts"
    yield f"    position {moved}{_weights(inputs, leg)}"


def _base(instrument: Instrument | None, leg: OrderIntent) -> str:
    if instrument is None or not instrument.linear:
        return ""
    return f"{plain(leg.contracts * instrument.contract_size)} {instrument.coin} = "


def _mark(inputs: TicketInputs, leg: OrderIntent) -> str:
    quote, instrument = inputs.quote(leg.id), inputs.instrument(leg.id)
    if quote is None or instrument is None:
        return ""
    mark = nearest_step(quote.mark, instrument.tick)
    return f"  mark {plain(mark)} of {iso(quote.ts_ms)[11:19]}Z"


def _share_of_volume(inputs: TicketInputs, leg: OrderIntent) -> str:
    volume = inputs.volume_usd_day.get(leg.id)
    return f"  {float(leg.notional_usd) / volume:.4%} of volume" if volume else ""


def _funding(funding: FundingQuote | None) -> str:
    return (
        ""
        if funding is None
        else f"  funding {float(funding.rate):+.4%} at {iso(funding.next_ms)[11:16]}Z"
    )


def _weights(inputs: TicketInputs, leg: OrderIntent) -> str:
    for row in inputs.proposal.rows:
        if row.id == leg.id:
            return f"  weight {row.weight_now:+.3f} -> {row.weight_rounded:+.3f}"
    return ""


def _book(proposal: Proposal) -> Iterator[str]:
    now, after = proposal.risk_now, proposal.risk
    yield f"{'BOOK':<34}{'now':>14}{'after':>14}"
    rows = (
        ("gross", f"{now.gross:.3f}x", f"{after.gross:.3f}x"),
        ("net", f"{now.net:+.3f}x", f"{after.net:+.3f}x"),
        ("volatility a year", f"{now.volatility_annual:.2%}", f"{after.volatility_annual:.2%}"),
        (
            "robust volatility (limited)",
            _share(now.robust_volatility_annual),
            _share(after.robust_volatility_annual),
        ),
        ("margin ratio (1 is liquidation)", f"{now.margin_ratio:.4f}", f"{after.margin_ratio:.4f}"),
        ("worst account", now.worst_account, after.worst_account),
        ("liquidation, prices down", _move(now.liquidation_down), _move(after.liquidation_down)),
        ("liquidation, prices up", _move(now.liquidation_up), _move(after.liquidation_up)),
        ("expected carry, USD a day", usd(now.carry_usd_day), usd(after.carry_usd_day)),
    )
    for name, left, right in rows:
        yield f"{name:<34}{left:>14}{right:>14}"
    yield f"one-way turnover {proposal.turnover:.1%} of equity {usd(proposal.equity_usd)} USD"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"


def _move(move: float | None) -> str:
    if move is None:
        return "none"
    return f"{move:+.1%}" if move < FAR else f"over {FAR:+.0%}"


def _limits(proposal: Proposal) -> Iterator[str]:
    now = {check.name: check for check in proposal.limits_now}
    yield f"{'LIMITS':<30}{'now':>11}{'after':>11}{'limit':>14}{'headroom':>11}"
    for check in proposal.limits:
        before = now.get(check.name)
        name = check.name
        if len(name) >= 30:
            yield name
            name = ""
        shown = "-" if before is None else f"{before.value:.4f}"
        bound = f"{'>=' if check.at_least else '<='} {check.limit:.4f}"
        yield (
            f"{name:<30}{shown:>11}{check.value:>11.4f}{bound:>14}{headroom(check):>11.4f}"
            f"  {_mark_of(check, proposal)}"
        )
    marks = {_mark_of(check, proposal) for check in proposal.limits}
    yield from (f"{mark}: {words}" for mark, words in MARKS.items() if mark in marks)


def _mark_of(check: LimitCheck, proposal: Proposal) -> str:
    if check.ok:
        return ""
    return "X" if check.name in proposal.stays_broken else "~"


def headroom(check: LimitCheck) -> float:
    """Return how far the value is inside its limit; negative when it is breached."""
    return check.value - check.limit if check.at_least else check.limit - check.value


def _closing(inputs: TicketInputs) -> Iterator[str]:
    if inputs.purpose == "export":
        yield "cannot be undone: files that were read by others."
    else:
        yield "cannot be undone: fills."


def usd(amount: Decimal) -> str:
    """Return dollars to the cent with thousands separated: ``-1,234.50``."""
    return f"{to_cents(amount):,.2f}"


def _signed(contracts: Decimal) -> str:
    return plain(contracts) if contracts <= 0 else f"+{plain(contracts)}"
