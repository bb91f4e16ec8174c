"""A failed read as one of our errors: by what came over the wire, redacted, without its cause."""

from __future__ import annotations

import re

from perptui.model.errors import (
    BadResponse,
    ClockSkew,
    RateLimited,
    VenueError,
    VenueRejected,
    VenueUnavailable,
)
from perptui.model.text import safe_text
from perptui.venues.classify import said, silence_until_ms
from perptui.venues.outcomes.table import Said, VenueTable
from perptui.venues.transport import Exchange

LONGEST_TEXT = 200
_SENSITIVE = re.compile(
    r"(?i)\b(signature|listenkey|apikey|x-mbx-apikey|authorization)(\"?\s*[=:]\s*\"?)([^\s&\"',}]+)"
)


class Redactor:
    """Takes keys, secrets and signatures out of text.

    Parameters
    ----------
    secrets : str
        Exact texts that must never show; empty ones are passed over.
    """

    def __init__(self, *secrets: str) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def __repr__(self) -> str:
        return "Redactor(***)"

    def __call__(self, text: str) -> str:
        """Return `text` on one line, cut, with everything secret shown as ``***``."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return safe_text(_SENSITIVE.sub(r"\1\2***", text), LONGEST_TEXT)

    def without_secrets(self, body: bytes) -> bytes:
        """Return an answer in which every secret that the venue gives back is ``***``.

        What a parser refuses it quotes, and a venue knows the key that came with the request.
        """
        for secret in self._secrets:
            body = body.replace(secret.encode(), b"***")
        return body


def failure(
    call: str, exchange: Exchange | None, reason: str, table: VenueTable, redact: Redactor
) -> VenueError:
    """Return the error that a failed read is raised as.

    Parameters
    ----------
    call : str
        Venue and call, first in the message.
    exchange : Exchange | None
        The captured request; None when the library refused before it made one.
    reason : str
        What the library said; shown only where the wire says nothing.
    """
    if exchange is None:
        return VenueRejected(
            redact(f"{call}: expected a request, was refused here: {reason}"), "LOCAL"
        )
    if exchange.status is None:
        wait = f"{call}: expected an answer, was {exchange.failure or 'none'}; try again later"
        return VenueUnavailable(redact(wait), "NO_ANSWER")
    error = said(exchange, table)
    success = 200 <= exchange.status < 300
    if success and (error is None or exchange.status not in table.definite_statuses):
        return BadResponse(
            redact(f"{call}: expected a payload, was {_body(exchange, reason)}; trust none of it"),
            "BAD_RESPONSE",
        )
    return _refusal(call, exchange, error, table, redact)


def _body(exchange: Exchange, reason: str) -> str:
    """Describe the body of a success that could not be used."""
    size = f"{len(exchange.body)} bytes"
    start = exchange.body.lstrip()[:1]
    if not exchange.complete:
        return f"cut off after {size}"
    if not start:
        return "empty"
    if start not in {b"{", b"["}:
        return f"{'a page' if start == b'<' else 'text'} of {size}"
    return f"JSON that ccxt could not read ({reason.partition(':')[0]}, {size})"


def _refusal(
    call: str, exchange: Exchange, error: Said | None, table: VenueTable, redact: Redactor
) -> VenueError:
    code = error.code if error else str(exchange.status)
    text = redact(f"{call}: expected an answer, was {_words(exchange, error)}")
    if exchange.status in table.throttled_statuses or code in table.throttled_codes:
        return RateLimited(text, code, silence_until_ms(exchange, table))
    if code in table.clock:
        return ClockSkew(text, code)
    status = exchange.status or 0
    if status >= 500 or status in {403, 408} or code in table.unsure:
        return VenueUnavailable(text, code)
    if error is None:
        return BadResponse(text, code)
    return VenueRejected(text, code)


def _words(exchange: Exchange, error: Said | None) -> str:
    if error is None:
        return f"HTTP {exchange.status}"
    return f"{error.code} {error.text} (HTTP {exchange.status})"
