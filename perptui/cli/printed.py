"""What ``--json`` prints."""

from __future__ import annotations

from typing import Any

import msgspec

from perptui.model.forecast import Estimates


def json_of(report: msgspec.Struct) -> str:
    """Return a report as one line of JSON without a negative zero, which readers trip over."""
    return msgspec.json.encode(_unsigned_zeros(msgspec.to_builtins(report))).decode() + "\n"


def flags_of(estimates: Estimates) -> tuple[str, ...]:
    """Return what is weak about each contract's estimates, a line for each weakness."""
    return tuple(f"{row.id}: {flag}" for row in estimates.instruments for flag in row.flags)


def _unsigned_zeros(value: Any) -> Any:
    if isinstance(value, float):
        return value + 0.0
    if isinstance(value, dict):
        return {key: _unsigned_zeros(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_unsigned_zeros(item) for item in value]
    return value
