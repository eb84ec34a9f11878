"""Numbers in gdb's output formats: `/x`, `/d` and the like."""

from __future__ import annotations

from collections.abc import Callable

from rrdbg.session import ctypes_floats as floats
from rrdbg.session.printing_strings import char_text

LETTERS = "xduotacsizf"
"""The format letters: hex, decimal, unsigned, octal, binary, address, character, string, instruction, padded, float."""

NameOf = Callable[[int], str]
"""Returns an address by name, `symbol+offset`, or nothing."""


def address_text(address: int, name_of: NameOf) -> str:
    """Return an address as gdb writes it: `0x80000010 <main+16>`."""
    name = name_of(address)
    return f"{address:#x} <{name}>" if name else f"{address:#x}"


def number_text(bits: int, size: int, signed: bool, letter: str, name_of: NameOf, *, padded: bool = False) -> str:
    """Return a number in a format.

    Args:
        bits: The number's bits, unsigned.
        size: Its bytes.
        signed: Whether its type is signed.
        letter: Format letter, or empty for the type's own.
        name_of: Returns an address by name.
        padded: Whether hex and binary have leading zeros, as `x` shows them.
    """
    number = bits - (1 << 8 * size) if size and bits >> (8 * size - 1) else bits
    match letter:
        case "x":
            return f"{bits:#0{2 * size + 2}x}" if padded else f"{bits:#x}"
        case "z":
            return f"{bits:#0{2 * size + 2}x}"
        case "d":
            return str(number)
        case "u":
            return str(bits)
        case "o":
            return f"0{bits:o}" if bits else "0"
        case "t":
            return f"{bits:0{8 * size}b}" if padded else f"{bits:b}"
        case "a":
            return address_text((number if signed else bits) & (1 << 64) - 1, name_of)
        case "c":
            low = bits & 255
            return f"{low - 256 if signed and low >> 7 else low} {char_text(low)}"
        case "f" if size in (4, 8, 16):
            return floats.text(bits.to_bytes(size, "little"))
    return str(number if signed else bits)
