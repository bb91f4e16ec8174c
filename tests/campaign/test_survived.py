"""What must be struck: the matrix is asked for, and every named fault has something behind it."""

from __future__ import annotations

import ast
from functools import cache
from itertools import product

import pytest

from perptui.simulator.faults import FaultKind
from tests.campaign.coverage import Coverage
from tests.campaign.survived import REQUIRED, SURVIVED, named_cells, never_struck
from tests.tui.terminal import ROOT

pytestmark = pytest.mark.unmeasured

NAMED = {node for named in SURVIVED.values() for node in named if isinstance(node, str)}


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


@pytest.mark.parametrize("node", sorted(NAMED))
def test_a_test_that_the_table_names_is_there(node: str) -> None:
    file, _, name = node.partition("::")
    assert name.startswith("test_")
    assert name in _functions(file)


def test_every_fault_of_the_design_is_struck_by_something() -> None:
    """Safety.md's list has 32 clauses, its neighbours in one clause together."""
    assert len(SURVIVED) == 32
    assert all(SURVIVED.values())


def test_the_wire_must_strike_every_fault_at_every_endpoint() -> None:
    endpoints = ("order", "query", "cancel", "positions")
    wanted = {("wire", kind.value, name) for kind, name in product(FaultKind, endpoints)}
    assert wanted <= set(REQUIRED["wire"])
    assert len(wanted) == 4 * len(FaultKind)


def test_what_was_never_struck_is_named_and_only_of_tiers_that_ran_in_full() -> None:
    coverage = Coverage("wire")
    for _, fault, endpoint in REQUIRED["wire"]:
        coverage.note(fault, endpoint, "UNKNOWN")
    assert never_struck(coverage, ["wire"]) == []
    del coverage.counts["wire", "hang", "cancel", "UNKNOWN"]
    assert never_struck(coverage, ["wire"]) == ["never struck: hang at cancel (wire)"]
    assert never_struck(coverage, ["fuzz"]) == []
    assert "never struck: SIGKILL at shown (kills)" in never_struck(coverage, ["kills"])


def test_a_cell_that_the_table_names_alone_is_asked_for_too() -> None:
    alone = ("sessions", "ADL", "positions")
    assert alone in named_cells()
    assert alone not in REQUIRED["sessions"]
    assert "never struck: ADL at positions (sessions)" in never_struck(Coverage(), ["sessions"])
