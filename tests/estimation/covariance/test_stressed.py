import numpy as np
import pytest

from perptui.estimation.covariance.stressed import check_volatility_factor, stressed_correlation
from perptui.model.errors import EstimationError

TRUE = np.array([[1.0, 0.7, 0.3], [0.7, 1.0, -0.2], [0.3, -0.2, 1.0]])


def test_coins_move_towards_one_another() -> None:
    stressed = stressed_correlation(TRUE, 0.4)
    # (1 - .4)·.7 + .4, (1 - .4)·(-.2) + .4.
    assert stressed[0, 1] == pytest.approx(0.82)
    assert stressed[1, 2] == pytest.approx(0.28)
    np.testing.assert_array_equal(np.diag(stressed), 1.0)
    assert np.linalg.eigvalsh(stressed)[0] >= 0.6 * np.linalg.eigvalsh(TRUE)[0]
    np.testing.assert_array_equal(stressed_correlation(TRUE, 1.0), np.ones((3, 3)))


@pytest.mark.parametrize("towards_one", [-0.1, 1.1, np.nan])
def test_a_share_outside_the_unit_interval_is_refused(towards_one: float) -> None:
    with pytest.raises(EstimationError, match=r"expected l in 0\.\.1"):
        stressed_correlation(TRUE, towards_one)


@pytest.mark.parametrize("factor", [0.5, np.inf, np.nan])
def test_a_stress_that_calms_is_refused(factor: float) -> None:
    with pytest.raises(EstimationError, match="volatility factor of 1 or more"):
        check_volatility_factor(factor)
    check_volatility_factor(1.0)
