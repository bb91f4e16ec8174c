"""Let Binance's own USD-M client read the account, send and query an order at the simulated venue.

    python benchmarks/independent_client.py [--peer PYTHON] [--cache DIR]

The client (`binance-sdk-derivatives-trading-usds-futures`) lives in an environment of its own,
made from `peers/binance-client.txt` with hashes in a cache directory unless `--peer` names the
interpreter of one. Exit codes: 0 every check held, 1 one did not, 3 no environment could be made.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "peers" / "binance-client.txt"
NO_ENVIRONMENT = 3


def environment(cache: Path) -> Path | None:
    """Return the interpreter of the client's environment, made if need be; None if it cannot."""
    python = cache / "binance-client" / "bin" / "python"
    probe = "import binance_sdk_derivatives_trading_usds_futures"
    if python.exists() and subprocess.run([python, "-c", probe], check=False).returncode == 0:
        return python
    install = ["--require-hashes", "--requirement", str(REQUIREMENTS)]
    folder = str(python.parents[1])
    commands = [
        [sys.executable, "-m", "venv", "--clear", folder],
        [str(python), "-m", "pip", "install", "--quiet", "--no-input", *install],
    ]
    uv = shutil.which("uv")
    if uv is not None:
        # `--no-config` keeps the project's own pins out.
        commands = [
            [uv, "venv", "--quiet", "--no-config", "--clear", "--python", sys.executable, folder],
            [uv, "pip", "install", "--quiet", "--no-config", "--python", str(python), *install],
        ]
    for command in commands:
        if subprocess.run(command, check=False).returncode != 0:
            return None
    return python


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def simulated_venue() -> Iterator[str]:
    """Run `perptui simulate --port`; the address it is reached at."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pt-") as folder:
        command = [sys.executable, "-m", "perptui", "simulate", "--port", str(port)]
        command += ["--socket", str(Path(folder) / "venue.sock"), "--seed", "11"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
        try:
            if process.stdout is None or not process.stdout.readline().startswith("ready"):
                raise SystemExit("expected the simulated venue to listen, was not; run it alone")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def checks(seen: dict[str, Any]) -> dict[str, bool]:
    """Return what must hold of the session, by name."""
    account, sent, queried = seen["account"], seen["sent"], seen["queried"]
    equity = Decimal(account["totalMarginBalance"])
    wallet = Decimal(account["totalWalletBalance"])
    trade = seen["trades"][-1]
    fee = [row for row in seen["income"] if row["incomeType"] == "COMMISSION"][-1]
    return {
        "ten contracts": seen["markets"] == 10,
        "six positions": len(seen["positions"]) == 6,
        "equity = wallet + unrealised": equity
        == wallet + Decimal(account["totalUnrealizedProfit"]),
        "balance agrees with the account": seen["balance"][0]["balance"] == str(wallet),
        "order filled": (sent["status"], sent["executedQty"]) == ("FILLED", "0.010"),
        "query finds it by client id": queried["orderId"] == sent["orderId"],
        "its trade is listed": trade["orderId"] == sent["orderId"],
        "its fee is booked": Decimal(fee["income"]) == -Decimal(trade["commission"]),
        "resting order listed, then cancelled": len(seen["open"]) == 1
        and seen["cancelled"]["status"] == "CANCELED",
        "refusal understood": "Precision" in seen.get("refused", ""),
    }


def main() -> int:
    """Make the environment, run the session, print the checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="interpreter that has the client")
    parser.add_argument("--cache", type=Path, help="where to make the client's environment")
    args = parser.parse_args()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = args.peer or environment(args.cache or home / "perptui" / "peers")
    if python is None:
        print("no environment for the client: it needs a package index once")
        return NO_ENVIRONMENT
    with simulated_venue() as address:
        session = [str(python), str(HERE / "peers" / "binance_client.py"), address]
        done = subprocess.run(session, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr)
        return 1
    results = checks(json.loads(done.stdout))
    for name, held in results.items():
        print(f"{'ok ' if held else 'NO '} {name}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
