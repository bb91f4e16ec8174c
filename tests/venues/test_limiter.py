import pytest

from perptui.model.clock import ManualClock
from perptui.model.errors import RateLimited
from perptui.venues.limiter import MAX_WAIT_S, RateLimiter
from tests.venues.payloads import NOW_MS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def limiter(clock: ManualClock) -> RateLimiter:
    return RateLimiter(clock, per_minute=600, reserve=100)  # 10 a second


def test_the_bucket_gives_at_once_what_it_has_and_then_at_its_rate(limiter: RateLimiter) -> None:
    assert limiter.claim(500) == 0
    assert limiter.claim(20) == pytest.approx(2.0)
    assert limiter.claim(20) == pytest.approx(4.0)


def test_time_refills_it_up_to_its_size(limiter: RateLimiter, clock: ManualClock) -> None:
    limiter.claim(500)
    clock.advance(10)
    assert limiter.available == pytest.approx(200)
    clock.advance(1000)
    assert limiter.available == 600


def test_the_reserve_is_for_cancels(limiter: RateLimiter) -> None:
    limiter.claim(500)
    assert limiter.claim(1, cancel=True) == 0
    assert limiter.claim(1) == pytest.approx(0.2)


def test_a_wait_too_long_takes_nothing(limiter: RateLimiter) -> None:
    limiter.claim(500)
    with pytest.raises(RateLimited, match="poll less often") as caught:
        limiter.claim(10 * MAX_WAIT_S + 1)
    assert caught.value.until_ms == NOW_MS + 5100
    assert limiter.available == pytest.approx(100)


def test_an_order_waits_no_longer_than_its_patience(limiter: RateLimiter) -> None:
    limiter.claim(500)
    assert limiter.claim(5, patience_s=0.5) == pytest.approx(0.5)
    with pytest.raises(RateLimited, match=r"within 0\.5 s"):
        limiter.claim(1, patience_s=0.5)


def test_silence_holds_everything_until_its_end(limiter: RateLimiter, clock: ManualClock) -> None:
    limiter.be_silent(30)
    limiter.be_silent(5)
    with pytest.raises(RateLimited) as caught:
        limiter.claim(1, cancel=True)
    assert caught.value.until_ms == NOW_MS + 30_000
    clock.advance(30)
    assert limiter.claim(1) == 0


def test_the_venues_own_count_is_believed_where_it_is_higher(limiter: RateLimiter) -> None:
    limiter.observe(550)
    assert limiter.available == pytest.approx(50)
    limiter.observe(10)
    assert limiter.available == pytest.approx(50)


def test_a_reserve_as_large_as_the_budget_is_refused(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="expected a reserve below 100"):
        RateLimiter(clock, per_minute=100, reserve=100)
