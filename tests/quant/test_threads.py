import os

import pytest

from perptui.quant.threads import one_thread


def test_what_the_environment_asks_for_does_not_change_the_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "4")
    one_thread()
    assert {os.environ[n] for n in os.environ if n.endswith("_NUM_THREADS")} == {"1"}
