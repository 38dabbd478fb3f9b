import numpy as np
import pytest

from lipbank.warp import Grid


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return rng.uniform((20, 50), (140, 150), (80, 2)).astype(np.float32)


def sample(grid: Grid, values, at):
    """The displacement at points by the same enlarging the renderer uses, a point at a time."""
    out = []
    for x, y in at:
        row, column = grid.enlarge(float(y), 1.0, 1, 1), grid.enlarge(float(x), 1.0, 1, 0)
        out.append([float((row @ values[..., c] @ column.T)[0, 0]) for c in range(values.shape[-1])])
    return np.array(out)


def test_an_affine_move_is_exact_whatever_the_stiffness(points):
    grid = Grid()
    matrix = np.array([[0.1, -0.05], [0.03, 0.08]], np.float32)
    shifts = (points @ matrix + np.array([3, -2])).astype(np.float32)
    for stiffness in (0.1, 10, 1000):
        got = grid.displacement(points, shifts, stiffness).reshape(-1, 2)
        assert np.abs(got - (grid.points @ matrix + np.array([3, -2]))).max() < 0.02


def test_points_go_where_they_are_sent(points):
    grid = Grid()
    shifts = (4 * np.sin(points[:, ::-1] / 25)).astype(np.float32)
    got = sample(grid, grid.displacement(points, shifts, 0.01), points)
    assert np.abs(got - shifts).mean() < 0.15


def test_stiffness_smooths(points):
    grid = Grid()
    noise = np.random.default_rng(1).normal(0, 1, points.shape).astype(np.float32)
    soft, stiff = (grid.displacement(points, noise, s) for s in (0.1, 100))
    assert stiff.std() < 0.5 * soft.std()


def test_many_sources_equal_one_by_one(points):
    grid = Grid()
    rng = np.random.default_rng(2)
    shifts = rng.normal(0, 2, (80, 6)).astype(np.float32)
    together = grid.displacement(points, shifts, 10)
    for k in range(3):
        alone = grid.displacement(points, shifts[:, 2 * k : 2 * k + 2], 10)
        assert np.abs(together[..., 2 * k : 2 * k + 2] - alone).max() < 1e-3


def test_enlarging_is_linear_interpolation():
    grid = Grid()
    weights = grid.enlarge(20.25, 0.5, 50, 0)
    nodes = grid.x0 + 8.0 * np.arange(grid.nx)
    assert np.allclose(weights.sum(1), 1)
    assert np.allclose(weights @ nodes, 20.25 + 0.5 * np.arange(50), atol=1e-4)
