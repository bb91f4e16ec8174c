"""What the compilation of a program fixes: shapes, memberships, and which cones there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.roots import is_diagonal, root_rows

CAPACITIES = (0, 8, 32, 128, 512, 2048)
"""Linear rows that a shape has room for, so that one more row does not compile anew."""
TRACE = 1e-15
"""A coefficient of impact or of robust risk below this is none: it moves no weight."""
EVERY_LIMIT = "*"
"""Stands for all limits among the soft ones: phase 1."""


@dataclass(frozen=True)
class Structure:
    """What compilation fixes.

    Attributes
    ----------
    account_of, coin_of : tuple of int
        Row of each contract's account and coin; -1 of a hedge that no account carries.
    accounts, coins, tiers, clusters : int
        How many there are.
    stresses : tuple of str
        Names of the stress moves.
    rows : int
        Linear rows there is room for.
    tail : two int
        Scenarios and tangents that there is room for in the rows of the CVaR cap; none: no rows.
    factors : int
        Rows of the factors in the variable F w; 0: Sigma stands in w's block of the objective.
    root : int
        Rows of the covariance's root in the cone of the risk limit; 0 where factors stand for it.
    ellipsoid : int
        Rows of the mean's uncertainty root; 0: none.
    apart : bool
        Whether that root is diagonal.
    volatility, impact, robust, specific : bool
        Whether there is a cone of the risk limit, the 3/2-power impact, robust risk, and a
        specific variance beside the factors.
    charged : str
        Variable of the robust risk that the objective is charged by: that of the risk limit, or
        "charged" where it is another's; "": none.
    soft : frozenset of str
        Limits with slack, `EVERY_LIMIT` for all of them.
    """

    account_of: tuple[int, ...]
    coin_of: tuple[int, ...]
    accounts: int
    coins: int
    tiers: int
    clusters: int
    stresses: tuple[str, ...]
    rows: int
    tail: tuple[int, int]
    factors: int
    root: int
    ellipsoid: int
    apart: bool
    volatility: bool
    impact: bool
    robust: bool
    specific: bool
    charged: str
    soft: frozenset[str]

    @property
    def contracts(self) -> int:
        """How many contracts."""
        return len(self.account_of)

    @property
    def conic(self) -> bool:
        """Whether there is any cone but the positive orthant."""
        return self.volatility or self.impact or self.ellipsoid > 0

    @property
    def relaxes(self) -> bool:
        """Whether this is phase 1, without an objective of its own."""
        return EVERY_LIMIT in self.soft

    @property
    def soft_rows(self) -> bool:
        """Whether a linear row may have slack: a soft limit without rows of its own."""
        return bool(self.soft - set(own_limits(self.stresses)))

    def has_slack(self, limit: str) -> bool:
        """Whether a limit, named as in `limit_excess`, may be exceeded at a price."""
        return limit in self.soft or self.relaxes

    @classmethod
    def of(cls, inputs: ProgramInputs, *, volatility: bool = True) -> Self:
        """Return the structure of a program's data.

        Parameters
        ----------
        volatility : bool
            Whether the risk limit is stated: its cone costs time, and not always binds.
        """
        impact = inputs.cost_aversion * inputs.impact
        return cls(
            **_shapes(inputs, volatility=volatility),
            ellipsoid=_ellipsoid(inputs),
            apart=_ellipsoid(inputs) > 0 and is_diagonal(inputs.omega_root),
            impact=bool((impact > TRACE).any()),
            soft=frozenset(name for name, price in inputs.soft_prices.items() if price > 0.0),
        )

    @classmethod
    def relaxed(cls, inputs: ProgramInputs, *, volatility: bool = True) -> Self:
        """Return the structure of phase 1: every limit with slack, no objective but that."""
        return cls(
            **_shapes(inputs, volatility=volatility),
            ellipsoid=0,
            apart=False,
            impact=False,
            soft=frozenset((EVERY_LIMIT,)),
        )


def _shapes(inputs: ProgramInputs, *, volatility: bool) -> dict[str, Any]:
    limits = inputs.limits
    factors = 0 if inputs.factors is None else len(inputs.factors)
    return {
        "account_of": _members(limits.account),
        "coin_of": _members(limits.coin),
        "accounts": len(limits.account),
        "coins": len(limits.coin),
        "tiers": len(limits.tier_rates),
        "clusters": len(limits.cluster),
        "stresses": limits.stress_names,
        "rows": capacity(len(limits.rows)),
        "tail": (0, 0) if inputs.tail_rows is None else inputs.tail_rows.shape,
        "factors": factors,
        "root": root_rows(limits.root) if volatility and not factors else 0,
        "volatility": volatility,
        "robust": limits.covariance_uncertainty > TRACE and (volatility or inputs.sigma is None),
        "charged": _charged(inputs),
        "specific": factors > 0 and inputs.specific is not None,
    }


def _charged(inputs: ProgramInputs) -> str:
    if inputs.charged_uncertainty <= TRACE:
        return ""
    return "robust" if inputs.sigma is None else "charged"


def _ellipsoid(inputs: ProgramInputs) -> int:
    if inputs.omega_root is None or inputs.ellipsoid <= 0.0:
        return 0
    return root_rows(inputs.omega_root)


def _members(groups: FloatArray) -> tuple[int, ...]:
    """Return the group of each contract, -1 of one in none."""
    if not len(groups):
        return (-1,) * len(groups.T)
    first = np.where(groups.any(axis=0), groups.argmax(axis=0), -1)
    return tuple(map(int, first))


def capacity(rows: int) -> int:
    """Return the room that so many linear rows are given.

    Raises
    ------
    ValueError
        When there are more than any shape has room for.
    """
    for room in CAPACITIES:
        if rows <= room:
            return room
    raise ValueError(f"expected at most {CAPACITIES[-1]} linear rows, was {rows}; drop loose cuts")


def own_limits(stresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the limits that have rows of their own, linear rows left out."""
    return (
        "gross",
        "net_min",
        "net_max",
        "coin_net",
        "coin_gross",
        "venue_gross",
        "margin_ratio",
        *(f"stress_{name}" for name in stresses),
        "free_collateral",
        "stablecoin",
        "turnover",
        "volatility",
        "participation",
        "cluster",
        "standalone_risk",
        "cvar",
    )
