"""The `explain` object of ``perptui propose --explain --json``.

What is estimated is a number, in dollars a day or fractions; exact amounts of accounts and orders
are decimal strings, as everywhere in the reports.
"""

from __future__ import annotations

import msgspec

from perptui.model.explanation import Clash, Drift, LedgerRow, LimitPrice, Reduction


class ExplainedAccount(msgspec.Struct, frozen=True):
    """One margin account of a book.

    `margin_ratio` is maintenance over equity, 1 liquidates; `stressed_ratio` the worst stress, 1
    is the limit; `transfer_usd` is what would have to come in for its limits to hold.
    """

    name: str
    equity_usd: str
    maintenance_usd: str
    margin_ratio: float
    stressed_ratio: float
    free_usd: str
    liquidation_down: float | None
    liquidation_up: float | None
    liquidation_down_leg: str
    liquidation_up_leg: str
    transfer_usd: str
    transfer_from: str


class ExplainedPosition(msgspec.Struct, frozen=True):
    """One open position: where its own price, the others' staying, liquidates its account.

    `liquidation_move` is a fraction of the mark, `liquidation_price` USD, both ours and null where
    no price of it alone does it; `venue_liquidation_price` is the venue's for what is held now.
    """

    id: str
    account: str
    contracts: str
    mark: str
    liquidation_move: float | None
    liquidation_price: float | None
    venue_liquidation_price: str | None


class ExplainedBook(msgspec.Struct, frozen=True):
    """A whole book before or after the trade; the liquidation moves are the worst account's.

    `carry_usd_day` is expected over the horizon; `robust_volatility_annual`, with the covariance's
    own uncertainty, is what the limit `volatility` is on; `cvar` a positive loss fraction over the
    horizon beyond the 95 % VaR; moves and `cvar` are null where there is none.
    """

    carry_usd_day: float
    volatility_annual: float
    cvar: float | None
    gross: float
    net: float
    margin_ratio: float
    liquidation_down: float | None
    liquidation_up: float | None
    liquidation_down_leg: str
    liquidation_up_leg: str
    worst_account: str
    beta: float | None
    correlation: float | None
    expected_return_annual: float | None
    accounts: tuple[ExplainedAccount, ...]
    positions: tuple[ExplainedPosition, ...] = ()
    robust_volatility_annual: float | None = None


class ExplainedBreakEven(msgspec.Struct, frozen=True):
    """How long carry takes to earn back a trade's round trip; `hours` null where it never does.

    `wait_usd` is what trading after the next stamp would be worth; `probability` that funding has
    earned it back by the horizon's end.
    """

    id: str
    hours: float | None
    probability: float | None
    wait_usd: float | None


class ExplainedHedge(msgspec.Struct, frozen=True):
    """A put of the overlay: bought by hand; `quantity` in coins, `why` also where none is."""

    name: str
    coin: str
    strike: float
    expiry: str
    quantity: float
    premium_usd: str
    delta: float
    why: str


class ExplainReport(msgspec.Struct, frozen=True):
    """Why the proposal is as it is.

    Attributes
    ----------
    ledger : tuple of LedgerRow
        Basis points of equity a year per unit of weight, at the optimum before rounding: the terms
        add up to `residual`.
    limits : tuple of LimitPrice
        What one unit of room in each limit would be worth, USD a day: 1.0 more of it where its
        `direction` is "up", 1.0 less where it is "down".
    clash : tuple of Clash
        A minimal set of limits that cannot all hold; empty where a book exists.
    objective_usd_per_day : float or None
        Of the optimum before rounding, costs taken off.
    tracking : bool
        Whether ledger and prices are those of a hybrid's program that tracks a mixture: each price
        is then of the objective less `tracking_penalty_usd_per_day`.
    mixture_held : bool
        Whether each price holds that mixture as it is. A limit that is really moved moves the
        mixture as well, by an amount that is not in the price.
    reduce_only_share : float or None
        Share of every position that a plain reduction may keep.
    reduction : Reduction or None
        Where limits clash: where only reducing leads, solved.
    """

    ledger: tuple[LedgerRow, ...]
    limits: tuple[LimitPrice, ...]
    clash: tuple[Clash, ...]
    before: ExplainedBook
    after: ExplainedBook
    break_even: tuple[ExplainedBreakEven, ...]
    drift: Drift | None
    objective_usd_per_day: float | None
    reduce_only_share: float | None
    hedges: tuple[ExplainedHedge, ...]
    reduction: Reduction | None = None
    tracking: bool = False
    tracking_penalty_usd_per_day: float = 0.0
    mixture_held: bool = False
