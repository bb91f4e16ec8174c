"""Variables and parameters of the program, and the values that its data give the parameters."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.roots import is_diagonal, triangular, triangular_at
from perptui.optimization.program.structure import Structure
from perptui.optimization.tail_rows import TailRows
from perptui.risk.arrays import LimitArrays

UNUSED = 1.0
"""Bound of a linear row that nothing stands in, and price of a slack that nothing uses."""

Values = dict[str, FloatArray | float]


class Terms:
    """Variables that the objective and the limits share, and their parameters.

    Attributes
    ----------
    w, size, trade : (N,) variables
        Weights, |w| and |z| (epigraphs).
    margins : Q + 1 (N,) variables
        Maintenance margin of each contract, plain and under each stress (epigraphs).
    spread : (R,) variable or None
        F w, F the factors.
    impact : (N,) variable or None
        |z|^{3/2} (epigraph).
    robust, charged : variable or None
        sqrt(rho_S)·sigma'|w| of the risk limit, and of the objective where that is another's
        (epigraphs).
    doubt : variable or None
        |W w| of the ellipsoid of the mean (epigraph).
    shortfall, tail_edge, tail_beyond : variable, variable, (K,) variable, or None
        CVaR, a, and (loss_s - a)+ of the CVaR cap (epigraphs).
    counted : (N,) array
        1 for each contract that an account carries: only those are gross, net and turnover.
    parameters : dict of str to Parameter
        Filled by `limit_values` and `objective_values` under the same names.
    slacks : dict of str to variable
        Of the soft limits, by name; "rows" for the linear rows.
    """

    def __init__(self, structure: Structure) -> None:
        n = structure.contracts
        self.structure = structure
        self.parameters: dict[str, Any] = {}
        self.slacks: dict[str, Any] = {}
        self.w, self.size, self.trade = cp.Variable(n), cp.Variable(n), cp.Variable(n)
        self.margins = [cp.Variable(n) for _ in range(1 + len(structure.stresses))]
        self.spread = cp.Variable(structure.factors) if structure.factors else None
        self.impact = cp.Variable(n) if structure.impact else None
        self.robust = cp.Variable() if structure.robust else None
        self.charged = cp.Variable() if structure.charged == "charged" else None
        self.doubt = cp.Variable() if structure.ellipsoid else None
        scenarios = structure.tail[0]
        self.shortfall = cp.Variable() if scenarios else None
        self.tail_edge = cp.Variable() if scenarios else None
        self.tail_beyond = cp.Variable(scenarios) if scenarios else None
        self.coin = membership(structure.coin_of, structure.coins)
        self.account = membership(structure.account_of, structure.accounts)
        self.counted = self.account.sum(axis=0)

    def parameter(self, name: str, *shape: int) -> Any:
        """Return the parameter of that name, made at its first use."""
        if name not in self.parameters:
            self.parameters[name] = cp.Parameter(shape, name=name)
        return self.parameters[name]

    def slack(self, limit: str, count: int) -> Any:
        """Return the slack of a soft limit, (count,)."""
        self.slacks[limit] = cp.Variable(count)
        return self.slacks[limit]


def membership(of: tuple[int, ...], groups: int) -> FloatArray:
    """Return the 0-1 matrix, (groups, N), of which group each contract is in; -1 is none."""
    rows = [[float(row == group) for row in of] for group in range(groups)]
    return np.array(rows).reshape(groups, len(of))


def limit_values(inputs: ProgramInputs, structure: Structure) -> Values:
    """Return the values of every parameter that the limits use."""
    limits = inputs.limits
    values: Values = {
        "before": inputs.before,
        "lower": inputs.lower,
        "upper": inputs.upper,
        "clusters": limits.cluster,
        "initial_rate": limits.initial_rate,
        "reserve": 1.0 + limits.cushion,
        "rates_0": limits.tier_rates,
        "deductions": limits.tier_deductions,
        "factors": 0.0 if inputs.factors is None else inputs.factors,
        "specific": 0.0 if inputs.specific is None else np.sqrt(inputs.specific),
        "robust": np.sqrt(limits.covariance_uncertainty) * limits.sigma,
        "charged": np.sqrt(inputs.charged_uncertainty) * inputs.charged_sigma,
    }
    if structure.root:
        values["root"], values["root_offset"] = triangular_at(limits.root, limits.root_offset)
    elif structure.volatility:
        values["root_offset"] = np.append(limits.root_offset, 0.0)
    for index, moves in enumerate(limits.stress, start=1):
        values[f"moves_{index}"] = moves
        values[f"rates_{index}"] = limits.margin_rates[index]
    if inputs.tail_rows is not None:
        values.update(_tail_values(inputs.tail_rows))
    return values | _right_sides(limits) | _row_values(limits, structure)


def _right_sides(limits: LimitArrays) -> Values:
    """Return what each limit's left side may come to: the limit, and the room it was given."""
    share, room = limits.equity_share, limits.room
    sides: Values = {
        "gross": limits.gross_max,
        "net_min": limits.net_min,
        "net_max": limits.net_max,
        "coin_net": limits.coin_net_max,
        "coin_gross": limits.coin_gross_max,
        "turnover": limits.turnover_max,
        "cluster": limits.cluster_max,
        "participation": limits.trade_max,
        "standalone_risk": limits.size_max,
        "venue_gross": limits.venue_gross_max * share,
        "margin_ratio": limits.margin_ratio_max * share,
        "free_collateral": (1.0 - limits.free_collateral_min) * share,
        "stablecoin": 1.0 - limits.stablecoin_min,
        "volatility": limits.volatility_max,
    }
    for name, equity in zip(limits.stress_names, limits.equity_in_stress, strict=True):
        sides[f"stress_{name}"] = equity
    for name, more in room.items():
        if name in sides:
            sides[name] = sides[name] + (-more if name == "net_min" else more)
    return sides


