"""Parameters of a Binance request: decoded, typed, refused with the venue's codes."""

from __future__ import annotations

import hashlib
import hmac
import re
from decimal import Decimal
from urllib.parse import parse_qsl

from perptui.simulator.wire import WireRequest
from perptui.simulator.wire_binance_errors import WireError, illegal, invalid, missing

NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


class Params:
    """The parameters of one request, query and body together."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    @classmethod
    def of(cls, request: WireRequest) -> Params:
        """Decode query and body of `request`."""
        pairs = parse_qsl(request.query, keep_blank_values=True)
        pairs += parse_qsl(request.body, keep_blank_values=True)
        return cls(dict(pairs))

    def optional(self, name: str) -> str | None:
        """Return the text of `name`, None when it was not sent or is empty."""
        return self.values.get(name) or None

    def text(self, name: str) -> str:
        """Return the text of the mandatory parameter `name`."""
        value = self.optional(name)
        if value is None:
            raise missing(name)
        return value

    def symbol(self, listed: tuple[str, ...]) -> str:
        """Return the mandatory `symbol`, which must be one of `listed`."""
        value = self.text("symbol")
        if value not in listed:
            raise WireError(-1121, "Invalid symbol.")
        return value

    def optional_symbol(self, listed: tuple[str, ...]) -> str | None:
        """Return `symbol` if sent."""
        return self.symbol(listed) if self.optional("symbol") is not None else None

    def integer(self, name: str) -> int | None:
        """Return `name` as an integer, None when not sent."""
        value = self.optional(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,18}", value):
            raise illegal(name)
        return int(value)

    def decimal(self, name: str) -> Decimal | None:
        """Return `name` as a Decimal, None when not sent."""
        value = self.optional(name)
        if value is None:
            return None
        if not NUMBER.fullmatch(value):
            raise illegal(name)
        return Decimal(value)

    def flag(self, name: str) -> bool:
        """Return `name` as a bool, False when not sent."""
        value = self.values.get(name, "false").lower()
        if value not in {"true", "false"}:
            raise invalid(name)
        return value == "true"

    def limit(self, default: int, largest: int) -> int:
        """Return `limit` within its bounds."""
        value = self.integer("limit")
        if value is None:
            return default
        if not 1 <= value <= largest:
            raise invalid("limit")
        return value


class Credentials:
    """The key pair of the simulated account, and the check of a signature.

    Parameters
    ----------
    key, secret : str
        What the client was given.
    """

    def __init__(self, key: str = "simulated", secret: str = "simulated") -> None:  # noqa: S107
        self._key = key
        self._secret = secret.encode()

    def check(self, request: WireRequest, params: Params, now_ms: int, speed: float) -> None:
        """Refuse a request that is not signed, signed wrongly, or signed at another time.

        The receive window is real time: it is stretched by the speed of venue time.

        Raises
        ------
        WireError
            -2014, -2015, -1102, -1022 or -1021, as the venue has them.
        """
        key = request.headers.get("x-mbx-apikey")
        if not key:
            raise WireError(-2014, "API-key format invalid.", 401)
        if key != self._key:
            raise WireError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        stamp = params.integer("timestamp")
        if stamp is None:
            raise missing("timestamp")
        signature = params.text("signature")
        # The venue's totalParams: query and body one after the other, with nothing between them.
        signed = _unsigned(request.query) + _unsigned(request.body)
        expected = hmac.new(self._secret, signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature.lower()):
            raise WireError(-1022, "Signature for this request is not valid.")
        self._check_time(stamp, params.integer("recvWindow"), now_ms, max(1.0, speed))

    def _check_time(self, stamp: int, window: int | None, now_ms: int, stretch: float) -> None:
        if window == 0:
            raise invalid("recvWindow")
        if window is not None and window > 60_000:
            raise WireError(-1131, "recvWindow must be less than 60000")
        if stamp > now_ms + 1000 * stretch:
            raise WireError(
                -1021, "Timestamp for this request was 1000ms ahead of the server's time."
            )
        if stamp < now_ms - (5000 if window is None else window) * stretch:
            raise WireError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
