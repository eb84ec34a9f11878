"""Numbers and texts inside packets, read with suspicion."""

from __future__ import annotations

import re

from rrdbg.gdb.errors import Malformed

_NUMBER = re.compile(rb"[0-9a-fA-F]{1,16}")
M64 = (1 << 64) - 1


def number(text: bytes, what: str = "number") -> int:
    """Return a hexadecimal number of at most 64 bits."""
    if not _NUMBER.fullmatch(text):
        raise Malformed(f"not a hexadecimal {what}: {text[:20]!r}")
    return int(text, 16)


def numbers(text: bytes, count: int, separator: bytes = b",") -> list[int]:
    """Return exactly so many numbers."""
    parts = text.split(separator)
    if len(parts) != count:
        raise Malformed(f"{count} numbers are needed: {text[:40]!r}")
    return [number(part) for part in parts]


def text_of(digits: bytes) -> str:
    """Return a text that was sent as hexadecimal digits."""
    return bytes_of(digits).decode(errors="replace")


def bytes_of(digits: bytes) -> bytes:
    """Return bytes that were sent as hexadecimal digits."""
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        raise Malformed(f"not hexadecimal digits: {digits[:20]!r}") from None


def little(value: int) -> bytes:
    """Return a 64-bit register as gdb wants it."""
    return (value & M64).to_bytes(8, "little").hex().encode()


def part_of(document: bytes, window: bytes) -> bytes:
    """Return the part of a document that a qXfer packet asks for (`offset,length`), marked as more or last."""
    from rrdbg.gdb.packets import MAX_PAYLOAD, escape

    offset, length = numbers(window, 2)
    # a byte may become two
    length = min(length, MAX_PAYLOAD // 2 - 16)
    mark = b"m" if offset + length < len(document) else b"l"
    return mark + escape(document[offset : offset + length])
