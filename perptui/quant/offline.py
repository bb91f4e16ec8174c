"""A snapshot from market history alone: what a desk could have known at one past instant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import msgspec

from perptui.history.dataset import History
from perptui.model.account import Account, Position
from perptui.model.clock import HOUR_MS, iso
from perptui.model.errors import InputError
from perptui.model.instrument import VENUE_ALIASES, Instrument, instrument_id
from perptui.model.market import FundingQuote, Quote
from perptui.model.money import ZERO, decimal_of, plain
from perptui.model.snapshot import MarketSnapshot
from perptui.quant.marks import MARK, apart
from perptui.quant.soundness import recent_shift
from perptui.risk.contract_rules import QUOTE, rules_table

STALE_MS = 6 * HOUR_MS
"""An hourly bar that closed longer ago than this speaks for a contract no more.

A wider bar may be older by its width."""
NO_BARS = "no bars by then"
NO_FUNDING = "no funding settled by then"
COLLATERAL = "USDT"
EQUITY_STEP = Decimal("0.00000001")


class Held(msgspec.Struct, frozen=True):
    """A position as a person states it: signed contracts and entry price."""

    id: str
    contracts: Decimal
    entry_price: Decimal


def snapshot_at(
    history: History,
    at_ms: int,
    venues: Sequence[str],
    equity_usd: Decimal,
    positions: Sequence[Held] = (),
    *,
    members: Collection[str] | None = None,
) -> MarketSnapshot:
    """Return the market and a book as they stood at `at_ms`; nothing younger is touched.

    A contract against USDT is in it when its bars, hourly or 8-hourly, and funding reach to
    `at_ms`. Its rules are the project's table's; of one that the table does not know they are
    assumed, see `assumed_of`. The mark is that of the bar that closed last, else its last price;
    its quote's stamp says when. The funding rate quoted is the last that settled. Equity is split
    equally over the venues.

    Parameters
    ----------
    venues : sequence of str
        ccxt ids, or their aliases.
    equity_usd : Decimal
        Of all accounts together, unrealised P&L included.
    members : collection of str, optional
        Ids of a universe: other contracts are left out unless a position is held in them.

    Raises
    ------
    InputError
        When a venue is not in the table, no contract has data at that time, a position's contract
        has none or it is no whole number of lots, or equity is not positive.
    """
    names = _known_venues(venues)
    if equity_usd <= 0:
        raise InputError(f"expected a positive equity, was {equity_usd}; give --equity in USD")
    rows = [row for venue in names for row in _contracts(history, venue, at_ms)]
    if members is not None:
        wanted = {*members, *(held.id for held in positions)}
        rows = [row for row in rows if row[0].id in wanted]
    rows.sort(key=lambda row: row[0].id)
    if not rows:
        raise InputError(
            f"expected bars and funding of {', '.join(names)} up to {iso(at_ms)}, "
            "found none; choose another --at or --data"
        )
    _refuse_odd_lots(positions, [instrument for instrument, _, _ in rows])
    marks = {quote.id: quote.mark for _, quote, _ in rows}
    return MarketSnapshot(
        as_of_ms=at_ms,
        instruments=tuple(instrument for instrument, _, _ in rows),
        quotes=tuple(quote for _, quote, _ in rows),
        funding=tuple(funding for _, _, funding in rows),
        accounts=_accounts(names, at_ms, equity_usd, positions, marks),
    )


def _refuse_odd_lots(positions: Sequence[Held], instruments: Sequence[Instrument]) -> None:
    steps = {one.id: one.step for one in instruments}
    for held in positions:
        if held.id in steps and held.contracts % steps[held.id] != 0:
            raise InputError(
                f"expected contracts of {held.id} in multiples of {plain(steps[held.id])}, was "
                f"{held.contracts}; no venue holds a part of a lot, mend the positions"
            )


def _known_venues(venues: Sequence[str]) -> tuple[str, ...]:
    known = rules_table().venues
    names = sorted({VENUE_ALIASES.get(venue, venue) for venue in venues})
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        aliases = {name: alias for alias, name in VENUE_ALIASES.items()}
        offered = ", ".join(aliases.get(name, name) for name in known)
        raise InputError(
            f"expected venues among {offered}, was {', '.join(unknown) or 'none'}; mend --venues"
        )
    return tuple(names)


def assumed_of(snapshot: MarketSnapshot) -> tuple[str, ...]:
    """Return, in words, which contracts' rules are assumed because the table has none."""
    known = rules_table().contracts
    return tuple(
        f"{one.id} is not in the table of contract rules: tick {plain(one.tick)}, step "
        f"{plain(one.step)} from its price, the heaviest maintenance schedule"
        for one in snapshot.instruments
        if one.venue_symbol not in known.get(one.venue, {})
    )


def foreign_of(history: History, venues: Sequence[str]) -> tuple[str, ...]:
    """Return, in words, which contracts of the history are left out for what they settle in."""
    return tuple(
        f"left out: {venue} {symbol} is not a contract against {QUOTE}"
        for venue in _known_venues(venues)
        for symbol in history.symbols(venue)
        if not _against_quote(symbol)
    )


def _against_quote(symbol: str) -> bool:
    return symbol.endswith(QUOTE) and symbol != QUOTE


