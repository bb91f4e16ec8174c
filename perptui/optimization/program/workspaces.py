"""Workspaces of layouts, kept."""

from __future__ import annotations

from functools import lru_cache

from perptui.optimization.program import clarabel_workspace, piqp_workspace
from perptui.optimization.program.clarabel_workspace import ClarabelWorkspace
from perptui.optimization.program.layout import layout
from perptui.optimization.program.piqp_workspace import PiqpWorkspace
from perptui.optimization.program.structure import Structure

KEPT = 32
PIQP, CLARABEL = piqp_workspace.NAME, clarabel_workspace.NAME


@lru_cache(maxsize=KEPT)
def workspace(
    structure: Structure, kept: frozenset[str], solver: str
) -> PiqpWorkspace | ClarabelWorkspace:
    """Return the workspace of a layout (`redundancy.could_bind`), made at its first use and kept.

    Parameters
    ----------
    solver : str
        `PIQP` or `CLARABEL`.
    """
    placed = layout(structure, kept)
    return PiqpWorkspace(placed) if solver == PIQP else ClarabelWorkspace(placed)
