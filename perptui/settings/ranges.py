"""What each number of config.toml may be, and how the numbers must agree with each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from perptui.model.clock import parse_iso
from perptui.model.errors import ConfigError
from perptui.model.instrument import split_id
from perptui.model.strategy import SOFT_LIMITS
from perptui.model.whatif import EVERY, PutQuote
from perptui.settings.schema import SUPPORTED_VENUES, Settings

DAY_S = 86_400.0
TAKEN = ("up", "down")
"""Names of the two common moves: no stress of the desk has them."""
EXPIRIES_MS = (10**12, 10**13 - 1)
"""Expiries of thirteen digits: of fewer or more, the unit is another."""

# (lowest, highest), both allowed; a path may hold * for a name.
RANGES: dict[str, tuple[float, float]] = {
    "simulator.seed": (0, 2**32 - 1),
    "simulator.speed": (0.001, 100_000),
    "polling.stale_after_intervals": (1, 100),
    "polling.bars_delay_s": (0, 600),
    "polling.markets_s": (60, 7 * DAY_S),
    "polling.tiers_s": (60, 7 * DAY_S),
    "polling.*": (0.2, 3600),
    "confirmation.expiry_s": (5, 300),
    "confirmation.proposal_s": (5, 3600),
    "strategy.*.horizon_days": (1, 30),
    "strategy.*.risk_aversion": (1e-3, 1000),
    "strategy.*.cost_aversion": (0, 100),
    "strategy.*.uncertainty": (0, 10),
    "strategy.*.volatility_halflife_days": (0.5, 365),
    "strategy.*.correlation_halflife_days": (0.5, 730),
    "strategy.*.volatility_target": (0.01, 5),
    "strategy.*.exposure_by_regime": (0, 10),
    "strategy.*.exposure_min": (0, 1),
    "strategy.*.margin_cushion": (0, 100),
    "strategy.*.cluster_correlation": (0, 1),
    "strategy.*.cluster_gross_max": (0, 10),
    "strategy.*.covariance_uncertainty": (0, 10),
    "strategy.*.drawdown_share": (0, 100),
    "strategy.*.volatility_threshold": (0, 10),
    "strategy.*.leverage_cut": (0, 1),
    "strategy.*.stablecoin_min": (0, 1),
    "strategy.*.stablecoin_apr": (0, 1),
    # Collateral that loses all of its value carries no margin at all.
    "strategy.*.depeg": (0, 0.99),
    "strategy.*.put_premium_max": (0, 1),
    "strategy.*.soft_penalty": (1e-6, 1e6),
    "strategy.*.tracking_penalty": (0, 1e6),
    "stress.times_a_year": (0, 12),
    "stress.moves.*": (-0.95, 10),
    "limits.gross_max": (0, 10),
    "limits.net_min": (-10, 10),
    "limits.net_max": (-10, 10),
    "limits.coin_net_max": (0, 10),
    "limits.coin_gross_max": (0, 10),
    "limits.venue_gross_max": (0, 10),
    "limits.margin_ratio_max": (0, 0.99),
    "limits.liquidation_distance_min": (0, 1),
    "limits.turnover_max": (0, 20),
    # Shares of these two are limits too: nothing can be a share of nothing.
    "limits.volatility_max": (0.001, 10),
    "limits.participation_max": (0, 1),
    "limits.drawdown_max": (0, 1),
    "limits.beta_max": (0, 100),
    "limits.cvar_max": (0.0001, 10),
    "limits.standalone_risk_max": (0, 100),
    "limits.market_correlation_max": (0, 1),
    "limits.first_component_max": (0, 100),
    "limits.free_collateral_min": (0, 1),
    "limits.trade_min_usd": (0, 1e9),
    "limits.*_notional_max_usd": (0, 1e12),
    "limits.ticket_legs_max": (0, 500),
    "limits.collar_bps": (0, 200),
    "limits.collar_reducing_max_bps": (0, 200),
    "limits.daily_loss_max": (0, 1),
    "limits.messages_per_second": (1, 100),
    "limits.messages_per_minute": (1, 6000),
    "limits.cancels_reserved": (1, 6000),
    "limits.rejections_max": (1, 100),
    "limits.depth_max": (0, 1),
    "approval.notional_usd": (0, 1e12),
    "approval.margin_ratio": (0, 1),
    "approval.expiry_s": (30, 3600),
    "stops.sigmas": (0, 20),
    "stops.distance_min": (0.001, 0.5),
    "stops.distance_max": (0.001, 0.9),
    "stops.drawdown_share": (0, 1),
    "watchdog.loss_max": (0, 1),
    "watchdog.loss_window_s": (10, DAY_S),
    "watchdog.rejections_max": (1, 100),
    "watchdog.mismatches_max": (1, 100),
    "watchdog.pair_s": (1, 3600),
    "watchdog.dead_man_s": (0, 3600),
    "audit.every": (1, 10_000),
    "paper.equity_usd": (100, 1e12),
}

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_COIN = re.compile(r"[A-Z0-9]{1,20}")
_ROLE = re.compile(r"\*|uid:[0-9]{1,10}|@?[^\s:@*](?:[^:]*[^\s:])?")
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}/[A-Z]{2,10}:[A-Z]{2,10}")


def range_of(path: str) -> tuple[float, float] | None:
    """Return the (lowest, highest) allowed value at a dotted path; None where any will do."""
    for pattern, bounds in RANGES.items():
        if fnmatchcase(path, pattern):
            return bounds
    return None


def contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, "expected X, was Y; do Z") for each way the settings disagree."""
    for check in _CHECKS:
        yield from check(settings)


