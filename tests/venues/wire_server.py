"""A real HTTP server on a UNIX socket that answers with exactly the bytes it was given."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

Behaviour = Callable[["Request", asyncio.StreamWriter], Any]


class Request(msgspec.Struct):
    method: str
    host: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]


class Reply(msgspec.Struct):
    """What goes out: `cut` sends that many bytes of the body, then resets the connection."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}
    cut: int | None = None
    hang: bool = False
    reset: bool = False


def json_body(payload: Any) -> bytes:
    return json.dumps(payload).encode()


class WireServer:
    """Answers (method, path) from `replies`; a list is used up one by one, its last kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replies: dict[tuple[str, str], Reply | list[Reply]] = {}
        self.requests: list[Request] = []
        self.arrival = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self._server.wait_closed()

    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]

    def answer(self, path: str, payload: Any, method: str = "GET", **options: Any) -> None:
        body = payload if isinstance(payload, bytes) else json_body(payload)
        self.replies[method, path] = Reply(body, **options)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self._writers.add(writer)
        try:
            while head := await _head(reader):
                request = await self._request(head, reader)
                self.requests.append(request)
                self.arrival.set()
                if not await self._respond(self._reply_to(request), writer):
                    return
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            self.tasks.discard(task)
            writer.close()

    async def _request(self, head: bytes, reader: asyncio.StreamReader) -> Request:
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        found = {**parse_qs(parts.query), **parse_qs(body.decode())}
        parameters = {name: values[0] for name, values in found.items()}
        return Request(method, headers.get("x-orig-host", ""), parts.path, parameters, headers)

    def _reply_to(self, request: Request) -> Reply:
        reply = self.replies.get((request.method, request.path))
        if reply is None:
            return Reply(b"no such endpoint here", status=404)
        if isinstance(reply, Reply):
            return reply
        return reply.pop(0) if len(reply) > 1 else reply[0]

    async def _respond(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        if reply.hang:
            await asyncio.sleep(3600)
        if reply.reset:
            writer.transport.abort()
            return False
        headers = {"Content-Type": "application/json", **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{k}: {v}" for k, v in headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(reply.body)}", "", ""]).encode()
        writer.write(head + reply.body[: reply.cut])
        await writer.drain()
        if reply.cut is not None:
            await asyncio.sleep(0.05)
            writer.transport.abort()
            return False
        return True


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n\r\n"))[:-4]
    except asyncio.IncompleteReadError:
        return b""
