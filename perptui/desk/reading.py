"""Reading what a terminal asks: frames of a bounded length, for as long as it is there."""

from __future__ import annotations

import asyncio
import struct

from perptui.model.errors import ProtocolError

MAX_ASK = 256 * 1024
"""Longest frame from a terminal, bytes: whoever may only look must not fill the desk's memory."""

_LENGTH = struct.Struct(">I")


async def read_frame(reader: asyncio.StreamReader, sender: asyncio.Task[None]) -> bytes:
    """Return the next payload; the end of the sender is the end of the terminal too."""
    reading = asyncio.create_task(_read_payload(reader))
    try:
        await asyncio.wait({reading, sender}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            sender.result()
        return await reading
    finally:
        reading.cancel()


async def _read_payload(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MAX_ASK:
        raise ProtocolError(f"expected a frame up to {MAX_ASK} bytes, was {length}; reconnect")
    return await reader.readexactly(length)
