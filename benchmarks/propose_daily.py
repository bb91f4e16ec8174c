"""Every strategy's proposals day by day over real history, the book carried from one to the next.

    python -m benchmarks.propose_daily [--data ../shared/data] [--strategy balanced tactical hybrid]
        [--from 2021-10-01] [--to 2025-06-30] [--every 1] [--out FOLDER]

Ten coins on Binance, five of them on Bybit too, decided at midnight with what was known then. A
proposal that may be sent is filled at its marks and pays its stated costs; prices then move,
funding settles on what is held, and both go into each account's own equity. A proposal that clashes
with its limits leaves the book as it is, or takes the reduction that it offers. Each month begins
with the first equity again, equally split, and a new peak: a desk that has met its drawdown limit
only reduces, and would only reduce for ever.

It prints statuses by strategy and year, limits broken after rounding, the worst stressed
requirement of any account over its equity (worked out here, apart from the optimiser), and seconds.
The estimates leave out drift where the evidence is against it, and carry alone fills little of a
book: with `--views` a trader holds views as strong as each coin's last 30 days, and limits bind.
With `--out` each day becomes a line of FOLDER/STRATEGY.jsonl; a later run goes on after the last.
"""

from __future__ import annotations

import argparse
import collections
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import msgspec
import numpy as np

from perptui.history.dataset import History
from perptui.model.account import Account, Position
from perptui.model.clock import DAY_MS, iso, parse_iso
from perptui.model.errors import PerptuiError
from perptui.model.instrument import Instrument, split_id
from perptui.model.jobs import JobFailed, ProposeDone, ProposeJob
from perptui.model.money import ZERO, decimal_of
from perptui.model.proposal import Proposal
from perptui.model.record import Record
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import REGIMES, StrategyParameters
from perptui.model.whatif import WhatIf
from perptui.quant.offline import snapshot_at
from perptui.quant.worker import Worker
from perptui.settings.load import load
from perptui.settings.schema import Settings

VENUES = ("binanceusdm", "bybit")
ON_BOTH = ("BTC", "ETH", "SOL", "BNB", "XRP")
ON_ONE = ("ADA", "ATOM", "DOT", "LINK", "LTC")
MEMBERS = frozenset(
    [f"{venue}:{coin}/USDT:USDT" for venue in VENUES for coin in ON_BOTH]
    + [f"{VENUES[0]}:{coin}/USDT:USDT" for coin in ON_ONE]
)
EQUITY = Decimal(1_000_000)
VIEW_DAYS, VIEW_MAX = 30, 1.5
"""A trader's view: the return of so many days a year on, within ± so much a year."""
STRATEGIES = ("balanced", "tactical", "hybrid")
NO_SUCH_LIMIT = ("drawdown",)
"""Limits that a proposal may be beyond when it only reduces: no trade brings a drawdown back."""


class Day(Record, frozen=True):
    """What one day came to; the last one is where a later run goes on.

    `stressed` is the largest stressed requirement over equity of any account after the proposal,
    `seconds` the optimiser's, `wall` the whole answer's. `equity` is by account after the trade,
    `contracts` the book by id, `marks` what it was valued at.
    """

    at_ms: int
    status: str
    exportable: bool
    regime: str
    exposure: float
    blend: float | None
    gross: float
    stressed: float
    broken: tuple[str, ...]
    clash: tuple[str, ...]
    text: str
    seconds: float
    wall: float
    peak: Decimal
    equity: dict[str, Decimal]
    contracts: dict[str, Decimal]
    marks: dict[str, Decimal]


def job_of(
    settings: Settings, name: str, snapshot: MarketSnapshot, views: Mapping[str, float]
) -> ProposeJob:
    """Return the job of strategy `name` on a snapshot, a hybrid's parents along."""
    strategy = settings.strategy[name]
    parents = tuple(settings.strategy[parent] for parent in strategy.blend)
    what_if = WhatIf(views=dict(views))
    return ProposeJob(
        snapshot, strategy, settings.limits, what_if, blended=parents, stress=settings.stress
    )


