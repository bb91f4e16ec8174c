"""Each claim in an interpreter of its own: imports happen once a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unmeasured

LIGHT = """
import sys
from perptui.venues.ccxt_import import exchange_class
binanceusdm = exchange_class("binanceusdm")
exchanges = [m for m in sys.modules if m.startswith("ccxt.async_support.") and m.count(".") == 2]
assert "ccxt.async_support.kraken" not in sys.modules
assert len(exchanges) < 8, exchanges
"""

ERRORS = """
from perptui.venues.ccxt_import import exchange_class
exchange = exchange_class("binanceusdm")()
import ccxt
table = exchange.exceptions["linear"]["exact"]
assert table["-2019"] is ccxt.InsufficientFunds, table["-2019"]
assert issubclass(ccxt.InsufficientFunds, ccxt.ExchangeError)
"""

INDEX_FIRST = """
import ccxt.async_support
from perptui.venues.ccxt_import import exchange_class
assert exchange_class("binanceusdm") is ccxt.async_support.binanceusdm
"""


@pytest.mark.parametrize("claim", [LIGHT, ERRORS, INDEX_FIRST], ids=["light", "errors", "index"])
def test_an_exchange_is_ccxts_own_however_it_is_reached(claim: str) -> None:
    command = [sys.executable, "-c", claim]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
