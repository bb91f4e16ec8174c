"""The grammar of what-ifs, one for ``perptui propose --set`` and a terminal's command line.

=========================================  ====================================================
assignment                                 what it bends
=========================================  ====================================================
``gross_max=2``, ``limits.gross_max=2``    a limit of config.toml, in its units
``risk_aversion=8``, ``robust=ellipsoid``  a parameter of the strategy; ``strategy.NAME`` too
``stablecoin_min=0.3``                     one that holds several: `perptui.model.several`
``strategy=tactical``                      the strategy itself
``target:ID=0.25``                         a weight, fixed; ID as binanceusdm:BTC/USDT:USDT
``target:ID=free``                         no weight fixed any more
``view:ID=0.4``, ``view:BTC=0.4``          drift a year of a contract, or of a coin's contracts
``cost=2``, ``cost:ID=2``, ``cost:BTC=2``  factor on trading costs
``regime=stress``                          the regime
``equity=250000``                          equity in USD
``shock=-0.1``, ``shock:BTC=-0.1``         a move of marks that comes first
``stress:NAME:BTC=-0.4``                   a move of a named stress; ``stress:NAME`` of other coins
``reduce_only=true``                       only reductions
``put:BTC=50000,2026-12-25T08:00Z,1200``   a put on offer: strike, expiry, premium[, step]
=========================================  ====================================================

Values that config.toml limits to a range are held against it by `perptui.settings.bent`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin

import msgspec

from perptui.model.clock import iso, parse_iso
from perptui.model.errors import InputError
from perptui.model.given import number, shown
from perptui.model.instrument import split_id
from perptui.model.limit import Limits
from perptui.model.money import plain
from perptui.model.several import SEVERAL, text_of, values_of
from perptui.model.strategy import REGIMES, StrategyParameters
from perptui.model.text import safe_text
from perptui.model.whatif import EVERY, PutQuote, WhatIf

ASSIGNMENTS_MAX = 100
"""Most assignments of one what-if: more is no typing."""

_BOUNDS = {
    "target": (-10.0, 10.0),
    "view": (-100.0, 100.0),
    "cost": (0.0, 100.0),
    "shock": (-0.95, 10.0),
    "stress": (-0.95, 10.0),
}
_FIELDS = {
    "target": "targets",
    "view": "views",
    "cost": "costs",
    "shock": "shocks",
    "stress": "stresses",
}
_BETWEEN = re.compile(r"\s+(?=[^\s=,]+\s*=)")
_STRESS = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_COIN = re.compile(r"[A-Z0-9]{1,20}")
FREE = "free"
"""Value of a target that is fixed no more."""
_SWITCH = {"true": True, "false": False}
_WORDS = ("strategy", "regime", "equity", "reduce_only", "cost", "shock")
_KEYED = ("target:ID", "view:ID", "cost:ID", "shock:COIN", "put:COIN", "stress:NAME:COIN")


def _bendable(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the types of a record's fields that one value sets, by name."""
    plainly = {float, int, bool, Decimal}
    return {
        field.name: field.type
        for field in msgspec.structs.fields(kind)
        if field.type in plainly or get_origin(field.type) is Literal
    }


LIMITS = _bendable(Limits)
PARAMETERS = _bendable(StrategyParameters) | dict.fromkeys(SEVERAL, tuple)
_TABLES = {"limits": LIMITS, "strategy": PARAMETERS}
_DOTTED = {
    name: f"{table}.{name}"
    for table, kind, bendable in (
        ("limits", Limits, LIMITS),
        ("strategy.NAME", StrategyParameters, PARAMETERS),
    )
    for name in kind.__struct_fields__
    if name not in {"name", *bendable}
}
"""Keys of config.toml that no one text bends, as they are written in full."""


