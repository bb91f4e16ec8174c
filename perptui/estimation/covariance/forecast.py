"""Covariance of contracts: volatility and correlation apart, coins and venue basis apart.

Sigma = A Sigma_coin A' + G diag(s²) G' + diag(d²) + diag(extra), positive definite by
construction: its least eigenvalue is at least min d², which is (2 bp)²·H or more (method §3.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.covariance.basis import BASIS_FLOOR_PER_DAY, Basis, forecast_basis
from perptui.estimation.covariance.correlation import (
    Correlation,
    correlation_of,
    pairwise_correlation,
    standardise,
)
from perptui.estimation.covariance.mixture import Mixture, forecast_mixture
from perptui.estimation.covariance.repair import repair
from perptui.estimation.covariance.shrinkage import (
    TARGETS,
    one_factor,
    shrink_sample,
    single_factor_intensity,
)
from perptui.estimation.covariance.stressed import (
    TOWARDS_ONE,
    VOLATILITY_FACTOR,
    check_volatility_factor,
    stressed_correlation,
)
from perptui.estimation.panel import SMALLEST_DAILY_VOLATILITY, Panel, merge_by_coin
from perptui.estimation.recursion import decay, ewma
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MOSTLY = 0.9


@dataclass(frozen=True, slots=True)
class CovarianceSettings:
    """How the covariance is estimated.

    Attributes
    ----------
    volatility_halflife_days, correlation_halflife_days : float
        Of the iterated EWMA: 10/21, 21/63 or 63/125.
    horizon_days : float
        H.
    target : str
        What the correlation is shrunk to, of `shrinkage.TARGETS`; "one factor" and "none" at the
        EWMA's weights, the others on as many last complete days as the half-life is worth.
    mixture : bool
        Whether the correlation is that of CM-IEWMA instead, for coins with enough history.
    """

    volatility_halflife_days: float
    correlation_halflife_days: float
    horizon_days: float
    target: str = TARGETS[0]
    mixture: bool = False


@dataclass(frozen=True, slots=True)
class CovarianceForecast:
    """Covariance of N contracts' returns over the horizon and the parts that it is made of.

    Attributes
    ----------
    sigma : (N, N) array
        Positive definite.
    coins : tuple of str
        Sorted; `owner` (N,) is each contract's place among them.
    coin_variance : (C,) array
        Over the horizon.
    correlation : Correlation
        Of coins.
    basis : Basis
        Own variances of contracts and variances of venues, over the horizon.
    extra_variance : (N,) array
        Of funding, liquidity; over the horizon.
    least_eigenvalue, floor : float
        Of sigma; the floor is (2 bp)²·H.
    mixture : Mixture, optional
        Where it decided the correlation.
    """

    sigma: FloatArray
    coins: tuple[str, ...]
    owner: IntArray
    coin_variance: FloatArray
    correlation: Correlation
    basis: Basis
    extra_variance: FloatArray
    least_eigenvalue: float
    floor: float
    mixture: Mixture | None = None

    def with_extra(self, variance: FloatArray) -> CovarianceForecast:
        """Return it with `variance` (N,) of funding and liquidity on the diagonal instead.

        Raises
        ------
        EstimationError
            When a variance is negative or not finite.
        """
        if not (np.isfinite(variance).all() and (variance >= 0).all()):
            bad = variance[~(variance >= 0)]
            raise EstimationError(f"expected variances of 0 or more, was {bad[:1]}; mend the input")
        return _composed(replace(self, extra_variance=variance))

    def stressed(
        self, towards_one: float = TOWARDS_ONE, factor: float = VOLATILITY_FACTOR
    ) -> CovarianceForecast:
        """Return it with R_s = (1-l)·R + l·11' and every volatility times k (method §3.7).

        Raises
        ------
        EstimationError
            When l is not in 0..1 or k is below 1.
        """
        check_volatility_factor(factor)
        square = factor**2
        matrix = stressed_correlation(self.correlation.matrix, towards_one)
        basis = replace(self.basis, own=square * self.basis.own, venue=square * self.basis.venue)
        return _composed(
            replace(
                self,
                coin_variance=square * self.coin_variance,
                correlation=replace(self.correlation, matrix=matrix),
                basis=basis,
                extra_variance=square * self.extra_variance,
            )
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be done that a reader should know, in words."""
        done = self.correlation
        lines = []
        if done.repaired:
            lines.append(
                "correlation was not positive definite (least eigenvalue "
                f"{done.least_before:.1e}): nearest one taken, {done.distance:.2g} away "
                "(Higham 2002)"
            )
        if done.unknown_pairs:
            lines.append(f"{done.unknown_pairs} pair(s) without common history: mean correlation")
        if self.mixture is not None and not self.mixture.days:
            lines.append("too few complete days to weigh the correlation's experts: equal weights")
        if self.basis.assumed.any():
            lines.append(
                f"{int(self.basis.assumed.sum())} contract(s) with too few closes in common with "
                "their coin's others: usual basis risk assumed"
            )
        return tuple(lines)


