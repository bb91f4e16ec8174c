"""The program's rows, stated once for the optimum and for phase 1.

Bounds are explicit rows, never variable attributes, because only rows have duals. |w|, |z|, |z|^3/2
and margins are epigraph variables: all only ever help when they are as small as they can be, so
each limit holds for the true values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from perptui.optimization.program.terms import Terms

CORE = "core"
"""Group of rows and variables that every solve has."""
TRADE = "trade"
"""Group of |z|, left out where nothing costs or limits a trade."""


@dataclass(frozen=True, eq=False)
class Stated:
    """One constraint with its name and its group: groups are left out whole, or not at all."""

    name: str
    group: str
    constraint: cp.Constraint


def margin_limits(terms: Terms) -> tuple[str, ...]:
    """Return the limit that each of `Terms.margins` belongs to."""
    return ("margin_ratio", *(f"stress_{name}" for name in terms.structure.stresses))


def definitions(terms: Terms) -> list[Stated]:
    """Return what makes |w|, |z|, margins, impact and risk what they are, and the bounds."""
    n, p = terms.structure.contracts, terms.parameter
    w, size, trade = terms.w, terms.size, terms.trade
    before = p("before", n)
    stated = [
        Stated("upper", CORE, w <= p("upper", n)),
        Stated("lower", CORE, -w <= -p("lower", n)),
        Stated("size_up", CORE, w <= size),
        Stated("size_down", CORE, -w <= size),
        Stated("trade_up", TRADE, w - trade <= before),
        Stated("trade_down", TRADE, -w - trade <= -before),
        *_tiers(terms),
    ]
    if terms.spread is not None:
        factors = p("factors", terms.structure.factors, n)
        stated.append(Stated("spread", CORE, terms.spread == factors @ w))
    if terms.robust is not None:
        stated.append(Stated("robust", CORE, p("robust", n) @ size <= terms.robust))
    if terms.charged is not None:
        stated.append(Stated("charged", CORE, p("charged", n) @ size <= terms.charged))
    if terms.impact is not None:
        # The power cone, not its second-order form: that one stalls at the cone's apex, z = 0.
        cone = cp.PowCone3D(terms.impact, np.ones(n), trade, 2.0 / 3.0)
        stated.append(Stated("impact", CORE, cone))
    if terms.doubt is not None:
        stated.append(Stated("doubt", CORE, cp.SOC(terms.doubt, _doubted(terms))))
    return stated


def _doubted(terms: Terms) -> Any:
    n, p = terms.structure.contracts, terms.parameter
    if terms.structure.apart:
        return cp.multiply(p("omega_diagonal", n), terms.w)
    return _upper(p("omega_root", terms.structure.ellipsoid, n)) @ terms.w


def tier_group(limit: str, tier: int) -> str:
    """Return the group of a tier's rows: all but the first are left out where none reaches them."""
    return f"{limit}:{tier}" if tier else limit


def _tiers(terms: Terms) -> list[Stated]:
    n, tiers, p = terms.structure.contracts, terms.structure.tiers, terms.parameter
    deductions = p("deductions", tiers, n)
    stated = []
    for index, (limit, margin) in enumerate(zip(margin_limits(terms), terms.margins, strict=True)):
        rates = p(f"rates_{index}", tiers, n)
        for tier in range(tiers):
            row = cp.multiply(rates[tier], terms.size) - margin <= deductions[tier]
            stated.append(Stated(f"tier_{index}_{tier}", tier_group(limit, tier), row))
    return stated


def limit_rows(terms: Terms) -> list[Stated]:
    """Return every limit, as `perptui.risk.arrays.limit_excess` names and measures it."""
    n, a, p = terms.structure.contracts, terms.structure.accounts, terms.parameter
    net, size, trade = terms.counted @ terms.w, terms.size, terms.trade
    initial = p("initial_rate", n)
    rows: list[tuple[str, Any, Any]] = [
        ("gross", terms.counted @ size, p("gross")),
        ("net_min", -net, -p("net_min")),
        ("net_max", net, p("net_max")),
        ("coin_gross", terms.coin @ size, p("coin_gross", terms.structure.coins)),
        ("venue_gross", terms.account @ size, p("venue_gross", a)),
        ("margin_ratio", terms.account @ terms.margins[0], p("margin_ratio", a)),
        ("free_collateral", terms.account @ cp.multiply(initial, size), p("free_collateral", a)),
        ("stablecoin", initial @ size, p("stablecoin")),
        ("turnover", 0.5 * (terms.counted @ trade), p("turnover")),
        ("participation", trade, p("participation", n)),
        ("standalone_risk", size, p("standalone_risk", n)),
        *_stress_rows(terms),
    ]
    if terms.structure.clusters:
        groups = terms.structure.clusters
        rows.append(("cluster", p("clusters", groups, n) @ size, p("cluster", groups)))
    stated = [one for name, left, right in rows for one in _limit(terms, name, left, right)]
    return [*stated, *_coin_net(terms), *_volatility(terms), *_linear(terms), *_tail(terms)]