def bend_all(what_if: WhatIf, texts: Iterable[str]) -> WhatIf:
    """Return `what_if` with each assignment, in their order: a later one of a key wins.

    Raises
    ------
    InputError
        As `bend` does.
    """
    for text in texts:
        what_if = bend(what_if, text)
    return what_if


def assignments_in(text: str) -> tuple[str, ...]:
    """Return the assignments of one line, with blanks between them."""
    return tuple(part for part in _BETWEEN.split(text.strip()) if part)


def bend(what_if: WhatIf, text: str) -> WhatIf:
    """Return `what_if` with one assignment more, in the place of one of the same key.

    Raises
    ------
    InputError
        When it is no assignment, names nothing or more than one thing, or its value is none; the
        text says what was expected.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key or not value:
        raise InputError(f"expected NAME=VALUE, was {shown(text)}; write it like gross_max=2")
    bent = _bend(what_if, key, value)
    if len(assignments(bent)) > ASSIGNMENTS_MAX:
        raise InputError(
            f"expected up to {ASSIGNMENTS_MAX} assignments, was one more; drop some first"
        )
    return bent


def _bend(what_if: WhatIf, key: str, value: str) -> WhatIf:
    prefix, colon, name = (part.strip() for part in key.partition(":"))
    if colon:
        if prefix == "put":
            return _with_put(what_if, name, value)
        if prefix == "stress":
            return _numbered(what_if, prefix, _stress(key, name), value)
        if prefix in _FIELDS:
            named = _identifier(key, name, coins=prefix != "target")
            if prefix == "target" and value == FREE:
                return _freed(what_if, named)
            return _numbered(what_if, prefix, named, value)
        raise _unknown(key)
    if key in {"cost", "shock"}:
        return _numbered(what_if, key, EVERY, value)
    if key in _SINGLE:
        return _SINGLE[key](what_if, value)
    table, bare = named_in(key, _TABLES)
    if table == "limits":
        amount = _value(bare, value, LIMITS[bare])
        return _put_in(what_if, "limits", bare, float(amount))
    return _put_in(what_if, "parameters", bare, _value(bare, value, PARAMETERS[bare]))


def unbend(what_if: WhatIf, key: str) -> WhatIf:
    """Return `what_if` without the assignment of `key`; empty when `key` is "".

    Raises
    ------
    InputError
        When nothing of that key is bent.
    """
    less = without(what_if, key)
    if less == what_if:
        raise InputError(
            f"expected something bent{f' by {shown(key)}' if key else ''}, was nothing; "
            "nothing to reset"
        )
    return less


def without(what_if: WhatIf, key: str) -> WhatIf:
    """Return `what_if` without the assignment of `key`, if any; empty when `key` is ""."""
    if not key:
        return WhatIf()
    kept = (text for text in assignments(what_if) if text.partition("=")[0] != key)
    return bend_all(WhatIf(), kept)


def assignments(what_if: WhatIf) -> tuple[str, ...]:
    """Return the canonical text of a what-if, an assignment each: `bend_all` gives it back."""
    texts = []
    if what_if.strategy:
        texts.append(f"strategy={what_if.strategy}")
    if what_if.regime:
        texts.append(f"regime={what_if.regime}")
    if what_if.equity_usd is not None:
        texts.append(f"equity={plain(what_if.equity_usd)}")
    for prefix, field in _FIELDS.items():
        bent: dict[str, float] = getattr(what_if, field)
        for name in sorted(bent):
            key = prefix if name == EVERY else f"{prefix}:{name}"
            texts.append(f"{key}={_plain(bent[name])}")
    texts += [f"{name}={_plain(what_if.limits[name])}" for name in sorted(what_if.limits)]
    texts += [f"{name}={_plain(what_if.parameters[name])}" for name in sorted(what_if.parameters)]
    texts += [_put_text(one) for one in what_if.puts]
    if what_if.reduce_only:
        texts.append("reduce_only=true")
    return tuple(texts)


def named_in(key: str, tables: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Return (table, name) of a bare or dotted key.

    Raises
    ------
    InputError
        When no table holds it, with the nearest names, or more than one does, naming each.
    """
    table, dot, name = key.partition(".")
    if dot:
        if name in tables.get(table, {}):
            return table, name
        raise _unknown(key)
    holding = [each for each, names in tables.items() if key in names]
    if len(holding) > 1:
        both = " or ".join(f"{each}.{key}" for each in holding)
        raise InputError(f"expected one thing by name, was {shown(key)}; write {both}")
    if not holding:
        raise _unknown(key)
    return holding[0], key


