"""The file of held positions that `perptui propose` starts from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from perptui.model.errors import InputError
from perptui.model.given import number, shown
from perptui.model.instrument import split_id

if TYPE_CHECKING:
    from perptui.quant.offline import Held

POSITION_KEYS = {"id", "contracts", "entry_price"}


def read_positions(file: Path) -> tuple[Held, ...]:
    """Return the positions of a JSON file, ids with their venue's alias resolved.

    Raises
    ------
    InputError
        When the file cannot be read, is no JSON, or a position is malformed or given twice.
    """
    rows = _parsed(_text(file), file)
    if not isinstance(rows, list):
        raise InputError(f"expected a JSON list in {file}, was {shown(rows)}; mend it")
    held: dict[str, Held] = {}
    for index, row in enumerate(rows):
        one = _held(row, f"position {index + 1} of {file}")
        if one.id in held:
            raise InputError(f"expected one position of {one.id} in {file}, was more; add them up")
        held[one.id] = one
    return tuple(held.values())


def _text(file: Path) -> str:
    try:
        # Editors on Windows begin UTF-8 files with a byte order mark.
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(
            f"expected a readable --positions file, was {file} ({reason}); name another"
        ) from None


def _parsed(text: str, file: Path) -> Any:
    """Return the file's value; numbers stay the text that they are written as."""
    try:
        return json.loads(
            text,
            parse_float=str,
            parse_int=str,
            parse_constant=_refuse_constant,
            object_pairs_hook=_once_each,
        )
    except json.JSONDecodeError as error:
        raise InputError(
            f"expected JSON in {file}, was {error.msg} at line {error.lineno}; mend it"
        ) from None
    except RecursionError:
        raise InputError(
            f"expected a JSON list of positions in {file}, was nested too deeply; mend it"
        ) from None


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"expected finite numbers in --positions, was {name}; mend it")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(f"expected {shown(key)} once in a position, was twice; leave one out")
        found[key] = value
    return found


def _held(row: Any, where: str) -> Held:
    from perptui.quant.offline import Held

    if not isinstance(row, dict) or set(row) != POSITION_KEYS:
        raise InputError(
            f"expected {where} to hold id, contracts and entry_price, was {shown(row)}; mend it"
        )
    contracts = number(row["contracts"], f"contracts of {where}")
    entry = number(row["entry_price"], f"entry_price of {where}")
    if entry <= 0:
        raise InputError(f"expected a positive entry_price in {where}, was {entry}; mend it")
    try:
        venue, symbol = split_id(str(row["id"]))
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    return Held(f"{venue}:{symbol}", contracts, entry)
