"""Session values as JSON, for the pipe between a face and its engine. No code can come out of a message."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
from enum import Enum
from typing import Any

from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.frozen import Frozen

from rrdbg.session import errors, numbers, program, rows, values


def _public(module: Any, base: type) -> dict[str, type]:
    found = {name: item for name, item in vars(module).items() if isinstance(item, type)}
    return {name: item for name, item in found.items() if issubclass(item, base) and item.__module__ == module.__name__}


_CLASSES: dict[str, Any] = {
    name: item
    for module in (values, rows, numbers, program)
    for name, item in _public(module, object).items()
    if issubclass(item, Frozen) or dataclasses.is_dataclass(item)  # in this order: what is Frozen is made when needed
}
_ENUMS: dict[str, Any] = dict(_public(values, Enum))
_ERRORS = {"RrdbgError": RrdbgError, **_public(errors, RrdbgError)}


@functools.cache
def _fields(item: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(item))


def encode(value: Any) -> bytes:
    """Return a value as a message. Sequences come back as tuples."""
    return json.dumps(_pack(value), separators=(",", ":")).encode()


def decode(message: bytes) -> Any:
    """Return the value of a message. Raises ValueError for what `encode` did not write."""
    try:
        return _unpack(json.loads(message))
    except (KeyError, IndexError, TypeError, RecursionError) as error:
        raise ValueError(f"not a message: {error!r}") from error


def pack_error(error: BaseException) -> dict[str, Any]:
    """Return an error as a plain value."""
    if isinstance(error, RrdbgError):
        known = next((cls.__name__ for cls in type(error).__mro__ if _ERRORS.get(cls.__name__) is cls), "RrdbgError")
        return {"class": known, "message": error.message, "hint": error.hint, "code": int(error.exit_code)}
    return {
        "class": "RrdbgError",
        "message": f"internal error: {type(error).__name__}: {error}",
        "hint": "this is a defect of rrdbg; please report it",
        "code": int(ExitCode.FAILED),
    }


def unpack_error(packed: dict[str, Any]) -> RrdbgError:
    """Return the error that `pack_error` described."""
    kind: type[RrdbgError] = _ERRORS[packed["class"]]
    return kind(packed["message"], hint=packed["hint"], exit_code=ExitCode(packed["code"]))


def _pack(value: Any) -> Any:
    if isinstance(value, Enum):
        return {"e": type(value).__name__, "v": value.value}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"b": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [_pack(item) for item in value]
    if isinstance(value, dict):
        return {"d": [[_pack(key), _pack(item)] for key, item in value.items()]}
    name = type(value).__name__
    if _CLASSES.get(name) is type(value):
        return {"t": name, "v": [_pack(getattr(value, field)) for field in _fields(_CLASSES[name])]}
    raise TypeError(f"{type(value).__name__} cannot go through the pipe")


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unpack(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "t" in value:
        return _CLASSES[value["t"]](*map(_unpack, value["v"]))
    if "e" in value:
        return _ENUMS[value["e"]](value["v"])
    if "b" in value:
        return base64.b64decode(value["b"])
    return {_unpack(key): _unpack(item) for key, item in value["d"]}
