"""What funding earns: dollars a day of a position, and the venue where a side pays least."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from perptui.model.instrument import Instrument
from perptui.model.market import FundingQuote
from perptui.model.money import ZERO

HOURS_A_DAY = 24


def carry_usd_day(notional_usd: Decimal, funding: FundingQuote) -> Decimal:
    """Return -x·f·24/h: dollars a day that a position of signed notional x receives."""
    return -notional_usd * funding.rate * HOURS_A_DAY / Decimal(str(funding.interval_h))


def best_venues(
    instruments: Mapping[str, Instrument],
    rates: Mapping[str, FundingQuote],
    notionals: Mapping[str, Decimal],
) -> dict[str, str]:
    """Return, of coins listed on several venues, where our side pays least, by instrument id.

    The side is the held one; a contract that is not held is judged for a long.

    Parameters
    ----------
    notionals : mapping of str to Decimal
        Signed, of what is held, USD.
    """
    rivals: dict[str, list[str]] = {}
    for key, instrument in instruments.items():
        if key in rates:
            rivals.setdefault(instrument.coin, []).append(key)
    best = {}
    for keys in rivals.values():
        if len({instruments[key].venue for key in keys}) < 2:
            continue
        for key in keys:
            side = Decimal(-1) if notionals.get(key, ZERO) < 0 else Decimal(1)
            winner = max(keys, key=lambda rival: carry_usd_day(side, rates[rival]))
            best[key] = instruments[winner].venue
    return best
