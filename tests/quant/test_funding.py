"""Funding of a day's contracts, and fits that are kept until a settlement."""

from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.funding.forecast import fit_funding
from perptui.estimation.panel import build_panel
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.jobs import FundingSeries
from perptui.model.market import FundingSettlement
from perptui.quant import funding
from perptui.quant.funding import FundingFits, day_funding
from perptui.quant.gather import Gathered, gather
from tests.quant.markets import HOUR, closes, instrument, write_bars, write_funding

BTC, ETH = instrument("binanceusdm", "BTC"), instrument("binanceusdm", "ETH")
MIDNIGHT = HOUR // DAY_MS * DAY_MS


def gathered(history: History) -> tuple[Gathered, ...]:
    for seed, one in enumerate((BTC, ETH)):
        write_bars(history, one, closes(seed, 24 * 80))
        write_funding(history, one, count=240, seed=seed)
    return tuple(gather(one, history, MIDNIGHT) for one in (BTC, ETH))


def test_a_fit_is_kept_until_the_next_settlement(tmp_path: Path) -> None:
    history = History(tmp_path)
    one, _ = gathered(history)
    fits = FundingFits()
    first = fits.by(one, history, HOUR)
    assert first == fit_funding(gather(BTC, history, HOUR).settled)
    assert fits.by(one, history, HOUR + 3 * HOUR_MS) is first
    # At midnight one settlement fewer was known; asking for it does not change the later one.
    earlier = fits.by(one, history, MIDNIGHT)
    assert earlier.last_ms == MIDNIGHT
    assert fits.by(one, history, HOUR) is first
    coming = FundingSettlement(MIDNIGHT + 16 * HOUR_MS, 0.0007, 8.0)
    history.append(FundingSeries("binanceusdm", "BTCUSDT", (coming,)))
    assert fits.by(one, history, HOUR) is first
    after = fits.by(one, history, MIDNIGHT + 16 * HOUR_MS)
    assert after.last == pytest.approx(0.0007 / 8)


def test_an_older_settlement_that_comes_late_makes_a_new_fit(tmp_path: Path) -> None:
    history = History(tmp_path)
    one, _ = gathered(history)
    fits = FundingFits()
    first = fits.by(one, history, HOUR)
    late = FundingSettlement(MIDNIGHT - 100 * DAY_MS, 0.0002, 8.0)
    history.append(FundingSeries("binanceusdm", "BTCUSDT", (late,)))
    assert fits.by(one, history, HOUR) is not first


def test_no_more_fits_are_kept_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path)
    one, other = gathered(history)
    monkeypatch.setattr(funding, "KEPT_FITS", 1)
    fits = FundingFits()
    first = fits.by(one, history, HOUR)
    fits.by(other, history, HOUR)
    again = fits.by(one, history, HOUR)
    assert again is not first
    assert again == first


def test_what_follows_price_is_found_again(tmp_path: Path) -> None:
    history = History(tmp_path)
    prices = closes(1, 24 * 300)
    write_bars(history, BTC, prices)
    rng = np.random.default_rng(2)
    # A settlement is .01 times the return of the eight hours before it, a level and noise.
    last = HOUR // (8 * HOUR_MS) * 8 * HOUR_MS
    hours = np.arange(3 * 290)[::-1] * 8
    logs = np.log(prices)
    offset = (HOUR - last) // HOUR_MS
    moved = [logs[-1 - offset - h] - logs[-1 - offset - h - 8] for h in hours]
    rows = tuple(
        FundingSettlement(
            last - int(h) * HOUR_MS, float(0.01 * move + 1e-4 + 1e-5 * rng.standard_normal()), 8.0
        )
        for h, move in zip(hours, moved, strict=True)
    )
    history.append(FundingSeries("binanceusdm", "BTCUSDT", rows))
    one = gather(BTC, history, MIDNIGHT)
    found = day_funding([one], build_panel([one.closes], MIDNIGHT, 280))
    assert found.slope[0] == pytest.approx(0.01, rel=0.1)
    assert found.phi[0] == pytest.approx(0.0, abs=0.15)
    assert found.correlation.tolist() == [[1.0]]
    recent = [row.rate for row in rows if MIDNIGHT - DAY_MS < row.ts_ms <= MIDNIGHT]
    assert found.daily[-1, 0] == pytest.approx(sum(recent), rel=1e-12)
