"""`perptui propose`: the optimiser's rebalance at one instant of market history, headless."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from perptui.cli.arguments import equity_usd, given_path, universe_size
from perptui.cli.config import add_sources
from perptui.cli.positions import read_positions
from perptui.cli.printed import flags_of, json_of
from perptui.model.clock import iso, parse_iso
from perptui.model.errors import InputError
from perptui.model.given import number
from perptui.model.instrument import split_id
from perptui.model.money import plain
from perptui.model.proposal import Proposal
from perptui.model.report import (
    AssumedInstrument,
    AssumedTier,
    Assumptions,
    CheckedLimit,
    ProposedInstrument,
    ProposedOrder,
    ProposedRisk,
    ProposeReport,
    SolverSummary,
)
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.settings.load import assignments, load, user_file

VENUES = "binance"
TARGET = "target:"


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
    add_sources(parser)


def run(args: argparse.Namespace) -> int:
    """Print the proposal; 0 also when it is infeasible or there is nothing to trade."""
    # Numerical libraries only load here, after the arguments have stood.
    at_ms = instant(args.at)
    equity = equity_usd(args.equity)
    size = universe_size(args.universe) if args.universe is not None else None
    targets = _targets(args.assignments)
    plain_sets = [text for text in args.assignments if not text.startswith(TARGET)]
    settings = load(args.config or user_file(), assignments(plain_sets)).settings
    strategy = settings.strategy.get(args.strategy)
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
        members = tuple(dict.fromkeys((*members, *strategy.hedge_shorts)))
    snapshot = snapshot_at(history, at_ms, venues, equity, positions, members=members)
    parents = tuple(settings.strategy[name] for name in strategy.blend)
    bent = WhatIf(targets=targets)
    job = ProposeJob(snapshot, strategy, settings.limits, bent, blended=parents)
    proposal, estimates = propose(job, history)
    absent = absent_of(history, venues, at_ms)
    left_out = (f"left out: {text}" for text in (*absent, *estimates.left_out))
    rules = (*said, *assumed_of(snapshot), *foreign_of(history, venues))
    notes = (*rules, *left_out, *flags_of(estimates), *estimates.notes)
    report = report_of(proposal, snapshot, notes)
    text = json_of(report) if args.json else table_of(report)
    sys.stdout.write(text)
    return 0


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
    """Return the venues of a comma-separated argument."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _targets(texts: Sequence[str]) -> dict[str, float]:
    """Return the targets fixed by ``--set target:ID=WEIGHT``."""
    targets = {}
    for text in texts:
        if not text.startswith(TARGET):
            continue
        name, _, value = text.removeprefix(TARGET).rpartition("=")
        try:
            venue, symbol = split_id(name)
            targets[f"{venue}:{symbol}"] = float(number(value, name))
        except (ValueError, InputError):
            raise InputError(
                f"expected --set {TARGET}ID=WEIGHT, was {text!r}; write it like "
                f"--set {TARGET}binanceusdm:BTC/USDT:USDT=0.25"
            ) from None
    return targets


def report_of(
    proposal: Proposal, snapshot: MarketSnapshot, notes: Sequence[str] = ()
) -> ProposeReport:
    """Return what ``--json`` prints of a proposal on history."""
    return ProposeReport(
        as_of=iso(proposal.as_of_ms),
        strategy=proposal.strategy,
        status=proposal.status,
        equity_usd=plain(proposal.equity_usd),
        instruments=tuple(
            ProposedInstrument(
                id=row.id,
                weight_now=row.weight_now,
                weight_target=row.weight_target,
                weight_rounded=row.weight_rounded,
                expected_return=row.expected_return,
                carry_apr=row.carry_apr,
                volatility_annual=row.volatility_annual,
            )
            for row in proposal.rows
        ),
        orders=tuple(
            ProposedOrder(
                id=order.id,
                side=order.side.value,
                contracts=plain(order.contracts),
                notional_usd=plain(order.notional_usd),
                limit_price=plain(order.limit_price),
                reduce_only=order.reduce_only,
            )
            for order in proposal.orders
        ),
        limits=tuple(
            CheckedLimit(name=one.name, value=one.value, limit=one.limit, ok=one.ok)
            for one in proposal.limits
        ),
        risk=ProposedRisk(
            volatility_annual=proposal.risk.volatility_annual,
            gross=proposal.risk.gross,
            net=proposal.risk.net,
            margin_ratio=proposal.risk.margin_ratio,
        ),
        solver=SolverSummary(proposal.solver.status, proposal.solver.seconds),
        assumptions=_assumptions(snapshot, notes),
        digest=proposal.digest,
        reasons=proposal.reasons,
    )


def _assumptions(snapshot: MarketSnapshot, notes: Sequence[str]) -> Assumptions:
    from perptui.risk.contract_rules import rules_table

    table = rules_table()
    return Assumptions(
        table_date=table.date,
        instruments=tuple(
            AssumedInstrument(
                id=one.id,
                tick=plain(one.tick),
                step=plain(one.step),
                min_contracts=plain(one.min_contracts),
                min_notional_usd=plain(one.min_notional_usd),
                taker_fee=plain(one.taker_fee),
                tiers=tuple(
                    AssumedTier(plain(tier.floor_usd), plain(tier.rate), plain(tier.deduction_usd))
                    for tier in one.tiers
                ),
            )
            for one in snapshot.instruments
        ),
        equity_usd={account.key: plain(account.equity_usd) for account in snapshot.accounts},
        notes=(
            "equity is split equally over the venues",
            "mark: of the hourly bar that closed last, else its last price",
            "funding quoted: the rate that settled last",
            f"contract rules: {table.source}",
            *notes,
        ),
    )


def table_of(report: ProposeReport) -> str:
    """Return the report for a person's eyes."""
    lines = [
        f"{report.strategy} at {report.as_of}   equity {report.equity_usd} USD   {report.status}",
        "",
        f"{'':<28}{'now':>9}{'target':>9}{'in lots':>9}{'return':>9}{'carry':>9}{'vol':>8}",
    ]
    lines.extend(
        f"{one.id:<28}{one.weight_now:>9.1%}{one.weight_target:>9.1%}{one.weight_rounded:>9.1%}"
        f"{one.expected_return:>9.2%}{one.carry_apr:>9.1%}{one.volatility_annual:>8.0%}"
        for one in report.instruments
    )
    lines.extend(["", "orders" if report.orders else "no orders"])
    lines.extend(
        f"{one.side:<5}{one.contracts:>14} {one.id:<28} limit {one.limit_price:>12}"
        f"{float(Decimal(one.notional_usd)):>16,.2f} USD{'  reduce-only' * one.reduce_only}"
        for one in report.orders
    )
    kept = sum(one.ok for one in report.limits)
    lines.extend(["", f"limits: {kept} of {len(report.limits)} kept"])
    lines.extend(
        f"  {one.name}: {one.value:.6g} against {one.limit:g}"
        for one in report.limits
        if not one.ok
    )
    risk = report.risk
    lines.append(
        f"risk: volatility {risk.volatility_annual:.1%}, gross {risk.gross:.2f}, "
        f"net {risk.net:.2f}, margin ratio {risk.margin_ratio:.2%}"
    )
    lines.extend(report.reasons)
    lines.append(f"digest {report.digest}")
    return "\n".join(lines) + "\n"