def _unknown(key: str) -> InputError:
    import difflib

    bare = key.removeprefix("limits.").removeprefix("strategy.")
    if bare in _DOTTED:
        return InputError(
            f"expected a limit, a parameter of the strategy or {', '.join(_KEYED)}, was "
            f"{shown(key)}, which no one value bends; write it in config.toml, or with --set as "
            f"{_DOTTED[bare]}=VALUE"
        )
    known = (*_WORDS, *LIMITS, *PARAMETERS)
    near = [name for name in known if name.startswith(f"{bare}_")]
    near = near or difflib.get_close_matches(bare, known, n=1, cutoff=0.5)
    cure = f"did you mean {' or '.join(near[:3])}?" if near else f"write {', '.join(_KEYED)}"
    return InputError(
        f"expected a limit, a parameter of the strategy or {', '.join(_KEYED)}, "
        f"was {shown(key)}; {cure}"
    )


def _identifier(key: str, name: str, *, coins: bool) -> str:
    if coins and name.isascii() and name.isalnum() and name.isupper():
        return name
    if key.startswith("shock"):
        raise InputError(f"expected a coin, was {shown(name)}; write it like shock:BTC=-0.1")
    try:
        venue, symbol = split_id(name)
    except ValueError:
        or_coin = " or a coin like BTC" if coins else ""
        raise InputError(
            f"expected an instrument id{or_coin}, was {shown(key)}; "
            f"write it like {key.partition(':')[0]}:binanceusdm:BTC/USDT:USDT"
        ) from None
    return safe_text(f"{venue}:{symbol}")


def _stress(key: str, name: str) -> str:
    """Return ``NAME:COIN`` of a stress; ``NAME`` alone is of every other coin."""
    stress, _, coin = (part.strip() for part in name.partition(":"))
    other = coin in {"", EVERY}
    if not _STRESS.fullmatch(stress) or not (other or _COIN.fullmatch(coin)):
        raise InputError(
            f"expected stress:NAME:COIN, was {shown(key)}; write it like stress:crash:BTC=-0.4"
        )
    return stress if other else f"{stress}:{coin}"


def _numbered(what_if: WhatIf, prefix: str, name: str, value: str) -> WhatIf:
    key = prefix if name == EVERY else f"{prefix}:{name}"
    amount, (low, high) = float(number(value, key)), _BOUNDS[prefix]
    if not low <= amount <= high:
        raise InputError(
            f"expected {key} from {low:g} to {high:g}, was {shown(value)}; "
            "choose a value in that range"
        )
    return _put_in(what_if, _FIELDS[prefix], name, amount)


def _freed(what_if: WhatIf, name: str) -> WhatIf:
    others = {each: weight for each, weight in what_if.targets.items() if each != name}
    return msgspec.structs.replace(what_if, targets=others)


def _put_in(what_if: WhatIf, field: str, name: str, value: float | bool | str) -> WhatIf:
    return msgspec.structs.replace(what_if, **{field: {**getattr(what_if, field), name: value}})


def _value(name: str, text: str, kind: Any) -> Any:
    """Return the value of a limit or parameter as its type in config.toml."""
    if kind is tuple:
        return text_of(values_of(name, text))
    if kind is bool:
        return _switch(name, text)
    if get_origin(kind) is Literal:
        return _choice(name, text, get_args(kind))
    amount = number(text, name)
    if kind is int and amount % 1:
        raise InputError(f"expected a whole number for {name}, was {shown(text)}; mend it")
    return float(amount)


