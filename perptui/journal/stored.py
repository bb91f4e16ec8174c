"""Events as text: what is hashed, kept in the database and exported, byte for byte.

The line of an event is put together from the canonical JSON of its parts, so that its hash costs
no second pass over the body, and a reader finds out with one whether a text is canonical.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import NamedTuple

import msgspec

from perptui.journal.events import KINDS, NAMES, PREFIX, VERSION, Actor, Body, Event
from perptui.model.canonical import canonical_text
from perptui.model.errors import JournalError
from perptui.model.record import Record

_BEFORE = '{"actor":%s,"body":%s,'
_AFTER = '"host":%s,"kind":%s,"prev":%s,"seq":%d,"ts":%d,"v":%d}'
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}
_decode_actor = msgspec.json.Decoder(Actor).decode
_quoted = functools.lru_cache(maxsize=256)(canonical_text)
"""Hosts and kinds, which come again and again."""


@functools.lru_cache(maxsize=256)
def _actor(text: str) -> tuple[Actor, bool]:
    """Return who it is, and whether the text is canonical."""
    actor = _decode_actor(text)
    return actor, canonical_text(actor) == text


class Stored(NamedTuple):
    """One event as it is kept; `actor` and `body` are texts of canonical JSON."""

    seq: int
    ts: int
    host: str
    actor: str
    kind: str
    body: str
    prev: str
    hash: str
    v: int = VERSION

    @property
    def line(self) -> bytes:
        """The event's exported line, without a line end."""
        before, after = self._halves()
        return f'{before}"hash":{canonical_text(self.hash)},{after}'.encode()

    @property
    def own_hash(self) -> str:
        """The hash that it must carry, 64 hex digits."""
        before, after = self._halves()
        return hashlib.sha256(PREFIX + f"{self.prev}{before}{after}".encode()).hexdigest()

    def _halves(self) -> tuple[str, str]:
        texts = (_quoted(self.host), _quoted(self.kind), canonical_text(self.prev))
        return _BEFORE % (self.actor, self.body), _AFTER % (*texts, self.seq, self.ts, self.v)

    def opened(self) -> tuple[Actor, Body]:
        """Return who did it and the body's record.

        Raises
        ------
        JournalError
            When a part is malformed, not canonical, or of an unknown kind.
        """
        actor, body = self._actor(), self._record()
        # An older body lacks the fields that came after it: its own text decides then.
        if canonical_text(body) != self.body and self._plain_body() != self.body:
            raise _other_form(self.seq)
        return actor, body

    def event(self) -> Event:
        """Return it as an event whose body is plain JSON, as it stands: `opened` checks it.

        Raises
        ------
        JournalError
            When a part is malformed.
        """
        try:
            body = msgspec.json.decode(self.body)
            fields = (self.v, self.seq, self.ts, self.host, _actor(self.actor)[0], self.kind)
            return Event(*fields, body, self.prev, self.hash)
        except (ValueError, RecursionError) as error:
            raise _malformed(self.seq, error) from None

    def _actor(self) -> Actor:
        try:
            actor, canonical = _actor(self.actor)
        except (ValueError, RecursionError) as error:
            raise _malformed(self.seq, error) from None
        if not canonical:
            raise _other_form(self.seq)
        return actor

    def _record(self) -> Body:
        decoder = _DECODERS.get(self.kind)
        if decoder is None:
            raise JournalError(
                f"expected a known kind of event, was {self.kind!r} at {self.seq}; update perptui"
            )
        try:
            return decoder.decode(self.body)
        except (ValueError, RecursionError) as error:
            raise _malformed(self.seq, error) from None

    def _plain_body(self) -> str:
        try:
            return canonical_text(json.loads(self.body))
        except (ValueError, TypeError, RecursionError) as error:
            raise _malformed(self.seq, error) from None


def _malformed(seq: int, error: Exception) -> JournalError:
    return JournalError(f"expected an event at {seq}, was malformed ({error}); verify it")


def _other_form(seq: int) -> JournalError:
    return JournalError(f"expected canonical JSON at {seq}, was another form of it; verify it")


def sealed(  # every field of the chain is named by its caller
    *, seq: int, ts_ms: int, host: str, actor: Actor, body: Body, prev: str
) -> Stored:
    """Return the event that follows the one whose hash is `prev`."""
    kind = NAMES[type(body)]
    unsealed = Stored(seq, ts_ms, host, canonical_text(actor), kind, canonical_text(body), prev, "")
    return unsealed._replace(hash=unsealed.own_hash)


class _Line(Record, frozen=True):
    """An exported line whose inner objects stay text."""

    v: int
    seq: int
    ts: int
    host: str
    actor: msgspec.Raw
    kind: str
    body: msgspec.Raw
    prev: str
    hash: str


_line = msgspec.json.Decoder(_Line).decode


def parse_line(line: bytes, number: int) -> Stored:
    """Return the event of one exported line, which must be canonical to the byte.

    The texts of actor and body are taken as they stand: `Stored.opened` looks into them.

    Raises
    ------
    JournalError
        When it is not; `number` is the line in the message.
    """
    try:
        found = _line(line)
        actor, body = bytes(found.actor).decode(), bytes(found.body).decode()
        texts = (found.host, actor, found.kind, body, found.prev, found.hash)
        stored = Stored(found.seq, found.ts, *texts, found.v)
        same = stored.line + b"\n" == line
    except (ValueError, RecursionError) as error:
        raise JournalError(f"expected an event in line {number}, was malformed ({error})") from None
    if not same:
        raise JournalError(f"expected canonical JSON in line {number}, was another form of it")
    return stored
