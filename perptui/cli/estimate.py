"""`perptui estimate`: the estimates behind a proposal at one instant of history, headless.

The table is what a person reads first: regime and evidence, expected return, funding, volatilities
and correlation. Everything else that the views of funding and regime show is in the JSON.
"""

from __future__ import annotations

import argparse
import sys

import msgspec

from perptui.cli.arguments import equity_usd, given_path, universe_size
from perptui.cli.cleaned import cleaned_series
from perptui.cli.config import add_sources
from perptui.cli.estimated import report_of, table_of
from perptui.cli.positions import read_positions
from perptui.cli.printed import json_of
from perptui.cli.propose import VENUES, existing_directory, instant, venue_names
from perptui.model.errors import InputError
from perptui.model.text import safe_text
from perptui.settings.load import assignments, load, user_file

DEFAULT_STRATEGY = "balanced"
LONGEST_NOTE = 1000
ANY_EQUITY = "1000000"
"""Tail losses are fractions of equity, and carry is in dollars: both follow what is held."""


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
        help=f"whose horizon, half-lives and variances; {DEFAULT_STRATEGY} without it",
    )
    parser.add_argument(
        "--positions",
        type=given_path,
        metavar="FILE",
        help="JSON: [{id, contracts, entry_price}], contracts signed: carry and tails of that book",
    )
    parser.add_argument(
        "--equity",
        default=ANY_EQUITY,
        metavar="USD",
        help=f"of all accounts, for --positions; {ANY_EQUITY} without it",
    )
    parser.add_argument(
        "--universe", metavar="N", help="only the N most liquid, as `perptui universe` has them"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object, which also holds models, votes, losses, verdicts and cleaning",
    )
    add_sources(parser)


def run(args: argparse.Namespace) -> int:
    """Print the estimates; what takes no part, and what is weak as a whole, on standard error."""
    # Numerical libraries only load here, after the arguments have stood.
    at_ms = instant(args.at)
    settings = load(args.config or user_file(), assignments(args.assignments)).settings
    strategy = settings.strategy.get(args.strategy)
    if strategy is None:
        names = ", ".join(sorted(settings.strategy))
        raise InputError(f"expected a strategy among {names}, was {args.strategy!r}; mend it")
    equity = equity_usd(args.equity)
    size = universe_size(args.universe) if args.universe is not None else None
    existing_directory(args.data)
    positions = read_positions(args.positions) if args.positions else ()

    from perptui.quant.threads import one_thread

    one_thread()

    from perptui.history.dataset import History
    from perptui.model.jobs import EstimateJob
    from perptui.quant.estimate import estimate
    from perptui.quant.offline import absent_of, foreign_of, snapshot_at
    from perptui.quant.universe import chosen

    history = History(args.data)
    venues = venue_names(args.venues)
    members, said = chosen(history, venues, at_ms, size)
    snapshot = snapshot_at(history, at_ms, venues, equity, positions, members=members)
    estimates = estimate(EstimateJob(snapshot, strategy), history)
    left_out, foreign = absent_of(history, venues, at_ms), foreign_of(history, venues)
    for line in (*said, *foreign, *left_out, *estimates.left_out, *estimates.notes):
        sys.stderr.write(f"perptui: {safe_text(line, LONGEST_NOTE)}\n")
    if not args.json:
        sys.stdout.write(table_of(estimates))
        return 0
    report = report_of(estimates, snapshot, strategy.name, left_out, (*said, *foreign))
    named = [(one.venue, one.venue_symbol) for one in snapshot.instruments]
    cleaning = cleaned_series(history, named, at_ms)
    sys.stdout.write(json_of(msgspec.structs.replace(report, cleaning=cleaning)))
    return 0
