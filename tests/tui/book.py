"""One invented but consistent book, as on the mock-ups: sums, signs and prices of limits agree."""

from __future__ import annotations

from decimal import Decimal
from math import sin

from perptui.model.clock import HOUR_MS, MINUTE_MS, ManualClock, parse_iso
from perptui.model.forecast import (
    CalibrationVerdict,
    CoverageVerdict,
    FundingPart,
    ModelScore,
    RegimeVote,
    ScoreTrack,
    TailRisk,
)
from perptui.protocol.views import (
    DeskView,
    EventLine,
    Feed,
    FundingRow,
    FundingSpan,
    FundingView,
    LimitRow,
    LimitsView,
    PositionRow,
    PositionsView,
    RegimeView,
    StatusView,
)
from perptui.protocol.views_rebalance import Comparison, RebalanceRow, RebalanceView
from perptui.protocol.views_ticket import (
    JournalRow,
    JournalView,
    LegProgress,
    TicketRow,
    TicketView,
)

NOW_MS = parse_iso("2026-03-14T12:04:31Z")
NOW_MONO = 5000.0
BAR_MS = parse_iso("2026-03-14T12:00:00Z")
STAMP_MS = parse_iso("2026-03-14T16:00:00Z")
STRESS_MS = parse_iso("2026-03-14T12:03:58Z")
EQUITY = Decimal(404310)
DIGEST = "9f3c" + "0" * 60

# coin, venue, notional, side, entry, mark, rate, target, own liquidation distance, APR's sd, trend
BOOK = (
    (
        "BTC",
        "binanceusdm",
        421300,
        1,
        "97120.5",
        "97844.2",
        0.000100,
        0.620,
        -0.65,
        0.024,
        "55555555",
    ),
    (
        "ETH",
        "binanceusdm",
        301900,
        1,
        "3402.1",
        "3377.9",
        0.000061,
        0.400,
        -0.91,
        0.039,
        "65443322",
    ),
    ("BTC", "bybit", 180200, -1, "97910.0", "97851.0", 0.000142, -0.360, 0.67, 0.032, "22334546"),
    (
        "SOL",
        "binanceusdm",
        162500,
        -1,
        "214.880",
        "209.310",
        0.000310,
        -0.330,
        1.70,
        0.091,
        "12357678",
    ),
    ("XRP", "bybit", 88400, -1, "1.1204", "1.1239", -0.000045, -0.150, 1.37, 0.060, "33221112"),
    ("BNB", "binanceusdm", 64900, 1, "641.20", "644.07", 0.000100, 0.140, None, 0.020, "55555555"),
)
WHY = ("risk", "risk", "gross", "gross", "carry", "gross")
STEPS = ("0.001", "0.001", "0.001", "1", "1", "0.01")
COST = Decimal("0.0006")
"""Fees and slippage of a trade, fraction of its notional."""


LEGS = ("binanceusdm:BTC/USDT:USDT", "bybit:BTC/USDT:USDT")
"""What breaks first when prices fall, and when they rise."""


def clock() -> ManualClock:
    """Return the frozen clock of all pictures."""
    return ManualClock(NOW_MS, NOW_MONO)


def _id(coin: str, venue: str) -> str:
    return f"{venue}:{coin}/USDT:USDT"


def carry(signed_usd: float, rate: float) -> Decimal:
    """Return what a position earns a day: a long pays a positive rate, three stamps a day."""
    return Decimal(repr(round(-signed_usd * rate * 3, 4)))


def positions(*, age_s: float = 2.0, stale: tuple[str, ...] = ()) -> PositionsView:
    """Return the six positions; coins and venues in `stale` have not been heard of for 47 s."""
    rows = []
    for (coin, venue, usd, side, entry, mark, rate, target, liq, *_), step in zip(
        BOOK, STEPS, strict=True
    ):
        contracts = (Decimal(usd) / Decimal(mark)).quantize(Decimal(step)) * side
        old = coin in stale or venue in stale
        rows.append(
            PositionRow(
                id=_id(coin, venue),
                coin=coin,
                venue=venue,
                contracts=contracts,
                notional_usd=Decimal(usd * side),
                entry_price=Decimal(entry),
                mark_price=Decimal(mark),
                unrealised_usd=round(contracts * (Decimal(mark) - Decimal(entry)), 2),
                weight=usd * side / float(EQUITY),
                observed_mono=NOW_MONO - (47 if old else age_s),
                stale=old,
                funding_rate=rate,
                funding_interval_h=8.0,
                carry_usd_day=carry(usd * side, rate),
                weight_target=target,
                liquidation_distance=liq,
            )
        )
    return PositionsView(
        rows=tuple(rows),
        gross_usd=sum((abs(row.notional_usd) for row in rows), Decimal(0)),
        net_usd=sum((row.notional_usd for row in rows), Decimal(0)),
        unrealised_usd=sum((row.unrealised_usd for row in rows), Decimal(0)),
        carry_usd_day=sum((row.carry_usd_day or Decimal(0) for row in rows), Decimal(0)),
        gross=sum(abs(row.weight) for row in rows),
        gross_target=2.0,
        observed_mono=NOW_MONO - age_s,
        waiting=None,
    )


