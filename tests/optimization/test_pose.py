from decimal import Decimal

import msgspec
import numpy as np
import pytest

from perptui.model.errors import OptimizationError
from perptui.model.forecast import Estimates
from perptui.model.instrument import MarginTier
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import HoldingCost
from perptui.optimization.bounds import covariance_root
from perptui.optimization.pose import program_inputs
from tests.optimization.market import (
    BALANCED,
    LIMITS,
    covariance,
    estimates,
    instrument,
    snapshot,
)
from tests.optimization.random_markets import inverse
from tests.optimization.three_coins import (
    BTC,
    ETH,
    FOUND,
    LEGS,
    MARKS,
    SIGMA,
    SNAP,
    SOL,
    market_of,
    without,
)


def test_arrays_follow_the_contracts() -> None:
    inputs = program_inputs(SNAP, FOUND, BALANCED, LIMITS, {})
    assert inputs.ids == (BTC, ETH, SOL)
    assert inputs.before == pytest.approx([0.0, 0.0, 0.06])
    assert inputs.uncertainty == pytest.approx([0.01, 0.015, 0.02])
    assert inputs.linear_cost == pytest.approx(0.0006)
    # Y·sigma_day·sqrt(E/V).
    assert inputs.impact[1] == pytest.approx(0.65 / 365**0.5 * (1e5 / 1e9) ** 0.5)
    assert inputs.limits.trade_max == pytest.approx(5.0)
    assert inputs.limits.root.T @ inputs.limits.root == pytest.approx(np.array(SIGMA))
    # Gross of 3 stressed by 20 % reaches 360 000 USD: the tier from 1 000 000 is not needed.
    assert len(inputs.limits.tier_rates) == 3
    assert inputs.limits.tier_deductions[2] == pytest.approx(0.013)


def test_a_venue_may_carry_an_account_for_each_collateral() -> None:
    """Account = (venue, sub-account, collateral), method §11: dollars and coin margin apart."""
    legs = [instrument("ETH", "bybit"), inverse("BTC", "bybit")]
    marks = {one.id: "60000" if one.coin == "BTC" else "3000" for one in legs}
    snap = snapshot(legs, marks, {"bybit": "50000"})
    (dollars,) = snap.accounts
    worth = Decimal(30000)
    coin = msgspec.structs.replace(dollars, collateral="BTC", equity_usd=worth, wallet_usd=worth)
    found = estimates(snap.instruments, marks, [0.05, 0.05], [[0.01, 0.005], [0.005, 0.02]])
    for accounts in ((dollars, coin), (coin, dollars)):
        both = msgspec.structs.replace(snap, accounts=accounts)
        inputs = program_inputs(both, found, BALANCED, LIMITS, {})
        assert sum(inputs.account_equity.values()) == both.equity_usd == 80000
        carried = {one.instrument.coin: one.account for one in inputs.contracts}
        assert carried == {"BTC": "bybit(BTC)", "ETH": "bybit"}
        assert inputs.limits.equity_share.sum() == pytest.approx(1.0)
        assert inputs.limits.collateral_beta is not None
        beta = dict(zip(inputs.account_equity, inputs.limits.collateral_beta, strict=True))
        assert beta == {"bybit(BTC)": 1.0, "bybit": 0.0}


