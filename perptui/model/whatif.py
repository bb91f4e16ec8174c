"""What a trader bends before the optimiser is asked: a what-if is a record, never an edit in place.

Its grammar, one for ``perptui propose --set`` and the Rebalance view's command line, is in
`perptui.model.assignment`.
"""

from __future__ import annotations

from decimal import Decimal

from perptui.model.record import Record

EVERY = "*"
"""Stands for every contract or coin in a what-if's costs and shocks."""
A_PUT = "a put"
"""Supposed too where it is a what-if's own; the market and the book before it are as they are."""


class PutQuote(Record, frozen=True):
    """A put that the desk could buy; it is quoted to the desk, never by a venue perptui reaches.

    Attributes
    ----------
    coin : str
        Underlying.
    strike : float
        USD a coin.
    expiry_ms : int
        Venue time; at or after the horizon's end, else the put cannot hedge the horizon.
    premium_usd : float
        Asked for one coin's worth, USD.
    step : float
        Smallest quantity, coins.
    held : float
        Coins of it that the desk has bought by hand already: counted before and after a trade.
    """

    coin: str
    strike: float
    expiry_ms: int
    premium_usd: float
    step: float = 0.01
    held: float = 0.0

    @property
    def name(self) -> str:
        """Short name: ``put BTC 50000 <expiry ms>``."""
        return f"put {self.coin} {self.strike:g} {self.expiry_ms}"


class WhatIf(Record, frozen=True):
    """Everything that differs from the desk as it is; empty: nothing does.

    Attributes
    ----------
    targets : dict of str to float
        Weights fixed by instrument id, fraction of equity.
    limits : dict of str to float
        Limits by their name in config.toml, in its units.
    parameters : dict of str to float, bool or str
        Parameters of the strategy by their name in config.toml; those that hold several values
        as one text (`perptui.model.several`).
    views : dict of str to float
        The trader's own drift by instrument id or coin, fraction a year per unit long; funding
        and the uncertainty of the forecast stay. An id goes before its coin, here and in costs.
    costs : dict of str to float
        Factor on trading costs by instrument id or coin; "*" for every other contract.
    regime : str
        calm, normal, stress or crisis in place of the regime told; "" keeps it.
    equity_usd : Decimal or None
        Total equity; accounts keep their shares of it.
    shocks : dict of str to float
        Move of prices that comes first, by coin, fraction; "*" for every other coin.
    stresses : dict of str to float
        Moves of the desk's named stresses, ``NAME:COIN``, fraction; ``NAME`` alone for every coin
        that the stress does not name.
    puts : tuple of PutQuote
        Beside those of the configuration.
    reduce_only : bool
        Only reductions.
    strategy : str
        Name of the strategy in place of the one in force; "" keeps it.
    """

    targets: dict[str, float] = {}
    limits: dict[str, float] = {}
    parameters: dict[str, float | bool | str] = {}
    views: dict[str, float] = {}
    costs: dict[str, float] = {}
    regime: str = ""
    equity_usd: Decimal | None = None
    shocks: dict[str, float] = {}
    stresses: dict[str, float] = {}
    puts: tuple[PutQuote, ...] = ()
    reduce_only: bool = False
    strategy: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing is bent."""
        return self == WhatIf()

    @property
    def market(self) -> str:
        """The market that it supposes, in a few words: prices moved, another equity; "": as it is.

        All that a proposal says of now and after is said on that market.
        """
        moved = [
            f"{'all' if coin == EVERY else coin} {move:+.3g}"
            for coin, move in sorted(
                ((coin, 100.0 * move) for coin, move in self.shocks.items()),
                key=lambda one: (one[0] == EVERY, one[0]),
            )
        ]
        prices = f"prices {', '.join(moved)} %" if moved else ""
        equity = "" if self.equity_usd is None else f"equity {self.equity_usd:,f}"
        return ", ".join(filter(None, (prices, equity)))

    def move_of(self, coin: str) -> float:
        """Return the move of a coin's price that comes first, fraction."""
        return self.shocks.get(coin, self.shocks.get(EVERY, 0.0))

    @property
    def hypothetical(self) -> tuple[str, ...]:
        """What of it is not so in the market: a proposal on that is shown, never sent."""
        bent = {
            "a regime": bool(self.regime),
            "an equity": self.equity_usd is not None,
            "a price shock": bool(self.shocks),
            "other costs": bool(self.costs),
            A_PUT: bool(self.puts),
        }
        return tuple(name for name, is_bent in bent.items() if is_bent)
