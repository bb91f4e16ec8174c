"""The limits panel: live checks, what the proposal measured, and prices."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from perptui.desk.proposing.proposal_picture import ProposalPicture
from perptui.desk.views.limits import market_of, unit_of
from perptui.model.explanation import Explanation, LimitPrice
from perptui.model.limit import LimitCheck
from perptui.model.proposal import Proposal
from perptui.model.whatif import PutQuote, WhatIf
from perptui.protocol.views import LimitRow
from tests.desk.estimated import estimates, proposal
from tests.desk.market import BTC, ETH, VENUE, limits
from tests.desk.views.test_desk_view import Desk

replace = msgspec.structs.replace
MEASURED = (
    LimitCheck("volatility", 0.75, 0.6, ok=False),
    LimitCheck("cvar", 0.31, 0.25, ok=False),
    LimitCheck("first_component", 0.56, 0.31, ok=False),
    LimitCheck("gross", 99.0, 3.0, ok=False),
    LimitCheck(f"free_collateral:{VENUE}", 0.71, 0.2, ok=True, at_least=True),
)


def shown(made: Proposal | None) -> dict[str, LimitRow]:
    picture = ProposalPicture("balanced", "ready", proposal=made, estimates=estimates())
    return {row.name: row for row in Desk().fill().panels(picture).limits.rows}


def test_beta_own_risk_and_free_collateral_are_live() -> None:
    """BTC 1.3 long and ETH .64 short of equity, 60 % a year each, correlation one half."""
    rows = shown(None)
    assert rows["beta"].now == pytest.approx(1.3 - 0.5 * 0.64)
    assert rows[f"standalone_risk:{BTC}"].now == pytest.approx(1.3 * 0.6)
    assert rows[f"standalone_risk:{BTC}"].limit == 0.6
    assert rows[f"standalone_risk:{BTC}"].state == "BREACH"
    assert rows[f"standalone_risk:{ETH}"].now == pytest.approx(0.64 * 0.6)
    # 39 000 and 19 200 USD, both in the tier of 125x, of 30 000.
    assert rows[f"free_collateral:{VENUE}"].now == pytest.approx(1 - 58200 / 125 / 30000)
    assert rows[f"free_collateral:{VENUE}"].at_least


def test_what_only_the_optimiser_measures_stands_while_the_book_does() -> None:
    rows = shown(replace(proposal(), limits_now=MEASURED))
    assert (rows["cvar"].now, rows["cvar"].state) == (0.31, "BREACH")
    leading = rows["first_component"]
    assert (leading.now, leading.limit, leading.state) == (0.56, 0.6, "WARN")
    assert (rows["volatility"].now, rows["volatility"].state) == (0.75, "BREACH")
    # At the leverage that what it is after the proposal is worked out at.
    assert rows[f"free_collateral:{VENUE}"].now == 0.71
    # What is live stays so.
    assert rows["gross"].now == pytest.approx(1.94)
    assert rows["margin_stress:binanceusdm"].now is None


@pytest.mark.parametrize(
    ("bent", "market"),
    [
        (WhatIf(equity_usd=Decimal(9)), "equity 9"),
        (WhatIf(shocks={"*": -0.1, "BTC": 0.25}), "prices BTC +25, all -10 %"),
    ],
)
def test_on_a_supposed_market_all_of_now_is_on_it_and_judged_by_the_desks_limits(
    bent: WhatIf, market: str
) -> None:
    floor = LimitCheck(f"liquidation:{VENUE}", 0.5, 0.9, ok=False, at_least=True)
    made = replace(proposal(), limits_now=(*MEASURED, floor), what_if=bent)
    picture = ProposalPicture("balanced", "ready", proposal=made, estimates=estimates())
    view = Desk().fill().panels(picture).limits
    rows = {row.name: row for row in view.supposed}
    assert view.proposed == view.supposed
    assert view.market == market
    # Outside of what is proposed the book is the one that is, and no supposed target beside it.
    real = {row.name: row for row in view.rows}
    assert real["gross"].now == pytest.approx(1.94)
    assert real["gross"].after is None
    assert real["volatility"].now != 0.75
    assert real["margin_stress:binanceusdm"].now is None
    assert (rows["cvar"].now, rows["gross"].now, rows["volatility"].now) == (0.31, 99.0, 0.75)
    assert (rows["gross"].state, rows["gross"].limit) == ("BREACH", 3.0)
    assert rows[floor.name].limit == limits().liquidation_distance_min
    assert rows[floor.name].state == "ok"
    # Another position than the proposal knows: the book as it is, on the market as it is.
    first = replace(made.rows[0], contracts_now=Decimal("0.41"))
    other = shown(replace(made, rows=(first, made.rows[1])))
    assert other["gross"].now == pytest.approx(1.94)
    assert "cvar" not in other


def test_a_put_that_is_only_supposed_leaves_what_is_measured() -> None:
    put = PutQuote("BTC", 50_000.0, 1_900_000_000_000, 1_200.0)
    rows = shown(replace(proposal(), limits_now=MEASURED, what_if=WhatIf(puts=(put,))))
    assert rows["cvar"].now == 0.31
    assert rows["gross"].now == pytest.approx(1.94)


@pytest.mark.parametrize("moved", ["position", "regime"])
def test_it_does_not_once_the_book_is_another(moved: str) -> None:
    made = replace(proposal(), limits_now=MEASURED)
    if moved == "position":
        first = replace(made.rows[0], contracts_now=Decimal("0.41"))
        made = replace(made, rows=(first, made.rows[1]))
    else:
        made = replace(made, what_if=WhatIf(regime="crisis"))
    rows = shown(made)
    assert "cvar" not in rows
    # The plain one, from the estimates: w'Sigma w of 1.3 and -.64 at one half.
    variance = 0.36 * (1.3**2 + 0.64**2 - 1.3 * 0.64)
    assert rows["volatility"].now == pytest.approx(variance**0.5)


def test_prices_and_other_limits_of_the_proposal_stand_beside_their_rows() -> None:
    tighter = (LimitCheck("gross", 0.7517, 1.5, ok=True), *proposal().limits[1:])
    explained = Explanation(limits=(LimitPrice("gross", 123.4, "gross_max"),))
    rows = shown(replace(proposal(), limits=tighter, explanation=explained))
    gross, coin = rows["gross"], rows["coin_net:BTC"]
    assert (gross.limit, gross.limit_after, gross.price_usd_day) == (3.0, 1.5, 123.4)
    assert (coin.limit_after, coin.price_usd_day) == (None, None)


def test_the_market_is_the_most_liquid_bitcoin_else_the_most_liquid_contract() -> None:
    made = estimates()
    assert market_of(made) == 0
    other = replace(made.instruments[0], coin="SOL")
    first, second = other, replace(made.instruments[1], volume_usd_day=9e9)
    assert market_of(replace(made, instruments=(first, second))) == 1
    assert market_of(replace(made, instruments=(first, replace(second, coin="BTC")))) == 1


def test_without_cover_or_movement_nothing_is_estimated() -> None:
    made = estimates()
    flat = replace(made, covariance=((0.0, 0.0), (0.0, 0.0)))
    only = replace(made, instruments=made.instruments[:1], covariance=((0.01,),))
    for found in (flat, only):
        picture = ProposalPicture("balanced", estimates=found)
        rows = {row.name for row in Desk().fill().panels(picture).limits.rows}
        assert "beta" not in rows
        assert f"free_collateral:{VENUE}" in rows


def test_units_of_the_new_limits() -> None:
    assert unit_of("beta") == "x"
    assert {unit_of(name) for name in ("cvar", "standalone_risk:a", "free_collateral:b")} == {
        "fraction"
    }


def test_now_is_judged_by_the_limits_of_the_desk_and_after_by_those_of_the_proposal() -> None:
    """A CVaR of .1 breaches a what-if's .01, which the desk's own cvar_max is well above."""
    own = limits().cvar_max
    bent = LimitCheck("cvar", 0.1, 0.01, ok=False)
    after = (*proposal().limits, LimitCheck("cvar", 0.008, 0.01, ok=True))
    row = shown(replace(proposal(), limits_now=(bent,), limits=after))["cvar"]
    assert own > 0.12
    assert (row.limit, row.now, row.state) == (own, 0.1, "ok")
    assert (row.limit_after, row.after, row.state_after) == (0.01, 0.008, "ok")


@pytest.mark.parametrize("why", ["equity", "regime", "looser", "infeasible"])
def test_what_is_only_supposed_stands_beside_no_real_book(why: str) -> None:
    """Targets, carry and limits after a trade that is never made are no figures of the desk."""
    made = replace(proposal(), limits_now=MEASURED)
    picture = ProposalPicture("balanced", "ready", proposal=made, estimates=estimates())
    real = Desk().fill().panels(picture)
    if why == "looser":
        picture = replace(picture, shown_only=("gross_max 9 is looser than the desk's 3",))
    elif why == "infeasible":
        picture = replace(picture, proposal=replace(made, status="infeasible"))
    else:
        bent = WhatIf(regime="crisis") if why == "regime" else WhatIf(equity_usd=Decimal(250_000))
        picture = replace(picture, proposal=replace(made, what_if=bent))
    view = Desk().fill().panels(picture)
    assert real.positions.gross_target is not None
    assert {row.weight_target for row in view.positions.rows} == {None}
    assert view.positions.gross_target is None
    assert view.funding.carry_usd_day_after is None
    assert view.status.exposure is None
    assert view.status.carry_usd_day_after is None
    assert view.regime.exposure_used is None
    assert {(row.after, row.limit_after) for row in view.limits.rows} == {(None, None)}
    assert view.limits.supposed
    assert view.rebalance.rows, "the Rebalance view shows it all the same"
    before, now = (
        {row.name: row.state for row in one.limits.rows if row.name in {"gross", "net_max"}}
        for one in (real, view)
    )
    assert now == before
