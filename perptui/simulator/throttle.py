"""Request limits of Binance USD-M futures, counted in real time."""

from __future__ import annotations

from perptui.model.clock import Clock
from perptui.simulator.wire_binance_errors import WireError

WEIGHT_PER_MINUTE = 2400
ORDERS_PER_10S = 300
ORDERS_PER_MINUTE = 1200


class Throttle:
    """Counts weights and orders in fixed windows of monotonic time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[int, int]] = {}

    def count(self, weight: int, orders: int) -> dict[str, str]:
        """Count one request and return the headers that tell what is used.

        Raises
        ------
        WireError
            -1003 (429) or -1015 (429) when a limit is passed; the request has no effect then.
        """
        used = self._add("weight", 60, weight)
        if used > WEIGHT_PER_MINUTE:
            raise WireError(
                -1003,
                f"Too many requests; current limit of IP is {WEIGHT_PER_MINUTE} requests per "
                "minute. Please use the websocket for live updates to avoid polling the API.",
                429,
            )
        headers = {"X-MBX-USED-WEIGHT-1M": str(used)}
        if orders:
            short, long = self._add("10s", 10, orders), self._add("1m", 60, orders)
            if short > ORDERS_PER_10S or long > ORDERS_PER_MINUTE:
                raise WireError(
                    -1015,
                    f"Too many new orders; current limit is {ORDERS_PER_10S} orders per 10 SECOND.",
                    429,
                )
            headers |= {"X-MBX-ORDER-COUNT-10S": str(short), "X-MBX-ORDER-COUNT-1M": str(long)}
        return headers

    def _add(self, name: str, seconds: int, amount: int) -> int:
        window = int(self._clock.monotonic() // seconds)
        current, count = self._counts.get(name, (window, 0))
        count = amount if current != window else count + amount
        self._counts[name] = (window, count)
        return count
