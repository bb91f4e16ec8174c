"""From the plain tree of a TOML file to frozen settings, refusing what is not understood."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from perptui.model.errors import ConfigError
from perptui.model.strategy import StrategyParameters
from perptui.settings.ranges import range_of

T = TypeVar("T", bound=msgspec.Struct)
Where = Callable[[str], str]

_WORDS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    Decimal: "an amount",
    str: "text in quotes",
    bool: "true or false",
}


def decode(kind: type[T], tree: dict[str, Any], where: Where, path: str = "") -> T:
    """Return `tree` as a record of `kind`.

    Parameters
    ----------
    kind : type
        A msgspec record.
    tree : dict
        Decoded TOML.
    where : callable
        Says where a dotted path was set, as a suffix of its name: " (config.toml:12)" or "".
    path : str
        Dotted path of `tree`; empty at the root.

    Raises
    ------
    ConfigError
        For an unknown key, a missing one, a wrong type, a value out of range, NaN or infinity.
    """
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if kind is StrategyParameters:
        # Its name is its table's own: [strategy.NAME].
        tree = {"name": path.rpartition(".")[2], **tree}
    for key in tree:
        if key not in fields:
            raise ConfigError(_unknown(_join(path, key), key, list(fields), where))
    values = {}
    for name, field in fields.items():
        if name in tree:
            values[name] = _value(field.type, tree[name], where, _join(path, name))
        elif field.required:
            table = f"[{path}]" if path else "the file"
            raise ConfigError(
                f"{_join(path, name)}: expected {in_words(field.type)}, was absent; write it under "
                f"{table} (`perptui config init` writes a whole file)"
            )
    return kind(**values)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _unknown(path: str, key: str, known: list[str], where: Where) -> str:
    import difflib

    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    cure = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"{path}{where(path)}: expected a known key, was {key!r}; {cure}"


def _value(kind: Any, value: Any, where: Where, path: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return decode(kind, _table(value, where, path), where, path)
    if get_origin(kind) is dict:
        items, item_kind = _table(value, where, path).items(), get_args(kind)[1]
        return {key: _value(item_kind, item, where, _join(path, key)) for key, item in items}
    _refuse_non_finite(value, where, path)
    said = f"{path}{where(path)}: expected {in_words(kind)}, was {value!r}"
    if cure := _cure_of_tables(kind, value):
        raise ConfigError(f"{said}; {cure}")
    try:
        converted = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise ConfigError(f"{said}; correct the value") from None
    _refuse_out_of_range(converted, value, where, path)
    return converted


def _cure_of_tables(kind: Any, value: Any) -> str:
    """Return which keys the first wrong table of a list lacks, or does not know; "" elsewhere."""
    record = _record_of(kind)
    if record is None or not isinstance(value, list):
        return ""
    fields = msgspec.structs.fields(record)
    known = {field.name for field in fields}
    for place, table in enumerate(value, start=1):
        if not isinstance(table, dict):
            return f"write table {place} as {{ {_keys_of(record)} }}"
        lacking = [field.name for field in fields if field.required and field.name not in table]
        if lacking:
            return f"table {place} lacks {', '.join(lacking)}"
        if unknown := sorted(set(table) - known):
            return f"table {place} knows no {', '.join(unknown)}"
    return ""


def _record_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the record that a list of tables holds; None where `kind` is no such list."""
    item = get_args(kind)[0] if get_origin(kind) is tuple else None
    return item if isinstance(item, type) and issubclass(item, msgspec.Struct) else None


def _keys_of(record: type[msgspec.Struct]) -> str:
    return ", ".join(field.name for field in msgspec.structs.fields(record))


def _table(value: Any, where: Where, path: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ConfigError(f"{path}{where(path)}: expected a table, was {value!r}; write [{path}]")


def _refuse_non_finite(value: Any, where: Where, path: str) -> None:
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, float) and not math.isfinite(item) for item in items):
        raise ConfigError(
            f"{path}{where(path)}: expected a finite number, was {value}; write a number"
        )


def _refuse_out_of_range(converted: Any, value: Any, where: Where, path: str) -> None:
    bounds = range_of(path)
    if bounds is None:
        return
    low, high = bounds
    for item in converted if isinstance(converted, tuple) else (converted,):
        if not low <= item <= high:
            raise ConfigError(
                f"{path}{where(path)}: expected {low:g} to {high:g}, was {value}; choose a value "
                "in that range"
            )


def in_words(kind: Any) -> str:
    """Return how a person would say the type `kind`."""
    if kind in _WORDS:
        return _WORDS[kind]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if get_origin(kind) is tuple:
        items = get_args(kind)
        if record := _record_of(kind):
            return f"a list of tables {{ {_keys_of(record)} }}"
        if items[-1] is Ellipsis:
            return "a list of texts in quotes"
        return f"a list of {len(items)} numbers"
    return "a table"
