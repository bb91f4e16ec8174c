"""Error codes of Binance USD-M futures, and what the exchange's refusals become in them."""

from __future__ import annotations

from typing import Any

from perptui.simulator.orders import Reason, Refused
from perptui.simulator.wire import WireReply, json_reply


class WireError(Exception):
    """A reply other than success; raised and answered inside the wire."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status

    def payload(self) -> dict[str, Any]:
        """Return the body in the venue's shape."""
        return {"code": self.code, "msg": self.message}

    def reply(self) -> WireReply:
        """Return the whole reply in the venue's shape."""
        return json_reply(self.payload(), self.status)


REFUSALS = {
    Reason.SYMBOL: (-1121, "Invalid symbol."),
    Reason.CLOSED: (
        -4108,
        "Symbol is on delivering or delivered or settling or closed or pre-trading.",
    ),
    Reason.PRECISION: (-1111, "Precision is over the maximum defined for this asset."),
    Reason.QUANTITY_ZERO: (-4003, "Quantity less than or equal to zero."),
    Reason.QUANTITY_MAX: (-4005, "Quantity greater than max quantity."),
    Reason.STEP: (-4023, "Qty not increased by step size."),
    Reason.PRICE_ZERO: (-4001, "Price less than 0."),
    Reason.TICK: (-4014, "Price not increased by tick size."),
    Reason.PRICE_HIGH: (-4016, "Limit price can't be higher than {detail}."),
    Reason.PRICE_LOW: (-4024, "Limit price can't be lower than {detail}."),
    Reason.PERCENT_PRICE: (
        -4131,
        "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    ),
    Reason.NOTIONAL: (
        -4164,
        "Order's notional must be no smaller than {detail} (unless you choose reduce only).",
    ),
    Reason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Reason.MARGIN: (-2019, "Margin is insufficient."),
    Reason.POSITION_LIMIT: (
        -2027,
        "Exceeded the maximum allowable position at current leverage.",
    ),
    Reason.DUPLICATE_ID: (-4116, "ClientOrderId is duplicated."),
    Reason.FILL_OR_KILL: (
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history.",
    ),
    Reason.POST_ONLY: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history.",
    ),
    Reason.OPEN_ORDERS: (-2025, "Reach max open order limit."),
    Reason.UNKNOWN_CANCEL: (-2011, "Unknown order sent."),
    Reason.UNKNOWN_ORDER: (-2013, "Order does not exist."),
    Reason.LEVERAGE: (-4028, "Leverage {detail} is not valid"),
    Reason.LEVERAGE_MARGIN: (
        -2028,
        "Leverage is smaller than permitted: insufficient margin balance.",
    ),
    Reason.TRIGGERS_AT_ONCE: (-2021, "Order would immediately trigger."),
    Reason.STOP_ORDERS: (-4045, "Reach max stop order limit."),
}


def from_refusal(refused: Refused) -> WireError:
    """Return the venue's error for a refusal of the exchange."""
    code, text = REFUSALS[refused.reason]
    return WireError(code, text.format(detail=refused.detail))


def missing(name: str) -> WireError:
    """Return -1102 for a mandatory parameter."""
    return WireError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def illegal(name: str) -> WireError:
    """Return -1100 for a parameter with characters it may not have."""
    return WireError(
        -1100,
        f"Illegal characters found in parameter '{name}'; "
        "legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
    )


def invalid(name: str) -> WireError:
    """Return -1130 for a value that the parameter does not have."""
    return WireError(-1130, f"Data sent for parameter '{name}' is not valid.")
