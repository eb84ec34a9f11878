"""`Checked`: frozen dataclasses whose fields are what their annotations say, and that go to JSON and back.

For what a file holds, and files are written by anybody. pydantic would do the same, but importing it and building its
models takes a tenth of a second, which every start that opens a trace would pay.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, Self

from rrdbg_core.frozen import Frozen


class Invalid(ValueError):
    """A value is not what its field is declared as."""

    def __init__(self, where: str, what: str, value: object = None) -> None:
        super().__init__(f"{where}: {what}" if where else what)
        self.where = where
        """Path of the field, with points between; "" for the whole."""
        self.what = what
        """What is wrong."""
        self.value = value
        """What stands there."""


class Range:
    """In `Annotated[int, Range(...)]`: the numbers that a field takes."""

    def __init__(self, lowest: int, highest: int, *, multiple_of: int = 1) -> None:
        self.lowest = lowest
        """The smallest one."""
        self.highest = highest
        """The largest one."""
        self.multiple_of = multiple_of
        """All are multiples of it."""

    def check(self, value: int) -> None:
        """Raise ValueError if a number is none of them."""
        if value < self.lowest:
            raise ValueError(f"it should be at least {self.lowest}")
        if value > self.highest:
            raise ValueError(f"it should be at most {self.highest}")
        if value % self.multiple_of:
            raise ValueError(f"it should be a multiple of {self.multiple_of}")


class Checked(Frozen):
    """The base. Fields are integers, texts, truth values, `Literal`s, other `Checked` values, tuples of one of these
    (`tuple[T, ...]`), or a choice of them.

    Raises:
        Invalid: A field is something else. That is so for making one, too.
    """

    def __post_init__(self) -> None:
        for name, kind in _fields(type(self)).items():
            _check(getattr(self, name), kind, name)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the value of a JSON object. Fields that are not there have their defaults; there must be no others."""
        try:
            value = json.loads(text if isinstance(text, str) else text.decode())
        except (ValueError, RecursionError) as error:
            raise Invalid("", f"no JSON: {error}") from error
        made: Self = _make(value, cls, "")
        return made

    def to_json(self) -> str:
        """Return the JSON object that `from_json` reads."""
        return json.dumps(self.values(), ensure_ascii=False, separators=(",", ":"))

    def values(self) -> dict[str, Any]:
        """Return the fields, as values that JSON can hold."""
        return {name: _plain(getattr(self, name)) for name in _fields(type(self))}


_known: dict[type, dict[str, Any]] = {}


def _fields(cls: type[Checked]) -> dict[str, Any]:
    """Return what the fields of a class are declared as."""
    if cls not in _known:
        kinds = typing.get_type_hints(cls, include_extras=True)
        _known[cls] = {field.name: kinds[field.name] for field in dataclasses.fields(cls)}
    return _known[cls]


def _plain(value: Any) -> Any:
    if isinstance(value, Checked):
        return value.values()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _at(where: str, part: str | int) -> str:
    return f"{where}.{part}" if where else str(part)


def _check(value: Any, kind: Any, where: str) -> None:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        _check(value, arguments[0], where)
        for limits in arguments[1:]:
            try:
                limits.check(value)
            except ValueError as error:
                raise Invalid(where, str(error), value) from None
    elif origin in (types.UnionType, typing.Union):
        (wanted,) = (choice for choice in arguments if choice is not type(None))
        if value is not None:
            _check(value, wanted, where)
    elif origin is tuple:
        if not isinstance(value, tuple):
            raise Invalid(where, "it should be a list", value)
        for number, item in enumerate(value):
            _check(item, arguments[0], _at(where, number))
    elif origin is typing.Literal:
        # 1 is no True, and 1.0 no 1
        if not any(type(value) is type(choice) and value == choice for choice in arguments):
            raise Invalid(where, f"it should be {' or '.join(map(repr, arguments))}", value)
    elif type(value) is not kind:
        raise Invalid(where, f"it should be {_NAMES.get(kind, 'an object')}", value)


_NAMES = {int: "an integer", str: "a text", bool: "true or false"}


def _make(value: Any, kind: Any, where: str) -> Any:
    """Return what a value of JSON says: objects and lists become what is declared; all else is left to `_check`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _make(value, arguments[0], where)
    if origin in (types.UnionType, typing.Union):
        (wanted,) = (choice for choice in arguments if choice is not type(None))
        return None if value is None else _make(value, wanted, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_make(item, arguments[0], _at(where, number)) for number, item in enumerate(value))
    if isinstance(kind, type) and issubclass(kind, Checked):
        return _object(value, kind, where)
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Invalid(where, "it is not Unicode", value)
    return value


def _object(value: Any, kind: type[Checked], where: str) -> Checked:
    if not isinstance(value, Mapping):
        raise Invalid(where, "it should be an object", value)
    fields = _fields(kind)
    for name in value:
        if name not in fields:
            raise Invalid(_at(where, name), "there is no such field", value[name])
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in value:
            raise Invalid(_at(where, field.name), "it is missing")
    made = {name: _make(item, fields[name], _at(where, name)) for name, item in value.items()}
    try:
        return kind(**made)
    except Invalid as error:
        raise Invalid(_at(where, error.where), error.what, error.value) from None
