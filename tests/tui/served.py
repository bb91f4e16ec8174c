"""A desk's side of the socket for tests: it shows a picture, keeps what is asked, answers."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from pathlib import Path

from perptui.protocol.frames import (
    PROTOCOL,
    Deframer,
    Hello,
    Look,
    Replace,
    Reply,
    Whole,
    decode_to_desk,
    encode,
    frame,
)
from perptui.protocol.intents import Intent
from perptui.protocol.views import DeskView, Panel


class ServedDesk:
    """Listens on `path`; `asked` holds the intents, `looks` the panels, in order of arrival."""

    def __init__(self, path: Path, view: DeskView, *, protocol: int = PROTOCOL) -> None:
        self.path = path
        self.view = view
        self.protocol = protocol
        self.asked: list[Intent] = []
        self.looks: list[tuple[str, ...]] = []
        self.answer: Callable[[Intent], Reply | None] = lambda _: Reply(number=0, ok=True)
        self._server: asyncio.Server | None = None
        self._writers: list[StreamWriter] = []
        self._seq = 0

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        """End as a killed desk does: every line is cut."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        return await asyncio.open_unix_connection(self.path)

    def send(self, payload: bytes) -> None:
        for writer in self._writers:
            writer.write(frame(payload))

    def replace(self, view: Panel) -> None:
        self._seq += 1
        self.send(encode(Replace.of(self._seq, view)))

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.append(writer)
        hello = Hello(protocol=self.protocol, version="0", desk="main", pid=1, uid=1, private=True)
        writer.write(frame(encode(hello)))
        writer.write(frame(encode(Whole(seq=0, view=self.view))))
        deframer = Deframer()
        while data := await reader.read(65536):
            for payload in deframer.feed(data):
                ask = decode_to_desk(payload)
                if isinstance(ask, Look):
                    self.looks.append(ask.panels)
                    continue
                self.asked.append(ask.intent)
                reply = self.answer(ask.intent)
                if reply is not None:
                    message = Reply(number=ask.number, ok=reply.ok, text=reply.text)
                    writer.write(frame(encode(message)))
        writer.close()
