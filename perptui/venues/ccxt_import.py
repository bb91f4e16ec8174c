"""ccxt without its index: an exchange is loaded when it is asked for, not with all the others.

The index of ``ccxt.async_support`` imports more than a hundred exchanges, which costs a desk about
0.7 s of CPU on its way to the first figures and 50 MB for good. Here ccxt's two packages are set up
without running their index, and hold what ccxt's own modules take from them: its errors and the
base class. A process that has imported ccxt already keeps it as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any

_ROOT = "ccxt"
_ASYNC = "ccxt.async_support"
_importing = threading.Lock()


def exchange_class(name: str) -> Any:
    """Return the class of ccxt's asynchronous exchange `name`, the same as the index holds."""
    with _importing:
        if _ROOT not in sys.modules:
            _set_up()
        return getattr(importlib.import_module(f"{_ASYNC}.{name}"), name)


def _set_up() -> None:
    root = _without_index(_ROOT)
    from ccxt.base import errors
    from ccxt.base.exchange import Exchange

    vars(root).update({word: getattr(errors, word) for word in errors.__all__}, Exchange=Exchange)
    vars(root)["async_support"] = _without_index(_ASYNC)


def _without_index(name: str) -> ModuleType:
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"expected the package {name}, was none; install ccxt", name=name)
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    return package
