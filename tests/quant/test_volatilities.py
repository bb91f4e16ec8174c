"""Each model's volatility at the hour: midnight's variance times pace to its elasticity."""

import math
from dataclasses import replace

import numpy as np
import pytest

from perptui.estimation.variance.forecast import MODELS
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS
from perptui.quant.day import DayView, day_view
from perptui.quant.volatilities import present_volatility, volatility_of
from tests.quant.markets import BALANCED, HOUR, TACTICAL, market

COINS = [("binanceusdm", "BTC"), ("binanceusdm", "ETH")]
PACE = np.array([1.0, 2.5])


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> tuple[DayView, DayView]:
    history = History(tmp_path_factory.mktemp("volatility"))
    contracts = market(history, COINS, 200)
    midnight = HOUR // DAY_MS * DAY_MS
    balanced, tactical = (
        day_view(contracts, how, history, midnight) for how in (BALANCED, TACTICAL)
    )
    return balanced, tactical


def test_each_model_takes_its_share_of_the_pace(days: tuple[DayView, DayView]) -> None:
    for day in days:
        said = present_volatility(day, PACE)
        found = day.variances
        for k, pace in enumerate(PACE.tolist()):
            for name, variance, elasticity in (
                ("ewma", found.ewma[-1, k], day.elasticity.models[0]),
                ("realised", found.realised[-1, k], day.elasticity.models[1]),
                ("combined", found.combined[-1, k], day.elasticity.combined),
            ):
                wanted = math.sqrt(365 * variance * pace**elasticity)
                assert getattr(said, name)[k] == pytest.approx(wanted, rel=1e-12)
            assert [model.name for model in said.models[k]] == list(MODELS)
            for row, model in enumerate(said.models[k]):
                levelled = found.combination.levelled[row, -1, k]
                wanted = math.sqrt(365 * levelled * pace ** day.elasticity.models[row])
                assert model.volatility == pytest.approx(wanted, rel=1e-12)
                assert model.fallback == found.fallbacks[row][k]


def test_weights_are_those_in_use(days: tuple[DayView, DayView]) -> None:
    balanced, tactical = (present_volatility(day, PACE) for day in days)
    assert [model.weight for model in balanced.models[0]] == [1.0, 0.0, 0.0, 0.0, 0.0]
    own = days[1].variances.combination.weights[:, -1, 1]
    assert [model.weight for model in tactical.models[1]] == own.tolist()
    assert sum(own) == pytest.approx(1.0)


def test_totals_are_annualised_and_what_is_shared_is_a_correlation(
    days: tuple[DayView, DayView],
) -> None:
    day = days[0]
    said = present_volatility(day, PACE)
    price, funding, correlation = 0.08**2, 0.01**2, 0.3
    shared = correlation * 0.01
    total = price + funding - 2 * correlation * 0.08 * 0.01
    found = volatility_of(1, day, said, total, funding, shared)
    # Over a horizon of 14 days.
    assert found.total == pytest.approx(math.sqrt(total * 365 / 14))
    assert found.funding == pytest.approx(0.01 * math.sqrt(365 / 14))
    assert found.return_funding_correlation == pytest.approx(correlation)
    assert found.exit_cost_sd == pytest.approx(math.sqrt(day.liquidity.exit_variance[1]))
    assert found.downside == pytest.approx(day.downside[1])
    assert found.models == said.models[1]


def test_what_is_not_known_is_none(days: tuple[DayView, DayView]) -> None:
    nothing = np.full(2, np.nan)
    day = replace(days[0], downside=nothing, jump_share=nothing)
    found = volatility_of(0, day, present_volatility(day, PACE), 0.01, 0.0, 0.0)
    assert found.downside is None
    assert found.jump_share is None
    assert found.return_funding_correlation is None
    assert found.funding == 0.0
