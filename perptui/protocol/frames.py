"""Frames: a 4-byte big-endian length, then msgpack of one envelope.

The same framing runs between terminal and desk and, with `perptui.model.jobs` inside, between desk
and quant. A frame above `MAX_FRAME` bytes is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from perptui.model.errors import ProtocolError
from perptui.model.record import Record
from perptui.protocol.intents import Intent
from perptui.protocol.views import (
    DeskView,
    FundingView,
    LimitsView,
    Panel,
    PositionsView,
    RegimeView,
    StatusView,
)
from perptui.protocol.views_rebalance import RebalanceView
from perptui.protocol.views_ticket import JournalView, TicketView

PROTOCOL = 4
MAX_FRAME = 32 * 1024 * 1024
MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError)
"""What decoding raises: the library does not hide text that is no UTF-8."""
_LENGTH = struct.Struct(">I")

PANELS: dict[str, type[Panel]] = {
    "status": StatusView,
    "positions": PositionsView,
    "funding": FundingView,
    "regime": RegimeView,
    "rebalance": RebalanceView,
    "limits": LimitsView,
    "journal": JournalView,
    "ticket": TicketView,
}
"""Panels by the name of their field in `DeskView`."""

_PANEL_NAMES = {kind: name for name, kind in PANELS.items()}


class Hello(Record, frozen=True, tag=True):
    """First frame from the desk: who it is, who the kernel says you are, and what you may do.

    `roles`: those of view, trade and approve that the desk's configuration gives you.
    """

    protocol: int
    version: str
    desk: str
    pid: int
    uid: int
    private: bool
    roles: tuple[str, ...] = ("view", "trade", "approve")


class Refused(Record, frozen=True, tag=True):
    """First and only frame from a desk that does not let you in; `text` names the cure."""

    text: str


class Whole(Record, frozen=True, tag=True):
    """Everything, on attach."""

    seq: int
    view: DeskView


class Replace(Record, frozen=True, tag=True):
    """One panel anew; `panel` is a field of `DeskView`, `body` its msgpack."""

    seq: int
    panel: str
    body: msgspec.Raw

    @classmethod
    def of(cls, seq: int, view: Panel) -> Replace:
        """Return the replacement frame of `view`."""
        return cls(seq=seq, panel=_PANEL_NAMES[type(view)], body=msgspec.Raw(encode(view)))

    def view(self) -> Panel:
        """Return the panel inside.

        Raises
        ------
        ProtocolError
            When the panel is unknown or its body malformed.
        """
        kind = PANELS.get(self.panel)
        if kind is None:
            raise ProtocolError(f"expected a known panel, was {self.panel!r}; update perptui")
        try:
            return msgspec.msgpack.decode(self.body, type=kind)
        except MALFORMED as error:
            raise ProtocolError(f"expected a {self.panel} panel: {error}; update perptui") from None


class Observed(Record, frozen=True, tag=True):
    """One panel was observed anew, and nothing else of it changed; `panel` is as in `Replace`."""

    seq: int
    panel: str
    observed_mono: float


class Reply(Record, frozen=True, tag=True):
    """The desk's answer to intent `number`: done, or why not, in one line."""

    number: int
    ok: bool
    text: str = ""


class Ask(Record, frozen=True, tag=True):
    """A terminal's intent with its number."""

    number: int
    intent: Intent


class Look(Record, frozen=True, tag=True):
    """Which panels a terminal draws from; others may come late, until it looks at them too.

    Until the first of these, all are looked at. It has no answer.
    """

    panels: tuple[str, ...]


ToTerminal = Hello | Refused | Whole | Replace | Observed | Reply
ToDesk = Ask | Look

encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_to_terminal: msgspec.msgpack.Decoder[ToTerminal] = msgspec.msgpack.Decoder(ToTerminal)
_to_desk: msgspec.msgpack.Decoder[ToDesk] = msgspec.msgpack.Decoder(ToDesk)


def frame(payload: bytes) -> bytes:
    """Return `payload` with its length before it.

    Raises
    ------
    ProtocolError
        When it is longer than `MAX_FRAME`.
    """
    if len(payload) > MAX_FRAME:
        raise ProtocolError(
            f"expected a frame up to {MAX_FRAME} bytes, was {len(payload)}; send less"
        )
    return _LENGTH.pack(len(payload)) + payload


class Deframer:
    """Cuts a byte stream into payloads.

    Raises
    ------
    ProtocolError
        From `feed`, when a length above `MAX_FRAME` is announced.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they come; yield each payload that is complete."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise ProtocolError(
                    f"expected a frame up to {MAX_FRAME} bytes, was {length}; reconnect"
                )
            if len(self._buffer) < _LENGTH.size + length:
                return
            payload = bytes(self._buffer[_LENGTH.size : _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            yield payload


def decode_to_terminal(payload: bytes) -> ToTerminal:
    """Return the message inside a payload from the desk.

    Raises
    ------
    ProtocolError
        When it is malformed.
    """
    try:
        return _to_terminal.decode(payload)
    except MALFORMED as error:
        raise ProtocolError(f"expected a desk message: {error}; update perptui") from None


def decode_to_desk(payload: bytes) -> ToDesk:
    """Return the message inside a payload from a terminal.

    Raises
    ------
    ProtocolError
        When it is malformed.
    """
    try:
        return _to_desk.decode(payload)
    except MALFORMED as error:
        raise ProtocolError(f"expected an intent: {error}; update perptui") from None
