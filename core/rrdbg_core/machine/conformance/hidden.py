"""Finds state that hides outside the schema: a fingerprint of everything that a device's attributes reach."""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rrdbg_core.devices.contract import Device, DeviceState

MAX_DEPTH = 8
_ATOMS = (int, float, complex, str, bytes, bool, type(None), range, type(Ellipsis))
_IGNORED = {"state", "board", "name"}


def fingerprint(device: Device) -> dict[str, object]:
    """Return what the device remembers outside its state, by path: its attributes, its classes' and its modules'."""
    found: dict[str, object] = {}
    _walk("self", {k: v for k, v in vars(device).items() if k not in _IGNORED}, found, set(), 0)
    # an attribute that replaces the state would be state that the machine does not own
    found["self.state is bound"] = id(vars(device).get("state"))
    extra = {k: v for k, v in vars(device.state).items() if k not in ("words", "cells", "arrays")}
    _walk("self.state", extra, found, set(), 0)
    for cls in type(device).__mro__:
        if cls.__module__.startswith("rrdbg_core.devices.contract") or cls is object:
            continue
        _walk(cls.__name__, dict(vars(cls)), found, set(), 0)
        module = sys.modules.get(cls.__module__)
        for name, value in _globals(cls, module):
            _walk(name, value, found, set(), 1)
    return found


def _globals(cls: type, module: types.ModuleType | None) -> Iterator[tuple[str, Any]]:
    """Yield the module-level values that the class's methods see."""
    functions = [value for value in vars(cls).values() if isinstance(value, types.FunctionType)]
    space: Mapping[str, Any] = functions[0].__globals__ if functions else vars(module) if module else {}
    for name, value in list(space.items()):
        if not name.startswith("__") and not isinstance(value, types.ModuleType | type | types.FunctionType):
            yield name, value


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return what differs: "self.count: 3, then 4"."""
    paths = sorted(set(before) | set(after))
    missing = "nothing"
    return [
        f"{path}: {_short(before.get(path, missing))}, then {_short(after.get(path, missing))}"
        for path in paths
        if before.get(path, missing) != after.get(path, missing)
    ]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _walk(path: str, value: Any, found: dict[str, object], seen: set[int], depth: int) -> None:
    """Note every atom that `value` reaches."""
    if isinstance(value, _ATOMS):
        found[path] = value
        return
    if depth > MAX_DEPTH or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        found[path] = f"{len(value)} items"
        for key, item in value.items():
            if not (isinstance(key, str) and key.startswith("__") and key.endswith("__")):
                _walk(f"{path}.{key}" if isinstance(key, str) else f"{path}[{key!r}]", item, found, seen, depth + 1)
    elif isinstance(value, list | tuple):
        found[path] = f"{len(value)} items"
        for index, item in enumerate(value):
            _walk(f"{path}[{index}]", item, found, seen, depth + 1)
    elif isinstance(value, set | frozenset):
        found[path] = sorted(map(repr, value))
    elif isinstance(value, bytearray | memoryview):
        found[path] = bytes(value)
    elif isinstance(value, np.ndarray):
        found[path] = value.tobytes()
    elif isinstance(value, random.Random):
        found[path] = hash(value.getstate())
    elif isinstance(value, types.FunctionType):
        for index, cell in enumerate(value.__closure__ or ()):
            try:
                _walk(f"{path} (closure {index})", cell.cell_contents, found, seen, depth + 1)
            except ValueError:
                continue  # not filled yet
        _walk(f"{path} (defaults)", value.__defaults__, found, seen, depth + 1)
    elif isinstance(value, Device | DeviceState | type | types.ModuleType):
        return
    elif hasattr(value, "__dict__"):
        found[path] = type(value).__name__
        _walk(path, vars(value), found, seen, depth + 1)
    elif hasattr(type(value), "__slots__"):
        for name in type(value).__slots__:
            if hasattr(value, name):
                _walk(f"{path}.{name}", getattr(value, name), found, seen, depth + 1)
    else:
        found[path] = type(value).__name__
