"""`perptui propose`: the optimiser's rebalance at one instant of market history, headless."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perptui.cli.arguments import equity_usd, given_path, universe_size
from perptui.cli.config import add_sources
from perptui.cli.positions import read_positions
from perptui.cli.printed import flags_of, json_of
from perptui.cli.proposed import report_of, table_of
from perptui.model.assignment import bend_all
from perptui.model.bent import bent_strategy
from perptui.model.clock import parse_iso
from perptui.model.errors import InputError
from perptui.model.given import shown
from perptui.model.whatif import WhatIf
from perptui.settings.bent import refuse_out_of_range
from perptui.settings.load import assignments, load, user_file

VENUES = "binance"
WHAT_IFS = (
    "--set takes what-ifs too: any limit or parameter by its bare name (gross_max=2, robust=off, "
    "stablecoin_min=0.3, soft_limits=net,cvar, hedge_shorts=ID, holding_costs=VENUE:APR), "
    "target:ID=WEIGHT, view:ID=APR, cost=FACTOR, regime=stress, equity=USD, shock=-0.1, "
    "shock:BTC=-0.1, stress:NAME:COIN=-0.4, reduce_only=true, "
    "put:BTC=STRIKE,EXPIRY,PREMIUM[,STEP], strategy=NAME"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument(
        "--data", type=given_path, required=True, metavar="DIR", help="market history"
    )
    parser.add_argument("--at", required=True, metavar="ISO", help="instant, UTC unless it says")
    parser.add_argument("--equity", required=True, metavar="USD", help="of all accounts together")
    parser.add_argument("--strategy", required=True, metavar="NAME", help="as balanced or hybrid")
    parser.add_argument("--venues", default=VENUES, metavar="LIST", help="as binance,bybit")
    parser.add_argument(
        "--positions",
        type=given_path,
        metavar="FILE",
        help="JSON: [{id, contracts, entry_price}], contracts signed; without it the book is flat",
    )
    parser.add_argument(
        "--universe", metavar="N", help="only the N most liquid, as `perptui universe` has them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--explain", action="store_true", help="say why: ledger, prices of limits, before and after"
    )
    add_sources(parser)
    parser.epilog = WHAT_IFS


def run(args: argparse.Namespace) -> int:
    """Print the proposal; 0 also when it is infeasible or there is nothing to trade."""
    # Numerical libraries only load here, after the arguments have stood.
    at_ms = instant(args.at)
    equity = equity_usd(args.equity)
    size = universe_size(args.universe) if args.universe is not None else None
    configured = [text for text in args.assignments if not _bends(text)]
    what_if = bend_all(WhatIf(), [text for text in args.assignments if _bends(text)])
    settings = load(args.config or user_file(), assignments(configured)).settings
    refuse_out_of_range(what_if, settings)
    strategy = settings.strategy.get(what_if.strategy or args.strategy)
    if strategy is None:
        names = ", ".join(sorted(settings.strategy))
        raise InputError(f"expected a strategy among {names}, was {args.strategy!r}; mend it")
    existing_directory(args.data)

    from perptui.quant.threads import one_thread

    one_thread()

    from perptui.history.dataset import History
    from perptui.model.jobs import ProposeJob
    from perptui.quant.offline import absent_of, assumed_of, foreign_of, snapshot_at
    from perptui.quant.propose import propose
    from perptui.quant.universe import chosen

    positions = read_positions(args.positions) if args.positions else ()
    history = History(args.data)
    venues = venue_names(args.venues)
    members, said = chosen(history, venues, at_ms, size)
    if members is not None:
        shorts = bent_strategy(what_if, strategy).hedge_shorts
        members = tuple(dict.fromkeys((*members, *shorts)))
    snapshot = snapshot_at(history, at_ms, venues, equity, positions, members=members)
    parents = tuple(settings.strategy[name] for name in strategy.blend)
    job = ProposeJob(
        snapshot, strategy, settings.limits, what_if, blended=parents, stress=settings.stress
    )
    proposal, estimates = propose(job, history)
    absent = absent_of(history, venues, at_ms)
    left_out = (f"left out: {text}" for text in (*absent, *estimates.left_out))
    rules = (*said, *assumed_of(snapshot), *foreign_of(history, venues))
    notes = (*rules, *left_out, *flags_of(estimates), *estimates.notes)
    report = report_of(proposal, snapshot, notes, explain=args.explain)
    text = json_of(report) if args.json else table_of(report)
    sys.stdout.write(text)
    return 0


def _bends(text: str) -> bool:
    """Return whether an argument of ``--set`` is a what-if; dotted keys are of config.toml."""
    return "." not in text.partition("=")[0].partition(":")[0]


def instant(text: str) -> int:
    """Return the milliseconds of an ISO 8601 argument.

    Raises
    ------
    InputError
        When it is none.
    """
    try:
        return parse_iso(text)
    except ValueError:
        raise InputError(
            f"expected an ISO 8601 instant for --at, was {text!r}; write it like 2024-08-05T06:00Z"
        ) from None


def existing_directory(path: Path) -> None:
    """Refuse a --data that is no directory.

    Raises
    ------
    InputError
        When it is none.
    """
    if not path.is_dir():
        raise InputError(f"expected a directory for --data, was {path}; name one with history")


def venue_names(text: str) -> tuple[str, ...]:
    """Return the venues of a comma-separated argument.

    Raises
    ------
    InputError
        When one is named twice.
    """
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise InputError(
            f"expected each venue once in --venues, was {shown(twice)} twice; drop one"
        )
    return names
