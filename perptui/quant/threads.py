"""One thread for linear algebra: sums then come in one order, whatever the machine."""

from __future__ import annotations

import os


def one_thread() -> None:
    """Hold BLAS to one thread; call it before numpy is imported.

    The blocks of a product depend on the number of threads, and with them the last digits: an
    estimate would have other bytes on another machine, whatever its environment says.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
