import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from perptui.estimation.variance.garch import (
    LEAST_DAYS,
    Distribution,
    GarchFit,
    Model,
    Specification,
    fit_garch,
)
from perptui.estimation.variance.garch_path import variance_path
from perptui.model.errors import EstimationError

MODELS: tuple[Model, ...] = ("garch", "gjr", "egarch")
DISTRIBUTIONS: tuple[Distribution, ...] = ("normal", "t", "skewt")
DEM_GBP = np.loadtxt(Path(__file__).with_name("dem_gbp.txt")) / 100
"""Bollerslev & Ghysels (1996), see the file."""


def simulated(days: int, seed: int = 0, alpha: float = 0.1, beta: float = 0.85) -> np.ndarray:
    """A GARCH(1,1) with normal errors and 3 % a day."""
    rng = np.random.default_rng(seed)
    omega = 9e-4 * (1 - alpha - beta)
    h, returns = 9e-4, np.empty(days)
    for t, z in enumerate(rng.standard_normal(days)):
        returns[t] = np.sqrt(h) * z
        h = omega + alpha * returns[t] ** 2 + beta * h
    return returns


def test_the_published_benchmark_comes_out_to_its_printed_digits() -> None:
    # Fiorentini, Calzolari & Panattoni (1996), J. Applied Econometrics 11, 399-417; the values that
    # McCullough & Renfro (1999) and Brooks, Burke & Persand (2001) hold packages against. A unit of
    # the last printed digit is allowed.
    fit = fit_garch(DEM_GBP, Specification("garch", "normal", "constant"))
    assert len(DEM_GBP) == 1974
    assert fit.mean == pytest.approx(-0.00619041, abs=1e-8)
    assert fit.omega == pytest.approx(0.0107613, abs=1e-7)
    assert fit.alpha == pytest.approx(0.153134, abs=1e-6)
    assert fit.beta == pytest.approx(0.805974, abs=1e-6)
    # The log-likelihood that fGarch prints for it (Wuertz, Chalabi & Luksan 2006).
    assert fit.log_likelihood == pytest.approx(-1106.608, abs=1e-3)
    assert fit.usable


