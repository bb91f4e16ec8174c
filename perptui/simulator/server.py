"""The simulated venue on a UNIX socket, and on a loopback port when asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from perptui.model.errors import InputError
from perptui.settings.sockets import BoundSocket
from perptui.simulator.fault_streams import Door, plain_response, struck_response
from perptui.simulator.faults import FaultKind
from perptui.simulator.venue import CONTROL_HOST, ServedVenue
from perptui.simulator.wire import WireRequest, json_reply

TICK_S = 0.1
SOCKET_PATH_MAX = 107


class VenueServer:
    """Serves one venue until it is told to stop.

    Parameters
    ----------
    venue : ServedVenue
        What answers.
    socket : Path
        UNIX socket to listen on, made 0600; one on which nobody answers is replaced.
    port : int, optional
        TCP port on 127.0.0.1 as well.
    """

    def __init__(self, venue: ServedVenue, socket: Path, port: int | None = None) -> None:
        if len(os.fsencode(socket)) > SOCKET_PATH_MAX:
            raise InputError(
                f"expected a socket path of at most {SOCKET_PATH_MAX} bytes, was {socket}; "
                "choose a shorter directory"
            )
        self._venue = venue
        self._socket = socket
        self._door = Door(socket)
        self._runner: web.AppRunner | None = None
        self._port = port
        self._stop: asyncio.Event | None = None

    def stop(self) -> None:
        """Ask the server to end."""
        if self._stop is not None:
            self._stop.set()

    async def serve(self, ready: Callable[[], None], parent_fd: int | None = None) -> None:
        """Listen, call `ready`, and serve until SIGTERM, SIGINT or the end of `parent_fd`.

        Raises
        ------
        InputError
            When the socket or the port cannot be had.
        """
        bound = BoundSocket(self._socket, 0o600)
        try:
            await self._serve(bound, ready, parent_fd)
        finally:
            self._door.open()
            bound.listener.close()
            bound.remove()

    async def _serve(
        self, bound: BoundSocket, ready: Callable[[], None], parent_fd: int | None
    ) -> None:
        self._stop = asyncio.Event()
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        ticker = asyncio.create_task(self._tick())
        try:
            await self._listen(runner, bound)
            if parent_fd is not None:
                loop.add_reader(parent_fd, self._parent_spoke, parent_fd)
            ready()
            await self._stop.wait()
        finally:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner, bound: BoundSocket) -> None:
        await web.SockSite(runner, bound.listener).start()
        if self._port is None:
            return
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except OSError as error:
            raise InputError(
                f"expected port {self._port} of 127.0.0.1 to be free, was not "
                f"({os.strerror(error.errno or 0)}); choose another --port"
            ) from None

    def _parent_spoke(self, descriptor: int) -> None:
        if not os.read(descriptor, 4096):
            asyncio.get_running_loop().remove_reader(descriptor)
            self.stop()

    async def _tick(self) -> None:
        while True:
            self._venue.advance()
            await asyncio.sleep(TICK_S)

    # ------------------------------------------------------------------ requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        host = request.headers.get("X-Orig-Host", self._venue.wire.hosts[0])
        wire_request = WireRequest(
            request.method,
            request.path,
            request.rel_url.raw_query_string,
            (await request.read()).decode("utf-8", "replace"),
            {name.lower(): value for name, value in request.headers.items()},
        )
        if host == CONTROL_HOST:
            return plain_response(self._venue.control(wire_request))
        if host not in self._venue.wire.hosts:
            error = {"error": f"expected a host of {self._venue.wire.name}, was {host}"}
            return plain_response(json_reply(error, 421))
        reply, fault = self._venue.answer(wire_request)
        if fault is None:
            return plain_response(reply)
        response = await struck_response(request, reply, fault, self._door)
        if fault.kind is FaultKind.REFUSED_AFTER and self._runner and self._runner.server:
            for connection in self._runner.server.connections:
                connection.close()
        return response


def run_until_stopped(
    server: VenueServer, ready: Callable[[], None], parent_fd: int | None = None
) -> None:
    """Serve in an event loop of its own until the server ends."""
    asyncio.run(server.serve(ready, parent_fd))