def funding(*, age_s: float = 2.0) -> FundingView:
    """Return the funding of the six contracts."""
    rows = tuple(
        FundingRow(
            id=_id(coin, venue),
            coin=coin,
            venue=venue,
            rate=rate,
            interval_h=8.0,
            next_ms=STAMP_MS,
            apr=rate * 8760 / 8,
            observed_mono=NOW_MONO - age_s,
            mean_7d=rate * 0.81,
            mean_30d=rate * 0.7,
            apr_sd=sd,
            z=round(rate * 6000, 1),
            trend=tuple(float(digit) for digit in trend),
            carry_usd_day=carry(usd * side, rate),
            carry_usd_day_after=carry(target * float(EQUITY), rate),
            best_venue=venue,
            mean_1d=rate * 0.9,
            term=tuple(
                FundingSpan(
                    span,
                    rate * days * 3 * 0.8,
                    sd * days / 365,
                    carry(usd * side, rate * days * 0.8),
                    carry(usd, -sd * days / 365 / 3),
                )
                for span, days in (("next", 1 / 3), ("1d", 1.0), ("7d", 7.0), ("30d", 30.0))
            ),
            parts=(FundingPart("quoted", 0.4, rate), FundingPart("OU", 0.6, rate * 0.7)),
            regime="positive" if rate * 8760 / 8 > 0.15 else "neutral",
            horizon_z=round(rate * 5000, 1),
            halflife_h=31.0,
            anchor_apr=0.1095,
            long_cap=0.6 if rate * 8760 / 8 > 0.3 else 1.0,
        )
        for coin, venue, usd, side, _, _, rate, target, _, sd, trend in BOOK
    )
    return FundingView(
        rows=rows,
        next_ms=STAMP_MS,
        observed_mono=NOW_MONO - age_s,
        waiting=None,
        carry_usd_day=sum((row.carry_usd_day or Decimal(0) for row in rows), Decimal(0)),
        carry_usd_day_after=sum(
            (row.carry_usd_day_after or Decimal(0) for row in rows), Decimal(0)
        ),
    )


