"""The filter against Hamilton (1989) and EM against likelihoods of other programs."""

import itertools
import math

import numpy as np
import pytest

from perptui.estimation.regime.forward_backward import STRETCHES, forward, run_backward, run_forward
from perptui.estimation.regime.hidden_markov import HiddenMarkov, fit_hidden_markov
from perptui.model.errors import EstimationError

GROWTH = (
    2.59316421,
    2.20217133,
    0.45827562,
    0.9687438,
    -0.24130757,
    0.89647478,
    2.05393219,
    1.73353648,
    0.93871289,
    -0.46477833,
    -0.80983406,
    -1.39763689,
    -0.39886093,
    1.1918416,
    1.45620048,
    2.11808228,
    1.08957863,
    1.32390273,
    0.87296367,
    -0.19773273,
    0.45420215,
    0.07221876,
    1.1030364,
    0.82097489,
    -0.05795795,
    0.58447772,
    -1.56192672,
    -2.05041027,
    0.53637183,
    2.33676839,
    2.34014559,
    1.2339263,
    1.8869648,
    -0.45920792,
    0.84940469,
    1.70139849,
    -0.28756312,
    0.09594627,
    -0.86080289,
    1.03447127,
    1.23685944,
    1.42004502,
    2.22410631,
    1.30210173,
    1.03517699,
    0.9253425,
    -0.16559951,
    1.3444382,
    1.37500131,
    1.73222184,
    0.71605635,
    2.21032143,
    0.85333031,
    1.00238776,
    0.42725441,
    2.14368343,
    1.43789184,
    1.57959926,
    2.27469826,
    1.95962656,
    0.25992399,
    1.01946914,
    0.49016398,
    0.5636338,
    0.5959546,
    1.43082857,
    0.56230122,
    1.15388393,
    1.68722844,
    0.77438205,
    -0.09647045,
    1.39600146,
    0.13646798,
    0.55223715,
    -0.39944872,
    -0.61671102,
    -0.08722561,
    1.2101835,
    -0.90729755,
    2.64916158,
    -0.0080694,
    0.51111895,
    -0.00401437,
    2.16821432,
    1.92586732,
    1.03504717,
    1.85897219,
    2.32004929,
    0.25570789,
    -0.09855274,
    0.89073682,
    -0.55896485,
    0.28350255,
    -1.31155407,
    -0.88278776,
    -1.97454941,
    1.01275265,
    1.68264723,
    1.38271284,
    1.86073637,
    0.4447377,
    0.41449001,
    0.99202275,
    1.36283576,
    1.59970522,
    1.98845816,
    -0.25684232,
    0.87786949,
    3.1095655,
    0.85324478,
    1.23337317,
    0.00314302,
    -0.09433369,
    0.89883322,
    -0.19036628,
    0.99772376,
    -2.39120054,
    0.06649673,
    1.26136017,
    1.91637838,
    -0.3348029,
    0.44207108,
    -1.40664911,
    -1.52129889,
    0.29919869,
    -0.80197448,
    0.15204792,
    0.98585027,
    2.13034606,
    1.34397924,
    1.61550522,
    2.70930099,
    1.24461412,
    0.50835466,
    0.14802167,
)
"""Growth of US real GNP in percent, 1951Q2 to 1984Q4: the data of Hamilton, J. D. (1989), "A new
approach to the economic analysis of nonstationary time series and the business cycle",
Econometrica 57(2), as they stand in the tests of statsmodels (test_markov_autoregression)."""

