"""Numbers in DWARF's sections. Whoever reads past an end gets a `DwarfError`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from rrdbg.symbols.escape import harmless

P = ParamSpec("P")
R = TypeVar("R")


class DwarfError(Exception):
    """The debug information is damaged, or of a kind that is not supported; says what, in half a sentence."""


_LEB_BYTES = 16
"""Longest LEB128 number: 64 bits take 10 bytes, padding by linkers a few more."""


def uleb(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned LEB128 number and where it ends."""
    try:
        byte = data[at]
        if byte < 0x80:
            return byte, at + 1
        value, shift, end = byte & 0x7F, 7, at + _LEB_BYTES
        at += 1
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7
            if at >= end:
                raise DwarfError("a number has no end")
    except IndexError:
        raise DwarfError("it ends within a number") from None


def sleb(data: bytes, at: int) -> tuple[int, int]:
    """Return a signed LEB128 number and where it ends."""
    start = at
    value, at = uleb(data, at)
    if data[at - 1] & 0x40:
        value -= 1 << 7 * (at - start)
    return value, at


def unsigned(data: bytes, at: int, size: int) -> int:
    """Return an unsigned little-endian number of `size` bytes."""
    if at < 0 or at + size > len(data):
        raise DwarfError("it ends within a number")
    return int.from_bytes(data[at : at + size], "little")


def signed(data: bytes, at: int, size: int) -> int:
    """Return a signed little-endian number of `size` bytes."""
    if at < 0 or at + size > len(data):
        raise DwarfError("it ends within a number")
    return int.from_bytes(data[at : at + size], "little", signed=True)


def block(data: bytes, at: int, size: int) -> bytes:
    """Return `size` bytes."""
    if at < 0 or at + size > len(data):
        raise DwarfError("it ends within a block")
    return data[at : at + size]


def text(data: bytes, at: int) -> str:
    """Return the text that ends with a zero byte, control characters escaped."""
    end = data.find(b"\0", at)
    if at < 0 or end < 0:
        raise DwarfError("it ends within a text")
    return harmless(data[at:end].decode("utf-8", "backslashreplace"))


def forgiving(default: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function return `default` where the debug information is damaged."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except DwarfError:
                return cast(R, default)

        return call

    return decorate
