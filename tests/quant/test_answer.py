"""Hybrids, puts and short hedges end to end: from a job on made-up history to its proposal."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, parse_iso
from perptui.model.errors import OptimizationError
from perptui.model.jobs import FrontierJob, ProposeJob
from perptui.model.proposal import Proposal
from perptui.model.stress import Stress
from perptui.model.whatif import PutQuote, WhatIf
from perptui.quant.answer import answered, posed
from perptui.quant.estimate import Estimator
from perptui.quant.offline import snapshot_at
from perptui.quant.propose import frontier_of, parents_of, propose, told_of
from perptui.settings.load import load
from tests.quant.market import written

pytestmark = pytest.mark.unmeasured

AT = "2023-05-20T00:00Z"
VENUES = ("binanceusdm", "bybit")
TERMS = ("alpha", "carry", "risk", "uncertainty", "cost", "limits")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return written(tmp_path_factory.mktemp("history"), VENUES)


@pytest.fixture(scope="module")
def estimator(history: History) -> Estimator:
    return Estimator(history)


def job(history: History, strategy: str, bent: WhatIf | None = None, **changed: Any) -> ProposeJob:
    settings = load(None, {"desk.mode": "paper"}).settings
    snapshot = snapshot_at(history, parse_iso(AT), VENUES, Decimal(1_000_000))
    own = msgspec.structs.replace(settings.strategy[strategy], **changed)
    parents = tuple(settings.strategy[name] for name in own.blend)
    return ProposeJob(snapshot, own, settings.limits, bent or WhatIf(), blended=parents)


def proposed(history: History, estimator: Estimator, asked: ProposeJob) -> Proposal:
    return propose(asked, history, estimator)[0]


def viewed(history: History, **changed: Any) -> WhatIf:
    """Return a trader's views that fill the book."""
    coins = sorted({one.coin for one in job(history, "balanced").snapshot.instruments})
    views = {coin: 0.9 if place % 2 else 0.6 for place, coin in enumerate(coins)}
    return WhatIf(views=views, **changed)


@pytest.mark.parametrize("regime", ["", "calm", "crisis"])
def test_a_hybrid_holds_its_parts_by_their_shares_and_its_ledger_adds_up(
    history: History, estimator: Estimator, regime: str
) -> None:
    bent = viewed(history, regime=regime)
    hybrid = proposed(history, estimator, job(history, "hybrid", bent))
    assert hybrid.status == "ok"
    assert hybrid.blend is not None
    assert hybrid.blend == {"calm": 0.0, "crisis": 1.0}.get(regime, hybrid.blend)
    assert all(check.ok for check in hybrid.limits)
    assert any(text.startswith(f"{hybrid.blend:.1%} tactical") for text in hybrid.reasons)
    ledger = hybrid.explanation.ledger
    assert [row.id for row in ledger] == [row.id for row in hybrid.rows]
    for row in ledger:
        assert sum(getattr(row, term) for term in TERMS) == pytest.approx(row.residual, abs=1e-9)
        assert abs(row.residual) < 1e-6
    names = [row.name for row in hybrid.explanation.limits]
    assert len(names) == len(set(names))
    again = proposed(history, Estimator(history), job(history, "hybrid", bent))
    assert again.digest == hybrid.digest


def test_in_crisis_a_hybrid_holds_less_than_in_calm(history: History, estimator: Estimator) -> None:
    calm, crisis = (
        proposed(history, estimator, job(history, "hybrid", viewed(history, regime=regime)))
        for regime in ("calm", "crisis")
    )
    assert crisis.risk.gross < 0.5 * calm.risk.gross


def test_a_put_asked_about_is_looked_at_whatever_the_regime(
    history: History, estimator: Estimator
) -> None:
    snapshot = job(history, "balanced").snapshot
    mark = next(
        float(quote.mark) for quote in snapshot.quotes if quote.id == "binanceusdm:BTC/USDT:USDT"
    )
    expiry = snapshot.as_of_ms + 30 * DAY_MS
    cheap = PutQuote("BTC", round(0.97 * mark), expiry, 0.035 * mark)
    bent = viewed(history, puts=(cheap,), limits={"cvar_max": 0.02})
    for strategy in ("balanced", "hybrid"):
        found = proposed(history, estimator, job(history, strategy, bent))
        rows = {row.expiry_ms: row for row in found.hedges}
        assert set(rows) == {expiry}
        assert rows[expiry].quantity > 0.0
        assert rows[expiry].why.startswith("hedge, to buy by hand: takes")
        assert not found.exportable
        assert "shown, not sent: a put: supposed, not so in the market" in found.reasons
        assert float(rows[expiry].premium_usd) <= 0.01 * 1e6
        assert all(check.ok for check in found.limits)
        without = msgspec.structs.replace(bent, puts=())
        plain = proposed(history, estimator, job(history, strategy, without))
        assert plain.hedges == ()
        assert found.risk.gross > plain.risk.gross


