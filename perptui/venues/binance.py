"""Binance USD-M behind the `Venue` protocol."""

from __future__ import annotations

from typing import Any

from perptui.venues.base import SimulatedControl
from perptui.venues.binance_account import BinanceAccount
from perptui.venues.binance_market import BinanceMarket
from perptui.venues.binance_orders import BinanceOrders
from perptui.venues.markets_binance import NAME


class BinanceVenue(BinanceMarket, BinanceAccount, BinanceOrders):
    """One Binance USD-M margin account; build it with `perptui.venues.open.open_venue`.

    Parameters
    ----------
    control : SimulatedControl | None
        The side door, where the venue is simulated; the rest as in `BinanceLink`.
    """

    def __init__(self, *arguments: Any, control: SimulatedControl | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._control = control

    @property
    def name(self) -> str:
        """Return ccxt's id of the venue."""
        return NAME

    @property
    def host(self) -> str:
        """Return the host that its session is pinned to, "" while it is not open."""
        return "" if self._session is None else self._session.host

    @property
    def control(self) -> SimulatedControl | None:
        """Return the side door of a simulated venue, None of a live one."""
        return self._control

    async def close(self) -> None:
        """Close the connections; requests in flight end as unavailable or UNKNOWN."""
        await super().close()
        if self._control is not None:
            await self._control.close()
