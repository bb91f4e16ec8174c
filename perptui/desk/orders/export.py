"""Export: the orders of a proposal as files instead of messages to a venue."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path

from perptui.desk.orders.ticket_text import TicketInputs
from perptui.journal.events import WrittenFile
from perptui.model.canonical import canonical_json
from perptui.model.clock import iso
from perptui.model.errors import InputError
from perptui.model.money import plain
from perptui.model.order import OrderIntent
from perptui.settings.paths import private_directory

FIELDS = (
    "id",
    "venue",
    "symbol",
    "venue_symbol",
    "effect",
    "side",
    "contracts",
    "order_type",
    "limit_price",
    "reduce_only",
    "notional_usd",
    "mark_price",
    "before",
    "after",
    "trigger_price",
)


def write_orders(inputs: TicketInputs, folder: Path) -> tuple[WrittenFile, ...]:
    """Write exactly the orders of `inputs` as CSV and JSON, 0600, each at once or not at all.

    Parameters
    ----------
    inputs : TicketInputs
        Its legs are the orders, in the order shown.
    folder : Path
        Created 0700 when absent.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    stem = f"orders-{_stamp(inputs.created_ms)}-{inputs.ticket}-{inputs.proposal.digest[:8]}"
    contents = {f"{stem}.csv": _csv(inputs), f"{stem}.json": _json(inputs)}
    try:
        private_directory(folder)
        return tuple(_write(folder / name, content) for name, content in contents.items())
    except OSError as error:
        raise InputError(
            f"expected a folder to export to, was {folder} ({error.strerror}); "
            "set desk.export_dir to one that can be written"
        ) from None


def rows(inputs: TicketInputs) -> list[dict[str, str]]:
    """Return the orders as text, one dict of `FIELDS` an order; numbers are exact."""
    return [_row(inputs, leg) for leg in inputs.legs]


def _row(inputs: TicketInputs, leg: OrderIntent) -> dict[str, str]:
    venue, _, symbol = leg.id.partition(":")
    instrument = inputs.instrument(leg.id)
    return {
        "id": leg.id,
        "venue": venue,
        "symbol": symbol,
        "venue_symbol": "" if instrument is None else instrument.venue_symbol,
        "effect": leg.effect.value,
        "side": leg.side.value,
        "contracts": plain(leg.contracts),
        "order_type": leg.kind.value,
        "limit_price": "" if leg.protective else plain(leg.limit_price),
        "reduce_only": "true" if leg.reduce_only else "false",
        "notional_usd": plain(leg.notional_usd),
        "mark_price": plain(leg.mark_price),
        "before": plain(leg.before),
        "after": plain(leg.after),
        "trigger_price": "" if leg.trigger_price is None else plain(leg.trigger_price),
    }


def _csv(inputs: TicketInputs) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(inputs))
    return text.getvalue().encode()


def _json(inputs: TicketInputs) -> bytes:
    orders = [
        {**row, "reduce_only": leg.reduce_only}
        for row, leg in zip(rows(inputs), inputs.legs, strict=True)
    ]
    document = {
        "as_of": iso(inputs.snapshot.as_of_ms),
        "exported": iso(inputs.created_ms),
        "desk": inputs.desk,
        "account": inputs.account,
        "trader": inputs.trader,
        "ticket": inputs.ticket,
        "strategy": inputs.proposal.strategy,
        "model_version": inputs.proposal.model_version,
        "digest": inputs.proposal.digest,
        "orders": orders,
    }
    return canonical_json(document) + b"\n"


def _stamp(utc_ms: int) -> str:
    return f"{datetime.fromtimestamp(utc_ms / 1000, tz=UTC):%Y%m%dT%H%M%SZ}"


def _write(path: Path, content: bytes) -> WrittenFile:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)
    return WrittenFile(str(path), hashlib.sha256(content).hexdigest())


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
