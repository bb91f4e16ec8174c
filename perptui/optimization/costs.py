"""What a trade costs over the horizon (method §12), as fractions of equity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

IMPACT = 1.0
"""Y of the square-root impact, Y·sigma_day·|Q|·sqrt(|Q|/ADV): the prior, until own fills say."""


def impact_coefficients(
    sigma_day: FloatArray, volume_usd_day: FloatArray, equity_usd: float
) -> FloatArray:
    """Return Y·sigma_day·sqrt(E/V) of each contract, so that impact is its product with |z|^{3/2}.

    Parameters
    ----------
    sigma_day : (N,) array
        Daily volatility, fraction; never that of the horizon.
    volume_usd_day : (N,) array
        Average daily volume, USD, positive.
    """
    return np.asarray(IMPACT * sigma_day * np.sqrt(equity_usd / volume_usd_day))


def trade_costs(trade: FloatArray, linear: FloatArray, impact: FloatArray) -> FloatArray:
    """Return (half-spread + fee)·|z| + impact·|z|^{3/2} of each contract, shape of `trade`.

    Parameters
    ----------
    trade : (..., N) array
        z = w - w_before, fraction of equity.
    linear, impact : (N,) arrays
        Half-spread plus fee, fractions; and `impact_coefficients`.
    """
    size = np.abs(trade)
    return np.asarray(linear * size + impact * size * np.sqrt(size))
