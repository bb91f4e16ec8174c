"""What the desk asks of the quant process, and what comes back.

Jobs travel as length-prefixed msgpack over a socketpair; one is in flight at a time.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec

from perptui.model.explanation import Clash, FrontierPoint, Reduction
from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.model.market import Bar, FundingSettlement
from perptui.model.proposal import BookRisk, Proposal, TargetRow
from perptui.model.record import Record
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.model.stress import Stress
from perptui.model.whatif import WhatIf


class BarSeries(Record, frozen=True, tag=True):
    """Closed bars of one contract, rising in time; `kind` is "1h" or "mark-1h"."""

    venue: str
    venue_symbol: str
    kind: str
    bars: tuple[Bar, ...]


class FundingSeries(Record, frozen=True, tag=True):
    """Settled funding of one contract, rising in time."""

    venue: str
    venue_symbol: str
    settlements: tuple[FundingSettlement, ...]


class AppendHistory(Record, frozen=True, tag=True):
    """Keep these observations; what is already kept is left alone."""

    series: tuple[BarSeries | FundingSeries, ...]


class AskHistory(Record, frozen=True, tag=True):
    """Say how far the kept history reaches."""


class HistoryReach(Record, frozen=True, tag=True):
    """Last stamp kept per series: key ``venue/VENUE_SYMBOL-kind``, value venue ms."""

    last_ms: dict[str, int]
    notes: tuple[str, ...] = ()
    """What cleaning did, in words."""


class EstimateJob(Record, frozen=True, tag=True):
    """Estimate everything at the snapshot's time for one strategy's horizon."""

    snapshot: MarketSnapshot
    strategy: StrategyParameters
    exposure_before: float | None = None
    """Exposure scale of the previous bar, for its rate limit; None at the start."""


class ProposeJob(Record, frozen=True, tag=True):
    """Estimate, optimise, round and check what `what_if` leaves of the desk's own state.

    `blended` holds the strategies of a hybrid's `blend`, in its order; empty for others. Where
    limits clash, `names_clash` has the answer wait until it is known which; else it says only that
    they do, and `ClashJob` asks for more. `stress` holds the desk's named stresses.
    """

    snapshot: MarketSnapshot
    strategy: StrategyParameters
    limits: Limits
    what_if: WhatIf = WhatIf()
    exposure_before: float | None = None
    blended: tuple[StrategyParameters, ...] = ()
    names_clash: bool = True
    stress: Stress = Stress()


class ClashJob(Record, frozen=True, tag=True):
    """Go on looking for what clashes in the program that `asked` poses, for a short while.

    Beside what-ifs, which it must not hold up: asked again and again until it is done.
    """

    asked: ProposeJob


class ClashDone(Record, frozen=True, tag=True):
    """Answer to `ClashJob`: one minimal set of limits that cannot all hold, and it in words.

    Where weights keep all limits and no lots do, `words` says alone which width would do.
    `reduction` is where only reducing leads. Where it is not `done` nothing is known yet.
    """

    clash: tuple[Clash, ...] = ()
    words: str = ""
    reduction: Reduction | None = None
    done: bool = True


class PrepareJob(Record, frozen=True, tag=True):
    """Work out what a `ProposeJob` on the same market needs beside its optimum, and keep it."""

    asked: ProposeJob


class Prepared(Record, frozen=True, tag=True):
    """Answer to `PrepareJob`: it is kept; unless `done`, asking again goes on with it."""

    done: bool = True


class FrontierJob(Record, frozen=True, tag=True):
    """Solve for points of the efficient frontier of the same program, one a risk aversion.

    Beside what-ifs, which it must not hold up: ask for few at a time.
    """

    asked: ProposeJob
    risk_aversions: tuple[float, ...]


class FrontierDone(Record, frozen=True, tag=True):
    """Answer to `FrontierJob`: a point for each risk aversion that had an optimum."""

    points: tuple[FrontierPoint, ...]


class MeasureJob(Record, frozen=True, tag=True):
    """Measure books by the yardstick of the program that `asked` poses: its estimates and aim.

    Each is given by the rows of its proposal and is taken after its trades, in lots.
    """

    asked: ProposeJob
    books: tuple[tuple[TargetRow, ...], ...]


class BookFigures(Record, frozen=True):
    """A book on the market, and by the estimates and the aim, of another proposal.

    Attributes
    ----------
    objective_usd_per_day : float
        What the program's objective makes of the book, USD a day.
    weights : dict of str to float
        Its positions over equity, by instrument id, as `TargetRow.weight_rounded`.
    turnover : float
        One way, from the present book to it, as `Proposal.turnover`.
    cost_usd : Decimal
        Fees and slippage of that trade.
    """

    risk: BookRisk
    objective_usd_per_day: float
    weights: dict[str, float]
    turnover: float
    cost_usd: Decimal


class MeasureDone(Record, frozen=True, tag=True):
    """Answer to `MeasureJob`, in the order of its books."""

    books: tuple[BookFigures, ...]


class EstimateDone(Record, frozen=True, tag=True):
    """Answer to `EstimateJob`."""

    estimates: Estimates


class ProposeDone(Record, frozen=True, tag=True):
    """Answer to `ProposeJob`; the estimates it rests on come along, and what they are known by."""

    proposal: Proposal
    estimates: Estimates
    estimates_id: str = ""


class ProposedAgain(Record, frozen=True, tag=True):
    """Answer to `ProposeJob` on the estimates that the request says its asker holds."""

    proposal: Proposal


class JobFailed(Record, frozen=True, tag=True):
    """The job was refused or crashed; `kind` is the error class, `text` is for a person."""

    kind: str
    text: str


Job = (
    AppendHistory
    | AskHistory
    | EstimateJob
    | ProposeJob
    | PrepareJob
    | ClashJob
    | FrontierJob
    | MeasureJob
)
JobResult = (
    HistoryReach
    | EstimateDone
    | ProposeDone
    | Prepared
    | ClashDone
    | FrontierDone
    | MeasureDone
    | JobFailed
)


class JobRequest(Record, frozen=True):
    """One job with its number.

    `holds` is the `estimates_id` of what the asker has: those are not sent again, which is most of
    an answer. Of the market, most of a job, is the same true: where it is that of the job before,
    `same_market` is set and the job has none.
    """

    number: int
    job: Job
    holds: str = ""
    same_market: bool = False


class JobReply(Record, frozen=True):
    """The answer to the job of the same number; `seconds` is the worker's wall time."""

    number: int
    result: JobResult | ProposedAgain
    seconds: float


