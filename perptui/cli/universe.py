"""`perptui universe`: the most liquid contracts of a history at one instant, headless."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import msgspec

from perptui.cli.arguments import UNIVERSE_SIZE, given_path, universe_size
from perptui.cli.printed import json_of
from perptui.cli.propose import VENUES, existing_directory, instant, venue_names
from perptui.model.clock import iso

if TYPE_CHECKING:
    from perptui.quant.universe import Universe


class RankedContract(msgspec.Struct, frozen=True):
    """One contract; `rank` is null where it was refused, `since` where it is no member."""

    id: str
    rank: int | None
    volume_usd_day: float
    depth_usd: float | None
    age_days: float
    member: bool
    since: str | None
    reason: str


class UniverseReport(msgspec.Struct, frozen=True):
    """Output of ``perptui universe --json``; `last_rank` is the last that a member keeps."""

    as_of: str
    decided: str
    next: str
    size: int
    last_rank: int
    members: tuple[str, ...]
    contracts: tuple[RankedContract, ...]
    notes: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads."""
    parser.add_argument(
        "--data", type=given_path, required=True, metavar="DIR", help="market history"
    )
    parser.add_argument("--at", required=True, metavar="ISO", help="instant, UTC unless it says")
    parser.add_argument(
        "--size",
        default=str(UNIVERSE_SIZE),
        metavar="N",
        help=f"enter within it; {UNIVERSE_SIZE} without it",
    )
    parser.add_argument("--venues", default=VENUES, metavar="LIST", help="as binance,bybit")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the universe."""
    # Numerical libraries only load here, after the arguments have stood.
    at_ms, size = instant(args.at), universe_size(args.size)
    existing_directory(args.data)

    from perptui.estimation.universe import UniverseRules
    from perptui.quant.threads import one_thread

    one_thread()

    from perptui.history.dataset import History
    from perptui.quant.offline import foreign_of
    from perptui.quant.universe import select_universe

    history, venues = History(args.data), venue_names(args.venues)
    notes = foreign_of(history, venues)
    found = select_universe(history, venues, at_ms, UniverseRules(size=size))
    report = report_of(found, at_ms, notes)
    sys.stdout.write(json_of(report) if args.json else table_of(report))
    return 0


def report_of(universe: Universe, at_ms: int, notes: tuple[str, ...] = ()) -> UniverseReport:
    """Return what ``--json`` prints."""
    return UniverseReport(
        as_of=iso(at_ms),
        decided=iso(universe.decided_ms),
        next=iso(universe.next_ms),
        size=universe.rules.size,
        last_rank=universe.rules.last_rank,
        members=universe.members,
        contracts=tuple(
            RankedContract(
                id=row.id,
                rank=row.rank,
                volume_usd_day=row.volume_usd_day,
                depth_usd=row.depth_usd,
                age_days=row.age_days,
                member=row.member,
                since=None if row.since_ms is None else iso(row.since_ms),
                reason=row.reason,
            )
            for row in universe.rows
        ),
        notes=notes,
    )


def table_of(report: UniverseReport) -> str:
    """Return the report for a person's eyes: dollars in millions, members first by rank."""
    lines = [
        f"universe at {report.as_of}   decided {report.decided}, next {report.next}",
        f"enters within {report.size}, stays within {report.last_rank}: "
        f"{len(report.members)} of {len(report.contracts)} contracts",
        "",
        f"{'rank':>4}  {'':<28}{'volume/d':>10}{'depth 1%':>10}{'age':>8}  "
        f"{'member since':<13}reason",
    ]
    for row in report.contracts:
        depth = "–" if row.depth_usd is None else f"{row.depth_usd / 1e6:,.1f}M"
        since = "–" if row.since is None else row.since[:10]
        rank = "–" if row.rank is None else str(row.rank)
        lines.append(
            f"{rank:>4}  {row.id:<28}{row.volume_usd_day / 1e6:>9,.0f}M{depth:>10}"
            f"{int(row.age_days):>6} d  {since:<13}{row.reason}"
        )
    return "\n".join([*lines, *report.notes]) + "\n"
