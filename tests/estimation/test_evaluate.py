import math

import numpy as np
import pytest

from perptui.estimation.evaluate import qlike


def test_qlike_costs_what_the_method_states() -> None:
    loss = qlike(np.array([4.0, 4.0, 4.0]), np.array([4.0, 2.0, 8.0]))
    assert loss[0] == 0.0
    assert loss[1] == pytest.approx(0.307, abs=5e-4)
    assert loss[2] == pytest.approx(0.193, abs=5e-4)
    assert loss[1] == pytest.approx(2 - math.log(2) - 1, rel=1e-14)


def test_nothing_is_judged_without_a_variance() -> None:
    assert np.isnan(qlike(np.array([0.0, 1.0, np.nan]), np.array([1.0, 0.0, 1.0]))).all()
