"""One call through ccxt: budgeted, captured, and turned into a body or one of our errors."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

from perptui.model.clock import Clock
from perptui.model.errors import BadResponse, ClockSkew, VenueError
from perptui.venues.classify import silence_until_ms
from perptui.venues.failures import Redactor, failure
from perptui.venues.limiter import RateLimiter
from perptui.venues.outcomes.table import VenueTable
from perptui.venues.transport import Exchange, captured

log = logging.getLogger(__name__)

USED_WEIGHT = "x-mbx-used-weight-1m"
CANCEL_PATIENCE_S = 0.5
"""Longest wait of a cancel for its place in the budget; an order never waits at all."""

DEFAULT_SILENCE_S = 60.0
"""After a 418 or 429 that names no time."""


class Caller:
    """Makes calls of one exchange object.

    Parameters
    ----------
    venue : str
        Named in errors.
    exchange : Any
        The ccxt object, whose session is a `VenueSession`.
    limiter : RateLimiter
        The venue's budget.
    table : VenueTable
        The venue's codes.
    redact : Redactor
        Applied to every text that leaves; also for those who write.
    """

    def __init__(
        self,
        venue: str,
        exchange: Any,
        clock: Clock,
        limiter: RateLimiter,
        table: VenueTable,
        redact: Redactor,
    ) -> None:
        self._venue = venue
        self._exchange = exchange
        self._clock = clock
        self._limiter = limiter
        self._table = table
        self._out_of_step = False
        self.redact = redact

    def lose_step(self) -> None:
        """Send nothing but cancels until the venue's clock was read: it refused our stamp."""
        self._out_of_step = True

    def find_step(self) -> None:
        """Send again: the venue's clock is known."""
        self._out_of_step = False

    async def read(self, method: str, *arguments: Any, weight: float) -> tuple[Exchange, Any]:
        """Return the captured answer of one read, and what ccxt made of it.

        Raises
        ------
        VenueError
            For anything but a complete 2xx answer that ccxt could read.
        """
        await asyncio.sleep(self._limiter.claim(weight))
        exchange, answer, error = await self._once(method, arguments)
        if error is not None or exchange is None:
            raise self._failed(method, exchange, _reason(error))
        if exchange.status is None or not 200 <= exchange.status < 300 or not exchange.complete:
            raise self._failed(method, exchange, "an incomplete answer")
        return exchange, answer

    async def write(
        self, method: str, *arguments: Any, cancel: bool = False
    ) -> tuple[Exchange | None, str]:
        """Make one attempt to write; return what went over the wire and ccxt's own word for it.

        An order goes at once or not at all: what the gate allowed may be forbidden a moment later.
        The word is the error's class, and its whole text only where nothing went over the wire.

        Raises
        ------
        RateLimited, ClockSkew
            When the budget, a silence or a clock that was refused forbids it: nothing was sent.
        """
        if self._out_of_step and not cancel:
            raise ClockSkew(
                f"expected {self._venue}'s clock to be known, was refused by it; read its time",
                "CLOCK",
            )
        patience_s = CANCEL_PATIENCE_S if cancel else 0.0
        wait = self._limiter.claim(1.0, cancel=cancel, patience_s=patience_s)
        if wait > 0:
            await asyncio.sleep(wait)
        exchange, _, error = await self._once(method, arguments)
        if exchange is None or error is None:
            return exchange, self.redact(_reason(error))
        return exchange, type(error).__name__

    async def _once(
        self, method: str, arguments: tuple[Any, ...]
    ) -> tuple[Exchange | None, Any, Exception | None]:
        collected: list[Exchange] = []
        token = captured.set(collected)
        answer: Any = None
        failed: Exception | None = None
        try:
            answer = await getattr(self._exchange, method)(*arguments)
        except Exception as error:  # noqa: BLE001 - the edge: ccxt raises anything on garbage
            failed = error
        finally:
            captured.reset(token)
        if len(collected) > 1:
            failed = failed or BadResponse(f"expected one request, was {len(collected)}")
        exchange = collected[-1] if collected else None
        if exchange is not None:
            exchange.body = self.redact.without_secrets(exchange.body)
            self._account_for(exchange)
        return exchange, answer, failed

    def _account_for(self, exchange: Exchange) -> None:
        """Follow the venue's own count, and be silent when it says so."""
        used = exchange.headers.get(USED_WEIGHT, "")
        if re.fullmatch(r"\d{1,9}", used):
            self._limiter.observe(float(used))
        if exchange.status in self._table.throttled_statuses:
            until_ms = silence_until_ms(exchange, self._table)
            seconds = DEFAULT_SILENCE_S
            if until_ms is not None:
                seconds = (until_ms - self._clock.utc_ms()) / 1000
            log.warning("%s asks for silence for %.0f s", self._venue, seconds)
            self._limiter.be_silent(seconds)

    def _failed(self, method: str, exchange: Exchange | None, reason: str) -> VenueError:
        call = f"{self._venue} {method}"
        return failure(call, exchange, reason, self._table, self.redact)


def _reason(error: Exception | None) -> str:
    """Return the library's word without the request it quotes."""
    if error is None:
        return ""
    text = str(error).split("{", 1)[0].split("?", 1)[0].strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