def absent_of(history: History, venues: Sequence[str], at_ms: int) -> tuple[str, ...]:
    """Return which contracts have no bars or no funding up to `at_ms`: ``id: reason`` of each.

    A series that begins later says what an empty one says: nothing younger is touched.
    """
    lines = []
    for venue in _known_venues(venues):
        for symbol in filter(_against_quote, history.symbols(venue, every=True)):
            found = _found(history, venue, symbol, at_ms)
            if isinstance(found, str):
                lines.append(f"{_identifier(venue, symbol)}: {found}")
    return tuple(lines)


def _identifier(venue: str, symbol: str) -> str:
    return instrument_id(venue, f"{symbol.removesuffix(QUOTE)}/{QUOTE}:{QUOTE}")


def _contracts(
    history: History, venue: str, at_ms: int
) -> list[tuple[Instrument, Quote, FundingQuote]]:
    rows = []
    for symbol in filter(_against_quote, history.symbols(venue)):
        found = _found(history, venue, symbol, at_ms)
        if not isinstance(found, str):
            quote, funding = found
            rules = rules_table().rules(venue, symbol, quote.mark)
            rows.append((rules.instrument, quote, funding))
    return rows


def _found(
    history: History, venue: str, symbol: str, at_ms: int
) -> tuple[Quote, FundingQuote] | str:
    """Return a contract's price and rate, or the first reason why it has none to use."""
    identifier = _identifier(venue, symbol)
    quote = _quote(history, identifier, venue, symbol, at_ms)
    if isinstance(quote, str):
        return quote
    funding = _funding(history, identifier, venue, symbol, at_ms)
    return funding if isinstance(funding, str) else (quote, funding)


def _quote(history: History, identifier: str, venue: str, symbol: str, at_ms: int) -> Quote | str:
    """Return the last closed bar's price, or why there is none to use."""
    if not (history.has(venue, symbol, "1h") or history.has(venue, symbol, "8h")):
        return NO_BARS
    bars = history.traded(venue, symbol, at_ms)
    if not len(bars.ts_ms):
        return NO_BARS
    wider_ms = bars.width_ms if bars.width_ms > HOUR_MS else 0
    if at_ms - int(bars.close_ms[-1]) > STALE_MS + wider_ms:
        return f"its last bar closed {iso(int(bars.close_ms[-1]))}"
    if shifted := recent_shift(bars):
        return shifted
    last, stamp = float(bars.close[-1]), int(bars.close_ms[-1])
    mark = last
    if history.has(venue, symbol, MARK):
        marks = history.bars(venue, symbol, MARK, at_ms)
        if len(marks.ts_ms) and int(marks.close_ms[-1]) >= stamp:
            mark, stamp = float(marks.close[-1]), int(marks.close_ms[-1])
    if odd := apart(mark, last):
        return odd
    return Quote(
        id=identifier,
        ts_ms=stamp,
        mark=decimal_of(mark, "mark"),
        last=decimal_of(last, "last price"),
    )


def _funding(
    history: History, identifier: str, venue: str, symbol: str, at_ms: int
) -> FundingQuote | str:
    """Return the last settled rate as the open interval's quote, or why there is none to use.

    Its stamp is that of the settlement: forecasts see that nothing of the interval is known.
    """
    if not history.has(venue, symbol, "funding"):
        return NO_FUNDING
    settled = history.funding(venue, symbol, at_ms)
    if not len(settled.ts_ms):
        return NO_FUNDING
    interval_h = float(settled.interval_h[-1])
    width_ms = round(interval_h * HOUR_MS)
    stamp = int(settled.ts_ms[-1])
    if at_ms - stamp > width_ms + STALE_MS:
        return f"its last funding settled {iso(stamp)}"
    return FundingQuote(
        id=identifier,
        ts_ms=stamp,
        rate=decimal_of(float(settled.rate[-1]), "funding rate"),
        next_ms=stamp + width_ms * ((at_ms - stamp) // width_ms + 1),
        interval_h=interval_h,
    )


def _accounts(
    venues: Sequence[str],
    at_ms: int,
    equity_usd: Decimal,
    positions: Sequence[Held],
    marks: Mapping[str, Decimal],
) -> tuple[Account, ...]:
    """Return one account a venue; the first takes the cents that do not divide."""
    strangers = sorted({held.id for held in positions} - set(marks))
    if strangers:
        raise InputError(
            f"expected contracts with data at that time, was {strangers[0]}; "
            f"mend the positions (there are {', '.join(sorted(marks))})"
        )
    share = equity_usd / len(venues)
    # Less than that step would be no account at all.
    share = share.quantize(EQUITY_STEP) or share
    shares = [equity_usd - share * (len(venues) - 1), *[share] * (len(venues) - 1)]
    accounts = []
    for venue, equity in zip(venues, shares, strict=True):
        held = tuple(
            _position(one, marks[one.id])
            for one in sorted(positions, key=lambda one: one.id)
            if one.id.partition(":")[0] == venue
        )
        unrealised = sum((one.unrealised_usd or ZERO for one in held), ZERO)
        accounts.append(
            Account(
                venue=venue,
                name="main",
                collateral=COLLATERAL,
                ts_ms=at_ms,
                wallet_usd=equity - unrealised,
                equity_usd=equity,
                positions=held,
            )
        )
    return tuple(accounts)


def _position(held: Held, mark: Decimal) -> Position:
    return Position(
        id=held.id,
        contracts=held.contracts,
        entry_price=held.entry_price,
        mark_price=mark,
        unrealised_usd=held.contracts * (mark - held.entry_price),
    )