def test_the_benchmark_depends_on_the_presample_rule() -> None:
    from arch import arch_model

    percent = 100 * DEM_GBP
    plain = arch_model(percent, mean="Constant", rescale=False).fit(disp="off")
    ruled = arch_model(percent, mean="Constant", rescale=False).fit(
        disp="off", backcast=float(np.var(percent))
    )
    assert plain.params["alpha[1]"] == pytest.approx(0.1455, abs=1e-4)
    assert ruled.params["alpha[1]"] == pytest.approx(0.153134, abs=1e-5)
    assert ruled.params["beta[1]"] == pytest.approx(0.805974, abs=1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_likelihood_is_that_of_arch(model: Model, distribution: Distribution) -> None:
    from arch import arch_model

    percent = 100 * DEM_GBP
    peer = arch_model(
        percent,
        mean="Zero",
        vol="EGARCH" if model == "egarch" else "GARCH",
        o=0 if model == "garch" else 1,
        dist=distribution,
        rescale=False,
    ).fit(disp="off", show_warning=False, backcast=float(np.mean(percent**2)))
    fit = fit_garch(DEM_GBP, Specification(model, distribution))
    # A likelihood above the peer's would be a better maximum of the same function.
    assert fit.log_likelihood == pytest.approx(peer.loglikelihood, abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_filter_is_that_of_arch(model: Model, distribution: Distribution) -> None:
    from arch import arch_model

    returns = simulated(800, seed=3)
    percent = 100 * returns
    fit = fit_garch(returns, Specification(model, distribution))
    peer = arch_model(
        percent,
        mean="Zero",
        vol="EGARCH" if model == "egarch" else "GARCH",
        o=0 if model == "garch" else 1,
        dist=distribution,
        rescale=False,
    )
    values = [fit.omega, fit.alpha, *([fit.gamma] if model != "garch" else []), fit.beta]
    sigma2 = np.empty(len(percent))
    backcast = peer.volatility.backcast_transform(fit.presample)
    peer.volatility.compute_variance(
        np.array(values), percent, sigma2, backcast, peer.volatility.variance_bounds(percent)
    )
    path = variance_path(fit, returns)
    assert len(path) == len(returns) + 1
    np.testing.assert_allclose(path[:-1], sigma2 / 1e4, rtol=1e-10, atol=0)
    total = peer.distribution.loglikelihood(
        np.array(fit.shape), percent, 1e4 * path[:-1], individual=False
    )
    assert float(total) == pytest.approx(fit.log_likelihood, abs=1e-6)


def test_the_true_parameters_are_found() -> None:
    # Standard errors of alpha and beta at T = 20,000: about .006 and .009; four of them.
    fit = fit_garch(simulated(20_000, seed=5), Specification())
    assert fit.alpha == pytest.approx(0.1, abs=0.024)
    assert fit.beta == pytest.approx(0.85, abs=0.036)
    assert fit.unconditional_variance == pytest.approx(9e-4, rel=0.15)
    assert fit.persistence == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("eta", "skew"), [(5.0, -0.3), (8.0, 0.2)])
def test_the_share_below_zero_is_that_of_the_skewed_t(eta: float, skew: float) -> None:
    from arch.univariate import SkewStudent

    distribution = SkewStudent()
    z = distribution.ppf((np.arange(400_000) + 0.5) / 400_000, [eta, skew])
    assert float(distribution.partial_moment(2, 0.0, [eta, skew])) == pytest.approx(
        float(np.mean(z**2 * (z < 0))), rel=2e-3
    )
    fit = fit_garch(simulated(800), Specification("gjr", "skewt"))
    assert fit.negative_share == pytest.approx(
        float(distribution.partial_moment(2, 0.0, fit.shape)), rel=1e-12
    )
    p = fit.alpha + fit.gamma * fit.negative_share + fit.beta
    assert fit.persistence == pytest.approx(p)


def test_shocks_of_egarch_have_the_moments_of_nelson() -> None:
    # Nelson (1991), theorem A1.2 for the normal: E exp(c(a(|z| - sqrt(2/pi)) + g z)).
    fit = fit_garch(simulated(1200, seed=1), Specification("egarch", "normal"))
    # What rounding the tails of 4096 strata off takes from E|z| and E[z²], to second order.
    z = stats.norm.ppf((np.arange(4096) + 0.5) / 4096)
    first, second = np.sqrt(2 / np.pi) - np.mean(np.abs(z)), 1 - np.mean(z**2)
    assert len(fit.shock_moments) == 29
    for power, moment in enumerate(fit.shock_moments):
        c = fit.beta**power
        up, down = c * (fit.gamma + fit.alpha), c * (fit.alpha - fit.gamma)
        written = np.exp(-c * fit.alpha * np.sqrt(2 / np.pi)) * (
            stats.norm.cdf(up) * np.exp(up**2 / 2) + stats.norm.cdf(down) * np.exp(down**2 / 2)
        )
        lost = c * fit.alpha * first + c**2 * (fit.alpha**2 + fit.gamma**2) * second
        assert moment == pytest.approx(written, rel=lost)
        assert lost < 2e-4
    assert fit.persistence == fit.beta
    level = np.exp(fit.omega / (1 - fit.beta)) / 1e4
    assert fit.unconditional_variance == pytest.approx(level)


def one_jump(days: int) -> np.ndarray:
    returns = np.random.default_rng(7).normal(0, 1e-4, days)
    returns[days // 2] = 0.4
    return returns


def holed(days: int) -> np.ndarray:
    returns = simulated(days)
    returns[::5] = np.nan
    return returns


@pytest.mark.parametrize(
    ("returns", "words"),
    [
        (simulated(5), "garch: 5 of 500 days"),
        (simulated(LEAST_DAYS - 1), "garch: 499 of 500 days"),
        (np.empty(0), "garch: 0 of 500 days"),
        (np.full(800, np.nan), "garch: 0 of 500 days"),
        (np.zeros(800), "garch: daily volatility 0e+00, below 1e-06"),
        (np.full(800, 0.01), "garch: daily volatility "),
        (1e-14 * simulated(800), "garch: daily volatility 3e-16, below 1e-06"),
        (one_jump(800), "garch: one day holds 100% of the variance"),
        (holed(800), "garch: 160 of 800 days missing"),
        (np.where(np.arange(800) % 3 == 0, simulated(800), 0.0), "garch: no move on 533 of 800"),
    ],
)
@pytest.mark.parametrize("distribution", ["normal", "t"])
def test_a_bad_series_gives_words_and_no_number(
    returns: np.ndarray, words: str, distribution: Distribution
) -> None:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        fit = fit_garch(returns, Specification("garch", distribution))
    assert not fit.usable
    assert len(fit.reasons) == 1
    assert fit.reasons[0].startswith(words)
    numbers = [fit.omega, fit.alpha, fit.beta, fit.persistence, fit.unconditional_variance]
    assert np.isnan(numbers).all()


def test_a_random_walk_of_variance_is_rejected_for_its_persistence() -> None:
    rng = np.random.default_rng(11)
    sigma = 0.02 * np.exp(np.cumsum(rng.normal(0, 0.08, 1500)))
    fit = fit_garch(sigma * rng.standard_normal(1500), Specification("garch", "t"))
    assert any("persistence" in reason for reason in fit.reasons)


def test_a_variance_far_from_ewma_is_rejected() -> None:
    returns = simulated(1000, seed=2, alpha=0.3, beta=0.6)
    returns[-1] = 0.35
    fit = fit_garch(returns, Specification())
    assert any("times EWMA, outside 0.25 to 4" in reason for reason in fit.reasons)
    assert np.isfinite(fit.alpha)


def test_omega_at_its_bound_is_rejected() -> None:
    # A variance that only decays, to nothing: h' = .99 h needs no omega.
    shocks = np.random.default_rng(0).standard_normal(700)
    fit = fit_garch(0.08 * np.exp(-np.arange(700) / 200) * shocks, Specification())
    assert fit.persistence < 0.999
    assert len(fit.reasons) == 1
    assert fit.reasons[0].startswith("garch: omega ")
    assert fit.reasons[0].endswith(" at its bound")


def test_holes_are_left_out() -> None:
    returns = simulated(900, seed=6)
    with_holes = np.insert(returns, [100, 400, 401], np.nan)
    assert fit_garch(with_holes, Specification()) == fit_garch(returns, Specification())


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_fit_is_the_same_under_every_filter_of_warnings(distribution: Distribution) -> None:
    returns = simulated(700, seed=8)

    def under(action: str) -> GarchFit:
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter(action)  # type: ignore[arg-type]
            return fit_garch(returns, Specification("gjr", distribution))

    assert under("error") == under("ignore") == under("default")


def test_units_do_not_matter() -> None:
    # In likelihood and in ratios: one series in fractions, the other ten times as large.
    returns = simulated(900, seed=9)
    one, ten = (fit_garch(scale * returns, Specification()) for scale in (1.0, 10.0))
    assert ten.alpha == pytest.approx(one.alpha, rel=1e-6)
    assert ten.omega == pytest.approx(100 * one.omega, rel=1e-6)
    assert ten.log_likelihood == pytest.approx(one.log_likelihood - 900 * np.log(10.0), abs=1e-6)


def test_only_one_series_and_our_models_are_fitted() -> None:
    with pytest.raises(EstimationError, match=r"expected returns \(T,\)"):
        fit_garch(simulated(800)[:, None], Specification())
    with pytest.raises(EstimationError, match="was figarch"):
        fit_garch(simulated(800), Specification("figarch"))  # type: ignore[arg-type]


def reacting(rise: float, fall: float, beta: float, seed: int, days: int = 700) -> np.ndarray:
    """A GJR with normal errors and 3 % a day, by its responses to a rise and to a fall."""
    rng = np.random.default_rng(seed)
    omega = 9e-4 * (1 - 0.5 * (rise + fall) - beta)
    h, returns = 9e-4, np.empty(days)
    for t, z in enumerate(rng.standard_normal(days)):
        returns[t] = np.sqrt(h) * z
        h = omega + (fall if z < 0 else rise) * returns[t] ** 2 + beta * h
    return returns


def log_likelihood(percent: np.ndarray, values: tuple[float | np.ndarray, ...]) -> np.ndarray:
    """The normal likelihood at omega, alpha, gamma, beta, each broadcast, day after day."""
    omega, alpha, gamma, beta = np.broadcast_arrays(*values)
    presample = float(np.mean(percent**2))
    h = omega + (alpha + 0.5 * gamma + beta) * presample
    total = np.zeros(h.shape)
    for e in percent:
        total -= 0.5 * (np.log(2 * np.pi * h) + e**2 / h)
        h = omega + (alpha + gamma * (e < 0)) * e**2 + beta * h
    return total


BOUND_CASES = [
    ("garch", (0.15, 0.15, 0.0), 0, "beta"),
    ("garch", (0.0, 0.0, 0.0), 2, "alpha"),
    ("gjr", (0.0, 0.25, 0.7), 0, "alpha"),
    ("gjr", (0.25, 0.0, 0.7), 0, "fall"),
    ("gjr", (0.0, 0.3, 0.0), 2, "beta"),
]


@pytest.mark.parametrize(("model", "made", "seed", "pinned"), BOUND_CASES)
def test_a_maximum_at_a_bound_is_that_of_arch_and_of_a_grid(
    model: Model, made: tuple[float, float, float], seed: int, pinned: str
) -> None:
    from arch import arch_model

    returns = reacting(*made, seed)
    fit = fit_garch(returns, Specification(model))
    on_bound = {"alpha": fit.alpha, "fall": fit.alpha + fit.gamma, "beta": fit.beta}
    assert on_bound[pinned] == 0.0
    assert fit.converged
    percent = 100 * returns
    peer = arch_model(percent, mean="Zero", o=int(model == "gjr"), rescale=False).fit(
        disp="off", show_warning=False, backcast=float(np.mean(percent**2))
    )
    assert fit.log_likelihood >= peer.loglikelihood - 1e-6
    best = (fit.omega, fit.alpha, fit.gamma, fit.beta)
    assert float(log_likelihood(percent, best)) == pytest.approx(fit.log_likelihood, abs=1e-8)
    shocks, lags = np.linspace(0, 0.5, 11), np.linspace(0, 0.95, 11)
    levels = np.linspace(0.1, 1.0, 10) * fit.presample
    rise, fall, beta, omega = np.meshgrid(shocks, shocks, lags, levels, indexing="ij", sparse=True)
    gamma = fall - rise if model == "gjr" else np.zeros(1)
    alpha = rise if model == "gjr" else rise[:, :1]
    assert log_likelihood(percent, (omega, alpha, gamma, beta)).max() <= fit.log_likelihood


@pytest.mark.parametrize("made", [(0.15, 0.15, 0.0), (0.0, 0.3, 0.0), (0.02, 0.02, 0.5)])
@pytest.mark.parametrize("model", ["garch", "gjr"])
def test_of_two_maxima_the_higher_is_found(made: tuple[float, float, float], model: Model) -> None:
    # Little dynamics: one maximum with beta near one, another near 0 where arch starts too.
    from arch import arch_model

    for seed in range(6):
        percent = 100 * reacting(*made, seed)
        fit = fit_garch(percent / 100, Specification(model))
        peer = arch_model(percent, mean="Zero", o=int(model == "gjr"), rescale=False).fit(
            disp="off", show_warning=False, backcast=float(np.mean(percent**2))
        )
        assert fit.log_likelihood >= peer.loglikelihood - 1e-6


@pytest.mark.unmeasured
def test_a_fit_has_the_same_bytes_under_any_number_of_threads() -> None:
    made = [reacting(*case[1], case[2], days=5000) for case in BOUND_CASES]
    found = []
    for threads in ("1", "2"):
        code = (
            "import sys, numpy as np\n"
            "from perptui.estimation.variance.garch import Specification, fit_garch\n"
            "for row in np.frombuffer(sys.stdin.buffer.read()).reshape(-1, 5000):\n"
            "    for model in ('garch', 'gjr'):\n"
            "        for mean in ('zero', 'constant'):\n"
            "            print(fit_garch(row, Specification(model, 'normal', mean)))\n"
            "assert not {'arch', 'pandas', 'scipy.stats', 'scipy.signal'} & set(sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=np.array(made).tobytes(),
            capture_output=True,
            check=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
        )
        found.append(done.stdout)
    assert found[0] == found[1]
    assert found[0].count(b"GarchFit") == 4 * len(BOUND_CASES)


@pytest.mark.parametrize("model", ["garch", "gjr"])
def test_a_series_without_response_to_shocks_is_rejected(model: Model) -> None:
    # With alpha = 0 the variance is constant at any beta: none of them is an estimate.
    signs = np.random.default_rng(4).choice([-1.0, 1.0], 720)
    calm_after_wild = signs * np.tile([0.03, 0.01], 360)
    fit = fit_garch(calm_after_wild, Specification(model))
    assert (fit.alpha, fit.gamma) == (0.0, 0.0)
    assert f"{model}: no response to shocks" in fit.reasons
    constant = -360 * (np.log(2 * np.pi * fit.presample) + 1)
    assert fit.log_likelihood == pytest.approx(constant, abs=0.5)
