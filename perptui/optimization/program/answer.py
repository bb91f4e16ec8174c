"""What goes into a solver's workspace, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

from perptui.optimization.inputs import FloatArray


@dataclass(frozen=True)
class Attempt:
    """One way to ask a solver.

    Attributes
    ----------
    solver : str
        "PIQP" or "CLARABEL".
    scale : float
        Objective units per unit of equity: 1e4 is basis points.
    tolerance : float
        Of feasibility and gap, in those units.
    equilibrate : bool
        Whether Clarabel scales rows and columns.
    """

    solver: str
    scale: float
    tolerance: float
    equilibrate: bool = True


@dataclass(frozen=True, eq=False)
class Numbers:
    """One program in numbers: minimise ½x'Px + q'x with b - Ax in the cones.

    `matrix` holds A's values where `Compiled.places` has them, `quadratic` the upper triangle of P
    where `quadratic.quadratic_places` has it; `bounds` is b and `cost` q.
    """

    matrix: FloatArray
    bounds: FloatArray
    cost: FloatArray
    quadratic: FloatArray


@dataclass(frozen=True, eq=False)
class Answer:
    """A solver's answer in the places of the compiled program; what was left out is 0.

    `status` is "optimal", "infeasible", or what the solver ended with, in words.
    """

    status: str
    found: FloatArray
    duals: FloatArray
    iterations: int
    solver: str
