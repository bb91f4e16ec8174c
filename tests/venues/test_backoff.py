import pytest

from perptui.model.clock import ManualClock
from perptui.venues.backoff import JITTER, Backoff, CircuitBreaker
from tests.venues.payloads import NOW_MS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


def test_delays_double_to_half_a_minute_within_their_jitter() -> None:
    backoff = Backoff(seed=7)
    for expected in (1, 2, 4, 8, 16, 30, 30, 30):
        assert backoff.failed() == pytest.approx(expected, rel=JITTER)
    assert backoff.failures == 8


def test_a_success_starts_again_and_a_seed_repeats() -> None:
    one, other = Backoff(seed=7), Backoff(seed=7)
    assert [one.failed() for _ in range(5)] == [other.failed() for _ in range(5)]
    one.succeeded()
    assert one.failures == 0
    assert one.failed() == pytest.approx(1, rel=JITTER)


def test_many_failures_do_not_overflow() -> None:
    backoff = Backoff(seed=1)
    assert max(backoff.failed() for _ in range(5000)) <= 30 * (1 + JITTER)


def test_five_failures_in_the_window_open_the_breaker(clock: ManualClock) -> None:
    breaker = CircuitBreaker(clock)
    for _ in range(4):
        breaker.failed()
        clock.advance(7)
    assert breaker.allows()
    breaker.failed()
    assert breaker.is_open
    assert not breaker.allows()


def test_failures_far_apart_do_not_open_it(clock: ManualClock) -> None:
    breaker = CircuitBreaker(clock)
    for _ in range(20):
        breaker.failed()
        clock.advance(8)
    assert not breaker.is_open


def test_after_its_rest_one_trial_goes_through(clock: ManualClock) -> None:
    breaker = CircuitBreaker(clock)
    breaker.trip()
    clock.advance(29)
    assert not breaker.allows()
    clock.advance(1)
    assert breaker.allows()
    assert not breaker.allows()
    breaker.failed()
    clock.advance(29)
    assert not breaker.allows()
    clock.advance(1)
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert breaker.allows()
