"""The real ccxt exchange objects, tamed. Importing this loads them: do it in a thread."""

from __future__ import annotations

import logging
import ssl
from typing import Any

from perptui.model.clock import Clock
from perptui.venues.ccxt_import import exchange_class
from perptui.venues.transport import VenueSession

_Binanceusdm = exchange_class("binanceusdm")

RECV_WINDOW_MS = 5000
TIMEOUT_MS = 10_000


def binanceusdm(
    session: VenueSession, clock: Clock, api_key: str, secret: str, *, demo_trading: bool
) -> Any:
    """Return a `ccxt.async_support.binanceusdm` that sends what it is asked to and once.

    Parameters
    ----------
    clock : Clock
        Signs with this venue time; a replay runs it fast.
    demo_trading : bool
        Use the venue's own demo hosts.
    """
    logging.getLogger("ccxt").setLevel(logging.WARNING)
    exchange = _Binanceusdm(
        {
            "apiKey": api_key,
            "secret": secret,
            "session": session,
            "enableRateLimit": False,
            "timeout": TIMEOUT_MS,
            "verbose": False,
            "options": {
                "recvWindow": RECV_WINDOW_MS,
                "maxRetriesOnFailure": 0,
                "warnOnFetchOpenOrdersWithoutSymbol": False,
                "fetchMarkets": {"types": ["linear"]},
                "adjustForTimeDifference": False,
            },
        }
    )
    exchange.has["fetchCurrencies"] = False
    exchange.milliseconds = clock.utc_ms
    exchange.timeout_on_exit = 0
    # TLS is the session's own business. Left alone, ccxt would load its certificates inside the
    # event loop (60 ms); a context that trusts nobody is what a session of its own would get.
    exchange.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if demo_trading:
        exchange.enable_demo_trading(True)
    if exchange.options["maxRetriesOnFailure"] != 0 or exchange.own_session:
        raise AssertionError("expected a client that sends once over our session, was not")
    return exchange
