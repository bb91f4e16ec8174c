"""Why the optimiser proposes what it does: ledgers, prices of limits, clashes, before and after.

Ledgers are in basis points of equity a year per unit of weight, at the optimum before rounding.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Literal

from perptui.model.record import Record

DIGITS = 4
"""Significant digits of a relaxation, wherever it is said or taken."""
DUST_DIGITS = 6
"""Digits behind them that count; what comes after is dust."""

NO_BOOK = "no book keeps every limit"
"""Reason of a proposal where limits clash, until it is known which."""

COARSE = "lots are too coarse: no book in whole lots was found that keeps every limit"
"""Reason of a proposal whose weights no lots come near enough to."""


class LedgerRow(Record, frozen=True):
    """The first-order condition of one contract: what one more unit of weight would bring.

    Gains are positive, charges negative; `residual` is the sum of the others, zero at an optimum.

    Attributes
    ----------
    alpha, carry : float
        Expected price drift and expected funding.
    risk, uncertainty : float
        Of ½ gamma w'Sigma w (robust part included), and of the robust mean.
    cost : float
        Trading and holding cost: at no trade, the subgradient that keeps it at none.
    limits : float
        Sum over the limits at their prices, bounds and fixed targets included; `by_limit` parts it.
    traded : bool
        Whether the optimum trades it.
    distance : float
        Of an untraded contract: by how much its gain would have to grow for a trade, at least 0,
        while limits keep their prices; exact but for CVaR and the correlation with the market,
        whose own slopes move with the book.
    """

    id: str
    alpha: float
    carry: float
    risk: float
    uncertainty: float
    cost: float
    limits: float
    residual: float
    traded: bool = False
    distance: float = 0.0
    by_limit: dict[str, float] = {}


class LimitPrice(Record, frozen=True):
    """What one unit of room in a limit would be worth, USD a day; 0 where it does not bind.

    The price belongs to the key that sets the limit in force: under drawdown control CVaR's row is
    priced by drawdown_max, in whose units its limit and value then are.

    Attributes
    ----------
    name : str
        As `LimitCheck.name`.
    price_usd_per_day : float
        Per 1.0 of the limit as it stands in config.toml, at the present point, in `direction`.
    setting : str
        The key of config.toml that sets it; "" where no one key does, and the price is per 1.0 of
        the limit in force.
    limit, value : float
        The limit, and the optimum's value before rounding, as config.toml has them: of
        ``standalone_risk`` and ``first_component`` shares of the volatility limit in force. Of
        ``trade_min:<id>`` the smallest trade that is made and the one left out as smaller, USD.
    low, high : float or None
        Where the optimum has ties: the price of relaxing the limit, and that of tightening it.
    direction : {"up", "down"}
        The way that the price is for: "up" of 1.0 more of it; "down" of 1.0 less, as of every floor
        (``net_min``, ``free_collateral_min``, ``liquidation_distance_min``).
    """

    name: str
    price_usd_per_day: float
    setting: str = ""
    limit: float = 0.0
    value: float = 0.0
    low: float | None = None
    high: float | None = None
    direction: Literal["up", "down"] = "up"


class Clash(Record, frozen=True):
    """One member of a minimal set of limits that cannot all hold.

    Attributes
    ----------
    name : str
        As `LimitCheck.name`; ``target:<id>`` for a fixed target.
    setting : str
        The assignment's key that relaxes it.
    limit : float
        As it stands.
    needed : float or None
        The least relaxed value with which, alone, a book exists; None where none would do.
    text : str
        The same in words.
    """

    name: str
    limit: float
    needed: float | None
    setting: str = ""
    text: str = ""

    @property
    def relaxed(self) -> float | None:
        """What is needed as it is said and taken: a little wider, never narrower."""
        if self.needed is None:
            return None
        return as_said(self.needed, self.limit)


def as_said(value: float, limit: float) -> float:
    """Return a value to which `limit` is relaxed as it is said and taken: never narrower."""
    return float(outward(Decimal(repr(value)), rising=value > limit))


def outward(value: Decimal, *, rising: bool) -> Decimal:
    """Return a relaxed value to `DIGITS` significant digits, away from where it comes from.

    Parameters
    ----------
    rising : bool
        Whether the limit is raised to it.
    """
    if value == 0:
        return value
    place = Decimal(1).scaleb(value.adjusted() - DIGITS + 1)
    # First without the dust of floats, which would widen 0.1 to 0.1001.
    value = value.quantize(place.scaleb(-DUST_DIGITS), rounding=ROUND_HALF_EVEN)
    return value.quantize(place, rounding=ROUND_CEILING if rising else ROUND_FLOOR)


class Reduction(Record, frozen=True):
    """Where only reducing leads, solved: offered where limits clash.

    Attributes
    ----------
    turnover : float
        Of its trades, in lots.
    breached : tuple of str
        Limits that stay broken after it, as `LimitCheck.name`: it is then a step, to be repeated.
    share_at_once : bool
        Whether one proposal reaches `Explanation.reduce_only_share`, and every limit holds there.
    freed : tuple of str
        Instruments whose fixed targets must give way to it.
    """

    turnover: float
    breached: tuple[str, ...] = ()
    share_at_once: bool = False
    freed: tuple[str, ...] = ()


class BreakEven(Record, frozen=True):
    """How long carry takes to earn back a trade's round trip (method §12).

    Attributes
    ----------
    hours : float or None
        Round-trip cost over the change of carry an hour; None where the trade does not earn carry.
    probability : float or None
        That funding has earned it back by the horizon's end, from the funding process.
    wait_usd : Decimal or None
        What trading after the next stamp instead of now is worth, USD; positive: wait.
    """

    id: str
    hours: float | None
    probability: float | None = None
    wait_usd: Decimal | None = None


class Drift(Record, frozen=True):
    """How far the book is from the target, three ways (method §12).

    `half_turnover` is ½ sum|z|; `tracking` sqrt(z'Sigma z), annualised; `regret_usd_day` what the
    objective gains by the trade after its cost, USD a day: the one that
    `Explanation.objective_usd_per_day` is of, of a mixture its parts' by their shares.
    """

    half_turnover: float
    tracking: float
    regret_usd_day: float


class AccountRisk(Record, frozen=True):
    """One margin account of a book.

    Attributes
    ----------
    margin_ratio : float
        Maintenance over equity; 1 liquidates.
    stressed_ratio : float
        Worst stress: loss plus cushioned maintenance over equity; 1 is the limit.
    free_usd : Decimal
        Equity not bound as initial margin.
    liquidation_down, liquidation_up : float or None
        Common moves that liquidate it; `_leg` names the leg that loses most there.
    transfer_usd : Decimal
        What would have to come in for every margin limit to hold; 0 where they do.
    transfer_from : str
        An account that could give it and keep its own limits; "" where none can.
    """

    name: str
    equity_usd: Decimal
    maintenance_usd: Decimal
    margin_ratio: float
    stressed_ratio: float
    free_usd: Decimal
    liquidation_down: float | None = None
    liquidation_up: float | None = None
    liquidation_down_leg: str = ""
    liquidation_up_leg: str = ""
    transfer_usd: Decimal = Decimal(0)
    transfer_from: str = ""


class FrontierPoint(Record, frozen=True):
    """One book of the efficient frontier under the limits in force; annualised fractions."""

    volatility_annual: float
    return_annual: float
    risk_aversion: float


class Explanation(Record, frozen=True):
    """All that stands behind one proposal; empty where the program had no optimum."""

    ledger: tuple[LedgerRow, ...] = ()
    limits: tuple[LimitPrice, ...] = ()
    clash: tuple[Clash, ...] = ()
    break_even: tuple[BreakEven, ...] = ()
    drift: Drift | None = None
    objective_usd_per_day: float | None = None
    """Of the optimum before rounding, trading costs taken off; of a mixture the two optima that it
    is mixed of, by their shares. Where a mixture is tracked, without the penalty."""
    tracking: bool = False
    """Whether ledger and prices are those of a hybrid's program that tracks a mixture: a price is
    then what room gains the objective less the penalty, not the objective."""
    mixture_held: bool = False
    """Whether prices hold the tracked mixture as it is. Its parts are solved under the same limits,
    so that with a limit the mixture moves too: solved anew, the program gains another amount."""
    tracking_penalty_usd_per_day: float = 0.0
    """What that program is charged for its way from the mixture."""
    reduce_only_share: float | None = None
    """Share of every position that a plain reduction may keep, offered where limits clash."""
    reduction: Reduction | None = None
    """Where limits clash and it was asked which: where only reducing leads."""
