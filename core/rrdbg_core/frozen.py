"""`Frozen`: frozen dataclasses whose methods are written when the first one is made.

`dataclasses.dataclass` compiles half a dozen functions for each class, 0.7 ms: with two hundred classes, a start would
spend more time on that than on anything else, and of most classes it never needs an instance.
"""

from __future__ import annotations

import dataclasses
import threading
from types import GetSetDescriptorType
from typing import Any, dataclass_transform

_NAMES = (
    "__init__",
    "__repr__",
    "__eq__",
    "__hash__",
    "__match_args__",
    "__dataclass_params__",
    "__dataclass_fields__",
)
"""What `dataclass` gives a class, and others ask for."""

_making = threading.RLock()


class _Later:
    """Stands for an attribute that `dataclass` gives a class: whoever asks for it has it made."""

    def __init__(self, owner: type, name: str) -> None:
        self._owner = owner
        self._name = name

    def __get__(self, instance: object, cls: type | None = None) -> Any:
        with _making:
            if vars(self._owner)[self._name] is self:
                _make(self._owner)
        found = vars(self._owner)[self._name]
        return found.__get__(instance, cls) if hasattr(found, "__get__") else found


def _make(cls: type) -> None:
    # Of a twin: other threads may use the class meanwhile, and find each attribute either made or standing for it.
    body = {name: value for name, value in vars(cls).items() if not isinstance(value, (_Later, GetSetDescriptorType))}
    body["__qualname__"] = cls.__qualname__
    twin: type = dataclasses.dataclass(frozen=True)(type(cls)(cls.__name__, cls.__bases__, body, later=False))
    for name, value in list(vars(cls).items()):
        if isinstance(value, dataclasses.Field):
            if name in vars(twin):
                setattr(cls, name, vars(twin)[name])
            else:
                delattr(cls, name)
    for name in _NAMES:
        if isinstance(vars(cls)[name], _Later):
            setattr(cls, name, vars(twin)[name])


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
class Frozen:
    """The base of values. A subclass is what `@dataclass(frozen=True)` makes of it, and so are its subclasses.

    Example:
        >>> class Range(Frozen):
        ...     start: int
        ...     stop: int = 0
        >>> Range(1)
        Range(start=1, stop=0)
    """

    def __init_subclass__(cls, *, later: bool = True) -> None:
        for name in _NAMES if later else ():
            if name not in vars(cls):
                setattr(cls, name, _Later(cls, name))

    def __setattr__(self, name: str, value: object) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
