import pytest

from perptui.estimation.regime.exposure import exposure_scale
from tests.estimation.regime.test_vote import strategy


def test_the_exposure_is_the_target_over_the_forecast_within_the_regimes_caps() -> None:
    certain = (0.0, 0.0, 1.0, 0.0)
    assert exposure_scale((1.0, 0.0, 0.0, 0.0), 0.6, strategy(), None) == pytest.approx(0.5)
    assert exposure_scale(certain, 0.4, strategy(), None) == pytest.approx(0.5)
    assert exposure_scale((0.0, 0.0, 0.0, 1.0), 6.0, strategy(), None) == pytest.approx(0.1)
    mixed = (0.2, 0.3, 0.4, 0.1)
    by_hand = 0.2 * 0.75 + 0.3 * 0.75 + 0.4 * 0.5 + 0.1 * 0.25
    assert exposure_scale(mixed, 0.4, strategy(), None) == pytest.approx(by_hand)


def test_the_exposure_rises_by_a_quarter_a_bar_and_falls_at_once() -> None:
    calm, crisis = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
    assert exposure_scale(calm, 0.3, strategy(), 0.25) == pytest.approx(0.5)
    assert exposure_scale(calm, 0.3, strategy(), 0.9) == pytest.approx(1.0)
    assert exposure_scale(crisis, 0.3, strategy(), 1.0) == pytest.approx(0.25)
