"""Faults of the connection: answers that stop, crawl or never end, and a door that is shut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from aiohttp import web

from perptui.simulator.faults import Fault, FaultKind
from perptui.simulator.wire import WireReply

DRIP_S = 1.0
BLANKS = b" " * (1 << 16)


def plain_response(reply: WireReply) -> web.Response:
    """Return `reply` as it is."""
    return web.Response(
        status=reply.status,
        body=reply.body,
        headers=reply.headers,
        content_type=reply.content_type,
        charset="utf-8",
    )


async def struck_response(
    request: web.Request, reply: WireReply, fault: Fault, door: Door
) -> web.StreamResponse:
    """Answer `request` as the fault has it."""
    if fault.kind in {FaultKind.HANG, FaultKind.DELAY}:
        await asyncio.sleep(fault.seconds)
    if fault.kind in {FaultKind.HANG, FaultKind.RESET_BEFORE_ANSWER}:
        return _reset(request)
    if fault.kind is FaultKind.RESET_MID_BODY:
        return await _cut_off(request, reply)
    if fault.kind is FaultKind.DRIP:
        return await _dripped(request, reply, fault.seconds)
    if fault.kind is FaultKind.ENDLESS:
        return await _endless(request, reply, fault.seconds)
    response = plain_response(reply)
    if fault.kind is FaultKind.REFUSED_AFTER:
        response.force_close()
        door.shut(fault.seconds)
    return response


def _reset(request: web.Request) -> web.Response:
    """Drop the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _begun(request: web.Request, reply: WireReply, size: int | None) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_type = reply.content_type
    if size is None:
        response.enable_chunked_encoding()
    else:
        response.content_length = size
    await response.prepare(request)
    return response


async def _cut_off(request: web.Request, reply: WireReply) -> web.StreamResponse:
    """Promise the whole body, send half of it, drop the connection."""
    response = await _begun(request, reply, len(reply.body))
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response


async def _dripped(request: web.Request, reply: WireReply, seconds: float) -> web.StreamResponse:
    """Send a byte a second for `seconds`, then the rest."""
    response = await _begun(request, reply, len(reply.body))
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < len(reply.body) - 1 and sent * DRIP_S < seconds:
            await response.write(reply.body[sent : sent + 1])
            sent += 1
            await asyncio.sleep(DRIP_S)
        await response.write(reply.body[sent:])
    return response


async def _endless(request: web.Request, reply: WireReply, seconds: float) -> web.StreamResponse:
    """Send the body and then blanks, chunk after chunk, for `seconds` or until nobody listens."""
    response = await _begun(request, reply, None)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    with contextlib.suppress(ConnectionError):
        await response.write(reply.body)
        while loop.time() < end:
            await response.write(BLANKS)
            await asyncio.sleep(0)
    return response


class Door:
    """The place where clients connect: while it is shut they are refused.

    Parameters
    ----------
    path : Path
        Of the UNIX socket that the server listens on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f"{path.name}.shut")
        self._refusing: socket.socket | None = None
        self._opening: asyncio.TimerHandle | None = None

    def shut(self, seconds: float) -> None:
        """Refuse new connections for `seconds`."""
        self.open()
        self._path.rename(self._aside)
        # Bound but not listening: the kernel refuses whoever connects.
        self._refusing = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._refusing.bind(str(self._path))
        self._opening = asyncio.get_running_loop().call_later(seconds, self.open)

    def open(self) -> None:
        """Let clients in again; safe to repeat."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._refusing is not None:
            self._refusing.close()
            self._refusing = None
            self._aside.rename(self._path)
