"""CPU time of what-ifs that no book keeps, in this process.

    python -m benchmarks.clash [--contracts N]

Printed for each kind, ms of CPU: until the answer stands; to find the whole clash behind it, in how
many slices, of which the longest; and the set that is found. Each is asked twice, the second time
is printed. Targets: 150 ms for the whole clash at 20 contracts, 40 ms for a slice.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.desk_what_if import BTC, Market
from benchmarks.what_if import write_market
from perptui.history.dataset import History
from perptui.model.assignment import assignments_in, bend_all
from perptui.model.clock import HOUR_MS
from perptui.model.jobs import ClashDone, ClashJob, ProposeDone, ProposeJob
from perptui.model.whatif import WhatIf
from perptui.quant.worker import Worker
from perptui.settings.load import load

KINDS: dict[str, str] = {
    "target, order": f"target:{BTC}=1.5",
    "target, gross": f"gross_max=0.3 target:{BTC}=0.35",
    "turnover, gross": "turnover_max=0.02 gross_max=0.4",
    "turnover, risk": "turnover_max=0.02 volatility_max=0.005",
    "turnover, CVaR": "turnover_max=0.02 cvar_max=0.002",
    "target, CVaR": f"target:{BTC}=0.25 cvar_max=0.001",
    "net, CVaR": "net_min=0.5 cvar_max=0.01",
    "net, liquidation": "net_min=0.9 gross_max=1.5 liquidation_distance_min=0.95",
    "volume, gross": "participation_max=0.0000001 gross_max=0.4",
    "four": "turnover_max=0.02 gross_max=0.3 volatility_max=0.005 cvar_max=0.002",
}


def measured(worker: Worker, job: ProposeJob) -> tuple[str, float, list[float], str]:
    """Return status, CPU seconds of the answer and of each slice, and the set."""
    began = time.process_time()
    answer = worker.answer(job)
    whole = time.process_time() - began
    assert isinstance(answer, ProposeDone), answer
    status = answer.proposal.status
    slices: list[float] = []
    while status == "infeasible":
        began = time.process_time()
        done = worker.answer(ClashJob(job))
        slices.append(time.process_time() - began)
        assert isinstance(done, ClashDone), done
        if done.done:
            names = (one.name.replace("binanceusdm:", "") for one in done.clash)
            return status, whole, slices, " + ".join(names) or "unknown"
    return status, whole, slices, ""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--contracts", type=int, default=20)
    args = parser.parse_args()
    settings = load().settings
    strategy = settings.strategy[settings.desk.strategy]
    with tempfile.TemporaryDirectory(prefix="pt-") as home:
        _, start = write_market(Path(home), args.contracts)
        history = History(Path(home))
        worker, market = Worker(history), Market(history, start + HOUR_MS)
        print(f"{'CPU ms':<18}{'answer':>8}{'clash':>8}{'slices':>8}{'longest':>9}  set")
        for kind, text in KINDS.items():
            what_if = bend_all(WhatIf(), assignments_in(text))
            job = ProposeJob(
                market.snapshot(), strategy, settings.limits, what_if, names_clash=False
            )
            measured(worker, job)
            status, whole, slices, names = measured(worker, job)
            figures = sum(slices) * 1e3, len(slices), max(slices, default=0.0) * 1e3
            print(
                f"{kind:<18}{whole * 1e3:>8.1f}{figures[0]:>8.1f}{figures[1]:>8}{figures[2]:>9.1f}"
                f"  {names or status}",
                flush=True,
            )


if __name__ == "__main__":
    main()
