"""Which contracts the program decides on: from a snapshot and its estimates."""

from __future__ import annotations

from itertools import pairwise

from perptui.model.account import account_of
from perptui.model.errors import OptimizationError
from perptui.model.forecast import Estimates
from perptui.model.instrument import Instrument
from perptui.model.money import ZERO
from perptui.model.snapshot import MarketSnapshot
from perptui.optimization.inputs import Contract


def contracts_of(snapshot: MarketSnapshot, estimates: Estimates) -> tuple[Contract, ...]:
    """Return every contract that is held, or has estimates, tiers and an account; sorted by id.

    Raises
    ------
    OptimizationError
        When a position has no mark or no usable tiers, or there is nothing to optimise.
    """
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    forecasts = {forecast.id: forecast for forecast in estimates.instruments}
    positions = {
        position.id: (account, position)
        for account in snapshot.accounts
        for position in account.positions
        if position.contracts
    }
    known = {instrument.id for instrument in snapshot.instruments if instrument.id in marks}
    homeless = sorted(set(positions) - known)
    if homeless:
        raise OptimizationError(
            f"expected a mark of every position, was none of {homeless[0]}; wait for its quote"
        )
    contracts = []
    for instrument in sorted(snapshot.instruments, key=lambda one: one.id):
        held = positions.get(instrument.id)
        account = held[0] if held else account_of(instrument, snapshot.accounts)
        usable = instrument.id in forecasts and instrument.tiers
        if account is None or instrument.id not in marks or not (held or usable):
            continue
        _refuse_missing_tiers(instrument)
        position = held[1].contracts if held else ZERO
        forecast = forecasts.get(instrument.id)
        leverage = held[1].leverage if held else None
        theirs = held[1].venue_liquidation_price if held else None
        mark = marks[instrument.id]
        contracts.append(
            Contract(instrument, account.key, mark, position, forecast, leverage, theirs)
        )
    if not any(contract.forecast for contract in contracts):
        raise OptimizationError(
            "expected at least one contract with estimates and an account, was none; "
            "wait for market history"
        )
    return tuple(contracts)


def _refuse_missing_tiers(instrument: Instrument) -> None:
    rates = [tier.rate for tier in instrument.tiers]
    if not rates or any(after <= before for before, after in pairwise(rates)):
        raise OptimizationError(
            f"expected rising maintenance tiers of {instrument.id}, was {len(rates)} usable; "
            "wait until the venue's tiers are read"
        )