def test_the_shape_of_uncertainty_and_the_costs_of_holding_are_the_strategys() -> None:
    omega = np.array([[4e-4, 3e-4, 0.0], [3e-4, 9e-4, 0.0], [0.0, 0.0, 16e-4]])
    found = msgspec.structs.replace(FOUND, omega=tuple(map(tuple, omega.tolist())))
    strategy = msgspec.structs.replace(
        BALANCED,
        robust="ellipsoid",
        holding_costs=(HoldingCost("binanceusdm", 0.073),),
        stablecoin_apr=0.0365,
    )
    inputs = program_inputs(SNAP, found, strategy, LIMITS, {})
    assert (inputs.ellipsoid, inputs.uncertainty.tolist()) == (0.5, [0.0] * 3)
    assert inputs.omega_root is not None
    assert inputs.omega_root.T @ inputs.omega_root == pytest.approx(omega)
    # Ten days of 7.3 % and 3.65 % a year.
    assert inputs.holding_cost == pytest.approx([0.002] * 3)
    assert inputs.stablecoin_yield == pytest.approx(0.001)
    off = program_inputs(SNAP, found, msgspec.structs.replace(BALANCED, robust="off"), LIMITS, {})
    assert (off.ellipsoid, off.uncertainty.tolist(), off.omega_root) == (0.0, [0.0] * 3, None)
    # Not estimated off the diagonal: Omega is then what the deviations say.
    plain = msgspec.structs.replace(strategy, uncertainty=1.0)
    root = program_inputs(SNAP, FOUND, plain, LIMITS, {}).omega_root
    assert root is not None
    assert root.T @ root == pytest.approx(np.diag([4e-4, 9e-4, 16e-4]))


def test_the_market_is_the_most_liquid_bitcoin_and_betas_are_to_it() -> None:
    away = instrument("BTC", "bybit")
    legs, marks = [*LEGS, away], {**MARKS, away.id: "60010"}
    snap = snapshot(legs, marks, {"binanceusdm": "60000", "bybit": "40000"})
    sigma = np.array(covariance([0.5, 0.65, 0.9, 0.52], 0.7))
    found = estimates(legs, marks, [0.0] * 4, sigma.tolist())
    rows = (
        *found.instruments[:3],
        msgspec.structs.replace(found.instruments[3], volume_usd_day=1e10),
    )
    liquid = program_inputs(
        snap, msgspec.structs.replace(found, instruments=rows), BALANCED, LIMITS, {}
    ).limits
    # To the last bit, as the desk divides them for the limits of the book as it is.
    assert liquid.rows[0].tolist() == (sigma[:, 3] / sigma[3, 3]).tolist()
    assert liquid.market == pytest.approx(sigma[:, 3] / sigma[3, 3] ** 0.5)
    assert program_inputs(snap, found, BALANCED, LIMITS, {}).limits.rows[0][0] == pytest.approx(1.0)
    # The first component alone never has more volatility than the book.
    leading = liquid.rows[2]
    for weights in np.random.default_rng(3).normal(0, 1, (50, 4)):
        assert abs(leading @ weights) <= (weights @ sigma @ weights) ** 0.5 + 1e-12
    only_eth = estimates(LEGS[1:], MARKS, [0.0] * 2, sigma[1:3, 1:3].tolist())
    small = snapshot(LEGS[1:], MARKS, {"binanceusdm": "100000"})
    without_btc = program_inputs(small, only_eth, BALANCED, LIMITS, {}).limits
    assert without_btc.rows[0][0] == pytest.approx(1.0)


def test_initial_margin_is_at_the_leverage_of_the_venue_or_of_the_largest_tier() -> None:
    # Coin gross of 1.2 on 100 000 USD reaches the tier of 100x.
    assert program_inputs(SNAP, FOUND, BALANCED, LIMITS, {}).limits.initial_rate == pytest.approx(
        [0.01] * 3
    )
    account = SNAP.accounts[0]
    held = msgspec.structs.replace(account.positions[0], leverage=Decimal(20))
    told = broken(accounts=(msgspec.structs.replace(account, positions=(held,)),))
    inputs = program_inputs(told, FOUND, BALANCED, LIMITS, {})
    assert inputs.limits.initial_rate == pytest.approx([0.01, 0.01, 0.05])
    more = msgspec.structs.replace(held, leverage=Decimal(125))
    told = broken(accounts=(msgspec.structs.replace(account, positions=(more,)),))
    assert program_inputs(told, FOUND, BALANCED, LIMITS, {}).limits.initial_rate[2] == 0.01


