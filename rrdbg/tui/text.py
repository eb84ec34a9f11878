"""Text for the screen: what the guest chose is made harmless, and numbers are made short enough to read."""

from __future__ import annotations

CONTROL_PICTURES = 0x2400
"""The Unicode block in which U+2400 + c is the picture of control character c."""


def visible(text: str) -> str:
    """Return `text` with everything replaced that could move the cursor, reorder or hide text.

    C0 controls become their pictures (ESC is `␛`), DEL `␡`; every other character that is not printable, which takes
    in C1 controls, bidirectional overrides, zero-width characters and lone surrogates, becomes `�`.

    Example:
        >>> visible("a\\x1b[2J\\u202eb")
        'a␛[2J�b'
    """
    if text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20:
        return chr(CONTROL_PICTURES + code)
    return "␡" if code == 0x7F else "�"


def grouped(n: int) -> str:
    """Return a count with digit groups: 1_234_567."""
    return f"{n:_}"


def short_count(n: int) -> str:
    """Return a count in a few characters, exact where it is round: 950, 12k, 1.25M, 3G."""
    for suffix, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if abs(n) >= scale:
            return f"{n / scale:.4g}{suffix}"
    return str(n)


def exact_count(n: int, step: int) -> str:
    """Return a count for an axis whose labels are `step` apart: short, yet no two neighbours look the same."""
    for suffix, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if abs(n) >= scale and step >= scale // 1000:
            digits = 0
            while digits < 3 and step % (scale // 10**digits):
                digits += 1
            return f"{n / scale:.{digits}f}{suffix}"
    return grouped(n)


def short_ns(ns: int, digits: int = 4) -> str:
    """Return a virtual time in the unit that suits it: 12.5us, 3.041ms, 1.25s."""
    for unit, scale in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if abs(ns) >= scale:
            whole = len(str(abs(ns) // scale))
            return f"{ns / scale:.{max(digits - whole, 0)}f}{unit}"
    return f"{ns}ns"


def trimmed(number: str) -> str:
    """Return a number with its unit without zeros at the end of its fraction: 1.500ms becomes 1.5ms."""
    digits = number.rstrip("numsk")
    return digits.rstrip("0").rstrip(".") + number[len(digits) :] if "." in digits else number


def short_seconds(seconds: float) -> str:
    """Return a host time, as an ETA is read: 0.4s, 12s, 3m04s."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


def clip(text: str, width: int) -> str:
    """Return `text` in at most `width` characters, with `…` where it was cut."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"[: max(width, 0)]


def wrapped(text: str, width: int) -> list[str]:
    """Break a line into pieces of at most `width` characters, between words where that is possible.

    Example:
        >>> wrapped("one two three", 8)
        ['one two', 'three']
    """
    pieces = []
    while len(text) > width > 0:
        cut = text.rfind(" ", 1, width + 1)
        cut = cut if cut > 0 and text[:cut].strip() else width
        pieces.append(text[:cut])
        text = text[cut:].removeprefix(" ")
    return [*pieces, text]


def ascii_column(data: bytes) -> str:
    """Return the right-hand column of a hex dump: printable ASCII, and `·` for the rest."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in data)
