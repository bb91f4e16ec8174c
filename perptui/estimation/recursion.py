"""Series with holes: division, and exponentially weighted means of whole series at once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_BLOCK = 64


def divided(
    above: NDArray[Any], below: NDArray[Any], where: BoolArray, otherwise: float = np.nan
) -> FloatArray:
    """Return above/below where `where` holds, else `otherwise`: no warning, no infinity."""
    out = np.full(np.broadcast_shapes(above.shape, below.shape), otherwise)
    np.divide(above, below, out=out, where=where)
    return out


def decay(halflife: float) -> float:
    """Return b = 2^(-1/halflife), the weight lost in one step.

    Raises
    ------
    ValueError
        When `halflife` is not positive.
    """
    if not halflife > 0:
        raise ValueError(f"expected a positive half-life, was {halflife}; mend the strategy")
    return float(2.0 ** (-1.0 / halflife))


def decayed_sum(x: FloatArray, b: float) -> FloatArray:
    """Return y with y_t = b·y_{t-1} + x_t along the first axis, y_{-1} = 0.

    The recursion runs in blocks of 64 steps, each a product with a triangular matrix: no step is a
    Python call, and a block's result depends on earlier blocks through its first row alone.
    """
    rows, width = len(x), int(np.prod(x.shape[1:], dtype=np.int64))
    blocks = -(-rows // _BLOCK)
    padded = np.zeros((blocks * _BLOCK, width))
    padded[:rows] = x.reshape(rows, width)
    within, fading = _block_weights(b)
    y = within @ padded.reshape(blocks, _BLOCK, width)
    for k in range(1, blocks):
        y[k] += fading * y[k - 1, -1]
    result: FloatArray = y.reshape(blocks * _BLOCK, width)[:rows].reshape(x.shape)
    return result


@lru_cache(maxsize=64)
def _block_weights(b: float) -> tuple[FloatArray, FloatArray]:
    """Return b^lag within a block (64, 64) and from the row before it (64, 1); not to be written.

    A half-life comes again and again: 4096 powers are most of the work on short series.
    """
    lags = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    within: FloatArray = np.where(lags >= 0, b ** np.maximum(lags, 0), 0.0)
    fading = np.asarray(b ** np.arange(1, _BLOCK + 1), dtype=np.float64)[:, None]
    within.setflags(write=False)
    fading.setflags(write=False)
    return within, fading


def ewma(x: FloatArray, halflife: float) -> FloatArray:
    """Return the exponentially weighted mean of `x` up to and including each row, (T, ...).

    It is s_t = s_{t-1} + (1-b)(x_t - s_{t-1})/(1-b^{t+1}) (method §2), whose weights sum to one
    from the first row on. A NaN is a hole: it has no weight, but time passes. Rows before the
    first observation of a column are NaN.
    """
    b = decay(halflife)
    seen = np.isfinite(x)
    total = decayed_sum(np.where(seen, x, 0.0), b)
    weight = decayed_sum(seen.astype(np.float64), b)
    return divided(total, weight, weight > 0)


def lagged(x: FloatArray) -> FloatArray:
    """Return `x` one row later: what was known before each row; the first row is NaN."""
    y = np.full(x.shape, np.nan)
    y[1:] = x[:-1]
    return y


def carried(x: FloatArray, share: FloatArray | float) -> FloatArray:
    """Return y with y_t = share_t·y_{t-1} + x_t along the first axis, y_{-1} = 0.

    For few series whose share changes from row to row, or whose rounding must be that of the plain
    recursion, row after row: one triangular banded solve of (I - S)y = x, no step in Python.

    Parameters
    ----------
    x : (T,) or (T, K) array
    share : (T,) array or float
        Its first entry is not used.
    """
    from scipy.linalg.blas import dtbsv

    if not len(x):
        return x
    band = np.zeros((2, len(x)), order="F")
    band[1, :-1] = -(share if isinstance(share, float) else share[1:])
    if x.ndim == 1:
        one: FloatArray = dtbsv(1, band, x, lower=1, diag=1)
        return one
    y = np.empty(x.shape, order="F")
    for column, solved in zip(x.T, y.T, strict=True):
        solved[:] = dtbsv(1, band, column, lower=1, diag=1)
    return y
