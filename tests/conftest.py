"""Fixtures of every test: a clean environment, the market history, snapshots in one place."""

import decimal
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import coverage
import hypothesis
import pytest
import pytest_textual_snapshot
from syrupy.location import PyTestLocation

from tests.canary import CANARY, sweep

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOTS = ROOT / "snapshots"
XDG_DIRECTORIES = ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "CACHE_HOME")
MEASURED_CHILDREN = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""Where an interpreter reads at its start that it is measured."""


class SnapshotExtension(pytest_textual_snapshot.SVGImageExtension):
    """Snapshots as plain `.svg` files under the top-level `snapshots/`, by test module."""

    # The plugin sets the attribute's old name, which syrupy 7 no longer reads: it writes `.raw`.
    file_extension = "svg"

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        """Return `snapshots/<package>/<module>` for a test in `tests/<package>/<module>.py`."""
        module = Path(test_location.filepath).resolve().relative_to(ROOT / "tests")
        return str(SNAPSHOTS / module.with_suffix(""))


# Two cores shared by test workers make any deadline a coin toss; CI must fail the same way twice.
hypothesis.settings.register_profile("perptui", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("perptui")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage of a test marked `unmeasured`, its fixtures and its processes included.

    On Python 3.11 tracing doubles the time of everything, the libraries' lines included.
    """
    measuring = coverage.Coverage.current()
    if measuring is None or item.get_closest_marker("unmeasured") is None:
        return (yield)
    inherited = {name: os.environ.pop(name) for name in MEASURED_CHILDREN if name in os.environ}
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()
        os.environ.update(inherited)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose output or log holds the canary key."""
    report = yield
    if report.passed and any(CANARY in text for _title, text in report.sections):
        report.outcome = "failed"
        report.longrepr = "expected no secret in output or log, was the canary key; redact it"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Fail a session that left the canary key in any file of any test: logs, journals, exports."""
    result = yield
    factory = getattr(session.config, "_tmp_path_factory", None)
    found = [] if factory is None else sweep([factory.getbasetemp()])
    if found:
        sys.stderr.write("\nexpected no secret in any file, was the canary key in:\n")
        sys.stderr.writelines(f"  {place}\n" for place in found)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result


@pytest.fixture(autouse=True)
def _snapshots_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest_textual_snapshot, "SVGImageExtension", SnapshotExtension)


@pytest.fixture(autouse=True)
def _clean_decimal_context() -> None:
    """Each test starts as a process does: ccxt, once loaded, changes the thread's rounding."""
    decimal.setcontext(decimal.DefaultContext.copy())


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No colour switch, no settings and no files of the person who runs the tests."""
    for name in [name for name in os.environ if _belongs_to_the_person(name)]:
        monkeypatch.delenv(name)
    for name in XDG_DIRECTORIES:
        directory = tmp_path / "xdg" / name.lower()
        directory.mkdir(parents=True, mode=0o700)
        monkeypatch.setenv(f"XDG_{name}", str(directory))
    # Sockets live here, and a socket's path has 107 bytes: pytest's own folders use them up.
    with tempfile.TemporaryDirectory(prefix="pt-") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        yield


def _belongs_to_the_person(name: str) -> bool:
    if name in {"NO_COLOR", "CREDENTIALS_DIRECTORY"}:
        return True
    if name.startswith("PERPTUI_"):
        return name != "PERPTUI_HISTORY"
    return name.startswith("TEXTUAL") and not name.startswith("TEXTUAL_SNAPSHOT_")


@pytest.fixture(scope="session")
def history_dir() -> Path:
    """Real market history: `PERPTUI_HISTORY`, else `../shared/data` beside the repository."""
    named = os.environ.get("PERPTUI_HISTORY")
    directory = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (directory / "MANIFEST.csv").is_file():
        pytest.skip(f"no market history in {directory}: set PERPTUI_HISTORY to a directory with it")
    return directory
