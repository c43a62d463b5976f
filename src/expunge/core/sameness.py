"""Whether two objects made of dataclasses, partials and functions say the same: what an option
changes, or that it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType
from typing import Any


def plain(x: Any) -> Any:
    """``x`` as nested tuples that are equal exactly if they mean the same.

    Dataclasses by their fields, partials by function and arguments, functions by their code and
    what they close over. Anything else stands for itself, so that two objects of an unknown kind
    count as different.

    >>> plain(partial(max, 1)) == plain(partial(max, 1))
    True
    """
    if is_dataclass(x) and not isinstance(x, type):
        return (type(x).__name__, *((f.name, plain(getattr(x, f.name))) for f in fields(x)))
    if isinstance(x, partial):
        return ("partial", plain(x.func), plain(x.args), plain(x.keywords))
    if isinstance(x, Mapping):
        return (
            "mapping",
            *sorted(
                ((str(key), plain(value)) for key, value in x.items()), key=lambda pair: pair[0]
            ),
        )
    if isinstance(x, (list, tuple)):
        return tuple(plain(item) for item in x)
    if isinstance(x, FunctionType):
        held = tuple(plain(cell.cell_contents) for cell in x.__closure__ or ())
        return (
            x.__module__,
            x.__qualname__,
            x.__code__.co_code,
            x.__code__.co_consts,
            plain(x.__defaults__),
            held,
        )
    return x
