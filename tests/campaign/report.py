"""The printed tables: tiers, faults and what came of them, mutants and what caught them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.campaign.coverage import Cell, Coverage, TierResult


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: frozenset[int]) -> str:
    shown = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(row[place]) for row in shown) for place in range(len(heads))]
    lines = []
    for row in shown:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def tiers(results: Iterable[TierResult]) -> str:
    """Return the table of tiers: asked, done, violations, wall and processor seconds."""
    rows = [
        (
            *(r.name, f"{r.asked:,}", f"{r.done:,}", str(len(r.violations))),
            *(f"{r.seconds:.1f}", f"{r.cpu_s:.1f}"),
        )
        for r in results
    ]
    heads = ("tier", "asked", "done", "violations", "seconds", "CPU seconds")
    return _table(heads, rows, frozenset({1, 2, 3, 4, 5}))


def faults(coverage: Coverage) -> str:
    """Return the table of faults: where each struck, how often, and what came of it."""
    rows = [(*names, f"{times:,}", words) for *names, times, words in coverage.rows()]
    return _table(("tier", "fault", "endpoint", "times", "outcome"), rows, frozenset({3}))


def survived(coverage: Coverage, table: Mapping[str, tuple[Cell | str, ...]]) -> str:
    """Return what strikes each fault that the safety design names, and how often it did here."""
    cells, rows = coverage.cells(), []
    for fault, named in table.items():
        struck = [one for one in named if not isinstance(one, str)]
        tests = [one for one in named if isinstance(one, str)]
        by = sorted({tier for tier, _, _ in struck})
        times = f"{sum(cells[one] for one in struck):,} by {', '.join(by)}" if by else "-"
        names = tests or [""]
        rows += [(fault, times, names[0]), *(("", "", name) for name in names[1:])]
    return _table(("fault that must be survived", "struck here", "and by"), rows, frozenset())


def mutants(rows: Iterable[tuple[str, int | None, str]]) -> str:
    """Return the table of broken order paths: the seed that catches each, and by what."""
    shown = [(name, "SURVIVES" if seed is None else str(seed), by[:90]) for name, seed, by in rows]
    return _table(("broken order path", "seed", "caught by"), shown, frozenset({1}))