def regime() -> RegimeView:
    """Return stress since two minutes, with two weeks of forecasts and what came after."""
    hours = range(14 * 24)
    forecast = tuple(0.45 + 0.16 * (hour / 336) ** 2 + 0.03 * sin(hour / 30) for hour in hours)
    realised = tuple(0.42 + 0.1 * sin(hour / 21) + 0.32 * max(hour - 240, 0) / 96 for hour in hours)
    return RegimeView(
        label="stress",
        probabilities=(0.0, 0.14, 0.86, 0.0),
        since_ms=STRESS_MS,
        exposure=0.5,
        exposure_before=0.92,
        exposure_used=0.5,
        strategy="tactical",
        horizon_days=2.0,
        evidence=(
            "24 h vol 1.6 × its 180 d level (> 1.5)",
            "pair correlation .78, funding z 1.9",
        ),
        forecast_volatility=forecast[-1],
        realised_7d=0.74,
        ratio_7d=0.74 / forecast[-1],
        track_ms=tuple(BAR_MS - (335 - hour) * HOUR_MS for hour in hours),
        track_forecast=forecast,
        track_realised=realised,
        models=(
            ModelScore("har", 0.44, 0.21, 340, 0.31, 0.42, 0.0, kept=True),
            ModelScore("garch", 0.31, 0.24, 340, 0.36, 0.08, 0.9, kept=True),
            ModelScore("ewma", 0.25, 0.29, 340, 0.44, 0.0004, 2.6, kept=False),
            ModelScore("gjr", 0.0, None, 0),
            ModelScore("combined", 1.0, 0.2, 340, 0.3, 0.52, -0.4),
        ),
        scores=ScoreTrack(
            tuple(BAR_MS - 30 * (12 - month) * 24 * HOUR_MS for month in range(13)),
            ("har", "garch", "ewma", "gjr", "combined"),
            tuple(
                (
                    0.21 + 0.002 * abs(month - 6),
                    None if month < 4 else 0.24 + 0.003 * (12 - month),
                    0.29 - 0.004 * (month % 3),
                    None,
                    0.2 + 0.002 * abs(month - 6),
                )
                for month in range(13)
            ),
        ),
        silent={"gjr": "200 of 500 days"},
        track_low=tuple(0.55 * value for value in forecast),
        track_high=tuple(1.5 * value for value in forecast),
        votes=(
            RegimeVote("rule", "stress", (0.0, 0.1, 0.9, 0.0), "weight 0.4"),
            RegimeVote("hidden Markov", "stress", (0.02, 0.2, 0.7, 0.08), "weight 0.3"),
            RegimeVote("jump", "", (), "152 of 180 days"),
        ),
        regime_ms=tuple(BAR_MS - (335 - hour) * HOUR_MS for hour in hours),
        regime_track=tuple(_chances(hour) for hour in hours),
        coverage=(
            CoverageVerdict("book", "FHS", 0.95, 412, 23, 0.61, 0.44, 0.31, "green"),
            CoverageVerdict("book", "FHS", 0.99, 412, 5, text="too few: 412 of 500 days"),
        ),
        calibration=(CalibrationVerdict("book", 180, 1.07, 0.84, 1.2),),
        verdicts=("combined beats EWMA (DM t −2.9, 412 d)",),
        tails=(
            TailRisk("book", "historical", 0.95, 0.046, 0.063, 0.0007),
            TailRisk("book", "historical", 0.99, 0.078, 0.091, 0.002, "27 periods: FHS instead"),
            TailRisk("book", "FHS", 0.95, 0.046, 0.063, 0.0007),
            TailRisk("book", "FHS", 0.99, 0.078, 0.091, 0.002),
            TailRisk("book", "normal", 0.95, 0.041, 0.052),
            TailRisk("book", "normal", 0.99, 0.058, 0.067),
            TailRisk("equal weight", "Cornish-Fisher", 0.95, 0.052, 0.071),
            TailRisk("equal weight", "Cornish-Fisher", 0.99, 0.083, 0.099),
        ),
        weak=("half-spread from bars: 1.0 to 1.2 bp: binanceusdm:XRP/USDT:USDT",),
        bar_ms=BAR_MS,
        observed_mono=NOW_MONO - 31,
        waiting=None,
    )


def _chances(hour: int) -> tuple[float, ...]:
    """Return calm giving way to stress in the last four days."""
    stress = 0.05 + 0.8 * max(hour - 240, 0) / 96
    return (0.9 * (1 - stress), 0.1 * (1 - stress), stress, 0.0)


def rebalance(*, edited: str = "", target: float = 0.0) -> RebalanceView:
    """Return the proposal, or with `edited` a what-if that holds one coin at `target`."""
    rows = []
    for (coin, venue, usd, side, _, mark, rate, wanted, *_), why, step in zip(
        BOOK, WHY, STEPS, strict=True
    ):
        changed = coin == edited and venue == "binanceusdm"
        weight = target if changed else wanted
        before = usd * side / float(EQUITY)
        trade = round(Decimal(repr(round((weight - before) * float(EQUITY), 2))))
        contracts = (abs(trade) / Decimal(mark)).quantize(Decimal(step))
        rows.append(
            RebalanceRow(
                id=_id(coin, venue),
                coin=coin,
                venue=venue,
                weight_now=before,
                weight_target=weight,
                weight_rounded=weight,
                trade_usd=Decimal(trade),
                cost_usd=abs(Decimal(trade)) * COST,
                carry_usd_day=carry(float(trade), rate),
                why="edited" if changed else why,
                side="buy" if trade > 0 else "sell",
                effect="REDUCE" if abs(weight) < abs(before) else "ADD",
                contracts=contracts,
                limit_price=Decimal(mark),
                edited=changed,
            )
        )
    traded = sum((abs(row.trade_usd) for row in rows), Decimal(0))
    after = sum((row.carry_usd_day for row in rows), Decimal(0))
    now = funding().carry_usd_day or Decimal(0)
    less = 0.4 - next(row.weight_rounded for row in rows if row.coin == "ETH")
    gross_now = sum(abs(row.weight_now) for row in rows)
    gross = sum(abs(row.weight_rounded) for row in rows)
    net_now = sum(row.weight_now for row in rows)
    net = sum(row.weight_rounded for row in rows)
    return RebalanceView(
        state="ready",
        strategy="tactical",
        status="ok",
        digest=DIGEST,
        solve_ms=0.8,
        regime="stress",
        exposure=0.5,
        rows=tuple(rows),
        comparisons=(
            Comparison("carry", "usd_day", float(now), float(now + after)),
            Comparison("volatility", "annual", 0.61, 0.403 - 0.107 * less),
            Comparison("CVaR 95 %", "fraction", 0.046, 0.031 - 0.01 * less),
            Comparison("gross", "x", gross_now, gross),
            Comparison("net", "x", net_now, net),
            Comparison("margin binanceusdm", "fraction", 0.027, 0.0136),
            Comparison("liquidation down", "fraction", -0.44, -0.83, LEGS[0], LEGS[0]),
            Comparison("liquidation up", "fraction", 0.45, 0.59, LEGS[1], LEGS[1]),
        ),
        turnover=float(traded) / 2 / float(EQUITY),
        cost_usd=traded * COST,
        exportable=True,
        what_if=bool(edited),
        edits=1 if edited else 0,
        can_undo=bool(edited),
        observed_mono=NOW_MONO - 4,
        expires_mono=NOW_MONO + 56,
        waiting=None,
    )