EXPANSION = (
    0.776712,
    0.949192,
    0.996320,
    0.990258,
    0.940111,
    0.537442,
    0.140001,
    0.008942,
    0.048480,
    0.614097,
    0.910889,
    0.995463,
    0.979465,
    0.992324,
    0.984561,
    0.751038,
    0.776268,
    0.522048,
    0.814956,
    0.821786,
    0.472729,
    0.673567,
    0.029031,
    0.001556,
    0.433276,
    0.985463,
    0.995025,
    0.966067,
    0.998445,
    0.801467,
    0.960997,
    0.996431,
    0.461365,
    0.199357,
    0.027398,
    0.703626,
    0.946388,
    0.985321,
    0.998244,
    0.989567,
    0.984510,
    0.986811,
    0.793788,
    0.973675,
    0.984848,
    0.990418,
    0.918427,
    0.998769,
    0.977647,
    0.978742,
    0.927635,
    0.998691,
    0.988934,
    0.991654,
    0.999288,
    0.999073,
    0.918636,
    0.987710,
    0.966876,
    0.910015,
    0.826150,
    0.969451,
    0.844049,
    0.941525,
    0.993363,
    0.949978,
    0.615206,
    0.970915,
    0.787585,
    0.707818,
    0.200476,
    0.050835,
    0.140723,
    0.809850,
    0.086422,
    0.990344,
    0.785963,
    0.817425,
    0.659152,
    0.996578,
    0.992860,
    0.948501,
    0.996883,
    0.999712,
    0.906694,
    0.725013,
    0.963690,
    0.386960,
    0.241302,
    0.009078,
    0.015789,
    0.000896,
    0.541530,
    0.928686,
    0.953704,
    0.992741,
    0.935877,
    0.918958,
    0.977316,
    0.987941,
    0.987300,
    0.996769,
    0.645469,
    0.921285,
    0.999917,
    0.949335,
    0.968914,
    0.886025,
    0.777141,
    0.904381,
    0.368277,
    0.607429,
    0.002491,
    0.227610,
    0.871284,
    0.987717,
    0.288705,
    0.512124,
    0.030329,
    0.005177,
    0.256183,
    0.020955,
    0.051620,
    0.549009,
    0.991715,
    0.987892,
    0.995377,
    0.999833,
    0.993756,
    0.956164,
    0.927714,
)
"""P(expansion | data so far) from 1952Q2 on, EViews 8 SWITCHREG, from the same place."""


def gnp_model() -> tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[int, ...]]]:
    """The MS-AR(4) at its ML parameters as a chain of the 32 recent histories of two states."""
    stay = np.array([[0.754673, 1.0 - 0.754673], [0.095915, 1.0 - 0.095915]])
    mean = np.array([-0.358811, 1.163516])
    variance = math.exp(-0.262658) ** 2
    slopes = np.array([0.013486, -0.057521, -0.246983, -0.212923])
    tuples = list(itertools.product((0, 1), repeat=5))
    y = np.array(GROWTH)
    logs = np.empty((len(y) - 4, 32))
    transition = np.zeros((32, 32))
    initial = np.empty(32)
    ergodic = np.array([0.095915, 1.0 - 0.754673]) / (0.095915 + 1.0 - 0.754673)
    for k, now in enumerate(tuples):  # now = (S_t, S_t-1, ..., S_t-4)
        error = y[4:] - mean[now[0]]
        for lag in range(1, 5):
            error = error - slopes[lag - 1] * (y[4 - lag : len(y) - lag] - mean[now[lag]])
        logs[:, k] = -0.5 * (np.log(2.0 * np.pi * variance) + error**2 / variance)
        for state in (0, 1):
            transition[k, tuples.index((state, *now[:4]))] = stay[now[0], state]
        initial[k] = ergodic[now[4]] * np.prod(
            [stay[now[lag], now[lag - 1]] for lag in range(4, 0, -1)]
        )
    return logs, transition, initial, tuples


def test_the_filter_gives_hamiltons_likelihood_of_gnp() -> None:
    logs, transition, initial, tuples = gnp_model()
    filtered, loglik = forward(logs, transition, initial)
    assert float(loglik) == pytest.approx(-181.26339, abs=1e-5)
    expansion = filtered[:, [now[0] == 1 for now in tuples]].sum(axis=1)
    np.testing.assert_allclose(expansion, EXPANSION, atol=1e-5)


def plain_filter(
    logs: np.ndarray, transition: np.ndarray, initial: np.ndarray
) -> tuple[np.ndarray, float]:
    """The textbook recursion, normalised in every step."""
    rows, loglik = [], 0.0
    before = None
    for row in logs:
        joint = (initial if before is None else before @ transition) * np.exp(row - row.max())
        loglik += math.log(joint.sum()) + row.max()
        before = joint / joint.sum()
        rows.append(before)
    return np.array(rows), loglik