@pytest.mark.parametrize(
    ("strike", "days", "premium", "why"),
    [
        (0.97, -1, 0.02, "expected an expiry ahead"),
        (0.97, 30, 1e-4, "expected a premium of at least"),
        (1.10, 30, 0.09, "what the put is worth at once"),
        (9.00, 30, 8.50, "expected a strike from"),
    ],
)
def test_a_what_if_of_a_put_that_nobody_can_have_quoted_is_refused(
    history: History,
    estimator: Estimator,
    strike: float,
    days: int,
    premium: float,
    why: str,
) -> None:
    """The same quote in config.toml is only left out: its expiry passes while the desk runs."""
    first = job(history, "balanced").snapshot
    mark = next(float(one.mark) for one in first.quotes if ":BTC/" in one.id)
    quote = PutQuote("BTC", strike * mark, first.as_of_ms + days * DAY_MS, premium * mark)
    with pytest.raises(OptimizationError, match="put on BTC: ") as refused:
        proposed(history, estimator, job(history, "balanced", viewed(history, puts=(quote,))))
    assert why in str(refused.value)
    left = job(history, "balanced", viewed(history), puts=(quote,), hedge_from="calm")
    rows = proposed(history, estimator, left).hedges
    assert [row.quantity for row in rows] == [0.0]
    assert rows[0].why.startswith("refused: expected")


@pytest.mark.parametrize("strategy", ["balanced", "hybrid"])
def test_a_limit_kept_by_a_put_alone_is_not_sent_until_the_put_is_held(
    history: History, estimator: Estimator, strategy: str
) -> None:
    first = job(history, strategy).snapshot
    mark = next(float(one.mark) for one in first.quotes if ":BTC/" in one.id)
    quote = PutQuote("BTC", round(0.97 * mark), first.as_of_ms + 30 * DAY_MS, 0.035 * mark)
    bent = viewed(history, limits={"cvar_max": 0.02})
    own = {"puts": (quote,), "hedge_from": "calm"}
    found = proposed(history, estimator, job(history, strategy, bent, **own))
    assert [row.quantity > 0.0 for row in found.hedges] == [True]
    assert all(check.ok for check in found.limits)
    assert not found.exportable
    broken = next(text for text in found.reasons if text.startswith("cvar would be"))
    assert "until the puts are bought: buy them by hand" in broken
    assert float(broken.split()[3]) > 0.02
    assert any(text.startswith("the puts are no orders of this proposal") for text in found.reasons)
    plain = proposed(history, estimator, job(history, strategy, bent))
    assert plain.exportable
    # The book before the trade is the same book, whatever is offered.
    assert found.limits_now == plain.limits_now
    assert found.risk_now == plain.risk_now
    # Bought, and written down as such: it counts before and after, and the plan may go.
    coins = found.hedges[0].quantity
    held = msgspec.structs.replace(quote, held=coins)
    own = {"puts": (held,), "hedge_from": "never"}
    after = proposed(history, estimator, job(history, strategy, bent, **own))
    assert after.hedges[0].why.startswith("held: ")
    assert after.hedges[0].held == coins
    assert after.exportable
    assert after.risk.gross > plain.risk.gross
    assert all(check.ok for check in after.limits)
    assert after.risk_now.cvar is not None
    assert plain.risk_now.cvar is not None
    # A flat book that holds a put can only lose what it is worth.
    assert 0.0 < after.risk_now.cvar <= coins * quote.premium_usd / 1e6


def test_configured_puts_wait_for_their_regime(history: History, estimator: Estimator) -> None:
    snapshot = job(history, "tactical").snapshot
    quote = PutQuote("BTC", 20000.0, snapshot.as_of_ms + 30 * DAY_MS, 900.0)
    asked = job(history, "tactical", WhatIf(regime="calm"), puts=(quote,))
    found = proposed(history, estimator, asked)
    assert [row.quantity for row in found.hedges] == [0.0]
    assert found.hedges[0].why.endswith("from stress on, the regime is calm")


