"""Export: the files hold exactly the orders on screen; private; whole or not there."""

from __future__ import annotations

import csv
import hashlib
import json
import stat
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.export import FIELDS, write_orders
from perptui.desk.orders.export import rows as rows_of
from perptui.desk.orders.stops import stop_order
from perptui.model.errors import InputError
from tests.desk.dealing import ADD_ETH, REDUCE_BTC
from tests.desk.market import BTC
from tests.desk.orders.test_ticket_text import inputs


def test_both_files_hold_exactly_the_orders(tmp_path: Path) -> None:
    given = inputs(tmp_path / "desk", REDUCE_BTC, ADD_ETH)
    folder = tmp_path / "exports"
    files = write_orders(given, folder)
    names = [Path(file.path).name for file in files]
    stem = f"orders-20240805T072002Z-T41-{given.proposal.digest[:8]}"
    assert names == [f"{stem}.csv", f"{stem}.json"]
    with (folder / names[0]).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    document = json.loads((folder / names[1]).read_bytes())
    assert [tuple(row) for row in rows] == [FIELDS, FIELDS]
    assert rows[0] == {
        "id": "binanceusdm:BTC/USDT:USDT",
        "venue": "binanceusdm",
        "symbol": "BTC/USDT:USDT",
        "venue_symbol": "BTCUSDT",
        "effect": "REDUCE",
        "side": "sell",
        "contracts": "0.2",
        "order_type": "LIMIT IOC",
        "limit_price": "97305",
        "reduce_only": "true",
        "notional_usd": "19500",
        "mark_price": "97500",
        "before": "0.4",
        "after": "0.2",
        "trigger_price": "",
    }
    assert document["orders"] == [
        {**row, "reduce_only": row["reduce_only"] == "true"} for row in rows
    ]
    assert document["digest"] == given.proposal.digest
    assert document["trader"] == "alice"


def test_the_files_are_private_and_their_hashes_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    for file in write_orders(inputs(tmp_path / "desk", REDUCE_BTC), folder):
        path = Path(file.path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    given = inputs(tmp_path / "desk", REDUCE_BTC)
    folder = tmp_path / "exports"
    write_orders(given, folder)
    for old in folder.iterdir():
        old.unlink()
        old.mkdir()
    with pytest.raises(InputError, match="expected a folder to export to"):
        write_orders(given, folder)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_stop_is_exported_with_its_trigger_and_without_a_limit(tmp_path: Path) -> None:
    given = inputs(tmp_path / "desk", REDUCE_BTC)
    instrument = given.instrument(BTC)
    assert instrument is not None
    stop = stop_order(instrument, Decimal(97_500), Decimal("0.2"), 0.1)
    row = rows_of(msgspec.structs.replace(given, legs=(*given.legs, stop)))[1]
    assert (row["order_type"], row["limit_price"], row["trigger_price"], row["reduce_only"]) == (
        "STOP MARKET",
        "",
        "87750",
        "true",
    )
