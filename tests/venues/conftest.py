"""A venue on a socket with raw payloads, and the real ccxt in front of it."""

import os
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from perptui.model.clock import ManualClock
from perptui.model.order import Effect, OrderIntent, Side
from perptui.settings.credentials import Secret
from perptui.venues.base import Venue
from perptui.venues.open import open_venue
from tests.venues import payloads
from tests.venues.wire_server import WireServer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(payloads.NOW_MS)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[WireServer]:
    started = WireServer(Path(os.environ["XDG_RUNTIME_DIR"]) / "venue.sock")
    for path, payload in payloads.REPLIES.items():
        started.answer(path, payload)
    started.answer("/fapi/v1/order", payloads.order(), method="POST")
    started.answer("/fapi/v1/order", payloads.order(status="CANCELED"), method="DELETE")
    await started.start()
    yield started
    await started.stop()


@pytest_asyncio.fixture
async def venue(server: WireServer, clock: ManualClock) -> AsyncIterator[Venue]:
    opened = open_venue(
        "binance",
        clock=clock,
        socket=server.path,
        key=Secret(payloads.KEY),
        secret=Secret(payloads.SECRET),
        symbols=["BTC/USDT:USDT"],
    )
    await opened.open()
    server.requests.clear()
    yield opened
    await opened.close()


@pytest.fixture
def intent() -> OrderIntent:
    return OrderIntent(
        id=payloads.BTC,
        side=Side.BUY,
        effect=Effect.REDUCE,
        contracts=Decimal(1),
        notional_usd=Decimal(64600),
        limit_price=Decimal(64700),
        mark_price=Decimal(64600),
        reduce_only=True,
        before=Decimal(-1),
        after=Decimal(0),
    )
