"""One terminal's line to its desk: attach, read, ask, and come back when the desk is lost."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from perptui.client.messages import (
    Attached,
    DeskLost,
    FromDesk,
    NotLetIn,
    PanelObserved,
    PanelReplaced,
    PictureTaken,
)
from perptui.model.errors import PerptuiError, ProtocolError
from perptui.protocol.frames import (
    PROTOCOL,
    Ask,
    Deframer,
    Hello,
    Look,
    Observed,
    Refused,
    Replace,
    Reply,
    Whole,
    decode_to_terminal,
    encode,
    frame,
)
from perptui.protocol.intents import Intent

Connect = Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]

CHUNK = 1 << 16
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 4.0


class Attachment:
    """A connection that is made again whenever it ends.

    Parameters
    ----------
    connect : Connect
        Opens a connection to a running desk; raises OSError when there is none.
    deliver : Callable[[FromDesk], None]
        Called on the event loop with each happening, in order.
    relaunch : Connect | None
        Called instead of `connect` once a desk was lost or none was there: joins or starts
        another. None: only `connect` is tried again.
    first_retry_s : float
        Wait before the first new try; it doubles up to `LONGEST_RETRY_S`.
    """

    def __init__(
        self,
        connect: Connect,
        deliver: Callable[[FromDesk], None],
        *,
        relaunch: Connect | None = None,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self._connect = connect
        self._relaunch = relaunch
        self._deliver = deliver
        self._first_retry_s = first_retry_s
        self._writer: StreamWriter | None = None
        self._number = 0
        self._answers: dict[int, asyncio.Future[Reply]] = {}
        self._gone = False
        self._refused = ""
        self._looks_at: frozenset[str] | None = None

    @property
    def attached(self) -> bool:
        """Whether there is a desk to ask."""
        return self._writer is not None

    async def run(self) -> None:
        """Stay attached until cancelled, or until a desk does not let this user in.

        Raises
        ------
        ProtocolError
            Never: a malformed frame ends the connection, and a new one is made.
        """
        wait_s = self._first_retry_s
        while True:
            connect = self._relaunch if self._gone and self._relaunch else self._connect
            try:
                reader, writer = await connect()
            except (OSError, PerptuiError) as error:
                # A desk that could not start would not start again either: its words stand.
                self._gone = self._gone or isinstance(error, OSError)
                self._deliver(DeskLost(_why(error)))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_RETRY_S)
                continue
            why = await self._serve(reader, writer)
            if self._refused:
                self._deliver(NotLetIn(self._refused))
                return
            self._deliver(DeskLost(why))
            wait_s = self._first_retry_s
            await asyncio.sleep(wait_s)

    async def ask(self, intent: Intent) -> Reply:
        """Send `intent` and return the desk's answer; a lost desk is an answer too."""
        return await self.post(intent)

    def post(self, intent: Intent) -> asyncio.Future[Reply]:
        """Send `intent` now, before anything else is done; the desk's answer comes later.

        A lost desk is an answer too.
        """
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._writer is None:
            answer.set_result(Reply(number=0, ok=False, text="no desk: nothing was asked"))
            return answer
        self._number += 1
        number = self._number
        self._answers[number] = answer
        answer.add_done_callback(lambda _: self._answers.pop(number, None))
        self._writer.write(frame(encode(Ask(number=number, intent=intent))))
        return answer

    def look(self, panels: Iterable[str]) -> None:
        """Say which panels are drawn from; a desk that is attached later is told too."""
        looks_at = frozenset(panels)
        if looks_at != self._looks_at:
            self._looks_at = looks_at
            self._say_looks()

    def _say_looks(self) -> None:
        if self._writer is not None and self._looks_at is not None:
            self._writer.write(frame(encode(Look(tuple(sorted(self._looks_at))))))

    async def close(self) -> None:
        """Close the connection; `run` is to be cancelled first."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    # ---------------------------------------------------------------- one connection

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> str:
        """Read until the connection ends; return why it did."""
        self._writer = writer
        deframer = Deframer()
        try:
            while data := await reader.read(CHUNK):
                for payload in deframer.feed(data):
                    self._take(payload)
        except OSError as error:
            return _why(error)
        except ProtocolError as error:
            return str(error)
        finally:
            self._writer = None
            self._fail_answers()
            writer.close()
        return "it closed the line"

    def _fail_answers(self) -> None:
        for number, answer in tuple(self._answers.items()):
            if not answer.done():
                text = "the desk was lost before it answered"
                answer.set_result(Reply(number=number, ok=False, text=text))

    def _take(self, payload: bytes) -> None:
        message = decode_to_terminal(payload)
        if isinstance(message, Replace):
            self._deliver(PanelReplaced(message.panel, message.view()))
        elif isinstance(message, Observed):
            self._deliver(PanelObserved(message.panel, message.observed_mono))
        elif isinstance(message, Whole):
            self._deliver(PictureTaken(message.view))
        elif isinstance(message, Hello):
            self._take_hello(message)
        elif isinstance(message, Refused):
            self._refused = message.text
        else:
            answer = self._answers.get(message.number)
            if answer is not None and not answer.done():
                answer.set_result(message)

    def _take_hello(self, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            raise ProtocolError(
                f"expected protocol {PROTOCOL}, was {hello.protocol} of desk {hello.version}; "
                "run the same version of perptui in both"
            )
        self._gone = True
        self._say_looks()
        who = Attached(hello.desk, hello.version, hello.pid, hello.uid, hello.private, hello.roles)
        self._deliver(who)


def _why(error: Exception) -> str:
    """Return an error's reason in words, without the path it may hold."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