def test_no_cap_on_size_is_infinite() -> None:
    sigma = np.array(SIGMA)
    sigma[2, :] = sigma[:, 2] = 0.0
    found = msgspec.structs.replace(FOUND, covariance=tuple(map(tuple, sigma.tolist())))
    limits = program_inputs(SNAP, found, BALANCED, LIMITS, {}).limits
    # All of a volatility of 60 %, over 50 % and 65 %.
    assert limits.size_max == pytest.approx([1.2, 0.6 / 0.65, 1000.0])


def test_smaller_caps_on_a_trade_win() -> None:
    limits = msgspec.structs.replace(LIMITS, order_notional_max_usd=Decimal(20000))
    small = msgspec.structs.replace(LEGS[2], max_contracts=Decimal(60))
    snap = msgspec.structs.replace(SNAP, instruments=(LEGS[0], LEGS[1], small))
    inputs = program_inputs(snap, FOUND, BALANCED, limits, {})
    assert inputs.limits.trade_max == pytest.approx([0.2, 0.2, 0.09])
    ticket = msgspec.structs.replace(LIMITS, ticket_notional_max_usd=Decimal(30000))
    assert program_inputs(SNAP, FOUND, BALANCED, ticket, {}).limits.turnover_max == 0.15


def test_a_held_contract_without_estimates_is_kept_and_its_risk_is_the_wildest() -> None:
    inputs = program_inputs(SNAP, without(FOUND, SOL), BALANCED, LIMITS, {})
    assert inputs.ids == (BTC, ETH, SOL)
    assert (inputs.lower[2], inputs.upper[2]) == (inputs.before[2], inputs.before[2])
    assert inputs.covariance[2].tolist() == [0.0, 0.0, SIGMA[1][1]]
    assert SOL in inputs.fixed
    assert any("no estimates" in note for note in inputs.notes)
    closed = program_inputs(SNAP, without(FOUND, SOL), BALANCED, LIMITS, {SOL: 0.0})
    assert (closed.lower[2], closed.upper[2]) == (0.0, 0.0)


def test_a_contract_that_is_neither_held_nor_estimated_is_left_out() -> None:
    assert program_inputs(SNAP, without(FOUND, ETH), BALANCED, LIMITS, {}).ids == (BTC, SOL)


def test_restricted_and_closed_contracts_keep_their_position() -> None:
    limits = msgspec.structs.replace(LIMITS, restricted=(SOL,))
    closed = msgspec.structs.replace(LEGS[0], active=False)
    snap = msgspec.structs.replace(SNAP, instruments=(closed, LEGS[1], LEGS[2]))
    inputs = program_inputs(snap, FOUND, BALANCED, limits, {})
    assert inputs.lower.tolist()[::2] == inputs.upper.tolist()[::2] == [0.0, 0.06]
    assert inputs.lower[1] < inputs.upper[1]
    with pytest.raises(OptimizationError, match="restricted: kept as it is; drop it"):
        program_inputs(SNAP, FOUND, BALANCED, limits, {SOL: 0.1})


def test_clusters_are_connected_groups_above_the_bar() -> None:
    # BTC-ETH .85 and ETH-SOL .82 are above .8, BTC-SOL .7 is not: still one group.
    matrix = np.array([[1.0, 0.85, 0.7], [0.85, 1.0, 0.82], [0.7, 0.82, 1.0]])
    spread = np.sqrt(np.diag(np.array(SIGMA)))
    sigma = (matrix * np.outer(spread, spread)).tolist()
    found = estimates(LEGS, MARKS, [0.0] * 3, sigma)
    assert program_inputs(SNAP, found, BALANCED, LIMITS, {}).clusters == ((BTC, ETH, SOL),)
    higher = msgspec.structs.replace(BALANCED, cluster_correlation=0.83)
    inputs = program_inputs(SNAP, found, higher, LIMITS, {})
    assert inputs.clusters == ((BTC, ETH),)
    assert inputs.limits.cluster.tolist() == [[1.0, 1.0, 0.0]]
    off = msgspec.structs.replace(BALANCED, cluster_correlation=1.0)
    assert program_inputs(SNAP, found, off, LIMITS, {}).clusters == ()