def momentum(history: History, snapshot: MarketSnapshot) -> dict[str, float]:
    """Return a view on each coin: its return of the last `VIEW_DAYS`, a year, clipped."""
    views: dict[str, float] = {}
    for one in snapshot.instruments:
        bars = history.traded(one.venue, one.venue_symbol, snapshot.as_of_ms)
        begin = snapshot.as_of_ms - VIEW_DAYS * DAY_MS
        row = int(np.searchsorted(bars.close_ms, begin, "right")) - 1
        if row >= 0:
            moved = float(np.log(bars.close[-1] / bars.close[row])) * 365.0 / VIEW_DAYS
            views.setdefault(one.coin, float(np.clip(moved, -VIEW_MAX, VIEW_MAX)))
    return views


def snapshot_on(history: History, at_ms: int, before: Day | None) -> MarketSnapshot:
    """Return the market at `at_ms` with the book of the day before, valued and funded up to now.

    What has no price any more is taken to be closed at its last one.
    """
    market = snapshot_at(history, at_ms, VENUES, EQUITY, members=MEMBERS)
    if before is None:
        return msgspec.structs.replace(market, peak_equity_usd=EQUITY)
    marks = {quote.id: quote.mark for quote in market.quotes}
    equity = dict(before.equity)
    held = {name: contracts for name, contracts in before.contracts.items() if name in marks}
    for one in market.instruments:
        if one.id in held:
            moved = held[one.id] * one.contract_size * (marks[one.id] - before.marks[one.id])
            paid = funding_paid(history, one, held[one.id], before.at_ms, at_ms)
            equity[one.venue] += (moved - paid).quantize(Decimal("1e-8"))
    total = sum(equity.values(), ZERO)
    peak = max(before.peak, total)
    if iso(at_ms)[:7] != iso(before.at_ms)[:7]:
        equity, peak = dict.fromkeys(equity, EQUITY / len(equity)), EQUITY
    accounts = tuple(
        _account(account, equity[account.venue], held, marks) for account in market.accounts
    )
    return msgspec.structs.replace(market, accounts=accounts, peak_equity_usd=peak)


def _account(
    account: Account, equity: Decimal, held: Mapping[str, Decimal], marks: Mapping[str, Decimal]
) -> Account:
    positions = tuple(
        Position(name, contracts, marks[name], marks[name], ZERO)
        for name, contracts in sorted(held.items())
        if split_id(name)[0] == account.venue and contracts
    )
    return msgspec.structs.replace(
        account, wallet_usd=equity, equity_usd=equity, positions=positions
    )


def funding_paid(
    history: History, one: Instrument, contracts: Decimal, after_ms: int, until_ms: int
) -> Decimal:
    """Return what a position paid at the settlements in (after, until], USD; negative: received.

    Its notional is at the last close known by each settlement.
    """
    settled = history.funding(one.venue, one.venue_symbol, until_ms)
    bars = history.traded(one.venue, one.venue_symbol, until_ms)
    paid = ZERO
    for row in np.flatnonzero(settled.ts_ms > after_ms).tolist():
        price = float(bars.close[np.searchsorted(bars.close_ms, settled.ts_ms[row], "right") - 1])
        rate = decimal_of(float(settled.rate[row]), "rate")
        paid += contracts * one.contract_size * decimal_of(price, "price") * rate
    return paid


def stressed_ratio(
    snapshot: MarketSnapshot,
    contracts: Mapping[str, Decimal],
    equity: Mapping[str, Decimal],
    move: Decimal,
    cushion: Decimal,
    depeg: Decimal,
    named: Sequence[Mapping[str, float]] = (),
) -> float:
    """Return the worst account's loss plus cushioned maintenance over equity after any stress.

    Those are ±`move`, and the `named` moves by coin. Written from method §6 and §11 alone: linear
    contracts, tier by tier.
    """
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    worst = ZERO
    common = ({"*": float(move)}, {"*": -float(move)})
    for account, own in equity.items():
        for moves in (*common, *named):
            need = depeg * own
            for one in snapshot.instruments:
                if one.venue != account or not contracts.get(one.id):
                    continue
                shift = decimal_of(moves.get(one.coin, moves.get("*", 0.0)), "move")
                notional = contracts[one.id] * one.contract_size * marks[one.id]
                after = abs(notional) * (1 + shift)
                margin = max(tier.rate * after - tier.deduction_usd for tier in one.tiers)
                need += (1 + cushion) * margin - notional * shift
            worst = max(worst, need / own)
    return float(worst)


