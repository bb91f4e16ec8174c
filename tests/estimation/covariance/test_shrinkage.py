import numpy as np
import pytest
from sklearn.covariance import LedoitWolf, ledoit_wolf_shrinkage

from perptui.estimation.covariance.correlation import pairwise_correlation
from perptui.estimation.covariance.shrinkage import (
    analytical_nonlinear,
    ledoit_wolf_constant_correlation,
    ledoit_wolf_identity,
    ledoit_wolf_single_factor,
    one_factor,
    shrink_sample,
    single_factor_intensity,
)
from perptui.model.errors import EstimationError


def sample(rows: int, columns: int) -> np.ndarray:
    """Waves that any library can rebuild, so that its answer can be quoted here."""
    t, k = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)[None, :]
    own = np.sin(t * (0.37 + 0.211 * k) + k) * (0.5 + 0.3 * k)
    waves = np.sin(t * 0.7) + own + 0.5 * np.cos(t * t * 0.013 * k)
    return np.asarray(0.02 * waves, dtype=np.float64)


def one_factor_market(rows: int, coins: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    market = rng.standard_normal((rows, 1))
    return np.asarray(0.8 * market + 0.6 * rng.standard_normal((rows, coins)), dtype=np.float64)


@pytest.mark.parametrize(("rows", "columns"), [(40, 4), (20, 30), (300, 10)])
def test_shrinkage_to_the_identity_is_that_of_scikit_learn(rows: int, columns: int) -> None:
    x = sample(rows, columns)
    done = ledoit_wolf_identity(x)
    assert done.intensity == pytest.approx(ledoit_wolf_shrinkage(x), rel=1e-9)
    np.testing.assert_allclose(done.matrix, LedoitWolf().fit(x).covariance_, rtol=1e-9, atol=1e-15)


def test_shrinkage_to_one_factor_is_that_of_pyportfolioopt() -> None:
    """PyPortfolioOpt 1.6.0, CovarianceShrinkage(frequency=1)._ledoit_wolf_single_factor()."""
    done = ledoit_wolf_single_factor(sample(40, 4))
    assert done.intensity == pytest.approx(0.1657469984142373, rel=1e-10)
    expected = [4.9330341073e-4, 1.5914074976e-4, 2.9716600693e-4, 2.8968895955e-4]
    np.testing.assert_allclose(done.matrix[0], expected, rtol=1e-9)


def constant_correlation_by_sums(x: np.ndarray) -> float:
    """Ledoit & Wolf (2004, "Honey"), appendix B, term by term."""
    rows, size = x.shape
    y = x - x.mean(axis=0)
    s = y.T @ y / rows
    r = [s[i, j] / np.sqrt(s[i, i] * s[j, j]) for i in range(size) for j in range(i)]
    mean = float(np.mean(r))
    pi = rho = gamma = 0.0
    for i in range(size):
        for j in range(size):
            pi_ij = float(np.mean((y[:, i] * y[:, j] - s[i, j]) ** 2))
            pi += pi_ij
            if i == j:
                rho += pi_ij
                continue
            joint = y[:, i] * y[:, j] - s[i, j]
            of_i = float(np.mean((y[:, i] ** 2 - s[i, i]) * joint))
            of_j = float(np.mean((y[:, j] ** 2 - s[j, j]) * joint))
            ratio = np.sqrt(s[j, j] / s[i, i])
            rho += mean / 2 * (ratio * of_i + of_j / ratio)
            gamma += (mean * np.sqrt(s[i, i] * s[j, j]) - s[i, j]) ** 2
    return float(np.clip((pi - rho) / gamma / rows, 0.0, 1.0))


def test_shrinkage_to_one_correlation_is_the_papers_sums() -> None:
    x = sample(40, 4)
    done = ledoit_wolf_constant_correlation(x)
    assert done.intensity == pytest.approx(constant_correlation_by_sums(x), rel=1e-10)
    assert 0.0 < done.intensity < 1.0
    np.testing.assert_allclose(np.diag(done.matrix), np.var(x, axis=0))


def test_nonlinear_shrinkage_is_that_of_nonlinshrink() -> None:
    """nonlinshrink 0.7 (a translation of the authors' program), shrink_cov, T=40, N=4."""
    expected = [
        [5.557325798, 1.5380133476, 2.5079334015, 2.4852032505],
        [1.5380133476, 4.2432756559, 0.3283353658, 0.5375105679],
        [2.5079334015, 0.3283353658, 7.5706917888, 2.3888859901],
        [2.4852032505, 0.5375105679, 2.3888859901, 8.4277389261],
    ]
    np.testing.assert_allclose(1e4 * analytical_nonlinear(sample(40, 4)), expected, rtol=1e-9)


def test_nonlinear_shrinkage_with_more_columns_than_rows_is_that_of_nonlinshrink() -> None:
    """nonlinshrink 0.7, shrink_cov, T=20, N=30: eleven null eigenvalues share one value."""
    matrix = 1e4 * analytical_nonlinear(sample(20, 30))
    expected = [13.23420293, -0.10948704, 2.56416102, 4.19091832]
    np.testing.assert_allclose(matrix[0, :4], expected, atol=1e-8)
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert eigenvalues[[0, -1]] == pytest.approx([4.85295545, 426.56800997], rel=1e-8)
    np.testing.assert_allclose(eigenvalues[2:13], 5.47409218, rtol=1e-8)


def test_nonlinear_shrinkage_comes_closer_than_linear_where_eigenvalues_differ() -> None:
    """Ledoit & Wolf (2020), section 5: a fifth at 1, two fifths at 3, two fifths at 10."""
    true = np.repeat([1.0, 3.0, 10.0], [20, 40, 40])
    gain = []
    for seed in range(10):
        x = np.random.default_rng(seed).standard_normal((300, 100)) * np.sqrt(true)
        linear = np.sum((ledoit_wolf_identity(x).matrix - np.diag(true)) ** 2)
        gain.append(np.sum((analytical_nonlinear(x) - np.diag(true)) ** 2) / linear)
    assert max(gain) < 1.0


def test_a_sample_is_shrunk_to_the_target_that_is_asked_for() -> None:
    wide, tall = sample(40, 9), sample(60, 9)
    factor = ledoit_wolf_single_factor(tall)
    np.testing.assert_array_equal(shrink_sample(tall, "one factor").matrix, factor.matrix)
    # 9 columns by 60 rows is below .2, by 40 rows above.
    np.testing.assert_array_equal(shrink_sample(tall, "by size").matrix, factor.matrix)
    np.testing.assert_array_equal(shrink_sample(wide, "by size").matrix, analytical_nonlinear(wide))
    plain = shrink_sample(wide, "none")
    np.testing.assert_allclose(plain.matrix, np.cov(wide.T, bias=True))
    assert plain.intensity == 0.0
    with pytest.raises(EstimationError, match="was 'two factors'"):
        shrink_sample(wide, "two factors")


def test_the_single_factor_intensity_is_the_optimum_at_equal_weights() -> None:
    z = one_factor_market(400, 20, 0)
    z -= z.mean(axis=0)
    z /= z.std(axis=0)
    # With a half-life far beyond the sample the weights are equal to 1e-6.
    expected = ledoit_wolf_single_factor(z).intensity
    assert single_factor_intensity(z, 1e9) == pytest.approx(expected, rel=1e-5)


def test_the_intensity_counts_the_days_that_weigh() -> None:
    """The optimum falls as 1/T where the target is wrong, and T is 2.885 half-lives (1/sum w²)."""
    rng = np.random.default_rng(5)
    blocks = rng.standard_normal((20_000, 2)).repeat(4, axis=1)
    z = blocks + rng.standard_normal((20_000, 8))
    z /= np.sqrt(2.0)
    slow, fast = (single_factor_intensity(z, h) for h in (1_000.0, 250.0))
    assert 0.0 < slow < fast < 0.1
    assert fast / slow == pytest.approx(4.0, rel=0.25)


def test_shrinking_by_the_intensity_brings_the_correlation_closer_to_the_truth() -> None:
    true = np.full((20, 20), 0.64)
    np.fill_diagonal(true, 1.0)
    before, after = [], []
    for seed in range(20):
        z = one_factor_market(120, 20, seed)
        matrix, _ = pairwise_correlation(z, 21.0)
        d = single_factor_intensity(z, 21.0)
        shrunk = (1 - d) * matrix + d * one_factor(matrix)
        before.append(np.linalg.norm(matrix - true))
        after.append(np.linalg.norm(shrunk - true))
    assert np.mean(after) < 0.9 * np.mean(before)


def test_holes_keep_the_intensity_in_range() -> None:
    z = one_factor_market(200, 10, 3)
    z[np.random.default_rng(1).random(z.shape) < 0.3] = np.nan
    z[:, 4] = np.nan
    assert 0.0 < single_factor_intensity(z, 63.0) < 1.0
    assert single_factor_intensity(np.full((30, 4), np.nan), 63.0) == 0.0


def test_two_coins_have_nothing_to_shrink() -> None:
    assert single_factor_intensity(one_factor_market(100, 2, 0), 21.0) == 0.0


def test_a_factor_model_keeps_variances_and_is_exact_where_there_is_one_factor() -> None:
    loadings = np.array([0.9, 0.7, 0.5, 0.8])
    exact = np.outer(loadings, loadings)
    np.fill_diagonal(exact, 1.0)
    # The equal-weight mean holds own parts too, so the model is exact for equal loadings only.
    equal = np.full((5, 5), 0.6)
    np.fill_diagonal(equal, 1.0)
    off = ~np.eye(5, dtype=bool)
    np.testing.assert_allclose(one_factor(equal)[off], (1 + 4 * 0.6) / 5)
    np.testing.assert_array_equal(np.diag(one_factor(exact)), 1.0)
    assert np.linalg.eigvalsh(one_factor(exact))[0] > 0
    assert one_factor(np.zeros((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_sample_that_cannot_be_used_is_refused() -> None:
    x = sample(40, 4)
    x[3, 2] = np.nan
    with pytest.raises(EstimationError, match="were 1 of 160; take joint days only"):
        ledoit_wolf_identity(x)
    with pytest.raises(EstimationError, match="two or more rows"):
        ledoit_wolf_single_factor(sample(1, 4))
    with pytest.raises(EstimationError, match="13 rows or more, was 12"):
        analytical_nonlinear(sample(12, 4))
    constant = sample(40, 4)
    constant[:, 1] = 0.01
    with pytest.raises(EstimationError, match="rank below"):
        analytical_nonlinear(constant)
    with pytest.raises(EstimationError, match="two or more columns that move, were 3"):
        ledoit_wolf_constant_correlation(constant)


def test_equal_constants_have_nothing_to_shrink() -> None:
    done = ledoit_wolf_identity(np.full((10, 3), 0.5))
    assert done.intensity == 0.0
    np.testing.assert_array_equal(done.matrix, np.zeros((3, 3)))
