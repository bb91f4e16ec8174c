import pytest

from perptui.model.errors import ConfigError
from perptui.settings.load import load

KEY = "strategy.balanced.soft_limits"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["gross"], "expected names among cvar, volatility"),
        (["turnover", "turnover"], "expected each limit once, was ['turnover', 'turnover']"),
        (["cvar", "turnover"], "expected the least important first, was ['cvar', 'turnover']"),
        (["net", "volatility", "beta"], "write net, beta, volatility"),
    ],
)
def test_what_may_not_give_way_or_not_in_that_order_is_refused(names: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(None, {KEY: names})
    assert said in str(raised.value)
    assert str(raised.value).startswith(KEY)
    assert "; " in str(raised.value)


@pytest.mark.parametrize(
    "names", [[], ["turnover"], ["turnover", "net", "beta", "volatility", "cvar"]]
)
def test_the_least_important_come_first(names: list[str]) -> None:
    strategy = load(None, {KEY: names}).settings.strategy["balanced"]
    assert strategy.soft_limits == tuple(names)
