"""From a proposal to fills: ticket, confirmation, gate, sending, reconcile, kill switch."""
