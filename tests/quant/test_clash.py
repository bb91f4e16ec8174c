"""A week in which limits clash, on real history: the crash of March 2020 (method §12).

A book taken on at 35 % risk on 2020-03-08 stands far beyond a cap of 10 % on the 16th, and a
turnover of 10 % does not bring it there.
"""

from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.proposing.what_ifs import relaxed
from perptui.history.dataset import History
from perptui.model.clock import parse_iso
from perptui.model.jobs import ProposeDone, ProposeJob
from perptui.model.limit import Limits
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.quant.offline import Held, snapshot_at
from perptui.quant.worker import Worker
from tests.optimization.market import LIMITS
from tests.quant.markets import BALANCED

BTC, ETH = "binanceusdm:BTC/USDT:USDT", "binanceusdm:ETH/USDT:USDT"
THEN, NOW = parse_iso("2020-03-08T00:00Z"), parse_iso("2020-03-16T00:00Z")
EQUITY = Decimal(1_000_000)
TIGHT: Limits = msgspec.structs.replace(
    LIMITS,
    gross_max=5.0,
    net_max=5.0,
    coin_net_max=5.0,
    coin_gross_max=5.0,
    beta_max=5.0,
    cvar_max=5.0,
    order_notional_max_usd=Decimal(10_000_000),
    ticket_notional_max_usd=Decimal(10_000_000),
    volatility_max=0.10,
    turnover_max=0.10,
)


def at(history: History, when_ms: int, equity: Decimal, held: list[Held]) -> MarketSnapshot:
    return snapshot_at(history, when_ms, ["binanceusdm"], equity, held, members={BTC, ETH})


def marks_of(snapshot: MarketSnapshot) -> dict[str, Decimal]:
    return {quote.id: quote.mark for quote in snapshot.quotes}


class Desk:
    """One worker over real history, and the book carried from before the crash."""

    def __init__(self, history_dir: Path) -> None:
        history = History(history_dir)
        self.worker = Worker(history)
        before = marks_of(at(history, THEN, EQUITY, []))
        # Of 54 and 87 % volatility then, and correlated .8: .35 and .25 of equity are 35 %.
        self.held = [
            Held(name, (share * EQUITY / before[name]).quantize(step, ROUND_DOWN), before[name])
            for name, share, step in (
                (BTC, Decimal("0.35"), Decimal("0.001")),
                (ETH, Decimal("0.25"), Decimal("0.001")),
            )
        ]
        now = marks_of(at(history, NOW, EQUITY, []))
        lost = sum((one.contracts * (now[one.id] - one.entry_price) for one in self.held), EQUITY)
        self.snapshot = at(history, NOW, lost, self.held)

    def proposed(self, what_if: WhatIf | None = None, limits: Limits = TIGHT) -> Proposal:
        job = ProposeJob(self.snapshot, BALANCED, limits, what_if or WhatIf())
        answer = self.worker.answer(job)
        assert isinstance(answer, ProposeDone), answer
        return answer.proposal


@pytest.mark.unmeasured
@pytest.mark.history
def test_a_risk_cap_and_a_turnover_cap_clash_in_march_2020(history_dir: Path) -> None:
    desk = Desk(history_dir)
    asked = desk.proposed()
    assert asked.status == "infeasible"
    assert asked.risk_now.volatility_annual > 0.5
    clash = {one.name: one for one in asked.explanation.clash}
    assert set(clash) == {"turnover", "volatility"}
    assert "turnover 10% and volatility 10% cannot hold together" in asked.reasons[0]
    for member in clash.values():
        assert member.needed is not None
        enough = desk.proposed(relaxed(WhatIf(), asked.explanation.clash, member.name))
        assert enough.status == "ok"
        assert all(check.ok for check in enough.limits)
        # A limit looser than the desk's own is shown and never sent.
        assert not enough.exportable
        short = desk.proposed(WhatIf(limits={member.setting: member.needed * (1 - 1e-3)}))
        assert short.status == "infeasible"
    # Least risk at a turnover of 10 % is reached by selling, so no book is far below it.
    least = clash["volatility"].needed
    assert least is not None
    assert 0.10 < least < asked.risk_now.volatility_annual

    reduced = desk.proposed(WhatIf(reduce_only=True))
    assert (reduced.status, reduced.exportable) == ("ok", True)
    assert all(order.reduce_only for order in reduced.orders)
    assert reduced.turnover == pytest.approx(0.10, abs=2e-4)
    # Near the least risk there is: each coin's own risk and the first component count beside it.
    assert least <= reduced.risk.volatility_annual <= 1.05 * least
    assert any("exceeds them least" in reason for reason in reduced.reasons)


@pytest.mark.history
def test_only_reducing_is_solved_with_the_target_in_its_way_freed(history_dir: Path) -> None:
    desk = Desk(history_dir)
    asked = desk.proposed(WhatIf(targets={BTC: 0.5}))
    assert asked.status == "infeasible"
    reduction = asked.explanation.reduction
    assert reduction is not None
    assert reduction.freed == (BTC,)
    taken = desk.proposed(WhatIf(reduce_only=True))
    assert reduction.turnover == taken.turnover
    assert reduction.breached == tuple(one.name for one in taken.limits if not one.ok)
