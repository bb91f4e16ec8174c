"""What a quoted put is worth, and whether anybody can have asked that premium for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from perptui.model.clock import DAY_MS, iso
from perptui.model.whatif import PutQuote
from perptui.optimization.forecasts import DAYS_A_YEAR
from perptui.optimization.inputs import FloatArray

STRIKES = (0.2, 2.0)
"""Strikes over the price of the coin, beyond which a quote is a slip of the pen."""
IMPLIED_MIN, IMPLIED_MAX = 0.2, 10.0
"""Annualised volatilities that a premium may imply: nobody writes puts on a coin for less than the
one, and the other is no price that anybody pays."""
IMPLIED_SHARE = 1.0 / 3.0
"""Of the forecast volatility, that a premium must imply at least: after a crash a week's forecast
may stand far above what options of a month or more imply."""
HALVINGS = 60


def put_value(
    spot: FloatArray, strike: float, volatility: float, years: float
) -> tuple[FloatArray, FloatArray]:
    """Return value and delta of a European put at zero interest (Black and Scholes 1973), per coin.

    P = K N(-d2) - S N(-d1), delta = -N(-d1), d1 = (ln(S/K) + s²T/2)/(s sqrt T), d2 = d1 - s sqrt T;
    at expiry max(K - S, 0), and -1 or 0.

    Parameters
    ----------
    spot : array
        Prices of the coin, positive, USD.
    volatility, years : float
        Annualised; time to expiry, at least 0.
    """
    from scipy.special import ndtr

    deviation = volatility * math.sqrt(years)
    if deviation <= 0.0:
        return np.maximum(strike - spot, 0.0), -(spot < strike).astype(float)
    d1 = np.log(spot / strike) / deviation + 0.5 * deviation
    value = strike * ndtr(deviation - d1) - spot * ndtr(-d1)
    return np.maximum(value, 0.0), -ndtr(-d1)


def implied_volatility(spot: float, strike: float, premium: float, years: float) -> float:
    """Return the volatility at which a put is worth its premium, by bisection up to `IMPLIED_MAX`.

    Parameters
    ----------
    premium : float
        Between what the put is worth at once and its value at `IMPLIED_MAX`.
    """
    low, high = 0.0, IMPLIED_MAX
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        dearer = put_value(np.array([spot]), strike, middle, years)[0][0] > premium
        low, high = (low, middle) if dearer else (middle, high)
    return high


@dataclass(frozen=True)
class Market:
    """Where a put is quoted: price of its coin, forecast volatility, and when."""

    spot: float
    volatility: float
    as_of_ms: int

    def years_to(self, quote: PutQuote) -> float:
        """Return the time to a quote's expiry."""
        return (quote.expiry_ms - self.as_of_ms) / DAY_MS / DAYS_A_YEAR

    def value(self, quote: PutQuote, volatility: float) -> float:
        """Return the value of a put at a volatility, USD a coin."""
        spot = np.array([self.spot])
        return float(put_value(spot, quote.strike, volatility, self.years_to(quote))[0][0])


def refusal(quote: PutQuote, market: Market | None, as_of_ms: int, horizon_days: float) -> str:
    """Return why a quote cannot be used, with the cure; "" where it can.

    A premium must be at least what the put is worth at once, and at a volatility of a third of the
    forecast (and 20 %); below the strike, and below its value at 1000 %. A strike is from a fifth
    to twice the price of the coin.

    Parameters
    ----------
    market : Market or None
        None: the program has no contract of its coin with estimates.
    """
    if min(quote.strike, quote.premium_usd, quote.step) <= 0.0 or quote.held < 0.0:
        return (
            f"expected a positive strike, premium and step, was {quote.strike:g}, "
            f"{quote.premium_usd:g} and {quote.step:g} ({quote.held:g} held); mend the quote"
        )
    if quote.expiry_ms <= as_of_ms:
        return f"expected an expiry ahead, was {iso(quote.expiry_ms)}; take the quote out"
    if quote.expiry_ms < as_of_ms + horizon_days * DAY_MS:
        return (
            f"expected an expiry at the horizon of {horizon_days:g} d or later, was "
            f"{iso(quote.expiry_ms)}; quote a later one, or shorten the horizon"
        )
    if market is None:
        return f"expected a contract of {quote.coin} with estimates, was none; add one"
    return _implausible(quote, market)


def _implausible(quote: PutQuote, market: Market) -> str:
    """Return why no one can have asked a premium at this price of the coin; "": it may be."""
    spot, premium = market.spot, quote.premium_usd
    lowest, highest = (share * spot for share in STRIKES)
    if not lowest <= quote.strike <= highest:
        return (
            f"expected a strike from {lowest:.6g} to {highest:.6g}, {quote.coin} is at {spot:.6g}, "
            f"was {quote.strike:g}; mend the quote"
        )
    if premium < quote.strike - spot:
        return (
            f"expected a premium of at least {quote.strike - spot:.6g} USD, what the put is worth "
            f"at once, was {premium:g}; ask for a fresh quote"
        )
    floor = max(IMPLIED_MIN, IMPLIED_SHARE * market.volatility)
    least, most = market.value(quote, floor), market.value(quote, IMPLIED_MAX)
    if premium < least:
        return (
            f"expected a premium of at least {least:.6g} USD, the put's value at a volatility of "
            f"{floor:.0%}, was {premium:g}; ask for a fresh quote"
        )
    if premium >= min(quote.strike, most):
        return (
            f"expected a premium below {min(quote.strike, most):.6g} USD, which no put is worth, "
            f"was {premium:g}; ask for a fresh quote"
        )
    return ""


def requoted(quote: PutQuote, asked: Market, moved: Market) -> PutQuote:
    """Return a quote at another price of its coin: the volatility its premium implies stays."""
    if moved.spot == asked.spot:
        return quote
    years = asked.years_to(quote)
    implied = implied_volatility(asked.spot, quote.strike, quote.premium_usd, years)
    return msgspec.structs.replace(quote, premium_usd=moved.value(quote, implied))