def book_after(proposal: Proposal, snapshot: MarketSnapshot) -> dict[str, Decimal]:
    """Return the contracts by id that the day ends with: filled, held, or reduced as offered."""
    steps = {one.id: one.step for one in snapshot.instruments}
    share = proposal.explanation.reduce_only_share
    book = {}
    for row in proposal.rows:
        after = row.contracts_after if proposal.exportable else row.contracts_now
        if proposal.status == "infeasible" and share is not None:
            kept = row.contracts_now * decimal_of(share, "share") / steps[row.id]
            after = kept.to_integral_value(ROUND_DOWN) * steps[row.id]
        if after:
            book[row.id] = after
    return book


@dataclass(frozen=True)
class Campaign:
    """What the days of one strategy have in common."""

    history: History
    settings: Settings
    name: str
    worker: Worker
    with_views: bool = False


def day_of(campaign: Campaign, at_ms: int, before: Day | None) -> Day:
    """Return one day; a refusal is one too, and holds the book."""
    history, settings, name = campaign.history, campaign.settings, campaign.name
    snapshot = snapshot_on(history, at_ms, before)
    equity = {account.key: account.equity_usd for account in snapshot.accounts}
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    held = {one.id: one.contracts for account in snapshot.accounts for one in account.positions}
    views = momentum(history, snapshot) if campaign.with_views else {}
    started = time.perf_counter()
    answer = campaign.worker.answer(job_of(settings, name, snapshot, views))
    wall = time.perf_counter() - started
    peak = snapshot.peak_equity_usd or EQUITY
    if isinstance(answer, JobFailed):
        return Day(
            at_ms, "refused", False, "", 0.0, None, 0.0, 0.0, (), (), answer.text, 0.0, wall,
            peak, equity, held, marks,
        )  # fmt: skip
    if not isinstance(answer, ProposeDone):
        raise TypeError(f"expected a proposal, was {type(answer).__name__}")
    proposal = answer.proposal
    book = book_after(proposal, snapshot)
    if proposal.exportable:
        for row in proposal.rows:
            equity[split_id(row.id)[0]] -= row.cost_usd
    return Day(
        at_ms=at_ms,
        status=proposal.status,
        exportable=proposal.exportable,
        regime=proposal.regime,
        exposure=proposal.exposure,
        blend=proposal.blend,
        gross=proposal.risk.gross,
        stressed=stressed_ratio(
            snapshot,
            book,
            equity,
            *stress_of(settings, name, proposal),
            tuple(settings.stress.moves.values()),
        ),
        broken=tuple(
            check.name
            for check in proposal.limits
            if not check.ok
            and proposal.status in {"ok", "no_trade"}
            and check.name not in NO_SUCH_LIMIT
        ),
        clash=tuple(sorted({one.name.partition(":")[0] for one in proposal.explanation.clash})),
        text="" if proposal.exportable else "; ".join(proposal.reasons[:3]),
        seconds=proposal.solver.seconds,
        wall=wall,
        peak=peak,
        equity=equity,
        contracts=book,
        marks=marks,
    )


def stress_of(
    settings: Settings, name: str, proposal: Proposal
) -> tuple[Decimal, Decimal, Decimal]:
    """Return the move, the cushion and the depeg that the strategy is held to that day."""
    own = settings.strategy[name]
    parts = [settings.strategy[parent] for parent in own.blend] or [own]
    move = settings.limits.liquidation_distance_min
    cushion = max(_cushion(part, proposal.regime) for part in parts)
    depeg = max(part.depeg for part in parts)
    return decimal_of(move, "move"), decimal_of(cushion, "cushion"), decimal_of(depeg, "depeg")


def _cushion(strategy: StrategyParameters, regime: str) -> float:
    return strategy.margin_cushion[REGIMES.index(regime if strategy.follow_regime else "normal")]


def walk(campaign: Campaign, stamps: Sequence[int], before: Day | None) -> Iterator[Day]:
    """Yield the days of one strategy in order, each from the book of the one before."""
    for at_ms in stamps:
        before = day_of(campaign, at_ms, before)
        yield before