LIMITS = (
    LimitRow("gross", "x", 2.00, 3.02, "BREACH", 2.00, "BINDS", price_usd_day=940.0),
    LimitRow("net_max", "x", 1.0, 0.88, "WARN", 0.32, "ok", price_usd_day=0.0),
    LimitRow("cvar_95", "fraction", 0.040, 0.046, "BREACH", 0.031, "ok", price_usd_day=0.0),
    LimitRow(
        "margin_ratio:binanceusdm", "fraction", 0.5, 0.027, "ok", 0.013, "ok", price_usd_day=0.0
    ),
    LimitRow("margin_ratio:bybit", "fraction", 0.5, 0.018, "ok", 0.012, "ok", price_usd_day=0.0),
    LimitRow(
        "liquidation:binanceusdm",
        "fraction",
        0.2,
        0.44,
        "ok",
        0.83,
        "ok",
        at_least=True,
        price_usd_day=0.0,
    ),
    LimitRow(
        "liquidation:bybit",
        "fraction",
        0.2,
        0.45,
        "ok",
        0.59,
        "ok",
        at_least=True,
        price_usd_day=0.0,
    ),
    LimitRow("coin_net:BTC", "x", 0.8, 0.596, "ok", 0.26, "ok", price_usd_day=0.0),
    LimitRow("drawdown", "fraction", 0.10, 0.021, "ok", 0.021, "ok", price_usd_day=0.0),
)


def limits() -> LimitsView:
    """Return nine limits, two of them breached; only the binding one has a price."""
    return LimitsView(rows=LIMITS, observed_mono=NOW_MONO - 12, waiting=None)


def status(**changes: object) -> StatusView:
    """Return the status lines of the book."""
    import msgspec

    base = StatusView(
        mode="PAPER",
        desk="main",
        account="main",
        market="SIMULATED MARKET",
        venue_ms=NOW_MS,
        venue_mono=NOW_MONO,
        speed=1.0,
        feeds=(
            Feed("binanceusdm", NOW_MONO - 2, stale=False),
            Feed("bybit", NOW_MONO - 3, stale=False),
        ),
        quant="idle",
        equity_usd=EQUITY,
        today_usd=Decimal(-1940),
        today_price_usd=Decimal(-2210),
        today_funding_usd=Decimal(318),
        today_fees_usd=Decimal(-48),
        drawdown=0.021,
        drawdown_max=0.10,
        gross=3.0155,
        gross_max=2.0,
        worst_account="binanceusdm",
        margin_ratio=0.027,
        liquidation_down=-0.44,
        liquidation_up=0.86,
        free_usd=(("binanceusdm", Decimal(261000)), ("bybit", Decimal(120000))),
        regime="stress",
        regime_probability=0.86,
        regime_since_ms=STRESS_MS,
        exposure=0.5,
        breaches=("gross", "cvar_95"),
        proposal="9f3c",
        proposal_mends=True,
        next_funding_ms=STAMP_MS,
        carry_usd_day=funding().carry_usd_day,
        carry_usd_day_after=funding().carry_usd_day_after,
        news=(
            EventLine(BAR_MS - MINUTE_MS, "info", "ticket 41 filled 5/5"),
            EventLine(BAR_MS, "info", "funding +31.40 booked, +31.38 expected"),
            EventLine(STRESS_MS, "warn", "regime normal → stress"),
        ),
    )
    return msgspec.structs.replace(base, **changes)


