"""gdb's output formats: `/3xw` and the like."""

from __future__ import annotations

import re
from collections.abc import Callable

from rrdbg_core.frozen import Frozen

from rrdbg.session import printing_numbers
from rrdbg.session.api import Location
from rrdbg.session.errors import UsageError
from rrdbg.session.numbers import Type
from rrdbg.session.printing_numbers import LETTERS
from rrdbg.session.printing_strings import char_text, string_text

__all__ = ["LETTERS", "char_text", "string_text"]

SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
PER_LINE = {1: 8, 2: 8, 4: 4, 8: 2}
MAX_COUNT = 100_000

Locate = Callable[[int], Location]


class Format(Frozen):
    """What follows a slash."""

    count: int | None
    """Repeat count; negative counts back."""
    letter: str
    """Format letter, or empty."""
    size: int
    """Unit size in bytes, or 0."""


def parse_format(text: str) -> Format:
    """Parse a format.

    Raises:
        UsageError: An unknown letter, or more than one format or size.
    """
    match = re.fullmatch(r"(-?\d+)?([A-Za-z]*)", text)
    if match is None:
        raise UsageError(f"{'/' + text!r} is not a format", hint="count, format and size: /4xw, /i, /s")
    letter, size = "", 0
    for char in match[2]:
        if char in SIZES and not size:
            size = SIZES[char]
        elif char in LETTERS and not letter:
            letter = char
        else:
            raise UsageError(f"undefined output format {char!r}", hint=f"formats {LETTERS}, sizes b h w g")
    count = int(match[1]) if match[1] else None
    if count is not None and abs(count) > MAX_COUNT:
        raise UsageError(f"{abs(count):_} units are more than a screen can take", hint=f"at most {MAX_COUNT:_}")
    return Format(count, letter, size)


def number_text(number: int, kind: Type, letter: str, locate: Locate, *, padded: bool = False) -> str:
    """Return a number in a format."""
    bits = number & (1 << 8 * kind.size) - 1

    def name_of(address: int) -> str:
        return locate(address).text

    return printing_numbers.number_text(bits, kind.size, kind.signed, letter, name_of, padded=padded)


def address_text(address: int, locate: Locate) -> str:
    """Return an address as gdb writes it: `0x80000010 <main+16>`."""
    return printing_numbers.address_text(address, lambda at: locate(at).text)
