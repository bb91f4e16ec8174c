"""The limits of a program as rows of a small cone program, each under its own key.

Built from `LimitArrays` and judged by `limit_excess`, as the program is. Nothing is optimised here:
a conflict is a matter of limits alone, so any of them may be left out or widened by one scalar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import LimitArrays
from perptui.risk.tail import tail_count

Key = tuple[str, int]
"""A limit's name as in `limit_excess`, and its row; or "target", "lower", "upper" of a contract."""

VOLATILITY: Key = ("volatility", 0)
CVAR: Key = ("cvar", 0)
CORRELATION: Key = ("market_correlation", 0)
DEFINED: Key = ("", 0)
"""Of rows that define a column and limit nothing."""
TARGET = "target"


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows ``matrix @ x <= bound``; `keys` names the limit that each belongs to.

    The columns x are w, |w|, |z| and, for each stress from none on, the maintenance of each
    contract: N each.
    """

    matrix: sparse.csr_matrix
    bound: FloatArray
    keys: tuple[Key, ...]

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return all rows of `parts`, in their order."""
        return cls(
            sparse.vstack([part.matrix for part in parts], format="csr"),
            np.concatenate([part.bound for part in parts]),
            tuple(key for part in parts for key in part.keys),
        )


class Layout:
    """Where each variable of N contracts and Q stresses stands among the columns."""

    def __init__(self, limits: LimitArrays) -> None:
        self.contracts = len(limits.sigma)
        self.states = 1 + len(limits.stress)
        self.columns = self.contracts * (3 + self.states)

    def place(self, **parts: FloatArray) -> sparse.csr_matrix:
        """Return a matrix (rows, columns) with each part (rows, N) at its variable.

        Parameters
        ----------
        parts : arrays (rows, N)
            By variable: w, size, trade, or margin0, margin1, ...
        """
        starts = {"w": 0, "size": 1, "trade": 2}
        count = self.contracts
        placed = []
        for name, part in parts.items():
            start = starts[name] if name in starts else 3 + int(name.removeprefix("margin"))
            block = sparse.coo_matrix(part)
            placed.append((block.row, block.col + start * count, block.data))
        rows, columns, values = (np.concatenate(found) for found in zip(*placed, strict=True))
        height = len(next(iter(parts.values())))
        return sparse.csr_matrix((values, (rows, columns)), shape=(height, self.columns))


def definitions(inputs: ProgramInputs, layout: Layout) -> tuple[sparse.csr_matrix, FloatArray]:
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
    return sparse.vstack(matrices, format="csr"), np.concatenate(bounds)


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


def _rows(name: str, matrix: sparse.csr_matrix, bound: FloatArray | float) -> Rows:
    height = matrix.shape[0]
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


def shortfall_cut(weights: FloatArray, limits: LimitArrays) -> tuple[FloatArray, float]:
    """Return slope (N,) and offset of CVaR's tangent at a book: never above CVaR itself.

    CVaR(w) = max over p of -p'(R w + o), 0 <= p <= 1/(tail·S), sum p = 1: the p of one book gives
    a plane that supports it.
    """
    returns = limits.scenarios @ weights + limits.scenario_offset
    whole, part = tail_count(len(returns), limits.tail)
    order = np.argsort(returns, kind="stable")
    share: npt.NDArray[np.float64] = np.zeros(len(returns))
    share[order[:whole]] = 1.0
    if part > 0.0:
        share[order[whole]] = part
    share /= whole + part
    return -(share @ limits.scenarios), -float(share @ limits.scenario_offset)


def shortfall_block(
    limits: LimitArrays, layout: Layout, worst: npt.NDArray[np.intp]
) -> tuple[Rows, int]:
    """Return CVaR as rows and their extra columns: a, and u of each scenario of `worst`.

    a + sum u/(tail·S) <= cvar_max, u >= loss - a, u >= 0 (Rockafellar and Uryasev 2000): never
    above CVaR, and CVaR itself where the tail of a book is among `worst`.
    """
    count, places = len(worst), np.arange(len(worst))
    excess = sparse.hstack(
        [
            layout.place(w=-limits.scenarios[worst]),
            sparse.csr_matrix(np.full((count, 1), -1.0)),
            -sparse.identity(count),
        ],
        format="csr",
    )
    start, width = layout.columns + 1, layout.columns + 1 + count
    positive = sparse.csr_matrix((np.full(count, -1.0), (places, start + places)), (count, width))
    mean = np.zeros((1, width))
    mean[0, start - 1], mean[0, start:] = 1.0, 1.0 / (limits.tail * len(limits.scenarios))
    matrix = sparse.vstack([excess, positive, sparse.csr_matrix(mean)], format="csr")
    bound = np.concatenate([limits.scenario_offset[worst], np.zeros(count), [limits.cvar_max]])
    return Rows(matrix, bound, (*([DEFINED] * (2 * count)), CVAR)), 1 + count