def _names(settings: Settings) -> Iterator[tuple[str, str]]:
    named = {"desk.name": settings.desk.name, "desk.account": settings.desk.account}
    named |= {f"venues.{venue}.account": of.account for venue, of in settings.venues.items()}
    for path, name in named.items():
        if not _NAME.fullmatch(name):
            yield (
                path,
                f"expected 1 to 32 of a-z, 0-9, - and _, was {name!r}; it names files, so "
                "choose another",
            )


def _roles(settings: Settings) -> Iterator[tuple[str, str]]:
    for role in ("view", "trade", "approve"):
        for entry in getattr(settings.roles, role):
            if not _ROLE.fullmatch(entry):
                yield (
                    f"roles.{role}",
                    f'expected a user, "uid:1001", "@group" or "*", was {entry!r}; it would name '
                    "nobody",
                )


def _folders(settings: Settings) -> Iterator[tuple[str, str]]:
    # A relative one would be another place for each shell that looks for the desk, or its stop.
    for name in ("socket_dir", "export_dir"):
        folder = getattr(settings.desk, name)
        if folder and not folder.startswith(("/", "~")):
            yield f"desk.{name}", f"expected an absolute path, was {folder!r}; write it in full"


def _strategy(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.desk.strategy not in settings.strategy:
        known = ", ".join(settings.strategy)
        yield (
            "desk.strategy",
            f"expected one of {known}, was {settings.desk.strategy!r}; "
            "name a table under [strategy]",
        )


def _blends(settings: Settings) -> Iterator[tuple[str, str]]:
    plain = [name for name, one in settings.strategy.items() if not one.blend]
    for name, one in settings.strategy.items():
        named = set(one.blend)
        if one.blend and not (len(one.blend) == len(named) == 2 and named <= set(plain)):
            yield (
                f"strategy.{name}.blend",
                f"expected two of {', '.join(plain)}, core first, was {list(one.blend)}; "
                "name two strategies that are no blends",
            )


def _hedges(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, one in settings.strategy.items():
        for identifier in one.hedge_shorts:
            try:
                split_id(identifier)
            except ValueError as error:
                yield f"strategy.{name}.hedge_shorts", str(error)
        for put in one.puts:
            why = _put(put)
            if why:
                yield f"strategy.{name}.puts", f"{put.name}: {why}"


def _put(put: PutQuote) -> str:
    """Return why a put cannot be one, with the cure; "" where the market decides that."""
    if min(put.strike, put.premium_usd, put.step) <= 0.0 or put.held < 0.0:
        return "expected a positive strike, premium_usd and step, and held of 0 or more; mend it"
    if put.premium_usd >= put.strike:
        return (
            f"expected a premium_usd below the strike of {put.strike:g}, was {put.premium_usd:g}; "
            "mend it"
        )
    if not EXPIRIES_MS[0] <= put.expiry_ms <= EXPIRIES_MS[1]:
        return (
            f"expected expiry_ms in milliseconds since 1970, was {put.expiry_ms}; write all "
            "thirteen digits"
        )
    return ""


def _stresses(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, moves in settings.stress.moves.items():
        if name in TAKEN or not _NAME.fullmatch(name):
            yield (
                f"stress.moves.{name}",
                "expected a name of 1 to 32 of a-z, 0-9, - and _, other than "
                f"{' and '.join(TAKEN)}, was {name!r}; choose another",
            )
        strange = [coin for coin in moves if coin != EVERY and not _COIN.fullmatch(coin)]
        if strange or not moves:
            yield (
                f"stress.moves.{name}",
                f"expected moves by coin or {EVERY!r}, was {strange[0] if strange else 'none'!r}; "
                'write them like { BTC = -0.4, "*" = -0.5 }',
            )


def _soft_limits(settings: Settings) -> Iterator[tuple[str, str]]:
    for strategy in settings.strategy.values():
        path, names = f"strategy.{strategy.name}.soft_limits", strategy.soft_limits
        unknown = [name for name in names if name not in SOFT_LIMITS]
        if unknown:
            known = ", ".join(SOFT_LIMITS)
            yield path, f"expected names among {known}, was {unknown[0]!r}; name none else"
            continue
        if len(set(names)) < len(names):
            yield path, f"expected each limit once, was {list(names)}; take out the repetition"
        levels = [SOFT_LIMITS[name] for name in names]
        if levels != sorted(levels, reverse=True):
            right = ", ".join(sorted(names, key=lambda name: -SOFT_LIMITS[name]))
            yield path, f"expected the least important first, was {list(names)}; write {right}"


def _venues(settings: Settings) -> Iterator[tuple[str, str]]:
    if not settings.venues:
        yield "venues", "expected at least one venue, was none; add [venues.binanceusdm]"
    for name, venue in settings.venues.items():
        path = f"venues.{name}"
        if name not in SUPPORTED_VENUES:
            known = ", ".join(SUPPORTED_VENUES)
            yield path, f"expected one of {known}, was {name!r}; this version has no adapter for it"
        yield from _endpoint(settings, name)
        yield from _symbols(f"{path}.symbols", venue.symbols)


def _endpoint(settings: Settings, name: str) -> Iterator[tuple[str, str]]:
    mode, endpoint = settings.desk.mode, settings.venues[name].endpoint
    if mode == "live" and endpoint == "simulated":
        yield (
            f"venues.{name}.endpoint",
            'expected "testnet" or "live" in live mode, was \'simulated\'; set it so, or set '
            'desk.mode = "paper"',
        )


def _symbols(path: str, symbols: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if not symbols:
        yield path, "expected at least one contract, was none; write some like BTC/USDT:USDT"
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            yield path, f"expected BASE/QUOTE:SETTLE, was {symbol!r}; write it like BTC/USDT:USDT"
    if len(set(symbols)) < len(symbols):
        yield path, f"expected each contract once, was {list(symbols)}; take out the repetition"


def _simulator(settings: Settings) -> Iterator[tuple[str, str]]:
    start = settings.simulator.start
    if not start:
        return
    try:
        parse_iso(start)
    except ValueError:
        yield (
            "simulator.start",
            f"expected an ISO 8601 instant, was {start!r}; write it like 2024-08-04T12:00Z",
        )


def _limits(settings: Settings) -> Iterator[tuple[str, str]]:
    limits = settings.limits
    # Of two ceilings the lower rules: only a floor above a ceiling leaves nothing.
    for low, high in (
        ("net_min", "net_max"),
        ("net_min", "gross_max"),
        ("trade_min_usd", "order_notional_max_usd"),
        ("trade_min_usd", "ticket_notional_max_usd"),
        ("trade_min_usd", "day_notional_max_usd"),
        ("collar_bps", "collar_reducing_max_bps"),
    ):
        if getattr(limits, low) > getattr(limits, high):
            yield (
                f"limits.{low}",
                f"expected at most limits.{high} = {getattr(limits, high)}, was "
                f"{getattr(limits, low)}; lower it or raise the other",
            )
    if limits.net_max < -limits.gross_max:
        yield (
            "limits.net_max",
            f"expected at least -limits.gross_max = {-limits.gross_max}, was {limits.net_max}; "
            "raise it or the other",
        )
    yield from _margin_limits(settings)
    for identifier in limits.restricted:
        try:
            venue, symbol = split_id(identifier)
        except ValueError as error:
            yield "limits.restricted", str(error)
            continue
        # An id that is spelt otherwise than the contract's own would restrict nothing.
        if identifier != f"{venue}:{symbol}" or not _SYMBOL.fullmatch(symbol):
            yield (
                "limits.restricted",
                f"expected the full id of a contract, was {identifier!r}; write it like "
                "binanceusdm:BTC/USDT:USDT",
            )


def _margin_limits(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield where no position at all could be held: what is bound and what must stay free."""
    for name, strategy in settings.strategy.items():
        if max(strategy.stablecoin_min) >= 1.0:
            yield (
                f"strategy.{name}.stablecoin_min",
                f"expected below 1, was {max(strategy.stablecoin_min)}; it leaves no margin at all",
            )
        if strategy.drawdown_control and settings.limits.drawdown_max <= 0.0:
            yield (
                f"strategy.{name}.drawdown_control",
                f"expected limits.drawdown_max above 0, was {settings.limits.drawdown_max}; "
                "raise it, or switch the control off",
            )
    if settings.limits.free_collateral_min >= 1.0:
        yield (
            "limits.free_collateral_min",
            f"expected below 1, was {settings.limits.free_collateral_min}; it leaves no margin at "
            "all",
        )


_CHECKS: tuple[Callable[[Settings], Iterator[tuple[str, str]]], ...] = (
    _names,
    _folders,
    _roles,
    _strategy,
    _blends,
    _hedges,
    _stresses,
    _soft_limits,
    _venues,
    _simulator,
    _limits,
)


def refuse_contradictions(settings: Settings, where: Callable[[str], str]) -> None:
    """Raise for the first contradiction; `where` says where a dotted path was set.

    Raises
    ------
    ConfigError
        Naming the key, where it stands and the cure.
    """
    for path, text in contradictions(settings):
        raise ConfigError(f"{path}{where(path)}: {text}")
