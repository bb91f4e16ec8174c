"""Names of config.toml that no contract of the desk answers to: a note for each.

A restriction or a stress with a slip in its name protects nothing, and must not do so in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from perptui.model.limit import Limits
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import EVERY
from perptui.optimization.inputs import Contract

Stresses = Mapping[str, Mapping[str, float]]


def unmatched(
    contracts: Sequence[Contract],
    limits: Limits,
    strategy: StrategyParameters,
    stresses: Stresses | None = None,
) -> tuple[str, ...]:
    """Return a line for each configured name that matches none of the contracts.

    Of a stress that moves every other coin too, coins that are not there are passed over: its
    moves reach all contracts whatever it names.
    """
    return tuple(_lines(contracts, limits, strategy, stresses or {}))


def _lines(
    contracts: Sequence[Contract],
    limits: Limits,
    strategy: StrategyParameters,
    stresses: Stresses,
) -> Iterator[str]:
    ids = {contract.id for contract in contracts}
    venues = {contract.instrument.venue for contract in contracts}
    coins = {contract.instrument.coin for contract in contracts}
    for name in sorted(set(limits.restricted) - ids):
        yield f"limits.restricted: {name} is no contract of this desk and restricts nothing"
    for name in sorted(set(strategy.hedge_shorts) - ids):
        yield f"hedge_shorts: {name} is no contract of this desk and hedges nothing"
    for venue in sorted({cost.venue for cost in strategy.holding_costs} - venues):
        yield f"holding_costs: {venue} is no venue of this desk and costs nothing"
    for stress, moves in stresses.items():
        for coin in sorted(set(moves) - coins) if EVERY not in moves else ():
            yield f"stress.moves.{stress}: {coin} is no coin of this desk and moves nothing"
