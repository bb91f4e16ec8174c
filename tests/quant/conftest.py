"""Two hundred days of three contracts, as several tests of estimates read them."""

import pytest

from perptui.history.dataset import History
from perptui.model.snapshot import MarketSnapshot
from tests.quant.markets import BOTH, instrument, market, snapshot


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    made = History(tmp_path_factory.mktemp("history"))
    market(made, BOTH, 200)
    return made


@pytest.fixture(scope="module")
def shot() -> MarketSnapshot:
    return snapshot([instrument(venue, coin) for venue, coin in BOTH])
