"""Layering strategies, one a file: the file's name is the name in os.toml and on the command line."""

import importlib
import pkgutil
from typing import cast

from layers.errors import InputError
from layers.plan import Strategy

#: The names of all strategies, sorted.
NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def strategy(name: str) -> Strategy:
    """The strategy of a name.

    Raises:
        InputError: there is none.
    """
    if name not in NAMES:
        raise InputError(f"there is no layering strategy {name!r}", hint=f"There are: {', '.join(NAMES)}.")
    return cast("Strategy", importlib.import_module(f"{__name__}.{name}"))
