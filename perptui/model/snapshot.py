"""One consistent picture of market and book, from which estimates and proposals are made."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.account import Account
from perptui.model.instrument import Instrument
from perptui.model.market import FundingQuote, Quote
from perptui.model.record import Record


class MarketSnapshot(Record, frozen=True, cache_hash=True):
    """Everything a proposal rests on, at venue time `as_of_ms`.

    Instruments, quotes and funding are sorted by id; an instrument without a quote is not in it.
    The digest is `perptui.model.canonical.digest_of(snapshot)`.
    """

    as_of_ms: int
    instruments: tuple[Instrument, ...]
    quotes: tuple[Quote, ...]
    funding: tuple[FundingQuote, ...]
    accounts: tuple[Account, ...]
    peak_equity_usd: Decimal | None = None

    @property
    def equity_usd(self) -> Decimal:
        """Equity over all margin accounts, USD."""
        return sum((account.equity_usd for account in self.accounts), Decimal(0))
