"""What the compilation of a program fixes."""

from __future__ import annotations

from dataclasses import dataclass

from perptui.optimization.inputs import ProgramInputs


@dataclass(frozen=True)
class Structure:
    """What compilation fixes: shapes, and which contract belongs to which account and coin.

    Attributes
    ----------
    account_of, coin_of : tuple of int
        Row of each contract's account and coin.
    accounts, tiers, clusters : int
        How many there are.
    """

    account_of: tuple[int, ...]
    coin_of: tuple[int, ...]
    accounts: int
    tiers: int
    clusters: int

    @property
    def contracts(self) -> int:
        """How many contracts."""
        return len(self.account_of)

    @classmethod
    def of(cls, inputs: ProgramInputs) -> Structure:
        """Return the structure of a program's data."""
        limits = inputs.limits
        return cls(
            account_of=tuple(int(row) for row in limits.account.argmax(axis=0)),
            coin_of=tuple(int(row) for row in limits.coin.argmax(axis=0)),
            accounts=len(limits.equity_share),
            tiers=len(limits.tier_rates),
            clusters=len(limits.cluster),
        )
