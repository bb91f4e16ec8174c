"""Whole margin accounts against brute force: native P&L, tiers walked, a grid of moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count

import numpy as np
import numpy.typing as npt
import pytest

from perptui.model.explanation import AccountRisk
from perptui.model.limit import LimitCheck
from perptui.risk.accounts import KEPT_DECIMALS, MarginRules, account_risks, account_states
from perptui.risk.book import Book, Holding
from perptui.risk.holding_limits import check_collateral
from perptui.risk.limits import check_limits, check_stress
from perptui.risk.liquidation import (
    Exposure,
    account_excess,
    account_shock,
    leg_shock,
)
from perptui.risk.liquidation_price import inverse_liquidation_price, liquidation_price
from perptui.risk.margin import FloatTier, Tier, deductions
from tests.optimization.market import LIMITS, TIERS

Floats = npt.NDArray[np.float64]
D = Decimal
BOOKS = 1_000
"""Compared in each test, those left out not counted."""
FARTHEST = 4.0
"""Largest move up that the grid looks at."""
RULES = MarginRules(
    margin_ratio_max=LIMITS.margin_ratio_max,
    free_collateral_min=LIMITS.free_collateral_min,
    venue_gross_max=LIMITS.venue_gross_max,
    stress_move=LIMITS.liquidation_distance_min,
    cushion=0.5,
    depeg=0.01,
)


@dataclass(frozen=True)
class Leg:
    """A contract in its venue's own terms."""

    quantity: float
    """Coins, or dollars where inverse; signed."""
    entry: float
    mark: float
    beta: float
    linear: bool
    floors: tuple[float, ...]
    rates: tuple[float, ...]

    def profit(self, price: Floats, coin_price: Floats) -> Floats:
        """Unrealised P&L in USD: in dollars, or in coins of what they are worth then."""
        if self.linear:
            return np.asarray(self.quantity * (price - self.entry))
        return np.asarray(self.quantity * (1 / self.entry - 1 / price) * coin_price)

    def margin(self, price: Floats) -> Floats:
        """Maintenance by walking the tiers: each dollar at the rate of the step it falls in."""
        size = np.abs(self.quantity) * (price if self.linear else np.ones_like(price))
        total = np.zeros_like(price)
        tops = (*self.floors[1:], np.inf)
        for floor, top, rate in zip(self.floors, tops, self.rates, strict=True):
            total += rate * np.clip(size - floor, 0.0, top - floor)
        return total

    @property
    def notional(self) -> float:
        return self.quantity * (self.mark if self.linear else 1.0)

    def exposure(self, name: str) -> Exposure[float]:
        amounts = deductions(self.floors, self.rates)
        tiers = tuple(
            FloatTier(*row, 20.0) for row in zip(self.floors, self.rates, amounts, strict=True)
        )
        return Exposure(name, self.notional, tiers, self.beta, self.linear)