def forecast_covariance(
    panel: Panel,
    settings: CovarianceSettings,
    coin_variance: FloatArray | None = None,
    z: FloatArray | None = None,
) -> CovarianceForecast:
    """Return the covariance of the panel's contracts over the horizon, made at the panel's end.

    Parameters
    ----------
    panel : Panel
        N contracts of C coins.
    settings : CovarianceSettings
        Half-lives, horizon and options.
    coin_variance : (C,) array, optional
        Daily variance of each coin in the order of `panel.by_coin()`; the EWMA at the volatility
        half-life where none is given.
    z : (D, C) array, optional
        Standardised returns of coins, where the caller has them already.

    Raises
    ------
    EstimationError
        When the horizon is not positive, or a coin's variance is not finite or below
        (1e-6)² a day, which means that it does not move or came in wrong units.
    """
    names, owner = panel.by_coin()
    if not settings.horizon_days > 0:
        raise EstimationError(
            f"expected a positive horizon, was {settings.horizon_days}; mend the strategy"
        )
    daily = merge_by_coin(panel.common_daily, owner, len(names))
    if coin_variance is None:
        coin_variance = ewma(daily**2, settings.volatility_halflife_days)[-1]
    _check_variance(coin_variance, names)
    if z is None:
        z = standardise(daily, settings.volatility_halflife_days)
    correlation = forecast_correlation(z, settings.correlation_halflife_days, settings.target)
    mixture = None
    if settings.mixture:
        mixture = forecast_mixture(daily)
        correlation = _with_mixture(correlation, mixture)
    return _composed(
        CovarianceForecast(
            sigma=np.empty((0, 0)),
            coins=names,
            owner=owner,
            coin_variance=settings.horizon_days * coin_variance,
            correlation=correlation,
            basis=forecast_basis(panel, settings.horizon_days),
            extra_variance=np.zeros(len(owner)),
            least_eigenvalue=np.nan,
            floor=BASIS_FLOOR_PER_DAY**2 * settings.horizon_days,
            mixture=mixture,
        )
    )


def forecast_correlation(
    z: FloatArray, halflife_days: float, target: str = TARGETS[0]
) -> Correlation:
    """Return the desk's correlation of standardised returns `z` (D, C): (1-d)·R + d·one-factor R.

    R is the EWMA on joint days, d Ledoit & Wolf's intensity at its weights (method §3.5); then
    repaired where the least eigenvalue is below 1e-8 of the largest, and counted. With another
    target, R is replaced among the coins that have the days for it.

    Raises
    ------
    EstimationError
        When there is no such target, or it needs more complete days than there are.
    """
    matrix, unknown = pairwise_correlation(z, halflife_days)
    intensity = 0.0
    if target == "one factor":
        intensity = single_factor_intensity(z, halflife_days)
        matrix = (1.0 - intensity) * matrix + intensity * one_factor(matrix)
    elif target != "none":
        coins, recent = _complete_days(z, halflife_days)
        shrunk = shrink_sample(recent, target)
        matrix[np.ix_(coins, coins)] = correlation_of(shrunk.matrix)
        intensity = shrunk.intensity
    done = repair(np.clip(matrix, -1.0, 1.0))
    return Correlation(
        done.matrix, done.repaired, unknown, intensity, done.least_before, done.distance
    )


