"""What-ifs held against the ranges that config.toml itself must keep to."""

from __future__ import annotations

import msgspec

from perptui.model.bent import bent_limits, bent_strategy
from perptui.model.errors import InputError
from perptui.model.several import SEVERAL, values_of
from perptui.model.whatif import WhatIf
from perptui.settings.ranges import contradictions, range_of
from perptui.settings.schema import Settings


def refuse_out_of_range(what_if: WhatIf, settings: Settings) -> None:
    """Refuse a what-if that could not be written in config.toml.

    Raises
    ------
    InputError
        For a value out of its range, limits that contradict each other, or an unknown strategy.
    """
    if what_if.strategy and what_if.strategy not in settings.strategy:
        known = ", ".join(sorted(settings.strategy))
        raise InputError(
            f"expected a strategy among {known}, was {what_if.strategy!r}; name one of these"
        )
    stresses = settings.stress.moves
    strange = [name for name in _stressed(what_if) if name not in stresses]
    if strange:
        raise InputError(
            f"expected a stress of the desk ({', '.join(sorted(stresses)) or 'it has none'}), was "
            f"{strange[0]!r}; name one of these"
        )
    for name, value in what_if.limits.items():
        _refuse(name, f"limits.{name}", value)
    for name, given in what_if.parameters.items():
        values = values_of(name, str(given)) if name in SEVERAL else (given,)
        for value in values:
            if isinstance(value, float):
                _refuse(name, f"strategy.*.{name}", value)
    for path, text in contradictions(_bent(what_if, settings)):
        raise InputError(f"{path}: {text}")


def _stressed(what_if: WhatIf) -> list[str]:
    return [key.partition(":")[0] for key in what_if.stresses]


def _bent(what_if: WhatIf, settings: Settings) -> Settings:
    """Return the settings with the limits and parameters of a what-if; its puts are not in them."""
    limits = bent_limits(what_if, settings.limits)
    parameters = WhatIf(parameters=what_if.parameters)
    strategies = {name: bent_strategy(parameters, one) for name, one in settings.strategy.items()}
    return msgspec.structs.replace(settings, limits=limits, strategy=strategies)


def _refuse(name: str, path: str, value: float) -> None:
    bounds = range_of(path)
    if bounds is not None and not bounds[0] <= value <= bounds[1]:
        raise InputError(
            f"expected {name} from {bounds[0]:g} to {bounds[1]:g}, was {value:g}; "
            "choose a value in that range"
        )
