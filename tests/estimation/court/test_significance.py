import pytest
from scipy import stats

from perptui.estimation.court.significance import (
    binomial_at_most,
    chi_squared_beyond,
    student_two_sided,
)


@pytest.mark.parametrize("freedom", range(1, 9))
def test_the_tail_of_a_chi_squared_is_scipys(freedom: int) -> None:
    for statistic in (0.0, 1e-9, 0.3, 3.84, 17.0, 250.0, 1399.0):
        wanted = float(stats.chi2.sf(statistic, freedom))
        assert chi_squared_beyond(statistic, freedom) == pytest.approx(wanted, rel=1e-11)
    assert chi_squared_beyond(-0.1, freedom) == 1.0
    assert chi_squared_beyond(1e300, freedom) == 0.0


@pytest.mark.parametrize(("trials", "probability"), [(250, 0.01), (2000, 0.05), (60, 0.5)])
def test_a_binomials_sum_is_scipys(trials: int, probability: float) -> None:
    for count in (0, 3, 30, 60, trials - 1, trials):
        wanted = float(stats.binom.cdf(count, trials, probability))
        assert binomial_at_most(count, trials, probability) == pytest.approx(wanted, rel=1e-11)


def test_students_t_counts_both_tails() -> None:
    assert student_two_sided(-2.0, 59.0) == pytest.approx(2 * float(stats.t.sf(2.0, 59)))
    assert student_two_sided(2.0, 59.0) == student_two_sided(-2.0, 59.0)