@pytest.mark.parametrize(("rows", "states", "scale"), [(7, 2, 1.0), (900, 3, 3.0), (1300, 2, 80.0)])
def test_stretches_give_the_recursion(rows: int, states: int, scale: float) -> None:
    rng = np.random.default_rng(rows)
    logs = rng.normal(0.0, scale, (rows, states))
    transition = rng.dirichlet(np.ones(states), states)
    initial = rng.dirichlet(np.ones(states))
    filtered, loglik = forward(logs, transition, initial)
    wanted, total = plain_filter(logs, transition, initial)
    np.testing.assert_allclose(filtered, wanted, atol=1e-12)
    assert float(loglik) == pytest.approx(total, rel=1e-12)


def test_hundreds_of_nats_against_the_state_in_force_do_not_leave_the_floats() -> None:
    # Each row all but excludes one state: unscaled, the product is exp(-180000).
    logs = np.where(np.arange(600)[:, None] % 2 == np.arange(2), 0.0, -300.0)
    transition = np.array([[0.5, 0.5], [1e-3, 1.0 - 1e-3]])
    filtered, loglik = forward(logs, transition, np.array([0.5, 0.5]))
    wanted, total = plain_filter(logs, transition, np.array([0.5, 0.5]))
    np.testing.assert_allclose(filtered, wanted, atol=1e-12)
    assert float(loglik) == pytest.approx(total, rel=1e-12)


def test_chains_and_changing_transitions_stand_apart() -> None:
    rng = np.random.default_rng(8)
    logs = rng.normal(0.0, 1.0, (3, 40, 2))
    changing = rng.dirichlet(np.ones(2), (3, 40, 2))
    together, loglik = forward(logs, changing, np.array([0.3, 0.7]))
    for chain in range(3):
        before = None
        for t in range(40):
            predicted = np.array([0.3, 0.7]) if before is None else before @ changing[chain, t]
            joint = predicted * np.exp(logs[chain, t])
            before = joint / joint.sum()
            np.testing.assert_allclose(together[chain, t], before, atol=1e-13)
        alone, own = forward(logs[chain], changing[chain], np.array([0.3, 0.7]))
        np.testing.assert_array_equal(alone, together[chain])
        assert own == loglik[chain]


def test_the_filter_sees_no_later_row() -> None:
    logs, transition, initial, _ = gnp_model()
    whole, _ = forward(logs, transition, initial)
    early, _ = forward(logs[:77], transition, initial)
    np.testing.assert_array_equal(whole[:77], early)


def test_posteriors_are_those_of_all_paths() -> None:
    rng = np.random.default_rng(4)
    logs = rng.normal(0.0, 1.5, (6, 2))
    transition = np.array([[0.8, 0.2], [0.4, 0.6]])
    initial = np.array([0.5, 0.5])
    weights = np.zeros((6, 2))
    for path in itertools.product((0, 1), repeat=6):
        weight = initial[path[0]] * math.exp(sum(logs[t, s] for t, s in enumerate(path)))
        weight *= math.prod(transition[a, b] for a, b in itertools.pairwise(path))
        for t, s in enumerate(path):
            weights[t, s] += weight
    run = run_forward(logs.T[None], transition[None, None], initial[None])
    posterior = run.alpha * run_backward(run, transition[None])
    posterior /= posterior.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(posterior[0].T, weights / weights.sum(axis=1, keepdims=True))


def test_a_filter_is_refused_what_it_cannot_read() -> None:
    stay = np.eye(2)
    with pytest.raises(EstimationError, match="finite log emissions"):
        forward(np.array([[0.0, np.nan]]), stay, np.array([0.5, 0.5]))
    # State 1 is never left, and the second row cannot come from it.
    with pytest.raises(EstimationError, match="none can"):
        forward(np.array([[0.0, 0.0], [0.0, -2000.0]]), stay, np.array([0.0, 1.0]))


