"""The gate: one pure function, run when a ticket is opened, confirmed, and before each send.

It knows nothing but its input, decides nothing but yes or the reasons why not, and never loosens a
limit. Reason codes are stable; the texts are for people. What it looks at stands in three places:
`gate_desk` (may anything be sent now), `gate_orders` (is each order what it should be) and
`gate_book` (does the book after them keep every limit).
"""

from __future__ import annotations

from collections.abc import Callable

from perptui.desk.orders import gate_book, gate_desk, gate_orders
from perptui.desk.orders.gate_input import GateInput, Reasons, Refusal

CHECKS: tuple[tuple[str, Callable[[GateInput], Reasons]], ...] = (
    ("schema", gate_orders.schema),
    ("kill", gate_desk.kill),
    ("reconcile", gate_desk.clean),
    ("position", gate_orders.positions),
    ("stale", gate_desk.fresh),
    ("clock", gate_desk.clock),
    ("token", gate_desk.token),
    ("approval", gate_desk.approval),
    ("instrument", gate_orders.instruments),
    ("collar", gate_orders.collar),
    ("order_notional", gate_orders.order_size),
    ("depth", gate_orders.depth),
    ("ticket_notional", gate_orders.ticket_size),
    ("day_notional", gate_orders.day),
    ("book", gate_book.book),
    ("tier", gate_book.tiers),
    ("throttle", gate_desk.throttle),
    ("duplicate", gate_orders.duplicate),
    ("rejections", gate_desk.rejections),
    ("unknown", gate_desk.unknown),
    ("venue", gate_desk.venue),
    ("account_mode", gate_desk.account_mode),
    ("host", gate_desk.host),
    ("daily_loss", gate_desk.loss),
    ("restricted", gate_orders.restricted),
    ("permission", gate_desk.permission),
)
"""In safety's order, by the code with which a check says that it cannot be made."""


UNJUDGED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a check raises over an input that is no number, or is not there."""


def gate(given: GateInput) -> tuple[Refusal, ...]:
    """Return every reason why the legs may not be sent, in safety's order; none means they may.

    It raises nothing: what cannot be worked out is refused.
    """
    return tuple(refusal for name, check in CHECKS for refusal in _asked(name, check, given))


def _asked(
    name: str, check: Callable[[GateInput], Reasons], given: GateInput
) -> tuple[Refusal, ...]:
    try:
        return tuple(Refusal(reason, text) for reason, text in check(given))
    except UNJUDGED as error:
        return (Refusal(name, f"{name} cannot be judged ({type(error).__name__}): refused"),)
