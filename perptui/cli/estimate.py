"""`perptui estimate`: the estimates behind a proposal at one instant of history, headless."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from decimal import Decimal

from perptui.cli.arguments import given_path
from perptui.cli.config import add_sources
from perptui.cli.printed import flags_of, json_of
from perptui.cli.propose import VENUES, existing_directory, instant, venue_names
from perptui.model.clock import iso
from perptui.model.errors import InputError
from perptui.model.forecast import Estimates, InstrumentForecast
from perptui.model.report import (
    EstimatedFunding,
    EstimatedInstrument,
    EstimatedRegime,
    EstimatedReturn,
    EstimatedVolatility,
    EstimateReport,
)
from perptui.model.strategy import REGIMES
from perptui.model.text import safe_text
from perptui.settings.load import assignments, load, user_file

DEFAULT_STRATEGY = "balanced"
LONGEST_NOTE = 1000
ANY_EQUITY = Decimal(1)
"""A snapshot has accounts; no estimate depends on what they hold."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument(
        "--data", type=given_path, required=True, metavar="DIR", help="market history"
    )
    parser.add_argument("--at", required=True, metavar="ISO", help="instant, UTC unless it says")
    parser.add_argument("--venues", default=VENUES, metavar="LIST", help="as binance,bybit")
    parser.add_argument(
        "--strategy",
        default=DEFAULT_STRATEGY,
        metavar="NAME",
        help=f"whose horizon and half-lives; {DEFAULT_STRATEGY} without it",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_sources(parser)


def run(args: argparse.Namespace) -> int:
    """Print the estimates."""
    # Numerical libraries only load here, after the arguments have stood.
    at_ms = instant(args.at)
    settings = load(args.config or user_file(), assignments(args.assignments)).settings
    strategy = settings.strategy.get(args.strategy)
    if strategy is None:
        names = ", ".join(sorted(settings.strategy))
        raise InputError(f"expected a strategy among {names}, was {args.strategy!r}; mend it")
    existing_directory(args.data)

    from perptui.history.dataset import History
    from perptui.model.jobs import EstimateJob
    from perptui.quant.estimate import estimate
    from perptui.quant.offline import absent_of, foreign_of, snapshot_at

    history = History(args.data)
    venues = venue_names(args.venues)
    snapshot = snapshot_at(history, at_ms, venues, ANY_EQUITY)
    estimates = estimate(EstimateJob(snapshot, strategy), history)
    left_out, foreign = absent_of(history, venues, at_ms), foreign_of(history, venues)
    for line in (*foreign, *left_out, *estimates.left_out, *estimates.notes):
        sys.stderr.write(f"perptui: {safe_text(line, LONGEST_NOTE)}\n")
    report = report_of(estimates, left_out, foreign)
    text = json_of(report) if args.json else table_of(estimates)
    sys.stdout.write(text)
    return 0


def report_of(
    estimates: Estimates, left_out: Sequence[str] = (), notes: Sequence[str] = ()
) -> EstimateReport:
    """Return what ``--json`` prints; `left_out`: contracts without data, not even asked for."""
    regime = estimates.regime
    return EstimateReport(
        as_of=iso(estimates.as_of_ms),
        horizon_days=estimates.horizon_days,
        regime=EstimatedRegime(
            label=regime.label,
            probabilities=dict(zip(REGIMES, regime.probabilities, strict=True)),
            exposure=regime.exposure,
            evidence=regime.evidence,
        ),
        instruments=tuple(_instrument(row) for row in estimates.instruments),
        correlation=estimates.correlation,
        left_out=(*left_out, *estimates.left_out),
        notes=(*notes, *flags_of(estimates), *estimates.notes),
    )


def _instrument(row: InstrumentForecast) -> EstimatedInstrument:
    drift, funding, volatility = row.drift, row.funding, row.volatility
    return EstimatedInstrument(
        id=row.id,
        expected_return=EstimatedReturn(drift.d1, drift.d7, drift.d30, drift.blend),
        funding=EstimatedFunding(
            rate=funding.rate,
            interval_h=funding.interval_h,
            apr=funding.apr,
            horizon_mean=funding.horizon_mean,
            horizon_sd=funding.horizon_sd,
        ),
        volatility_annual=EstimatedVolatility(
            volatility.ewma, volatility.realised, volatility.combined
        ),
    )


def table_of(estimates: Estimates) -> str:
    """Return the estimates for a person's eyes: per horizon, in percent; volatility a year."""
    regime = estimates.regime
    chances = "  ".join(
        f"{name} {chance:.2f}" for name, chance in zip(REGIMES, regime.probabilities, strict=True)
    )
    lines = [
        f"{iso(estimates.as_of_ms)}   horizon {estimates.horizon_days:g} days",
        f"regime {regime.label.upper()}   {chances}   exposure x{regime.exposure:.2f}",
        *(f"  {line}" for line in regime.evidence),
        "",
        f"{'':<28}{'return':>9}{'± sd':>8}{'drift/d':>9}{'funding':>9}{'± sd':>8}{'APR':>8}"
        f"{'ewma':>7}{'real.':>7}{'comb.':>7}",
    ]
    lines.extend(
        f"{row.id:<28}{row.expected_return:>9.2%}{row.expected_return_sd:>8.2%}"
        f"{row.drift.blend:>9.3%}{row.funding.horizon_mean:>9.3%}{row.funding.horizon_sd:>8.3%}"
        f"{row.funding.apr:>8.1%}{row.volatility.ewma:>7.0%}{row.volatility.realised:>7.0%}"
        f"{row.volatility.combined:>7.0%}"
        for row in estimates.instruments
    )
    lines.extend(["", "correlation"])
    lines.extend(
        f"{row.id:<28}" + "".join(f"{value:>6.2f}" for value in correlation)
        for row, correlation in zip(estimates.instruments, estimates.correlation, strict=True)
    )
    flagged = [row for row in estimates.instruments if row.flags]
    lines.extend(f"{row.id}: {', '.join(row.flags)}" for row in flagged)
    return "\n".join(lines) + "\n"