@dataclass(frozen=True)
class RandomAccount:
    """A random account: collateral in dollars, or in the coin that its inverse legs settle in."""

    legs: tuple[Leg, ...]
    wallet: float
    """In its own unit."""
    coin: bool
    coin_mark: float

    @classmethod
    def drawn(cls, seed: int) -> RandomAccount:
        rng = np.random.default_rng(seed)
        coin = bool(rng.uniform() < 0.5)
        coin_mark = float(rng.uniform(1_000, 60_000))
        legs = []
        for _ in range(int(rng.integers(1, 7))):
            inverse = coin and bool(rng.uniform() < 0.5)
            # An inverse contract is on the collateral's own coin, and so moves with it.
            mark = coin_mark if inverse else float(rng.uniform(0.5, 60_000))
            notional = float(rng.normal()) * 10 ** float(rng.uniform(4.0, 6.7))
            steps = int(rng.integers(1, 6))
            floors = (0.0, *np.cumsum(10 ** rng.uniform(4.3, 6.2, steps - 1)).tolist())
            rates = tuple(np.cumsum(rng.uniform(0.002, 0.03, steps)).tolist())
            legs.append(
                Leg(
                    quantity=notional / (1.0 if inverse else mark),
                    entry=mark * float(rng.uniform(0.8, 1.25)),
                    mark=mark,
                    beta=1.0 if coin else float(rng.uniform(0.3, 2.0)),
                    linear=not inverse,
                    floors=floors,
                    rates=rates,
                )
            )
        hedged = len(legs) > 1 and bool(rng.uniform() < 0.5)
        if hedged:
            open_usd = sum(leg.notional * leg.beta for leg in legs[:-1])
            wanted = -open_usd * float(rng.uniform(0.9, 1.1)) / legs[-1].beta
            size = wanted / (legs[-1].mark if legs[-1].linear else 1.0)
            # A hedge that grows out of its tier breaks first, whichever way prices go.
            legs[-1] = replace(legs[-1], quantity=size, entry=legs[-1].mark)
        gross = sum(abs(leg.notional) for leg in legs)
        worth = gross * float(rng.uniform(0.03, 0.15 if hedged else 1.2))
        return cls(tuple(legs), worth / (coin_mark if coin else 1.0), coin, coin_mark)

    def excess(self, moves: Sequence[Floats], coin_move: Floats) -> Floats:
        """Equity less maintenance, USD, after each leg's own moves."""
        coin_price = self.coin_mark * (1 + coin_move)
        total = self.wallet * (coin_price if self.coin else np.ones_like(coin_move))
        for leg, move in zip(self.legs, moves, strict=True):
            price = leg.mark * (1 + move)
            total = total + leg.profit(price, coin_price) - leg.margin(price)
        return np.asarray(total)

    @property
    def equity(self) -> float:
        none = np.zeros(1)
        legs = sum(float(leg.margin(np.array([leg.mark]))[0]) for leg in self.legs)
        return float(self.excess([none] * len(self.legs), none)[0]) + legs

    @property
    def coin_share(self) -> float:
        """Share of the equity that is coin: all but what linear legs have earned in dollars."""
        if not self.coin:
            return 0.0
        dollars = sum(leg.quantity * (leg.mark - leg.entry) for leg in self.legs if leg.linear)
        return 1.0 - dollars / self.equity

    @property
    def exposures(self) -> list[Exposure[float]]:
        return [leg.exposure(f"leg{row}") for row, leg in enumerate(self.legs)]

    def crossing(self, betas: Sequence[float], coin_beta: float, sign: int) -> float | None:
        """Return the first move that way at which nothing is left, by grids within grids."""
        steepest = max((*betas, coin_beta))
        far = 1.0 / steepest * (1 - 1e-9) if sign < 0 else FARTHEST
        low, high = 0.0, far
        for _ in range(4):
            grid = np.linspace(low, high, 2_001)
            moves = [sign * beta * grid for beta in betas]
            gone = self.excess(moves, sign * coin_beta * grid) <= 0
            if not gone.any():
                return None
            at = int(gone.argmax())
            low, high = float(grid[max(at - 1, 0)]), float(grid[at])
        return sign * high


def agrees(found: float | None, expected: float | None, sign: int) -> bool:
    if expected is None:
        # The grid stops short of the last billionth before a price of zero, and at its far end.
        return found is None or found > FARTHEST or (sign < 0 and found < -0.4)
    return found is not None and found == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.unmeasured
def test_shocks_of_a_thousand_accounts_against_a_grid() -> None:
    seen = {"up": 0, "down": 0, "none": 0, "lost": 0, "inverse": 0}
    compared = 0
    for seed in count():
        if compared == BOOKS:
            break
        account = RandomAccount.drawn(seed)
        shock = account_shock(account.equity, account.exposures, account.coin_share)
        if shock.down == 0:
            none = np.zeros(1)
            assert float(account.excess([none] * len(account.legs), none)[0]) <= 1e-6
            seen["lost"] += 1
            continue
        betas = [leg.beta for leg in account.legs]
        down = account.crossing(betas, float(account.coin), -1)
        up = account.crossing(betas, float(account.coin), 1)
        assert agrees(shock.down, down, -1), seed
        assert agrees(shock.up, up, 1), seed
        compared += 1
        seen["down"] += down is not None
        seen["up"] += up is not None
        seen["none"] += down is None and up is None
        seen["inverse"] += not all(leg.linear for leg in account.legs)
    assert min(seen.values()) >= 10, seen


