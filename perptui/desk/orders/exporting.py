"""Exports: the orders of a ticket, or of a proposal as it stands, written instead of sent."""

from __future__ import annotations

from pathlib import Path

from perptui.desk.orders.export import write_orders
from perptui.desk.orders.opened import OpenTicket
from perptui.desk.orders.ticketing import Ticketing
from perptui.desk.orders.trading_picture import TradingPicture
from perptui.journal.events import Actor, TicketEnded
from perptui.journal.journal import Journal
from perptui.model.errors import ConfigError, ConfirmationRefused, InputError
from perptui.settings.paths import export_dir


class Exports:
    """Writes orders to the desk's folder and journals it.

    Parameters
    ----------
    folder : str
        `desk.export_dir`.
    """

    def __init__(
        self, journal: Journal, picture: TradingPicture, tickets: Ticketing, folder: str
    ) -> None:
        self._journal = journal
        self._picture = picture
        self._tickets = tickets
        self._folder = folder

    def ticket(self, ticket: str, trader: Actor) -> None:
        """Write the orders of the open ticket, which ends it.

        Raises
        ------
        ConfirmationRefused, ConfigError, InputError, JournalError
            With why nothing was written.
        """
        self.write(self._tickets.require_own(ticket, trader), trader)

    def proposal(self, digest: str, trader: Actor) -> None:
        """Write the orders of the fresh proposal, exactly as proposed.

        Raises
        ------
        ConfirmationRefused, ConfigError, InputError, JournalError
            With why nothing was written.
        """
        proposal = self._picture.proposal(digest)
        if proposal is None:
            raise ConfirmationRefused(
                f"expected the fresh proposal, was {digest[:4]}; solve again", "proposal"
            )
        opened = self._tickets.show_as_proposed(proposal, trader)
        try:
            self.write(opened, trader)
        except (ConfigError, InputError) as error:
            self._tickets.end("VOID", str(error))
            raise

    def write(self, opened: OpenTicket, trader: Actor) -> None:
        """Write the orders of a ticket that stands; that ends it.

        Raises
        ------
        ConfigError, InputError, JournalError
            With why nothing was written.
        """
        files = write_orders(opened.inputs, export_dir(self._folder))
        names = " and ".join(Path(file.path).name for file in files)
        reason = f"{names} in {Path(files[0].path).parent}"
        self._journal.append(TicketEnded(opened.ticket.id, "EXPORTED", reason, files), actor=trader)
        opened.phase, opened.reason = "exported", reason
