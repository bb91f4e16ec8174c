"""What one attempt to write at a venue came to, from the bytes that went over the wire.

Nothing here looks at exception classes of a library: a definite "no" is on the venue's allow-list
with its HTTP status, an acknowledgement must name our order, and everything else is UNKNOWN
(safety.md). The lists are `perptui.venues.outcomes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from perptui.model.clock import DAY_MS
from perptui.model.errors import BadResponse
from perptui.model.order import Consequence, LegState, OrderReport, Outcome
from perptui.model.text import safe_text
from perptui.venues.outcomes.table import Said, VenueTable
from perptui.venues.transport import Exchange

FORBIDDEN = 403

LONGEST_SILENCE_MS = 3 * DAY_MS
"""Bans last up to three days (Binance, "IP Limits"); what is beyond was not meant."""


def said(exchange: Exchange, table: VenueTable) -> Said | None:
    """Return the venue's error when the whole body is one, else None."""
    return table.read(exchange.body) if exchange.complete else None


def silence_until_ms(exchange: Exchange, table: VenueTable) -> int | None:
    """Return the venue time until which requests are refused; None where none is told.

    From the text, from the venue's own header, or from Retry-After, whichever comes first.
    """
    until_ms = _told_ms(exchange, table)
    if until_ms is None:
        return None
    # An end that is over already is no end: a silence of no length would be none.
    meant = exchange.received_ms <= until_ms <= exchange.received_ms + LONGEST_SILENCE_MS
    return until_ms if meant else None


def _told_ms(exchange: Exchange, table: VenueTable) -> int | None:
    text = exchange.body[:4096].decode("utf-8", "replace")
    if table.banned_until and (match := table.banned_until.search(text)):
        return int(match.group(1))
    stamp = exchange.headers.get(table.reset_header, "") if table.reset_header else ""
    if re.fullmatch(r"[0-9]{13}", stamp):
        return int(stamp)
    seconds = exchange.headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,7}", seconds):
        return exchange.received_ms + 1000 * int(seconds)
    return None


def classify(
    exchange: Exchange | None,
    acknowledge: Callable[[bytes], OrderReport | None],
    table: VenueTable,
    shown: Callable[[str], str] = safe_text,
) -> Outcome:
    """Return ACKED, REJECTED, NOT_SENT or UNKNOWN for one attempt to write.

    Parameters
    ----------
    exchange : Exchange | None
        The captured request; None when the library refused before it made one.
    acknowledge : callable
        Reads a body as the answer to this very order; raises BadResponse when it has no id,
        another client id, symbol, side or quantity; None where the venue's word is no order.
    table : VenueTable
        The venue's words.
    shown : callable
        Makes the venue's own words safe to show, and takes secrets out of them.
    """
    if exchange is None or not exchange.sent:
        return Outcome(LegState.NOT_SENT, code="NOT_SENT", text="no byte left")
    if exchange.status is None:
        return _unknown("NO_ANSWER", f"no answer: {exchange.failure or 'connection ended'}")
    error = said(exchange, table)
    code = error.code if error else ""
    definite = exchange.status in table.definite_statuses
    text = _text(exchange, error, table.meaning(code), shown)
    by_status = exchange.status in table.throttled_statuses
    if by_status and _speaks_of_an_order(exchange, code, acknowledge, table):
        return _unknown(code or str(exchange.status), text)
    if by_status or (definite and code in table.throttled_codes):
        return Outcome(
            LegState.NOT_SENT,
            code=code or str(exchange.status),
            text=_text(exchange, error, "too many requests", shown),
            until_ms=silence_until_ms(exchange, table),
        )
    if definite and code in table.rejected:
        consequence = _consequence(code, table)
        return Outcome(LegState.REJECTED, code=code, text=text, consequence=consequence)
    if 200 <= exchange.status < 300 and not (definite and error):
        return _accepted(exchange, acknowledge, shown)
    outcome = _unknown(code or str(exchange.status), text)
    if exchange.status == FORBIDDEN:
        return Outcome(outcome.state, outcome.code, outcome.text, consequence=Consequence.BREAK)
    return outcome


def _speaks_of_an_order(
    exchange: Exchange,
    code: str,
    acknowledge: Callable[[bytes], OrderReport | None],
    table: VenueTable,
) -> bool:
    """Return whether the body says that the order exists, or may, whatever the status says."""
    if code in table.unsure or code in table.duplicates:
        return True
    try:
        return acknowledge(exchange.body) is not None
    except BadResponse:
        return False


def _consequence(code: str, table: VenueTable) -> Consequence:
    if code in table.clock:
        return Consequence.SYNC
    return Consequence.HALT if code in table.key else Consequence.NONE


def _accepted(
    exchange: Exchange,
    acknowledge: Callable[[bytes], OrderReport | None],
    shown: Callable[[str], str],
) -> Outcome:
    if not exchange.complete:
        return _unknown("CUT_OFF", "the answer was cut off")
    try:
        report = acknowledge(exchange.body)
    except BadResponse as error:
        return _unknown("BAD_RESPONSE", shown(str(error)))
    text = "" if report is None else report.state.value
    return Outcome(LegState.ACKED, text=text, report=report)


def _unknown(code: str, text: str) -> Outcome:
    return Outcome(LegState.UNKNOWN, code=code, text=text or "the venue's answer does not tell")


def _text(exchange: Exchange, error: Said | None, meaning: str, shown: Callable[[str], str]) -> str:
    words = shown(error.text) if error else ""
    return ": ".join(part for part in (meaning, words) if part) or f"HTTP {exchange.status}"