def halved(equity: Decimal, legs: Sequence[Exposure[Decimal]], coin: int, sign: int) -> Decimal:
    """Return the root by bisection between nothing and the first zero price, or a rise by 2^64."""
    inside, outside = D(0), D(-1) if sign < 0 else D(2**64)
    for _ in range(160):
        middle = (inside + outside) / 2
        if account_excess(equity, legs, middle, coin) > 0:
            inside = middle
        else:
            outside = middle
    return outside


def test_the_closed_form_is_what_halving_finds_to_the_last_digit_shown() -> None:
    seen = 0
    for seed in range(150):
        book = random_book(seed)
        for account, equity in book.equity.items():
            legs, coin = book.legs[account], book.collateral_beta(account)
            for sign, found in ((-1, book.shocks[account].down), (1, book.shocks[account].up)):
                if not found:
                    continue
                root = halved(equity, legs, coin, sign)
                assert round(float(found), KEPT_DECIMALS) == round(float(root), KEPT_DECIMALS)
                assert found == pytest.approx(root, rel=D("1e-20"), abs=D(0))
                seen += 1
    assert seen > 100


def test_a_hedge_may_break_either_way() -> None:
    """Down by the net long; up because both legs grow into a tier of 30 %."""
    legs = tuple(
        Leg(quantity, 100.0, 100.0, 1.0, True, (0.0, 5_500_000.0), (0.01, 0.3))
        for quantity in (52_500.0, -47_500.0)
    )
    account = RandomAccount(legs, 400_000.0, coin=False, coin_mark=1.0)
    shock = account_shock(account.equity, account.exposures)
    # 400 000 + 500 000 x = 100 000 (1 + x), and with 10M (1 + x)·.3 - 2·.29·5.5M on the right.
    assert shock.down == pytest.approx(-3 / 4)
    assert shock.up == pytest.approx(590_000 / 2_500_000)
    assert account.crossing([1.0, 1.0], 0.0, -1) == pytest.approx(shock.down)
    assert account.crossing([1.0, 1.0], 0.0, 1) == pytest.approx(shock.up)
    assert (shock.down_leg, shock.up_leg) == ("leg0", "leg1")


@pytest.mark.unmeasured
def test_leg_prices_of_a_thousand_accounts_against_a_grid() -> None:
    closed = compared = 0
    for seed in count():
        if compared == BOOKS:
            break
        account = RandomAccount.drawn(seed)
        row = seed % len(account.legs)
        leg, name = account.legs[row], f"leg{row}"
        # The collateral moves with the leg's price where it is the same coin.
        coin = float(account.coin and not leg.linear)
        if not leg.linear and sum(not one.linear for one in account.legs) > 1:
            continue  # other inverse legs would move with it: that is no price of one leg alone
        share = coin * account.coin_share
        shock = leg_shock(account.equity, account.exposures, name, share)
        if shock.down == 0:
            continue
        betas = [float(index == row) for index in range(len(account.legs))]
        assert agrees(shock.down, account.crossing(betas, coin, -1), -1), seed
        assert agrees(shock.up, account.crossing(betas, coin, 1), 1), seed
        compared += 1
        if leg.linear and not account.coin:
            others = [one for index, one in enumerate(account.legs) if index != row]
            marks = [np.array([one.mark]) for one in others]
            unrealised = sum(
                float(one.profit(mark, mark)[0]) for one, mark in zip(others, marks, strict=True)
            )
            margins = sum(
                float(one.margin(mark)[0]) for one, mark in zip(others, marks, strict=True)
            )
            price = liquidation_price(
                leg.quantity,
                leg.entry,
                account.wallet,
                leg.exposure(name).tiers,
                unrealised,
                margins,
            )
            move = shock.down if leg.quantity > 0 else shock.up
            if move is None:
                assert price is None
            else:
                assert price == pytest.approx(leg.mark * (1 + move))
            closed += 1
    assert closed > 200


