import numpy as np
import pytest

from perptui.estimation.covariance.repair import is_positive, nearest_correlation, repair

HIGHAM = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
HIGHAM_4 = np.array(
    [
        [2.0, -1.0, 0.0, 0.0],
        [-1.0, 2.0, -1.0, 0.0],
        [0.0, -1.0, 2.0, -1.0],
        [0.0, 0.0, -1.0, 2.0],
    ]
)


def alternating_projections(matrix: np.ndarray) -> np.ndarray:
    """Higham (2002), algorithm 3.3, with Dykstra's correction: slow, and nothing like Newton."""
    y, correction = matrix.copy(), np.zeros(matrix.shape)
    for _ in range(20_000):
        given = y - correction
        eigenvalues, vectors = np.linalg.eigh(given)
        x = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
        correction = x - given
        before, y = y, x.copy()
        np.fill_diagonal(y, 1.0)
        if np.linalg.norm(y - before) <= 1e-13 * np.linalg.norm(y):
            break
    return y


def with_negative_eigenvalues(size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    matrix = np.clip(0.5 + 0.5 * rng.standard_normal((size, size)), -1.0, 1.0)
    matrix = (matrix + matrix.T) / 2.0
    np.fill_diagonal(matrix, 1.0)
    return np.asarray(matrix, dtype=np.float64)


def test_the_nearest_correlation_is_the_published_one() -> None:
    """Higham (2002), section 4: the 3 x 3 example and its distance .5278."""
    done = repair(HIGHAM)
    assert done.repaired
    assert done.matrix[0, 1] == pytest.approx(0.7607, abs=5e-5)
    assert done.matrix[0, 2] == pytest.approx(0.1573, abs=5e-5)
    assert done.distance == pytest.approx(0.5278, abs=5e-5)
    # Eigenvalues of the path matrix: 1, 1 ± sqrt(2).
    assert done.least_before == pytest.approx(1.0 - np.sqrt(2.0))
    assert is_positive(done.matrix)


def test_a_positive_matrix_with_another_diagonal_gets_the_published_neighbour() -> None:
    """Higham (2002), section 4: the tridiagonal matrix, distance 2.13."""
    nearest = nearest_correlation(HIGHAM_4)
    assert nearest[0, 1] == pytest.approx(-0.8084, abs=5e-5)
    assert nearest[0, 2] == pytest.approx(0.1916, abs=5e-5)
    assert nearest[0, 3] == pytest.approx(0.1068, abs=5e-5)
    assert nearest[1, 2] == pytest.approx(-0.6562, abs=5e-5)
    assert np.linalg.norm(nearest - HIGHAM_4) == pytest.approx(2.1339, abs=5e-4)


@pytest.mark.parametrize(("size", "seed"), [(6, 0), (12, 1), (12, 2), (40, 3)])
def test_newton_finds_what_alternating_projections_find(size: int, seed: int) -> None:
    matrix = with_negative_eigenvalues(size, seed)
    assert not is_positive(matrix)
    nearest = nearest_correlation(matrix)
    # The floor on eigenvalues, 2e-8·size, moves the answer by as much.
    np.testing.assert_allclose(nearest, alternating_projections(matrix), atol=1e-6 * size)
    np.testing.assert_array_equal(np.diag(nearest), 1.0)
    np.testing.assert_array_equal(nearest, nearest.T)
    assert np.linalg.eigvalsh(nearest)[0] >= 1e-8 * np.linalg.eigvalsh(nearest)[-1]


def test_a_positive_matrix_is_left_alone() -> None:
    matrix = np.array([[1.0, 0.9], [0.9, 1.0]])
    done = repair(matrix)
    assert not done.repaired
    assert done.distance == 0.0
    assert done.least_before == pytest.approx(0.1)
    np.testing.assert_array_equal(done.matrix, matrix)


def test_a_singular_matrix_is_lifted_to_the_floor() -> None:
    done = repair(np.ones((3, 3)))
    assert done.repaired
    assert is_positive(done.matrix)
    assert done.distance < 1e-6
