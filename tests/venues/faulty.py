"""A simulated venue that stands still, in this process, and the adapter in front of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from perptui.model.clock import DAY_MS, HOUR_MS, ManualClock, parse_iso
from perptui.model.money import ceil_to_tick, floor_to_tick
from perptui.model.order import Side
from perptui.settings.credentials import Secret
from perptui.simulator.faults import Fault, FaultKind, FaultScript
from perptui.simulator.orders import OrderRequest, OrderType, TimeInForce
from perptui.simulator.server import VenueServer
from perptui.simulator.venue import SimulatedVenue, VenueOptions
from perptui.venues.base import Venue
from perptui.venues.binance_link import Kept
from perptui.venues.open import open_venue
from tests.venues.payloads import BTC

NOW_MS = parse_iso("2026-11-22T12:34:56Z")
PATIENCE_MS = 10_000
SHORT_PATIENCE_MS = 300
SLOW = frozenset({FaultKind.HANG, FaultKind.DRIP, FaultKind.ENDLESS})
"""Faults of which nothing comes but time: the adapter's patience is short then, long otherwise."""
APART_S = 61.0
"""Between two reads: the venue's limits and the adapter's own forget the one before."""

Read = Callable[[Venue], Awaitable[Any]]
READS: dict[str, tuple[str, Read]] = {
    "time": ("/fapi/v1/time", lambda venue: venue.server_time()),
    "contracts": ("/fapi/v1/exchangeInfo", lambda venue: venue.instruments()),
    "tiers": ("/fapi/v1/leverageBracket", lambda venue: venue.instruments()),
    "fees": ("/fapi/v1/commissionRate", lambda venue: venue.instruments()),
    "balance": ("/fapi/v3/account", lambda venue: venue.account()),
    "positions": ("/fapi/v3/positionRisk", lambda venue: venue.account()),
    "mode": ("/fapi/v1/positionSide/dual", lambda venue: venue.account()),
    "marks": ("/fapi/v1/premiumIndex", lambda venue: venue.quotes()),
    "tops": ("/fapi/v1/ticker/bookTicker", lambda venue: venue.quotes()),
    "volumes": ("/fapi/v1/ticker/24hr", lambda venue: venue.quotes()),
    "funding": ("/fapi/v1/premiumIndex", lambda venue: venue.funding()),
    "intervals": ("/fapi/v1/fundingInfo", lambda venue: venue.funding()),
    "bars": ("/fapi/v1/klines", lambda venue: venue.bars(BTC, None, 5)),
    "mark bars": (
        "/fapi/v1/markPriceKlines",
        lambda venue: venue.mark_bars(BTC, NOW_MS - 8 * HOUR_MS, 5),
    ),
    "settlements": ("/fapi/v1/fundingRate", lambda venue: venue.funding_history(BTC, None, 5)),
    "book": ("/fapi/v1/depth", lambda venue: venue.book(BTC, 5)),
    "cash flows": ("/fapi/v1/income", lambda venue: venue.cashflows(NOW_MS - DAY_MS)),
    "fills": ("/fapi/v1/userTrades", lambda venue: venue.fills(BTC, NOW_MS - HOUR_MS)),
    "open orders": ("/fapi/v1/openOrders", lambda venue: venue.open_orders()),
    "order": ("/fapi/v1/order", lambda venue: venue.order(BTC, "pt-rests")),
}
"""Every read of the adapter that the venue's own account takes part in, by what it asks for."""


class Bench:
    """A venue with a book, fills and two resting orders, at one moment for ever."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.venue = SimulatedVenue(VenueOptions(seed=5, speed=0.0), self.clock)
        exchange = self.venue.exchange
        mark, tick = exchange.mark("BTCUSDT"), exchange.rules["BTCUSDT"].tick
        for number in range(3):
            price = ceil_to_tick(mark * Decimal("1.003"), tick)
            self._place(price, TimeInForce.IOC, f"pt-{number}", "0.01")
        for name in ("pt-rests", "pt-rests-too"):
            price = floor_to_tick(mark * Decimal("0.98"), tick)
            self._place(price, TimeInForce.GTC, name, "0.02")
        self.adapter: Any = None

    def _place(self, price: Decimal, in_force: TimeInForce, name: str, size: str) -> None:
        request = OrderRequest(
            *("BTCUSDT", Side.BUY, OrderType.LIMIT, Decimal(size), price, in_force),
            client_id=name,
        )
        self.venue.exchange.place(request)

    def strike(self, endpoint: str, kind: FaultKind, pick: int = 0, seconds: float = 0.5) -> None:
        """Strike the next call of `endpoint`, and no other."""
        patience_ms = SHORT_PATIENCE_MS if kind in SLOW and "nothing" not in endpoint else None
        vars(self.adapter)["_exchange"].timeout = patience_ms or PATIENCE_MS
        self.venue.faults = FaultScript((Fault(endpoint, 1, kind, seconds, pick=pick),))

    async def read(self, read: Read) -> Any:
        """Return a reading that nothing kept from before takes part in."""
        self.clock.advance(APART_S)
        for name, kept in list(vars(self.adapter).items()):
            if isinstance(kept, Kept):
                setattr(self.adapter, name, None)
        return await read(self.adapter)


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    """Serve a bench, with the adapter open in front of it."""
    made, path = Bench(), folder / "faulty.sock"
    server, ready = VenueServer(made.venue, path), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready.set))
    await ready.wait()
    key = Secret("simulated")
    made.adapter = open_venue("binance", clock=made.venue.clock, socket=path, key=key, secret=key)
    await made.adapter.open()
    try:
        yield made
    finally:
        await made.adapter.close()
        server.stop()
        await serving