def _complete_days(z: FloatArray, halflife_days: float) -> tuple[IntArray, FloatArray]:
    """Return coins known on most of the last days, and their days without a hole.

    The days are as many as the EWMA's weights are worth: (1 + b)/(1 - b), 2.9 half-lives.
    """
    b = decay(halflife_days)
    recent = z[-round((1.0 + b) / (1.0 - b)) :]
    coins = np.flatnonzero(np.isfinite(recent).mean(axis=0) > _MOSTLY)
    rows: FloatArray = recent[np.isfinite(recent[:, coins]).all(axis=1)][:, coins]
    return coins, rows


def assemble(
    coin_variance: FloatArray, correlation: FloatArray, owner: IntArray, own_variance: FloatArray
) -> FloatArray:
    """Return Sigma = A Sigma_coin A' + diag(d²), (N, N): positive definite by construction.

    Parameters
    ----------
    coin_variance : (C,) array
        Over the horizon.
    correlation : (C, C) array
        Of coins, PSD.
    owner : (N,) array
        Column of its coin for each contract.
    own_variance : (N,) array
        d²: what a contract has beyond its coin, over the horizon; positive.
    """
    deviation = np.sqrt(coin_variance)
    of_coins = correlation * np.outer(deviation, deviation)
    sigma: FloatArray = of_coins[np.ix_(owner, owner)] + np.diag(own_variance)
    return sigma


def add_venues(sigma: FloatArray, basis: Basis) -> FloatArray:
    """Return sigma + G diag(s²) G' (N, N): contracts of one venue share its shock."""
    of_pairs = np.where(
        np.equal.outer(basis.venue_of, basis.venue_of), basis.venue[basis.venue_of][:, None], 0.0
    )
    total: FloatArray = sigma + of_pairs
    return total


def _composed(parts: CovarianceForecast) -> CovarianceForecast:
    own = parts.basis.own + parts.extra_variance
    sigma = assemble(parts.coin_variance, parts.correlation.matrix, parts.owner, own)
    sigma = add_venues(sigma, parts.basis)
    return replace(parts, sigma=sigma, least_eigenvalue=float(np.linalg.eigvalsh(sigma)[0]))


def _check_variance(coin_variance: FloatArray, names: tuple[str, ...]) -> None:
    if coin_variance.shape != (len(names),):
        raise EstimationError(
            f"expected a variance for each of {len(names)} coins, was {coin_variance.shape}; "
            "give them in the order of the panel's coins"
        )
    good = np.isfinite(coin_variance) & (coin_variance >= SMALLEST_DAILY_VOLATILITY**2)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise EstimationError(
            f"expected a daily variance of {names[first]} above "
            f"{SMALLEST_DAILY_VOLATILITY**2:.0e}, was {coin_variance[first]:.1e}; "
            "leave it out or check its units"
        )


def _with_mixture(correlation: Correlation, mixture: Mixture) -> Correlation:
    """Return `correlation` with the mixture's among the coins that it covers."""
    matrix = correlation.matrix.copy()
    matrix[np.ix_(mixture.coins, mixture.coins)] = correlation_of(mixture.sigma)
    done = repair(matrix)
    return replace(
        correlation,
        matrix=done.matrix,
        repaired=correlation.repaired or done.repaired,
        least_before=done.least_before,
        distance=done.distance,
        shrinkage=0.0,
    )
