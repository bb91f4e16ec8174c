"""Binance USD-M futures: ``{"code": -2019, "msg": "Margin is insufficient."}`` under a 4xx.

Sources: developers.binance.com, USDS-M futures, "Error Codes" and "General Info" (HTTP return
codes: 4xx malformed, the issue is on the sender's side; 503 "Unknown error" and 408 with -1007:
execution status unknown, may have been a success), read 2026-11; ccxt 4.5.90's table of exceptions.
"""

from __future__ import annotations

import re

import msgspec

from perptui.venues.outcomes.table import Said, VenueTable, whole


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    code: int
    msg: str = ""
    order_id: object = None
    client_order_id: object = None
    algo_id: object = None
    client_algo_id: object = None

    @property
    def names_order(self) -> bool:
        """True of a body that speaks of an order, which a refusal never does."""
        ids = (self.order_id, self.client_order_id, self.algo_id, self.client_algo_id)
        return any(one is not None for one in ids)


def read(body: bytes) -> Said | None:
    """Return the venue's error when the whole body is one: a negative code, and no order."""
    found = whole(body, _Body)
    if found is None or found.names_order:
        return None
    return Said(str(found.code), found.msg) if found.code < 0 else None


BINANCE = VenueTable(
    venue="binanceusdm",
    read=read,
    definite_statuses=frozenset({400, 401}),
    rejected={
        "-1013": "filter not met",
        "-1021": "timestamp outside recvWindow",
        "-1022": "signature not valid",
        "-1100": "illegal characters in a parameter",
        "-1102": "mandatory parameter missing",
        "-1106": "parameter not required",
        "-1111": "precision over the maximum",
        "-1115": "time in force not valid",
        "-1116": "order type not valid",
        "-1117": "side not valid",
        "-1121": "symbol not valid",
        "-1130": "parameter data not valid",
        "-2011": "unknown order sent",
        "-2014": "key format not valid",
        "-2015": "key, address or permission not valid",
        "-2018": "balance not sufficient",
        "-2019": "margin is insufficient",
        "-2020": "unable to fill",
        "-2021": "would trigger at once",
        "-2022": "reduce-only order rejected",
        "-2023": "user in liquidation mode",
        "-2024": "position not sufficient",
        "-2025": "maximum of open orders reached",
        "-2027": "maximum position at current leverage exceeded",
        "-2028": "leverage smaller than permitted",
        "-4003": "quantity below zero",
        "-4005": "quantity above the maximum",
        "-4014": "price not on a tick",
        "-4015": "client id not valid",
        "-4016": "price above the band",
        "-4023": "quantity not on a step",
        "-4024": "price below the band",
        "-4045": "maximum of stop orders reached",
        "-4061": "position side does not match the account's mode",
        "-4108": "contract in delivering or closed",
        "-4120": "order type of the algo service alone",
        "-4131": "counterparty's best price outside the band",
        "-4164": "notional below the minimum",
        "-5022": "post-only order would take",
    },
    unsure={
        "-1000": "unknown error while processing",
        "-1001": "disconnected inside the venue",
        "-1006": "unexpected answer inside the venue",
        "-1007": "timed out inside the venue; execution unknown",
        "-1008": "venue overloaded",
    },
    duplicates={"-4116": "client id is a duplicate: the order may exist"},
    throttled_statuses=frozenset({418, 429}),
    throttled_codes=frozenset({"-1003", "-1015"}),
    clock=frozenset({"-1021"}),
    key=frozenset({"-1022", "-2014", "-2015"}),
    banned_until=re.compile(r"banned until (\d{13})"),
)
