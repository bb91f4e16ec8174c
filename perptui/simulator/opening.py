"""The book an account opens with: none, a demonstration's, or one from a file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import InputError
from perptui.model.instrument import split_id
from perptui.model.money import truncate_to_step
from perptui.simulator.exchange import Exchange

DEMO_WEIGHTS = {
    "BTCUSDT": ("1.042", 74),
    "ETHUSDT": ("0.747", 101),
    "SOLUSDT": ("-0.402", 53),
    "XRPUSDT": ("-0.219", 88),
    "BNBUSDT": ("0.161", 122),
    "DOGEUSDT": ("-0.140", 65),
    "AVAXUSDT": ("0.120", 39),
}
"""Signed multiples of equity, and how many hours ago each position was entered."""

DEMO_POSITIONS = 6


class OpeningPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One position; `contracts` signed."""

    id: str
    contracts: Decimal
    entry_price: Decimal


class Opening(msgspec.Struct, frozen=True):
    """What to open: the demonstration's book, or these positions."""

    demo: bool
    positions: tuple[OpeningPosition, ...] = ()

    @classmethod
    def of(cls, text: str, wire: str) -> Opening:
        """Read ``demo``, ``none`` or the name of a file.

        Raises
        ------
        InputError
            When the file cannot be read or a position in it is wrong.
        """
        if text in {"demo", "none"}:
            return cls(text == "demo")
        try:
            rows = msgspec.json.decode(Path(text).read_bytes(), type=tuple[OpeningPosition, ...])
        except OSError as error:
            raise InputError(f"expected a readable book file, was {error}; mend --book") from None
        except msgspec.MsgspecError as error:
            raise InputError(
                f"expected [{{id, contracts, entry_price}}] in {text}, was {error}; mend the file"
            ) from None
        return cls(False, tuple(row for row in rows if _venue_of(row) == wire))


def _venue_of(row: OpeningPosition) -> str:
    try:
        return split_id(row.id)[0]
    except ValueError as error:
        raise InputError(str(error)) from None


def open_book(exchange: Exchange, opening: Opening, equity: Decimal) -> None:
    """Give the account its positions; the wallet is what makes equity `equity` now.

    Raises
    ------
    InputError
        When a position names a contract the market has not, a quantity that is no multiple of its
        step, or the book could not stand with that equity.
    """
    entries = _demo(exchange, equity) if opening.demo else _from_file(exchange, opening)
    for symbol, quantity, entry in entries:
        exchange.account.trade(symbol, quantity, entry, Decimal(0), exchange.now_ms, 0)
    exchange.account.book(exchange.now_ms, "TRANSFER", "", equity - exchange.equity())
    if exchange.initial() > exchange.equity():
        raise InputError(
            f"expected a book whose initial margin fits {equity} USD, was "
            f"{exchange.initial():.2f}; raise --equity or make the book smaller"
        )


def _demo(exchange: Exchange, equity: Decimal) -> list[tuple[str, Decimal, Decimal]]:
    listed = [s for s in DEMO_WEIGHTS if s in exchange.market.listed(exchange.now_ms)]
    entries = []
    for symbol in listed[:DEMO_POSITIONS]:
        weight, hours = DEMO_WEIGHTS[symbol]
        rules = exchange.rules[symbol]
        quantity = truncate_to_step(Decimal(weight) * equity / exchange.mark(symbol), rules.step)
        series = exchange.market.source.series[symbol]
        entered = max(series.first_ms, exchange.now_ms - hours * HOUR_MS)
        if entered < exchange.now_ms - 30 * DAY_MS:
            continue
        price = Decimal(repr(exchange.market.last(symbol, entered)))
        entries.append((symbol, quantity, price // rules.tick * rules.tick))
    return entries


def _from_file(exchange: Exchange, opening: Opening) -> list[tuple[str, Decimal, Decimal]]:
    entries = []
    for row in opening.positions:
        symbol = split_id(row.id)[1].partition(":")[0].replace("/", "")
        if symbol not in exchange.market.listed(exchange.now_ms):
            raise InputError(f"expected a contract of this market, was {row.id}; leave it out")
        step = exchange.rules[symbol].step
        if row.contracts % step or row.entry_price <= 0:
            raise InputError(
                f"expected a multiple of {step} and a price above 0 for {row.id}, was "
                f"{row.contracts} at {row.entry_price}; mend the file"
            )
        entries.append((symbol, row.contracts, row.entry_price))
    return entries
