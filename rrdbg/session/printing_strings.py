"""Characters and strings as gdb writes them."""

from __future__ import annotations

from itertools import groupby

_NAMED = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 27: r"\033", 92: r"\\"}


def escaped(code: int, quote: str) -> str:
    """Return a byte as it stands between quotes."""
    if code in _NAMED:
        return _NAMED[code]
    if 32 <= code < 127:
        return f"\\{chr(code)}" if chr(code) == quote else chr(code)
    return f"\\{code:03o}"


def char_text(code: int) -> str:
    """Return a byte as a C character."""
    return f"'{escaped(code & 255, chr(39))}'"


def wide_text(code: int) -> str:
    """Return a wide character's code as a C character."""
    if 128 <= code < 0x11_0000 and chr(code).isprintable() and not 0xD800 <= code < 0xE000:
        return f"'{chr(code)}'"
    return char_text(code) if 0 <= code < 256 else f"'\\x{code & 0xFFFF_FFFF:x}'"


def string_text(data: bytes, *, elements: int = 0, repeats: int = 0, ellipsis: bool = False) -> str:
    """Return bytes as a C string; a character that comes often in a row is counted.

    Args:
        data: The bytes.
        elements: About how many characters are shown; a run of equal ones is never cut. 0: all.
        repeats: Runs longer than this are counted; 0: none is.
        ellipsis: Whether the string goes on behind `data`.
    """
    if not data:
        return '""' + ("..." if ellipsis else "")
    pieces: list[str] = []
    open_string = ""
    shown = taken = 0
    for code, group in groupby(data):
        if elements and shown >= elements:
            break
        count = sum(1 for _ in group)
        shown += count
        taken += count
        if repeats and count > repeats:
            if open_string:
                pieces.append(f'"{open_string}"')
                open_string = ""
            pieces.append(f"'{escaped(code, chr(34))}' <repeats {count} times>")
        else:
            open_string += escaped(code, '"') * count
    if open_string:
        pieces.append(f'"{open_string}"')
    return ", ".join(pieces) + ("..." if ellipsis or taken < len(data) else "")