def _tail_values(rows: TailRows) -> Values:
    near, factor, offset = rows.scenario_rows()
    tangents, constants = rows.tangent_rows()
    return {
        "tail_near": near,
        "tail_factor": factor,
        "tail_offset": offset,
        "tail_whole": rows.whole,
        "tail_whole_offset": rows.whole_offset,
        "tail_rest": 1.0 - rows.whole_share,
        "tail_each": 1.0 / rows.count,
        "tail_tangents": tangents,
        "tail_constants": constants,
        "cvar": rows.cap,
    }


def _row_values(limits: LimitArrays, structure: Structure) -> Values:
    count, room = len(limits.rows), structure.rows
    a, b = np.zeros((room, structure.contracts)), np.full(room, UNUSED)
    a[:count], b[:count] = limits.rows, limits.row_max
    for name, more in limits.room.items():
        of_name = [place for place, row in enumerate(limits.row_names) if row == name]
        if of_name:
            b[of_name] += more
    values: Values = {"row_a": a, "row_b": b}
    if structure.soft_rows:
        values["row_slack"] = _shared_slack(limits.row_names, structure)
    return values


def _shared_slack(names: tuple[str, ...], structure: Structure) -> FloatArray:
    """Return which slack each linear row uses, (rows, rows) of 0 and 1: one for each soft name."""
    uses = np.zeros((structure.rows, structure.rows))
    for row, name in enumerate(names):
        if structure.has_slack(name):
            uses[row, names.index(name)] = 1.0
    return uses


def objective_values(inputs: ProgramInputs, scale: float) -> Values:
    """Return the values of the objective's parameters, times `scale`."""
    return {
        "gain": scale * inputs.gain,
        "size_cost": scale * inputs.size_cost,
        "trade_cost": scale * inputs.trade_cost,
        "impact_cost": scale * inputs.cost_aversion * inputs.impact,
        "doubt_cost": scale * inputs.ellipsoid,
        **_doubts(inputs),
    }


def _doubts(inputs: ProgramInputs) -> Values:
    root = inputs.omega_root
    if root is None:
        return {}
    if is_diagonal(root):
        return {"omega_diagonal": np.diagonal(root)}
    return {"omega_root": triangular(root)}
