"""The limits of a program as rows of a small cone program, each under its own key.

Built from `LimitArrays` and judged by `limit_excess`, as the program is. Nothing is optimised here:
a conflict is a matter of limits alone, so any of them may be left out or widened by one scalar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import LimitArrays

IntArray = npt.NDArray[np.intp]

Key = tuple[str, int]
"""A limit's name as in `limit_excess`, and its row; or "target", "lower", "upper" of a contract."""

VOLATILITY: Key = ("volatility", 0)
CVAR: Key = ("cvar", 0)
CORRELATION: Key = ("market_correlation", 0)
DEFINED: Key = ("", 0)
"""Of rows that define a column and limit nothing."""
TARGET = "target"


@dataclass(frozen=True, eq=False)
class Entries:
    """A sparse matrix as its entries: row, column and value of each; `height` rows."""

    height: int
    rows: IntArray
    columns: IntArray
    values: FloatArray

    @classmethod
    def of(cls, dense: FloatArray, column: int = 0) -> Self:
        """Return the entries of a dense block whose first column is `column`."""
        rows, columns = np.nonzero(dense)
        return cls(len(dense), rows, columns + column, dense[rows, columns])

    @classmethod
    def beside(cls, parts: Sequence[Entries]) -> Self:
        """Return the entries of `parts`, which share their rows."""
        return cls(
            parts[0].height,
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.columns for part in parts]),
            np.concatenate([part.values for part in parts]),
        )

    @classmethod
    def below(cls, parts: Sequence[Entries]) -> Self:
        """Return the rows of `parts`, one after the other."""
        starts = np.cumsum([0, *(part.height for part in parts)])
        return cls(
            int(starts[-1]),
            np.concatenate([part.rows + at for part, at in zip(parts, starts, strict=False)]),
            np.concatenate([part.columns for part in parts]),
            np.concatenate([part.values for part in parts]),
        )

    def chosen(self, order: Sequence[int]) -> Entries:
        """Return some of the rows, in this order."""
        places = np.full(self.height, -1)
        places[np.asarray(order, dtype=np.intp)] = np.arange(len(order))
        rows = places[self.rows]
        kept = rows >= 0
        return Entries(len(order), rows[kept], self.columns[kept], self.values[kept])

    def largest(self) -> FloatArray:
        """Return the largest size of any entry of each row, (height,)."""
        largest = np.zeros(self.height)
        np.maximum.at(largest, self.rows, np.abs(self.values))
        return largest


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows ``matrix @ x <= bound``; `keys` names the limit that each belongs to.

    The columns x are w, |w|, |z| and, for each stress from none on, the maintenance of each
    contract: N each.
    """

    matrix: Entries
    bound: FloatArray
    keys: tuple[Key, ...]

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return all rows of `parts`, in their order."""
        return cls(
            Entries.below([part.matrix for part in parts]),
            np.concatenate([part.bound for part in parts]),
            tuple(key for part in parts for key in part.keys),
        )


class Layout:
    """Where each variable of N contracts and Q stresses stands among the columns."""

    def __init__(self, limits: LimitArrays) -> None:
        self.contracts = len(limits.sigma)
        self.states = 1 + len(limits.stress)
        self.columns = self.contracts * (3 + self.states)

    def place(self, **parts: FloatArray) -> Entries:
        """Return rows with each part (rows, N) at its variable.

        Parameters
        ----------
        parts : arrays (rows, N)
            By variable: w, size, trade, or margin0, margin1, ...
        """
        return Entries.beside(
            [Entries.of(part, self._start(name) * self.contracts) for name, part in parts.items()]
        )

    def _start(self, name: str) -> int:
        starts = {"w": 0, "size": 1, "trade": 2}
        return starts[name] if name in starts else 3 + int(name.removeprefix("margin"))


def definitions(inputs: ProgramInputs, layout: Layout) -> tuple[Entries, FloatArray]:
    """Return the rows that make |w|, |z| and maintenance at least what they are."""
    limits, one = inputs.limits, np.eye(layout.contracts)
    none = np.zeros(layout.contracts)
    matrices = [
        layout.place(w=one, size=-one),
        layout.place(w=-one, size=-one),
        layout.place(w=one, trade=-one),
        layout.place(w=-one, trade=-one),
    ]
    bounds = [none, none, inputs.before, -inputs.before]
    for state, moves in enumerate((none, *limits.stress)):
        rates = limits.shocked_rates(moves)
        for tier, deductions in enumerate(limits.tier_deductions):
            # A contract's padded tiers repeat its last one: once is enough.
            fresh = np.ones(layout.contracts, dtype=bool)
            if tier:
                fresh = limits.tier_rates[tier] != limits.tier_rates[tier - 1]
            parts = {"size": np.diag(rates[tier])[fresh], f"margin{state}": -one[fresh]}
            matrices.append(layout.place(**parts))
            bounds.append(deductions[fresh])
    return Entries.below(matrices), np.concatenate(bounds)


