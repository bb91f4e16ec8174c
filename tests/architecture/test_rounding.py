"""ccxt changes the rounding of the thread's decimal context: nothing of ours may rest on it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unmeasured
PACKAGE = Path(__file__).resolve().parents[2] / "perptui"
FLOORS = ("desk", "journal", "venues", "optimization", "risk", "protocol", "settings", "model")
"""Those of the process that loads ccxt, and the orders that it takes over."""
FILES = sorted(file for floor in FLOORS for file in (PACKAGE / floor).rglob("*.py"))
CALLS = frozenset({"quantize", "to_integral_value", "to_integral_exact"})


def unnamed_roundings(source: str) -> list[int]:
    """Return the lines that round a Decimal without naming the rounding."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CALLS
        and not any(keyword.arg == "rounding" for keyword in node.keywords)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_rounding_is_named(file: Path) -> None:
    assert unnamed_roundings(file.read_text(encoding="utf-8")) == []


def test_an_unnamed_rounding_is_found() -> None:
    assert unnamed_roundings("a.quantize(b)\nc.quantize(d, rounding=e)") == [1]