def two_regimes(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return states (T,), true, and what is seen of them (T, 2): a return and a log variance."""
    rng = np.random.default_rng(seed)
    state = np.zeros(rows, dtype=np.int64)
    for t in range(1, rows):
        state[t] = state[t - 1] ^ int(rng.random() < (0.02, 0.05)[state[t - 1]])
    deviation = np.array([0.02, 0.055])[state]
    returns = rng.standard_t(5, rows) * deviation / np.sqrt(5.0 / 3.0)
    return state, np.column_stack(
        [20.0 * returns, np.log(deviation**2) + rng.normal(0.0, 0.5, rows)]
    )


def test_em_reaches_the_likelihood_of_hmmlearn() -> None:
    # hmmlearn 0.3.3, GaussianHMM(2, "full", n_iter=100, tol=1e-6, random_state=0).fit(x).score(x).
    _, x = two_regimes(2000)
    assert fit_hidden_markov(x, 2).loglik == pytest.approx(-3290.191591743711, abs=1e-3)


def test_one_step_of_em_is_that_of_all_paths() -> None:
    # With 8 rows the posteriors are sums over 2^8 paths; EM's first means follow from them.
    rng = np.random.default_rng(12)
    x = np.concatenate([rng.normal(-1.0, 1.0, (25, 1)), rng.normal(1.0, 1.5, (25, 1))])
    start = HiddenMarkov(
        np.array([0.6, 0.4]),
        np.array([[0.9, 0.1], [0.2, 0.8]]),
        np.array([[-0.5], [0.7]]),
        np.array([[[1.2]], [[2.0]]]),
        math.nan,
        0,
    )
    fits = [fit_hidden_markov(x, 2, start=start, iterations=n, tolerance=-1e9) for n in (8, 9, 60)]
    logliks = [fit.loglik for fit in fits]
    assert logliks == sorted(logliks)
    best = fits[-1]
    filtered, loglik = forward(best.log_emission(x), best.transition, best.initial)
    assert float(loglik) == pytest.approx(best.loglik, rel=1e-9)
    # At the maximum each row of posteriors reproduces the means.
    run = run_forward(best.log_emission(x).T[None], best.transition[None, None], best.initial[None])
    posterior = run.alpha * run_backward(run, best.transition[None])
    posterior /= posterior.sum(axis=1, keepdims=True)
    means = (posterior[0] @ x)[:, 0] / posterior[0].sum(axis=1)
    np.testing.assert_allclose(means, best.means[:, 0], atol=1e-3)
    assert filtered.shape == (50, 2)


def test_states_are_found_and_ordered_by_volatility() -> None:
    state, x = two_regimes(1500, seed=3)
    model = fit_hidden_markov(x, 2)
    filtered, _ = forward(model.log_emission(x), model.transition, model.initial)
    told = filtered[:, 1] > 0.5
    balanced = 0.5 * (told[state == 1].mean() + (~told[state == 0]).mean())
    assert balanced > 0.95
    assert model.means[0, 1] < model.means[1, 1]
    three = fit_hidden_markov(x, 3)
    assert (np.diff(three.means[:, 1]) > 0).all()
    np.testing.assert_allclose(three.transition.sum(axis=1), 1.0)


def test_the_likelihood_does_not_depend_on_units() -> None:
    _, x = two_regimes(400)
    tiny = fit_hidden_markov(x * np.array([1e-14, 1.0]), 2)
    same = fit_hidden_markov(x, 2)
    assert tiny.loglik == pytest.approx(same.loglik - 400 * math.log(1e-14), rel=1e-9)
    np.testing.assert_allclose(tiny.means[:, 1], same.means[:, 1], rtol=1e-6)


def test_a_row_with_a_hole_says_nothing() -> None:
    _, x = two_regimes(400)
    model = fit_hidden_markov(x, 2)
    holed = x.copy()
    holed[7, 0] = np.nan
    assert model.log_emission(holed)[7].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros((10, 2)), "40 rows for 2 states"),
        (np.full((200, 2), 3.0), "was a constant"),
        (np.full((200, 2), np.nan), "without holes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows: np.ndarray, words: str) -> None:
    with pytest.raises(EstimationError, match=words):
        fit_hidden_markov(rows, 2)


def test_a_jump_is_no_state() -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(0.0, 1.0, (120, 2))
    x[60] = 1e6
    with pytest.raises(EstimationError, match="rows each"):
        fit_hidden_markov(x, 3)


def test_the_longest_stretch_comes_first_and_single_steps_last() -> None:
    assert list(STRETCHES) == sorted(STRETCHES, reverse=True)
    assert STRETCHES[-1] == 1