def test_a_contract_at_a_venue_without_an_account_cannot_be_traded() -> None:
    away = instrument("BTC", "bybit")
    legs = [*LEGS, away]
    marks = {**MARKS, away.id: "60010"}
    snap = snapshot(legs, marks, {"binanceusdm": "100000"})
    found = estimates(legs, marks, [0.0] * 4, covariance([0.5, 0.65, 0.9, 0.5], 0.7))
    assert program_inputs(snap, found, BALANCED, LIMITS, {}).ids == (BTC, ETH, SOL)


def broken(**changes: object) -> MarketSnapshot:
    return msgspec.structs.replace(SNAP, **changes)


TIERLESS = msgspec.structs.replace(LEGS[2], tiers=())
FALLING = msgspec.structs.replace(
    LEGS[2],
    tiers=tuple(
        MarginTier(Decimal(floor), None, Decimal(rate), Decimal(0), Decimal(10))
        for floor, rate in ((0, "0.02"), (1000, "0.01"))
    ),
)


@pytest.mark.parametrize(
    ("snap", "found", "text"),
    [
        (broken(accounts=()), FOUND, "positive equity"),
        (broken(as_of_ms=SNAP.as_of_ms - 1), FOUND, "no younger than the snapshot"),
        (
            SNAP,
            msgspec.structs.replace(FOUND, horizon_days=3.0),
            "estimates over 10 d, was 3 d",
        ),
        (
            broken(quotes=SNAP.quotes[:2]),
            FOUND,
            f"mark of every position, was none of {SOL}",
        ),
        (broken(instruments=(*LEGS[:2], TIERLESS)), FOUND, "maintenance tiers"),
        (broken(instruments=(*LEGS[:2], FALLING)), FOUND, "maintenance tiers"),
        (SNAP, without(FOUND, BTC, ETH, SOL), "at least one contract with estimates"),
    ],
)
def test_what_cannot_be_posed_is_refused(snap: MarketSnapshot, found: Estimates, text: str) -> None:
    with pytest.raises(OptimizationError, match=text):
        program_inputs(snap, found, BALANCED, LIMITS, {})


def test_a_target_of_no_contract_is_refused() -> None:
    with pytest.raises(OptimizationError, match="contract of the desk, was binanceusdm:DOGE"):
        program_inputs(SNAP, FOUND, BALANCED, LIMITS, {"binanceusdm:DOGE/USDT:USDT": 0.1})


def test_a_covariance_that_is_not_psd_is_refused_and_a_singular_one_is_not() -> None:
    singular = np.array([[0.04, 0.04], [0.04, 0.04]])
    root = covariance_root(singular)
    assert root.T @ root == pytest.approx(singular)
    with pytest.raises(OptimizationError, match="positive semidefinite"):
        covariance_root(np.array([[0.04, 0.05], [0.05, 0.04]]))


def test_a_target_that_opens_is_refused_while_only_reducing_is_asked_for() -> None:
    snap = market_of({BTC: "0.5"})
    found = estimates(LEGS, MARKS, [0.0] * len(LEGS), SIGMA)
    for target in (0.31, -0.01):
        with pytest.raises(OptimizationError, match=r"between 0 and the 0\.3 held"):
            program_inputs(snap, found, BALANCED, LIMITS, {BTC: target}, reduce_only=True)
    for target in (0.0, 0.3):
        inputs = program_inputs(snap, found, BALANCED, LIMITS, {BTC: target}, reduce_only=True)
        assert inputs.edited == {BTC: target}