def journal() -> JournalView:
    """Return a journal with two tickets."""
    return JournalView(
        tickets=(
            TicketRow("41ab09", BAR_MS - MINUTE_MS, "send", "mira", 5, 5, "filled", "77e1" * 16),
            TicketRow("40cc12", BAR_MS - HOUR_MS, "export", "mira", 3, 0, "exported", "1b02" * 16),
        ),
        events=tuple(
            JournalRow(seq, BAR_MS - (12 - seq) * 1000, "desk", kind, text)
            for seq, (kind, text) in enumerate(
                (
                    ("ticket", "41ab09 confirmed by mira: 5 legs, 212,400 $"),
                    ("leg", "41ab09/1 BTC binance SENDING"),
                    ("leg", "41ab09/1 BTC binance FILLED 0.412 at 97,790.1"),
                    ("funding", "binance BTC +31.40 booked, +31.38 expected"),
                    ("regime", "normal to stress, exposure 0.92 to 0.50"),
                ),
                start=1,
            )
        ),
        verified="chain verified to 5",
        path="journal.db",
    )


def ticket(**changes: object) -> TicketView:
    """Return the confirmation of the proposal, 80 columns a line."""
    import msgspec

    rows = rebalance().rows
    lines = [
        "plan 9f3c · PAPER · binance + bybit · account main",
        "tactical-7 · regime stress .86 · solver optimal · data 2 s old",
        "",
        " #  contract      order         contracts      USD     limit    now → after",
    ]
    for index, row in enumerate(rows, start=1):
        lines.append(
            f"{index:>2}  {row.coin:<4} {row.venue[:7]:<8} {row.effect:<6} {row.side:<5}"
            f"{row.contracts:>11,}{abs(row.trade_usd):>9,}{row.limit_price:>10,}"
            f"  {row.weight_now:+.3f} → {row.weight_rounded:+.3f}"
        )
    lines += ["    all LIMIT IOC at the collar, reduce-only, in this order, one attempt each", ""]
    lines += [
        " limit                     now       after       limit    headroom",
        " gross                   3.02x       2.00x       2.00x       0.00x",
        " net                     +.88x       +.32x       1.00x        .68x",
        " liquidation binance    −44.0%      −83.0%      ≥20.0%       63.0%",
        " liquidation bybit      +45.0%      +59.0%      ≥20.0%       39.0%",
        "",
        " a bad day                 now       after",
        " CVaR 95 %               −4.6%       −3.1%",
        " LUNA week              −19.8%       −9.9%",
        " vol doubled            −13.1%       −7.4%",
        "",
        " fees 205.1 + slippage 41.1 = 246.2 $ · turnover 51 %",
        " cannot be undone: fills.",
    ]
    base = TicketView(
        phase="confirm",
        id="tk-9f3c",
        purpose="send",
        token="0" * 60 + "a7c4",
        text=tuple(line[:80] for line in lines),
        opens_mono=NOW_MONO - 1,
        expires_mono=NOW_MONO + 27,
        digest=DIGEST,
    )
    return msgspec.structs.replace(base, **changes)


def progress() -> tuple[LegProgress, ...]:
    """Return three legs: filled, partly filled, unknown."""
    return (
        LegProgress(
            1,
            "BTC binance",
            "sell",
            Decimal("1.744"),
            Decimal("1.744"),
            Decimal("97840.10"),
            "FILLED",
        ),
        LegProgress(
            2,
            "ETH binance",
            "sell",
            Decimal("41.498"),
            Decimal("17.200"),
            Decimal("3377.25"),
            "PARTIAL",
        ),
        LegProgress(
            3,
            "BTC bybit",
            "buy",
            Decimal("0.354"),
            Decimal(0),
            None,
            "UNKNOWN",
            "no answer: reconciling",
        ),
    )


def desk(**changes: object) -> DeskView:
    """Return the whole picture."""
    import msgspec

    base = DeskView(
        status=status(),
        positions=positions(),
        funding=funding(),
        regime=regime(),
        rebalance=rebalance(),
        limits=limits(),
        journal=journal(),
        ticket=TicketView(),
    )
    return msgspec.structs.replace(base, **changes)