def test_a_single_inverse_leg_is_the_closed_form() -> None:
    seen = 0
    for seed in range(300):
        account = RandomAccount.drawn(seed)
        leg = account.legs[0]
        if leg.linear:
            continue
        alone = replace(account, legs=(leg,))
        shock = leg_shock(alone.equity, alone.exposures, "leg0", 1)
        price = inverse_liquidation_price(
            leg.quantity, 1.0, leg.entry, account.wallet, leg.exposure("leg0").tiers
        )
        roots = [move for move in (shock.down, shock.up) if move is not None]
        if shock.down == 0:
            continue
        assert (price is None) == (not roots)
        if price is not None:
            assert price == pytest.approx(leg.mark * (1 + roots[0]), rel=1e-9)
            seen += 1
    assert seen > 20


def test_the_leg_named_is_one_of_the_accounts() -> None:
    with pytest.raises(ValueError, match="named nobody"):
        leg_shock(1.0, RandomAccount.drawn(0).exposures, "nobody")


# ------------------------------------------------------------------ the transfer that mends


def random_book(seed: int) -> Book[Decimal]:
    rng = np.random.default_rng(seed)
    accounts = ("one", "two", "three")[: int(rng.integers(1, 4))]
    holdings = tuple(
        Holding(
            id=f"{account}:{coin}",
            coin=coin,
            account=account,
            notional=D(f"{rng.normal() * 10 ** rng.uniform(4, 6.3):.2f}"),
            before=D(0),
            tiers=TIERS,
            linear=account != "three" or coin != "BTC",
        )
        for account in accounts
        for coin in ("BTC", "ETH")
    )
    equity = {account: D(f"{10 ** rng.uniform(3.5, 6.5):.2f}") for account in accounts}
    return Book(holdings, equity)


def margin_checks(book: Book[Decimal]) -> dict[str, LimitCheck]:
    checks = (
        *check_limits(book, LIMITS),
        *check_stress(book, RULES.stress_move, RULES.cushion, RULES.depeg),
        *check_collateral(book, RULES.free_collateral_min),
    )
    kinds = ("margin_ratio", "margin_stress", "free_collateral")
    return {check.name: check for check in checks if check.name.startswith(kinds)}


def moved(book: Book[Decimal], account: str, amount: Decimal, source: str = "") -> Book[Decimal]:
    equity = dict(book.equity)
    equity[account] += amount
    if source:
        equity[source] -= amount
    return replace(book, equity=equity)


def holds(book: Book[Decimal], account: str) -> bool:
    checks = margin_checks(book)
    return all(check.ok for name, check in checks.items() if name.endswith(f":{account}"))


def test_a_transfer_mends_and_a_cent_less_does_not() -> None:
    seen = {"mended": 0, "fine": 0, "given": 0, "nobody": 0}
    for seed in range(120):
        book = random_book(seed)
        for found in account_risks(book, RULES):
            if found.transfer_usd == 0:
                assert holds(book, found.name)
                seen["fine"] += 1
                continue
            seen["mended"] += 1
            assert not holds(book, found.name)
            assert holds(moved(book, found.name, found.transfer_usd), found.name)
            assert not holds(moved(book, found.name, found.transfer_usd - D("0.01")), found.name)
            seen["given" if found.transfer_from else "nobody"] += 1
            if found.transfer_from:
                after = moved(book, found.name, found.transfer_usd, found.transfer_from)
                assert holds(after, found.transfer_from)
            else:
                others = [name for name in book.equity if name != found.name]
                assert not any(able(book, found, name) for name in others)
    assert min(seen.values()) >= 10, seen


def able(book: Book[Decimal], found: AccountRisk, name: str) -> bool:
    after = moved(book, found.name, found.transfer_usd, name)
    if sum(after.equity.values()) <= 0 or after.equity[name] <= 0:
        return False
    gross = next(
        check for check in check_limits(after, LIMITS) if check.name == f"venue_gross:{name}"
    )
    return holds(after, name) and gross.ok


