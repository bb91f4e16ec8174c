"""The desk's limits, and the result of checking one. Fractions, never percent."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.record import Record


class Limits(Record, frozen=True):
    """Every limit of the desk; none has a default, so an absent one is an error.

    Book limits (all as multiples or fractions of equity E unless said):

    Attributes
    ----------
    gross_max : float
        sum|w|.
    net_min, net_max : float
        Bounds on sum w.
    coin_net_max, coin_gross_max : float
        Bounds on |sum w| and sum|w| over the contracts of one coin, all venues together.
    venue_gross_max : float
        sum|x| at one venue over that venue's equity.
    margin_ratio_max : float
        Maintenance margin over equity of each margin account; 1 is liquidation.
    liquidation_distance_min : float
        Smallest common price move (either way) that would liquidate an account.
    turnover_max : float
        ½ sum|z|, one-way turnover of a proposal.
    volatility_max : float
        Annualised volatility of the book.
    participation_max : float
        Trade notional over the contract's average daily volume.
    drawdown_max : float
        1 - equity/peak at which only reducing is allowed.
    beta_max : float
        |sum beta_i w_i|, beta to the market (BTC).
    cvar_max : float
        Expected shortfall of the horizon beyond the 95 % VaR, fraction of equity.
    standalone_risk_max : float
        |w_i|·sigma_i over `volatility_max`: a share of the risk budget.
    market_correlation_max : float
        Correlation of the book with the market; 1 is off.
    first_component_max : float
        Volatility from the first principal component over `volatility_max`.
    free_collateral_min : float
        Share of each margin account's equity that no initial margin binds.
    trade_min_usd : Decimal
        Smallest trade worth making.

    Order limits:

    order_notional_max_usd, ticket_notional_max_usd, day_notional_max_usd : Decimal
        Largest leg, ticket, and sum over a UTC day.
    trader_day_notional_max_usd : Decimal
        Largest sum of one trader over a UTC day.
    ticket_legs_max : int
        Most legs of one ticket.
    depth_max : float
        A leg's notional over what the book offers within its collar.
    collar_bps : float
        Distance of a limit price from the mark, basis points.
    collar_reducing_max_bps : float
        Widest collar of a reducing leg, basis points.
    daily_loss_max : float
        Loss of the UTC day, fraction of equity at its start, at which sending stops.
    messages_per_second, messages_per_minute : int
        Throttle on messages to one venue.
    cancels_reserved : int
        Messages a minute that are kept for cancels, beside `messages_per_minute`.
    rejections_max : int
        Orders a venue may reject within ten minutes; from then on only reductions are sent.
    restricted : tuple[str, ...]
        Instrument ids that may not be traded.
    """

    gross_max: float
    net_min: float
    net_max: float
    coin_net_max: float
    coin_gross_max: float
    venue_gross_max: float
    margin_ratio_max: float
    liquidation_distance_min: float
    turnover_max: float
    volatility_max: float
    participation_max: float
    drawdown_max: float
    beta_max: float
    cvar_max: float
    standalone_risk_max: float
    market_correlation_max: float
    first_component_max: float
    free_collateral_min: float
    trade_min_usd: Decimal
    order_notional_max_usd: Decimal
    ticket_notional_max_usd: Decimal
    day_notional_max_usd: Decimal
    trader_day_notional_max_usd: Decimal
    ticket_legs_max: int
    depth_max: float
    collar_bps: float
    collar_reducing_max_bps: float
    daily_loss_max: float
    messages_per_second: int
    messages_per_minute: int
    cancels_reserved: int
    rejections_max: int
    restricted: tuple[str, ...]


class LimitCheck(Record, frozen=True):
    """One limit held against one book.

    Attributes
    ----------
    name : str
        Stable name: ``gross``, ``net_min``, ``net_max``, ``coin_net:BTC``, ``coin_gross:BTC``,
        ``venue_gross:<account>``, ``margin_ratio:<account>``, ``liquidation:<account>``,
        ``turnover``, ``volatility``, ``participation:<id>``, ``drawdown``, ``beta``, ``cvar``,
        ``standalone_risk:<id>``, ``market_correlation``, ``first_component``,
        ``free_collateral:<account>``, ``margin_stress:<account>``,
        ``margin_stress_<name>:<account>`` of a named stress, ``cluster:<coins>``, ``stablecoin``.
    value, limit : float
        In the units of the limit; of ``standalone_risk`` and ``first_component`` both are
        annualised volatility, the limit a share of `Limits.volatility_max` as it is in force.
    ok : bool
        True when the value keeps to the limit exactly (no tolerance).
    at_least : bool
        True when the limit is a floor (``net_min``, ``liquidation:*``), else a ceiling.
    binding : bool
        True when the value stands at the limit within 1e-6 of its scale before rounding.
    """

    name: str
    value: float
    limit: float
    ok: bool
    at_least: bool = False
    binding: bool = False
