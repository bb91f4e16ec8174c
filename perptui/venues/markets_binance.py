"""Which contracts a Binance account may hold and which the desk wants, by the venue's symbols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from perptui.model.instrument import instrument_id, split_id
from perptui.model.text import safe_text
from perptui.venues import wire_binance as wire
from perptui.venues.fields import bad
from perptui.venues.parse_market import Names

NAME = "binanceusdm"


def wanted_ids(symbols: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return instrument ids of ccxt symbols or ids; None for all perpetual contracts.

    Raises
    ------
    ValueError
        When one is neither, or of another venue.
    """
    if symbols is None:
        return None
    found = []
    for symbol in symbols:
        head = symbol.partition(":")[0]
        identifier = instrument_id(NAME, symbol) if "/" in head else symbol
        venue, name = split_id(identifier)
        if venue != NAME:
            raise ValueError(f"expected a symbol of {NAME}, was {symbol!r}; give it to its venue")
        found.append(instrument_id(venue, name))
    return tuple(found)


def name_contracts(
    info: wire.ExchangeInfo, markets: Iterable[Mapping[str, Any]], wanted: tuple[str, ...] | None
) -> tuple[Names, tuple[str, ...]]:
    """Return the names of all linear contracts, and the wanted ids the venue does not list.

    A contract whose name would not show as it is written is left out: it could not be addressed
    by what is on the screen.

    Raises
    ------
    BadResponse
        When the list is empty, names a contract twice, or has none that ccxt could read.
    """
    listed = {row.symbol: row for row in info.symbols}
    if not listed or len(listed) != len(info.symbols):
        raise bad("a list with each contract once", len(info.symbols))
    known: dict[str, str] = {}
    for market in markets:
        symbol, name = str(market["id"]), str(market["symbol"])
        if market.get("linear") and safe_text(symbol) == symbol and safe_text(name) == name:
            known[symbol] = instrument_id(NAME, name)
    if not known:
        raise bad("at least one linear contract", f"{len(listed)} that ccxt could not read")
    if wanted is None:
        chosen = [s for s in known if listed[s].contractType == "PERPETUAL"]
        return Names(known, tuple(sorted(chosen))), ()
    symbols = {identifier: symbol for symbol, identifier in known.items()}
    chosen = [symbols[identifier] for identifier in wanted if identifier in symbols]
    absent = tuple(identifier for identifier in wanted if identifier not in symbols)
    return Names(known, tuple(sorted(chosen))), absent