def test_a_short_hedge_is_sold_in_stress_only_and_says_so(
    history: History, estimator: Estimator
) -> None:
    bearish = WhatIf(views={"BTC": -2.0}, regime="crisis")
    name = "binanceusdm:BTC/USDT:USDT"
    found = {}
    for regime in ("calm", "crisis"):
        bent = msgspec.structs.replace(bearish, regime=regime)
        asked = job(history, "tactical", bent, hedge_shorts=(name,))
        proposal = proposed(history, estimator, asked)
        found[regime] = next(row for row in proposal.rows if row.id == name)
        assert any(text.startswith(f"{name} is a hedge only") for text in proposal.reasons)
    assert found["calm"].contracts_after == 0
    assert found["crisis"].contracts_after < 0
    assert found["crisis"].why == "hedge"


def test_the_frontier_of_a_hybrid_is_its_own_programs(
    history: History, estimator: Estimator
) -> None:
    asked = job(history, "hybrid", viewed(history))
    points = frontier_of(
        FrontierJob(asked, (1.0, 4.0, 16.0)),
        told_of(asked, estimator),
        parents_of(asked, estimator),
    )
    assert [point.risk_aversion for point in points] == [1.0, 4.0, 16.0]
    risks = [point.volatility_annual for point in points]
    assert risks == sorted(risks, reverse=True)


def test_a_hybrids_clash_is_told_in_the_desks_own_limits(
    history: History, estimator: Estimator
) -> None:
    """Gross is what the tactical part's regime leaves of it; the setting is the desk's."""
    first = job(history, "hybrid")
    targets = {one.id: 0.2 for one in first.snapshot.instruments[:2]}
    open_wide = {"net_max": 3.0, "coin_net_max": 3.0, "beta_max": 5.0, "gross_max": 0.5}
    bent = WhatIf(targets=targets, regime="crisis", limits=open_wide)
    asked = job(history, "hybrid", bent)
    clash = {one.name: one for one in proposed(history, estimator, asked).explanation.clash}
    gross = clash["gross"]
    assert (gross.setting, gross.limit) == ("gross_max", 0.5)
    assert gross.needed is not None
    for share, status in ((1.0, True), (0.999, False)):
        limits = {**open_wide, "gross_max": gross.needed * share}
        again = msgspec.structs.replace(asked, what_if=msgspec.structs.replace(bent, limits=limits))
        assert (proposed(history, estimator, again).status != "infeasible") == status


@pytest.mark.parametrize("strategy", ["balanced", "hybrid"])
def test_a_named_stress_is_survived_and_counted_in_cvar(
    history: History, estimator: Estimator, strategy: str
) -> None:
    """SOL, sold short, doubles and the others fall: margin and depeg must fit in equity too."""
    wide = {"cvar_max": 5.0, "volatility_max": 5.0, "beta_max": 9.0, "net_max": 3.0}
    off = {"drawdown_control": False, "risk_aversion": 0.5, "uncertainty": 0.0}
    bent = viewed(history, limits=wide, parameters=off, regime="calm")
    asked = job(history, strategy, bent)
    plain = proposed(history, estimator, asked)
    moves = {"SOL": 1.0, "*": -0.6}
    stress = Stress({"squeeze": moves}, 0.0)
    found = proposed(history, estimator, msgspec.structs.replace(asked, stress=stress))
    assert found.status == "ok"
    assert all(check.ok for check in found.limits)
    prices = {one.name: one.price_usd_per_day for one in found.explanation.limits}
    assert any(price > 0.0 for name, price in prices.items() if "stress_squeeze" in name)
    for proposal, fits in ((plain, False), (found, True)):
        lost = [
            -sum(
                row.weight_rounded * moves["SOL" if "SOL" in row.id else "*"]
                for row in proposal.rows
                if row.id.startswith(venue)
            )
            for venue in VENUES
        ]
        assert all(loss < 0.5 * (1.0 - 0.02) for loss in lost) == fits
    mild = Stress({"squeeze": {"SOL": 0.1, "*": -0.1}}, 0.0)
    worse = msgspec.structs.replace(bent, stresses={"squeeze:SOL": 1.0, "squeeze": -0.6})
    supposed = msgspec.structs.replace(asked, stress=mild, what_if=worse)
    same = proposed(history, estimator, supposed)
    assert (same.rows, same.limits) == (found.rows, found.limits)
    assert not same.exportable
    often = msgspec.structs.replace(stress, times_a_year=1.0)
    counted = proposed(history, estimator, msgspec.structs.replace(asked, stress=often))
    assert found.risk.cvar is not None
    assert counted.risk.cvar is not None
    assert counted.risk.cvar > found.risk.cvar + 0.01