def test_figures_by_hand() -> None:
    # 2M long BTC on 500 000: MM = .025·2M - 16 300 = 33 700 at the last step.
    held = Holding("one:BTC", "BTC", "one", D(2_000_000), D(0), TIERS)
    book = Book((held,), {"one": D(500_000), "two": D(500_000)})
    rules = replace(RULES, cushion=0.5, depeg=0.0)
    one, two = account_risks(book, rules)
    assert one.maintenance_usd == D("33700.00")
    assert one.margin_ratio == pytest.approx(33_700 / 500_000)
    # 20 % down: 400 000 lost, MM(1.6M) = 23 700, half as much again: 435 550.
    assert one.stressed_ratio == pytest.approx(435_550 / 500_000)
    # 20x above a million: 100 000 bound, of which 90 % may be.
    assert one.free_usd == D("400000.00")
    # 500 000 + 2M x = .025·2M·(1 + x) - 16 300  =>  x = -466 300/1 950 000
    assert one.liquidation_down == pytest.approx(-466_300 / 1_950_000)
    assert (one.liquidation_down_leg, one.liquidation_up) == ("one:BTC", None)
    assert (one.transfer_usd, one.transfer_from) == (D("0.00"), "")
    poor = replace(book, equity={"one": D(400_000), "two": D(600_000)})
    lacking = account_risks(poor, rules)[0]
    assert (lacking.transfer_usd, lacking.transfer_from) == (D("35550.00"), "two")
    assert two.margin_ratio == 0


def test_floats_and_decimals_agree() -> None:
    for seed in range(100):
        exact = random_book(seed)
        rough = Book(
            tuple(
                Holding(
                    one.id,
                    one.coin,
                    one.account,
                    float(one.notional),
                    float(one.before),
                    tuple(floats(tier) for tier in one.tiers),
                    linear=one.linear,
                )
                for one in exact.holdings
            ),
            {name: float(equity) for name, equity in exact.equity.items()},
        )
        for left, right in zip(
            account_states(exact, RULES), account_states(rough, RULES), strict=True
        ):
            for name in ("maintenance", "stressed", "bound", "required", "to_keep"):
                assert float(getattr(left, name)) == pytest.approx(getattr(right, name), abs=1e-6)
            for way in ("down", "up"):
                ours, theirs = getattr(left.shock, way), getattr(right.shock, way)
                assert (ours is None) == (theirs is None)
                if ours is not None:
                    assert float(ours) == pytest.approx(theirs, abs=1e-12)


def floats(tier: Tier[Decimal]) -> FloatTier:
    return FloatTier(
        float(tier.floor_usd), float(tier.rate), float(tier.deduction_usd), float(tier.max_leverage)
    )


def test_limits_that_no_equity_meets_are_refused() -> None:
    with pytest.raises(ValueError, match="no equity would do"):
        account_states(random_book(0), replace(RULES, free_collateral_min=1.01))


def test_where_no_margin_may_be_bound_no_transfer_is_asked_for() -> None:
    """Free collateral of 1: no equity carries any position, so more of it would mend nothing."""
    states = account_states(random_book(0), replace(RULES, free_collateral_min=1.0))
    held = [one for one in states if one.bound > 0]
    assert held
    for one in held:
        assert one.required >= one.equity
        assert one.spare == 0
    flat = Book[float]((), {"one": 1_000.0})
    assert account_states(flat, replace(RULES, free_collateral_min=1.0))[0].required == 0


def test_a_named_stress_counts_where_it_is_the_worst() -> None:
    # 2M long and 1M short: a coin that falls alone takes more than all prices falling together.
    book = Book(
        (
            Holding("one:BTC", "BTC", "one", D(2_000_000), D(0), TIERS),
            Holding("one:ETH", "ETH", "one", D(-1_000_000), D(0), TIERS),
        ),
        {"one": D(1_000_000)},
    )
    rules = replace(RULES, depeg=0.0, named={"btc alone": {"one:BTC": -0.4}})
    # 800 000 lost; MM(1.2M) = 13 700 and MM(1M) = 8 700, half as much again.
    found = account_risks(book, rules)[0]
    assert found.stressed_ratio == pytest.approx((800_000 + 1.5 * (13_700 + 8_700)) / 1e6)
    checks = check_stress(book, 0.2, 0.5, 0.0, {"btc alone": {"one:BTC": D("-0.4")}})
    assert [one.name for one in checks] == ["margin_stress:one", "margin_stress_btc alone:one"]
    assert found.stressed_ratio == pytest.approx(max(one.value for one in checks), rel=1e-12)
