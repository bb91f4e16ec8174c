"""The true history: every request and reply, in a bounded ring, for the checker of a campaign."""

from __future__ import annotations

from collections import deque

import msgspec

from perptui.simulator.wire import WireReply, WireRequest

KEPT = 2_000
BODY_KEPT = 4_096


class Exchanged(msgspec.Struct, frozen=True):
    """One request and what came of it.

    `handled` says whether the exchange saw the request; `fault` names the fault that struck.
    `reply` is what the exchange answered, not what the fault made of it.
    """

    number: int
    ts_ms: int
    method: str
    path: str
    query: str
    body: str
    handled: bool
    status: int
    reply: str
    fault: str = ""


class Recorder:
    """Keeps the last exchanges.

    Parameters
    ----------
    kept : int
        How many; orders are kept apart from reads, as many again, and so are not pushed out.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._reads: deque[Exchanged] = deque(maxlen=kept)
        self._writes: deque[Exchanged] = deque(maxlen=kept)
        self._count = 0

    def keep(
        self, ts_ms: int, request: WireRequest, reply: WireReply | None, fault: str = ""
    ) -> None:
        """Write one exchange down; `reply` None: the exchange never saw the request."""
        self._count += 1
        kept = self._reads if request.method == "GET" else self._writes
        text = b"" if reply is None else reply.body[:BODY_KEPT]
        kept.append(
            Exchanged(
                self._count,
                ts_ms,
                request.method,
                request.path,
                request.query,
                request.body,
                reply is not None,
                0 if reply is None else reply.status,
                text.decode("utf-8", "replace"),
                fault,
            )
        )

    def note(self, ts_ms: int, kind: str, body: str) -> None:
        """Write down what happened without being asked; its method is ``EVENT``."""
        self._count += 1
        self._writes.append(
            Exchanged(self._count, ts_ms, "EVENT", f"/{kind}", "", body, True, 0, "")
        )

    def all(self) -> list[Exchanged]:
        """Return what is kept, oldest first."""
        return sorted([*self._reads, *self._writes], key=lambda e: e.number)