NO_MARKET = MarketSnapshot(0, (), (), (), ())


def market_of(job: Job) -> MarketSnapshot | None:
    """Return the market that a job is about; None where it is about none."""
    match job:
        case EstimateJob() | ProposeJob():
            return job.snapshot
        case PrepareJob() | ClashJob() | FrontierJob() | MeasureJob():
            return job.asked.snapshot
        case _:
            return None


def on_market(job: Job, market: MarketSnapshot) -> Job:
    """Return the job on another market; one that is about none as it is."""
    match job:
        case EstimateJob() | ProposeJob():
            return msgspec.structs.replace(job, snapshot=market)
        case PrepareJob() | ClashJob() | FrontierJob() | MeasureJob():
            asked = msgspec.structs.replace(job.asked, snapshot=market)
            return msgspec.structs.replace(job, asked=asked)
        case _:
            return job


encode = msgspec.msgpack.Encoder(decimal_format="string").encode


def identity_of(estimates: Estimates) -> str:
    """Return what estimates are known by: 32 hex digits of BLAKE2b over their encoding."""
    return hashlib.blake2b(encode(estimates), digest_size=16).hexdigest()


decode_request = msgspec.msgpack.Decoder(JobRequest).decode
decode_reply = msgspec.msgpack.Decoder(JobReply).decode
