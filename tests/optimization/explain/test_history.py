"""Ledgers and prices of proposals on real history, as the desk asks for them (method §12, §15)."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.history.dataset import History
from perptui.model.clock import parse_iso
from perptui.model.jobs import ProposeJob
from perptui.model.proposal import Proposal
from perptui.model.whatif import WhatIf
from perptui.quant.answer import Told
from perptui.quant.estimate import Estimator
from perptui.quant.offline import Held, snapshot_at
from perptui.quant.propose import proposal_of, told_of
from perptui.settings.load import load

VENUES = ("binanceusdm", "bybit")
DATES = ("2022-06-13T00:00Z", "2022-11-09T00:00Z")
# Carry alone fills little of a book: a trader's views, a year, held for certain make limits bind.
VIEWS = {"BTC": 0.9, "ETH": 0.7, "SOL": -0.8, "BNB": 0.5, "XRP": -0.6, "ADA": -0.4, "LTC": 0.4}
TIGHT: dict[str, dict[str, float]] = {
    "gross_max": {"gross_max": 1.0},
    "net_max": {"net_max": 0.1},
    "coin_net_max": {"coin_net_max": 0.15},
    "volatility_max": {"volatility_max": 0.15},
    "cvar_max": {"cvar_max": 0.02},
    "turnover_max": {"turnover_max": 0.3},
}


def asked(history: History, at: str) -> tuple[ProposeJob, Told]:
    settings = load().settings
    held = (
        Held("binanceusdm:BTC/USDT:USDT", Decimal("0.5"), Decimal(30_000)),
        Held("bybit:ETH/USDT:USDT", Decimal(-4), Decimal(2_000)),
    )
    snapshot = snapshot_at(history, parse_iso(at), VENUES, Decimal(100_000), held)
    what_if = WhatIf(views=VIEWS, parameters={"robust": "off", "risk_aversion": 2.0})
    job = ProposeJob(snapshot, settings.strategy["balanced"], settings.limits, what_if)
    return job, told_of(job, Estimator(history))


def bent(job: ProposeJob, told: Told, **limits: float) -> Proposal:
    what_if = msgspec.structs.replace(job.what_if, limits=limits)
    return proposal_of(msgspec.structs.replace(job, what_if=what_if), told)


@pytest.mark.unmeasured
@pytest.mark.history
@pytest.mark.parametrize("at", DATES)
def test_real_proposals_add_up_and_their_prices_are_re_solves(history_dir: Path, at: str) -> None:
    job, told = asked(History(history_dir), at)
    priced = 0
    for setting, limits in TIGHT.items():
        found = bent(job, told, **limits)
        assert found.solver.status == "optimal"
        explained = found.explanation
        assert len(explained.ledger) == len(found.rows)
        assert max(abs(row.residual) for row in explained.ledger) <= 1e-6
        price = sum(one.price_usd_per_day for one in explained.limits if one.setting == setting)
        tied = any(one.high is not None for one in explained.limits if one.setting == setting)
        if price <= 0.0 or tied:
            continue
        slope = _slope(job, told, setting, limits[setting])
        assert price == pytest.approx(slope, rel=1e-2, abs=1e-4)
        priced += 1
    assert priced >= 4


def _slope(job: ProposeJob, told: Told, setting: str, at: float) -> float:
    step = 1e-4 * at
    ends: list[float] = []
    for value in (at + step, at - step):
        worth = bent(job, told, **{setting: value}).explanation.objective_usd_per_day
        assert worth is not None
        ends.append(worth)
    return (ends[0] - ends[1]) / (2.0 * step)