def _stress_rows(terms: Terms) -> list[tuple[str, Any, Any]]:
    n, a, p = terms.structure.contracts, terms.structure.accounts, terms.parameter
    rows = []
    for index, name in enumerate(terms.structure.stresses, start=1):
        gain = terms.account @ cp.multiply(p(f"moves_{index}", n), terms.w)
        needed = p("reserve") * (terms.account @ terms.margins[index])
        rows.append((f"stress_{name}", needed - gain, p(f"stress_{name}", a)))
    return rows


def _slack(terms: Terms, name: str, count: int) -> tuple[Any, list[Stated]]:
    """Return the slack of a limit, 0 of a hard one, and the row that keeps it from below 0."""
    if not terms.structure.has_slack(name):
        return 0.0, []
    slack = terms.slack(name, count)
    return slack, [Stated(f"slack_{name}", name, -slack <= 0.0)]


def _limit(terms: Terms, name: str, left: Any, right: Any) -> list[Stated]:
    slack, least = _slack(terms, name, left.size)
    if least and not left.shape:
        slack = cp.sum(slack)
    return [Stated(name, name, left - slack <= right), *least]


def _coin_net(terms: Terms) -> list[Stated]:
    net, coins = terms.coin @ terms.w, terms.structure.coins
    most = terms.parameter("coin_net", coins)
    slack, least = _slack(terms, "coin_net", coins)
    return [
        Stated("coin_net_up", "coin_net", net - slack <= most),
        Stated("coin_net_down", "coin_net", -net - slack <= most),
        *least,
    ]


def _volatility(terms: Terms) -> list[Stated]:
    structure, p = terms.structure, terms.parameter
    if not structure.volatility:
        return []
    n, rows = structure.contracts, structure.root or structure.factors
    offset = p("root_offset", rows + n * structure.specific + 1)
    spread = _upper(p("root", rows, n)) @ terms.w if terms.spread is None else terms.spread
    parts = [spread + offset[:rows]]
    if structure.specific:
        parts.append(cp.multiply(p("specific", n), terms.w) + offset[rows:-1])
    parts.append(offset[-1:])
    if terms.robust is not None:
        parts.append(cp.reshape(terms.robust, (1,), order="F"))
    slack, least = _slack(terms, "volatility", 1)
    most = p("volatility") + (cp.sum(slack) if least else 0.0)
    return [Stated("volatility", "volatility", cp.SOC(most, cp.hstack(parts))), *least]


def _upper(root: Any) -> Any:
    """Return a root as it is filled: upper triangular where it is square (`roots`)."""
    rows, columns = root.shape
    return cp.multiply(np.triu(np.ones((rows, columns))), root) if rows == columns else root


def _linear(terms: Terms) -> list[Stated]:
    room, n, p = terms.structure.rows, terms.structure.contracts, terms.parameter
    if not room:
        return []
    left = p("row_a", room, n) @ terms.w
    if not terms.structure.soft_rows:
        return [Stated("rows", "rows", left <= p("row_b", room))]
    slack = terms.slack("rows", room)
    shared = p("row_slack", room, room) @ slack
    return [
        Stated("rows", "rows", left - shared <= p("row_b", room)),
        Stated("slack_rows", "rows", -slack <= 0.0),
    ]


def _tail(terms: Terms) -> list[Stated]:
    """Return the rows of Rockafellar and Uryasev 2000, as `TailRows` splits the scenarios."""
    level, edge, beyond = terms.shortfall, terms.tail_edge, terms.tail_beyond
    if level is None or edge is None or beyond is None:
        return []
    (scenarios, tangents), n, p = terms.structure.tail, terms.structure.contracts, terms.parameter
    losses = -(p("tail_near", scenarios, n) @ terms.w) - cp.multiply(
        p("tail_factor", scenarios), edge
    )
    split = p("tail_rest") * edge + p("tail_each") * cp.sum(beyond) - p("tail_whole", n) @ terms.w
    touching = p("tail_tangents", tangents, n) @ terms.w + p("tail_constants", tangents)
    return [
        Stated("tail_least", "cvar", -beyond <= 0.0),
        Stated("tail_losses", "cvar", losses - beyond <= p("tail_offset", scenarios)),
        Stated("tail_split", "cvar", split - level <= p("tail_whole_offset")),
        Stated("tail_tangents", "cvar", touching <= level),
        *_limit(terms, "cvar", level, p("cvar")),
    ]


def objective(terms: Terms) -> Any:
    """Return what is minimised, without its quadratic part: that is written in by hand."""
    n, p = terms.structure.contracts, terms.parameter
    total = (
        -p("gain", n) @ terms.w + p("size_cost", n) @ terms.size + p("trade_cost", n) @ terms.trade
    )
    if terms.impact is not None:
        total = total + p("impact_cost", n) @ terms.impact
    if terms.doubt is not None:
        total = total + p("doubt_cost") * terms.doubt
    for name, slack in terms.slacks.items():
        total = total + p(f"price_{name}", slack.size) @ slack
    return total