def limit_rows(inputs: ProgramInputs, layout: Layout) -> Rows:
    """Return every limit that is linear in the columns, bounds and fixed targets included."""
    return Rows.joined(
        [
            *_book_rows(inputs, layout),
            *_group_rows(inputs.limits, layout),
            *_signed_rows(inputs.limits, layout),
            *_account_rows(inputs.limits, layout),
            *_bound_rows(inputs, layout),
        ]
    )


def _rows(name: str, matrix: Entries, bound: FloatArray | float) -> Rows:
    height = matrix.height
    keys = tuple((name, row) for row in range(height))
    return Rows(matrix, np.broadcast_to(np.asarray(bound, dtype=float), (height,)), keys)


def _book_rows(inputs: ProgramInputs, layout: Layout) -> list[Rows]:
    limits, ones = inputs.limits, inputs.limits.counted[None, :]
    each = np.eye(layout.contracts)
    return [
        _rows("gross", layout.place(size=ones), limits.gross_max),
        _rows("net_min", layout.place(w=-ones), -limits.net_min),
        _rows("net_max", layout.place(w=ones), limits.net_max),
        _rows("turnover", layout.place(trade=0.5 * ones), limits.turnover_max),
        _rows("participation", layout.place(trade=each), limits.trade_max),
        _rows("standalone_risk", layout.place(size=each), limits.size_max),
        _rows(
            "stablecoin",
            layout.place(size=limits.initial_rate[None, :]),
            1.0 - limits.stablecoin_min,
        ),
    ]


def _group_rows(limits: LimitArrays, layout: Layout) -> list[Rows]:
    return [
        _rows("coin_net", layout.place(w=limits.coin), limits.coin_net_max),
        _rows("coin_net", layout.place(w=-limits.coin), limits.coin_net_max),
        _rows("coin_gross", layout.place(size=limits.coin), limits.coin_gross_max),
        _rows("cluster", layout.place(size=limits.cluster), limits.cluster_max),
    ]


def _signed_rows(limits: LimitArrays, layout: Layout) -> list[Rows]:
    seen: dict[str, int] = {}
    keys = []
    for name in limits.row_names:
        keys.append((name, seen.get(name, 0)))
        seen[name] = seen.get(name, 0) + 1
    return [Rows(layout.place(w=limits.rows), limits.row_max, tuple(keys))]


def _account_rows(limits: LimitArrays, layout: Layout) -> list[Rows]:
    account, share = limits.account, limits.equity_share
    rows = [
        _rows("venue_gross", layout.place(size=account), limits.venue_gross_max * share),
        _rows("margin_ratio", layout.place(margin0=account), limits.margin_ratio_max * share),
        _rows(
            "free_collateral",
            layout.place(size=account * limits.initial_rate),
            (1.0 - limits.free_collateral_min) * share,
        ),
    ]
    left = limits.stressed_equity()
    for row, (name, moves) in enumerate(zip(limits.stress_names, limits.stress, strict=True)):
        parts = {f"margin{row + 1}": (1.0 + limits.cushion) * account, "w": -account * moves}
        rows.append(_rows(f"stress_{name}", layout.place(**parts), left[row]))
    return rows


def _bound_rows(inputs: ProgramInputs, layout: Layout) -> list[Rows]:
    """Return bounds and fixed targets; a bound as wide as the gross limit is that limit's."""
    widest, each = inputs.limits.gross_max, np.eye(layout.contracts)
    pinned = inputs.lower == inputs.upper
    parts = []
    for name, matrix, bound, held in (
        (TARGET, each, inputs.upper, pinned),
        (TARGET, -each, -inputs.lower, pinned),
        ("upper", each, inputs.upper, ~pinned & (inputs.upper < widest)),
        ("lower", -each, -inputs.lower, ~pinned & (inputs.lower > -widest)),
    ):
        at = np.flatnonzero(held)
        keys = tuple((name, int(row)) for row in at)
        parts.append(Rows(layout.place(w=matrix[at]), bound[at], keys))
    return parts