def _switch(name: str, text: str) -> bool:
    if text not in _SWITCH:
        raise InputError(f"expected {name} true or false, was {shown(text)}; write one of them")
    return _SWITCH[text]


def _choice(name: str, text: str, choices: Iterable[str]) -> str:
    if text not in choices:
        raise InputError(
            f"expected {name} one of {', '.join(choices)}, was {shown(text)}; write one of them"
        )
    return text


def _with_regime(what_if: WhatIf, text: str) -> WhatIf:
    return msgspec.structs.replace(what_if, regime=_choice("regime", text, REGIMES))


def _with_strategy(what_if: WhatIf, text: str) -> WhatIf:
    if not text.isascii() or not text.isidentifier():
        raise InputError(f"expected the name of a strategy, was {shown(text)}; name a table of it")
    return msgspec.structs.replace(what_if, strategy=text)


def _with_equity(what_if: WhatIf, text: str) -> WhatIf:
    equity = number(text, "equity")
    if equity <= 0:
        raise InputError(f"expected a positive equity, was {shown(text)}; give USD")
    return msgspec.structs.replace(what_if, equity_usd=equity.normalize() + 0)


def _with_reduce_only(what_if: WhatIf, text: str) -> WhatIf:
    return msgspec.structs.replace(what_if, reduce_only=_switch("reduce_only", text))


_SINGLE: dict[str, Callable[[WhatIf, str], WhatIf]] = {
    "regime": _with_regime,
    "strategy": _with_strategy,
    "equity": _with_equity,
    "reduce_only": _with_reduce_only,
}


def _with_put(what_if: WhatIf, coin: str, value: str) -> WhatIf:
    one = _put_of(coin, value)
    same = (one.coin, one.strike, one.expiry_ms)
    others = (put for put in what_if.puts if (put.coin, put.strike, put.expiry_ms) != same)
    puts = sorted((*others, one), key=lambda put: (put.coin, put.expiry_ms, put.strike))
    return msgspec.structs.replace(what_if, puts=tuple(puts))


def _put_of(coin: str, value: str) -> PutQuote:
    parts = [part.strip() for part in value.split(",")]
    if not (coin.isascii() and coin.isalnum() and coin.isupper()) or len(parts) not in {3, 4}:
        raise InputError(
            f"expected put:COIN=STRIKE,EXPIRY,PREMIUM[,STEP], was {shown(f'{coin}={value}')}; "
            "write it like put:BTC=50000,2026-12-25T08:00Z,1200"
        )
    try:
        expiry_ms = parse_iso(parts[1])
    except ValueError:
        raise InputError(
            f"expected an ISO 8601 expiry, was {shown(parts[1])}; write it like 2026-12-25T08:00Z"
        ) from None
    named = zip(("strike", "premium", "step"), (parts[0], *parts[2:]), strict=False)
    amounts = {name: float(number(text, f"a put's {name}")) for name, text in named}
    for name, amount in amounts.items():
        if amount <= 0:
            raise InputError(f"expected a positive {name} of a put, was {amount:g}; give USD")
    return PutQuote(
        coin, amounts["strike"], expiry_ms, amounts["premium"], amounts.get("step", PUT_STEP)
    )


PUT_STEP = 0.01
"""Smallest quantity of a put whose assignment names none, coins."""


def _put_text(put: PutQuote) -> str:
    parts = (_plain(put.strike), iso(put.expiry_ms), _plain(put.premium_usd), _plain(put.step))
    return f"put:{put.coin}={','.join(parts)}"


def _plain(value: float | bool | str) -> str:
    """Return a value as it would be typed: the shortest text that reads back as it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else plain(Decimal(repr(value)))
