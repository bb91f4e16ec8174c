"""The floors of the architecture, as written in the source and as seen at run time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import (
    PACKAGE,
    ROOT,
    facts,
    loaded_by,
    modules_of,
    python_files,
    roots,
    short,
)

pytestmark = pytest.mark.unmeasured
NUMERICAL = {"numpy", "pandas", "pyarrow", "scipy", "cvxpy", "arch", "clarabel", "piqp"}
ASYNCHRONOUS = {"venues", "simulator", "desk", "client", "tui"}
# msgspec itself loads typing_extensions where it is installed.
RECORDS = {"perptui", "msgspec", "typing_extensions"}
STDLIB_GENERIC = ("margin", "liquidation", "liquidation_price", "limits")


def test_the_import_contracts_hold() -> None:
    """In a process of its own: import-linter switches off every logger that there is."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ["model", "protocol"])
def test_records_load_msgspec_and_the_standard_library_only(package: str) -> None:
    assert roots(loaded_by(modules_of(f"perptui.{package}"))) <= RECORDS


def test_settings_add_only_tomli_and_platformdirs() -> None:
    loaded = roots(loaded_by(modules_of("perptui.settings")))
    # A compiled tomli carries its runtime as a module of its own, named after a hash.
    loaded = {name for name in loaded if not name.endswith("__mypyc")}
    assert loaded <= RECORDS | {"tomli", "platformdirs"}


def test_commands_load_heavy_libraries_only_when_they_run() -> None:
    assert not roots(loaded_by(modules_of("perptui.cli"))) & (NUMERICAL | {"ccxt", "aiohttp"})


@pytest.mark.parametrize("package", ["tui", "client"])
def test_the_terminal_loads_no_numerical_or_venue_library(package: str) -> None:
    loaded = loaded_by(modules_of(f"perptui.{package}"))
    assert not roots(loaded) & (NUMERICAL | {"ccxt", "aiohttp"})
    assert "sqlite3" not in loaded


@pytest.mark.slow
@pytest.mark.parametrize("package", ["desk", "journal", "venues"])
def test_the_desk_loads_no_numerical_library(package: str) -> None:
    assert not roots(loaded_by(modules_of(f"perptui.{package}"))) & NUMERICAL


def test_the_desk_process_starts_without_ccxt() -> None:
    modules = [name for name in modules_of("perptui.desk") if name != "perptui.desk.__main__"]
    assert "ccxt" not in roots(loaded_by(modules))


@pytest.mark.slow
@pytest.mark.parametrize(
    "package", ["history", "estimation", "risk", "optimization", "backtest", "quant"]
)
def test_quantitative_floors_load_no_screen_venue_settings_or_journal(package: str) -> None:
    loaded = loaded_by(modules_of(f"perptui.{package}"))
    assert not roots(loaded) & {"textual", "ccxt", "aiohttp"}
    assert not {"perptui.settings", "perptui.journal"} & loaded


ESTIMATING = """
import sys
from pathlib import Path
from perptui.quant.estimate import estimate
from perptui.quant.worker import Worker
from perptui.history.dataset import History
from perptui.model.jobs import EstimateJob
from tests.quant.markets import TACTICAL, market, snapshot
history = History(Path(sys.argv[1]))
found = market(history, [("binanceusdm", "BTC"), ("bybit", "BTC")], 620)
made = estimate(EstimateJob(snapshot(found), TACTICAL), history)
garch = next(one for one in made.instruments[0].volatility.models if one.name == "garch")
print(garch.fallback)
print(*sorted(sys.modules))
"""


@pytest.mark.slow
def test_no_estimate_waits_for_a_library_of_seconds(tmp_path: Path) -> None:
    """Also not one that fits every model that is fitted live."""
    command = [sys.executable, "-c", ESTIMATING, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    fallback, modules = done.stdout.splitlines()
    assert "days" not in fallback
    slow = {"arch", "pandas", "cvxpy", "scipy.stats", "scipy.signal", "scipy.optimize"}
    assert not slow & set(modules.split())


@pytest.mark.parametrize("module", STDLIB_GENERIC)
def test_the_rules_of_margin_load_the_standard_library_and_records_only(module: str) -> None:
    assert roots(loaded_by([f"perptui.risk.{module}"])) <= RECORDS


def test_only_ccxt_adapters_import_ccxt() -> None:
    importers = {
        file
        for file in python_files("perptui")
        if any(name.partition(".")[0] == "ccxt" for name in facts(file).imports)
    }
    strangers = {
        short(file)
        for file in importers
        if file.parent != PACKAGE / "venues" or not file.name.startswith("ccxt_")
    }
    assert importers, "the adapter itself imports ccxt: the search found nothing"
    assert not strangers


def test_coroutines_live_on_their_floors_only() -> None:
    strangers = {
        short(file)
        for file in python_files("perptui")
        if facts(file).asynchronous and file.relative_to(PACKAGE).parts[0] not in ASYNCHRONOUS
    }
    assert not strangers


def test_no_mocks() -> None:
    mocked = {
        short(file)
        for file in python_files("perptui", "tests", "benchmarks")
        if any(
            name.startswith(("unittest.mock", "mock", "pytest_mock"))
            for name in facts(file).imports
        )
    }
    assert not mocked
