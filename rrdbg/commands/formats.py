"""gdb's output formats: `/3xw` and the like."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rrdbg.session.api import Location
from rrdbg.session.errors import UsageError
from rrdbg.session.numbers import Type

SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
LETTERS = "xduotacsiz"
PER_LINE = {1: 8, 2: 8, 4: 4, 8: 2}
MAX_COUNT = 100_000

Locate = Callable[[int], Location]


@dataclass(frozen=True, slots=True)
class Format:
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
    match letter:
        case "x":
            return f"{bits:#0{2 * kind.size + 2}x}" if padded else f"{bits:#x}"
        case "z":
            return f"{bits:#0{2 * kind.size + 2}x}"
        case "d":
            return str(Type(kind.size, True).fit(bits))
        case "u":
            return str(bits)
        case "o":
            return f"0{bits:o}" if bits else "0"
        case "t":
            return f"{bits:0{8 * kind.size}b}" if padded else f"{bits:b}"
        case "a":
            return address_text(bits, locate)
        case "c":
            return f"{Type(1, True).fit(bits)} {char_text(bits & 255)}"
    return str(number)


def address_text(address: int, locate: Locate) -> str:
    """Return an address as gdb writes it: `0x80000010 <main+16>`."""
    name = locate(address).text
    return f"{address:#x} <{name}>" if name else f"{address:#x}"


def char_text(code: int) -> str:
    """Return a byte as a C character."""
    named = {
        7: r"\a",
        8: r"\b",
        9: r"\t",
        10: r"\n",
        11: r"\v",
        12: r"\f",
        13: r"\r",
        27: r"\033",
        39: r"\'",
        92: r"\\",
    }
    if code in named:
        return f"'{named[code]}'"
    return f"'{chr(code)}'" if 32 <= code < 127 else f"'\\{code:03o}'"


def string_text(data: bytes) -> str:
    """Return bytes as a C string."""
    body = "".join('\\"' if byte == 34 else "'" if byte == 39 else char_text(byte)[1:-1] for byte in data)
    return f'"{body}"'