@pytest.mark.parametrize(
    ("regime", "setting", "value"),
    [
        ("normal", "turnover_max", 0.3),
        ("calm", "coin_net_max", 0.25),
        ("stress", "coin_net_max", 0.05),
        ("normal", "gross_max", 0.4),
    ],
)
def test_a_hybrids_prices_are_slopes_of_the_objective_it_prints(
    history: History, estimator: Estimator, regime: str, setting: str, value: float
) -> None:
    """Central difference of the printed objective over a limit; the share of tactical stays."""

    def told(at: float) -> Proposal:
        bent = viewed(history, regime=regime, limits={setting: at})
        return proposed(history, estimator, job(history, "hybrid", bent))

    here = told(value)
    assert any("tactical: the core alone" in text for text in here.reasons)
    assert not any("tracks it" in text for text in here.reasons)
    step = 1e-4 * value
    high, low = (
        told(value + way * step).explanation.objective_usd_per_day or 0.0 for way in (1, -1)
    )
    slope = (high - low) / (2.0 * step)
    price = sum(
        one.price_usd_per_day
        for one in here.explanation.limits
        if one.setting == setting and one.price_usd_per_day > 0.0
    )
    assert slope > 0.0
    assert price == pytest.approx(slope, rel=0.01)


def test_what_a_mixtures_trade_gains_is_by_the_yardstick_of_its_objective(
    history: History, estimator: Estimator
) -> None:
    """From nothing held: the worth printed, less what the parts make of holding nothing."""
    asked = job(history, "hybrid", viewed(history))
    said = proposed(history, estimator, asked)
    programs = posed(asked, told_of(asked, estimator), parents_of(asked, estimator))
    assert not any(programs.own.before.tolist())
    assert said.blend is not None
    idle = sum(
        share * float(part.objective(part.before)) * float(part.equity) / part.horizon_days
        for part, share in zip(programs.parts, (1.0 - said.blend, said.blend), strict=True)
    )
    explained = said.explanation
    assert not explained.tracking
    assert explained.objective_usd_per_day is not None
    assert explained.drift is not None
    assert explained.drift.regret_usd_day > 0.0
    assert explained.drift.regret_usd_day == pytest.approx(explained.objective_usd_per_day - idle)


def test_a_tracked_mixtures_objective_leaves_its_penalty_out(
    history: History, estimator: Estimator
) -> None:
    """What is printed is the own program's worth of the book; the rest is said to be a penalty."""
    level = {"net_min": 0.0, "net_max": 0.0, "trade_min_usd": 30000.0}
    bent = viewed(history, limits=level)
    asked = job(history, "hybrid", bent)
    told, parents = told_of(asked, estimator), parents_of(asked, estimator)
    programs = posed(asked, told, parents)
    found = answered(programs)
    assert found.notes[-1].startswith("the mixture would break"), "must track"
    said = proposed(history, estimator, asked).explanation
    own, book = programs.own, found.answer.solution.exact
    day = float(own.equity) / own.horizon_days
    assert said.tracking
    assert said.objective_usd_per_day is not None
    assert said.objective_usd_per_day == pytest.approx(day * float(own.objective(book)))
    assert said.drift is not None
    assert said.drift.regret_usd_day == pytest.approx(
        day * float(own.objective(book) - own.objective(own.before))
    )
    penalised = day * float(found.inputs.objective(book))
    assert said.tracking_penalty_usd_per_day == pytest.approx(
        said.objective_usd_per_day - penalised
    )
    assert said.tracking_penalty_usd_per_day > 0.0
    assert said.mixture_held
    mixed = proposed(history, estimator, job(history, "hybrid", viewed(history))).explanation
    assert not mixed.tracking
    assert not mixed.mixture_held
    assert mixed.tracking_penalty_usd_per_day == 0.0