def print_table(name: str, days: Sequence[Day]) -> None:
    """Print what a strategy's days came to, by year and together."""
    by_year = collections.defaultdict(list)
    for day in days:
        by_year[iso(day.at_ms)[:4]].append(day)
    print(f"\n{name}")
    print(
        f"{'':6}{'days':>6}{'ok':>6}{'no trade':>10}{'infeasible':>12}{'failed':>8}{'refused':>9}"
        f"{'not sent':>10}{'broken':>8}{'stressed':>10}{'gross':>7}{'solve p50/p95 ms':>20}"
        f"{'all p50/p95 ms':>18}"
    )
    for year, part in [*sorted(by_year.items()), ("all", list(days))]:
        counts = collections.Counter(day.status for day in part)
        withheld = sum(day.status == "ok" and not day.exportable for day in part)
        solve, whole = (_spread([getattr(day, key) for day in part]) for key in ("seconds", "wall"))
        print(
            f"{year:6}{len(part):>6}{counts['ok']:>6}{counts['no_trade']:>10}"
            f"{counts['infeasible']:>12}{counts['failed']:>8}{counts['refused']:>9}{withheld:>10}"
            f"{sum(bool(day.broken) for day in part):>8}{max(day.stressed for day in part):>10.3f}"
            f"{statistics.mean(day.gross for day in part):>7.2f}{solve:>20}{whole:>18}"
        )
    for title, names in (
        ("clashes", [" + ".join(day.clash) for day in days if day.clash]),
        ("broken", [one for day in days for one in day.broken]),
        ("said", [f"{day.status}: {day.text[:150]}" for day in days if _odd(day)]),
    ):
        for text, count in collections.Counter(names).most_common(8):
            print(f"  {title}: {count} x {text}")
    regimes = collections.defaultdict(list)
    for day in days:
        regimes[day.regime].append(day)
    for regime in filter(regimes.get, REGIMES):
        rows = regimes[regime]
        blend = [day.blend for day in rows if day.blend is not None]
        shares = f", tactical share {statistics.mean(blend):.2f}" if blend else ""
        exposure, gross = (
            statistics.mean(values)
            for values in zip(*((day.exposure, day.gross) for day in rows), strict=True)
        )
        print(f"  {regime}: {len(rows)} days, exposure {exposure:.2f}, gross {gross:.2f}{shares}")


def _odd(day: Day) -> bool:
    return day.status in {"failed", "refused"} or (day.status == "ok" and not day.exportable)


def _spread(seconds: Sequence[float]) -> str:
    low, high = np.percentile(seconds, [50, 95]) * 1e3
    return f"{low:.1f} / {high:.1f}"


def kept_days(file: Path) -> list[Day]:
    """Return the days that an earlier run wrote; none where there is no such file."""
    if not file.exists():
        return []
    return [msgspec.json.decode(line, type=Day) for line in file.read_bytes().splitlines()]


def main() -> None:
    """Walk the strategies asked for and print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--strategy", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument("--from", dest="first", default="2021-10-01")
    parser.add_argument("--to", dest="last", default="2025-06-30")
    parser.add_argument("--every", type=int, default=1, metavar="DAYS")
    parser.add_argument("--views", action="store_true", help="with a trader's views of momentum")
    parser.add_argument("--out", type=Path, help="folder of one file a strategy; goes on from it")
    arguments = parser.parse_args()
    history, settings = History(arguments.data), load().settings
    first, last = (parse_iso(f"{day}T00:00Z") for day in (arguments.first, arguments.last))
    stamps = range(first, last + 1, arguments.every * DAY_MS)
    for name in arguments.strategy:
        days: list[Day] = []
        file = (
            arguments.out / f"{name}{'-views' * arguments.views}.jsonl" if arguments.out else None
        )
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            days = kept_days(file)
        reached = days[-1].at_ms if days else first - 1
        todo = [at_ms for at_ms in stamps if at_ms > reached]
        try:
            campaign = Campaign(history, settings, name, Worker(history), arguments.views)
            for day in walk(campaign, todo, days[-1] if days else None):
                days.append(day)
                if file is not None:
                    with file.open("ab") as stream:
                        stream.write(msgspec.json.encode(day) + b"\n")
        except (PerptuiError, KeyboardInterrupt) as error:
            print(f"{name} ended after {len(days)} days: {error}")
        if days:
            print_table(name, days)


if __name__ == "__main__":
    main()
