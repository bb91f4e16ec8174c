"""Binance's own client, in an environment of its own, against the simulated venue's port."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unmeasured

ROOT = Path(__file__).resolve().parents[2]
NO_ENVIRONMENT = 3


@pytest.mark.slow
def test_an_independent_client_reads_sends_and_queries(tmp_path: Path) -> None:
    cache = Path.home() / ".cache" / "perptui" / "peers"
    writable = os.access(cache if cache.exists() else Path.home(), os.W_OK)
    command = [sys.executable, str(ROOT / "benchmarks" / "independent_client.py")]
    command += ["--cache", str(cache if writable else tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode == NO_ENVIRONMENT:
        pytest.skip(f"the client's environment cannot be made here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") == 10
