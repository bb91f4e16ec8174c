"""Explanations of proposals on real history, as an outsider would check them: by solving again.

Prices against finite differences of the printed objective (method §12), conflicts by leaving each
member out (Chinneck and Dravnieks 1991), least relaxations by taking them and a little less.
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from perptui.history.dataset import History
from perptui.model.assignment import bend_all
from perptui.model.clock import parse_iso
from perptui.model.jobs import ProposeJob
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.optimization.explain.clash import minimal_conflict
from perptui.optimization.explain.feasibility import Feasibility
from perptui.optimization.search import run
from perptui.quant.answer import posed
from perptui.quant.estimate import Estimator
from perptui.quant.offline import Held, snapshot_at
from perptui.quant.propose import proposal_of, told_of
from perptui.settings.load import load

pytestmark = pytest.mark.unmeasured

BTC, ETH, XRP = (f"binanceusdm:{coin}/USDT:USDT" for coin in ("BTC", "ETH", "XRP"))
CRASH = "2024-08-05T06:00Z"
SETTINGS = load(None, {}).settings


class Outsider:
    """Proposals of one book at one instant, bent in turn."""

    def __init__(
        self, history_dir: Path, at: str, equity: int, venues: str, held: dict[str, str]
    ) -> None:
        history = History(history_dir)
        at_ms = parse_iso(at)
        entries = {BTC: "60000", ETH: "2000", XRP: "1"}
        book = [Held(name, Decimal(size), Decimal(entries[name])) for name, size in held.items()]
        self.estimator = Estimator(history)
        self.snapshot: MarketSnapshot = snapshot_at(
            history, at_ms, venues.split(","), Decimal(equity), book
        )

    def job(self, sets: Sequence[str], *, names_clash: bool = False) -> ProposeJob:
        return ProposeJob(
            self.snapshot,
            SETTINGS.strategy["balanced"],
            SETTINGS.limits,
            bend_all(WhatIf(), list(sets)),
            names_clash=names_clash,
        )

    def proposed(self, sets: Sequence[str], *, names_clash: bool = False) -> Proposal:
        job = self.job(sets, names_clash=names_clash)
        return proposal_of(job, told_of(job, self.estimator))

    def slope(self, sets: Sequence[str], setting: str, at: float) -> float:
        """Return the central difference of the printed objective over 1e-4 of a setting."""
        step = 1e-4 * at
        worth = [
            self.proposed([*sets, f"{setting}={value!r}"]).explanation.objective_usd_per_day
            for value in (at + step, at - step)
        ]
        assert worth[0] is not None
        assert worth[1] is not None
        return (worth[0] - worth[1]) / (2.0 * step)


@pytest.fixture(scope="module")
def crash(history_dir: Path) -> Outsider:
    """Both tests of that day estimate once."""
    return Outsider(history_dir, CRASH, 1_000_000, "binance", {BTC: "10", ETH: "-100"})


def priced(proposal: Proposal, setting: str) -> float:
    rows = proposal.explanation.limits
    return sum(row.price_usd_per_day for row in rows if row.setting == setting)


@pytest.mark.history
def test_a_limit_behind_several_contracts_is_worth_what_all_of_them_are(history_dir: Path) -> None:
    """A position brought down by exactly the largest order stands at its bound and its trade."""
    held = {BTC: "90", ETH: "-225", XRP: "-900000"}
    desk = Outsider(history_dir, "2023-04-20T13:00Z", 3_000_000, "binance,bybit", held)
    sets = ["covariance_uncertainty=0.2", "net_min=-0.3", "free_collateral_min=0.97"]
    sets += ["risk_aversion=4", "uncertainty=0", "view:XRP=3", "view:BTC=-3"]
    found = desk.proposed(sets)
    assert max(abs(row.residual) for row in found.explanation.ledger) <= 1e-6
    slope = desk.slope(sets, "order_notional_max_usd", 500_000.0)
    assert slope > 1e-3
    assert priced(found, "order_notional_max_usd") == pytest.approx(slope, rel=1e-3)


@pytest.mark.history
def test_a_tail_limit_that_drawdown_sets_is_priced_by_it(crash: Outsider) -> None:
    sets = ["cvar_max=0.2", "risk_aversion=0.5", "uncertainty=0", "view:BTC=3", "view:ETH=3"]
    sets += ["drawdown_max=0.03"]
    found = crash.proposed(sets)
    rows = {row.name: row for row in found.explanation.limits}
    assert rows["drawdown"].price_usd_per_day == 0.0
    assert rows["cvar"].price_usd_per_day > 0.0
    slope = crash.slope(sets, "drawdown_max", 0.03)
    assert priced(found, "drawdown_max") == pytest.approx(slope, rel=1e-3)


@pytest.mark.history
def test_a_conflict_is_least_and_so_is_what_each_setting_needs(crash: Outsider) -> None:
    """Funding's caps follow coin_net_max: .036 of it carries a net of .3, .035 does not."""
    sets = ["net_min=0.3", "coin_net_max=0.02"]
    found = crash.proposed(sets, names_clash=True)
    assert found.status == "infeasible"
    job = crash.job(sets)
    limits = Feasibility(posed(job, told_of(job, crash.estimator)).own)
    members = frozenset(run(minimal_conflict(limits)))
    assert run(limits.clash(members))
    assert not any(run(limits.clash(members - {one})) for one in members)
    needs = {one.setting: one for one in found.explanation.clash}
    assert set(needs) == {"net_min", "coin_net_max"}
    assert needs["net_min"].needed is None
    coin = needs["coin_net_max"]
    assert coin.needed is not None
    assert 0.035 < coin.needed < 0.036
    short = coin.limit + 0.99 * (coin.needed - coin.limit)
    assert crash.proposed([*sets, f"coin_net_max={coin.needed!r}"]).status == "ok"
    assert crash.proposed([*sets, f"coin_net_max={short!r}"]).status == "infeasible"
    assert all(one.setting for one in found.explanation.clash)
