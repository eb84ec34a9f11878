"""Watches for what no device may use: host time, host randomness, files, sockets, threads.

Functions of the standard library are wrapped before a device's module is loaded, so that `from time import time` gets
the wrapper too. A wrapper does nothing but pass on, unless spying is on.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

_TIME = ["time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep"]
_RANDOM = [
    "random",
    "randint",
    "randrange",
    "getrandbits",
    "choice",
    "choices",
    "shuffle",
    "sample",
    "uniform",
    "randbytes",
]
_WATCHED = (
    *((time, name) for name in _TIME),
    *((random, name) for name in _RANDOM),
    *((os, name) for name in ("urandom", "getrandom") if hasattr(os, name)),
    *((uuid, name) for name in ("uuid1", "uuid4")),
)
_AUDITED = {
    "open": "opens a file",
    "socket.__new__": "opens a socket",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "_thread.start_new_thread": "starts a thread",
}
_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".zip")

_calls: list[list[str]] = []
"""The list of who is spying now, if anybody."""


def _spied(owner: Any, name: str) -> Callable[..., Any]:
    original: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(original)
    def spied(*args: Any, **kwargs: Any) -> Any:
        if _calls:
            _calls[-1].append(f"calls {owner.__name__}.{name}()")
        return original(*args, **kwargs)

    return spied


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _calls or event not in _AUDITED:
        return
    if event == "open" and isinstance(args[0], str) and args[0].endswith(_CODE):
        return  # an import
    _calls[-1].append(_AUDITED[event])


@functools.cache
def _add_audit_hook() -> None:
    """Python cannot remove it again; it is silent unless somebody spies."""
    sys.addaudithook(_audit)


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Wrap what is watched; load the device meanwhile."""
    _add_audit_hook()
    originals = [(owner, name, getattr(owner, name)) for owner, name in _WATCHED]
    for owner, name, _ in originals:
        setattr(owner, name, _spied(owner, name))
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


@contextlib.contextmanager
def blind() -> Iterator[None]:
    """Do not look meanwhile: a host back end does what a device may not."""
    calls = _calls[:]
    _calls.clear()
    try:
        yield
    finally:
        _calls.extend(calls)


@contextlib.contextmanager
def spying() -> Iterator[list[str]]:
    """Note what is used meanwhile."""
    calls: list[str] = []
    _calls.append(calls)
    try:
        yield calls
    finally:
        _calls.pop()
