"""Characters and strings as gdb writes them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
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
    """Return bytes as a C string in UTF-8; a character that comes often in a row is counted.

    Args:
        data: The bytes.
        elements: About how many characters are shown; a run of equal ones is never cut. 0: all.
        repeats: Runs longer than this are counted; 0: none is.
        ellipsis: Whether the string goes on behind `data`.
    """
    if not data:
        return '""' + ("..." if ellipsis else "")
    characters, rest = _characters(data)
    pieces: list[str] = []
    open_string = ""
    shown = taken = 0
    for character, group in groupby(characters):
        if elements and shown >= elements:
            break
        count = sum(1 for _ in group)
        shown += count
        taken += count
        text = _between_quotes(character)
        if repeats and count > repeats:
            if open_string:
                pieces.append(f'"{open_string}"')
                open_string = ""
            pieces.append(f"'{text}' <repeats {count} times>")
        else:
            open_string += text * count
    if open_string:
        pieces.append(f'"{open_string}"')
    whole = taken == len(characters) and not (rest and elements and shown >= elements)
    if rest and whole:
        pieces.append(f"<incomplete sequence {_octal(rest)}>")
    return ", ".join(pieces) + ("" if whole and not ellipsis else "...")


def _characters(data: bytes) -> tuple[Sequence[int | str], bytes]:
    """Return bytes as characters, what is none as single bytes; and the start of one whose end is missing."""
    if data.isascii():
        return data, b""
    found: list[int | str] = []
    at = 0
    while at < len(data):
        lead = data[at]
        size = next(size for size, limit in _LEADS if lead < limit)
        if at + size > len(data) and all(byte & 0xC0 == 0x80 for byte in data[at + 1 :]):
            return found, data[at:]
        try:
            text = data[at : at + size].decode()
        except UnicodeDecodeError:
            size, text = 1, ""
        found.append(text if size > 1 else lead)
        at += size
    return found, b""


_LEADS = ((1, 0xC2), (2, 0xE0), (3, 0xF0), (4, 0xF8), (5, 0xFC), (6, 0xFE), (1, 0x100))
"""Bytes of a character by its first one, which is less than that; those of UTF-8 as it once was count, as in gdb."""


def _between_quotes(character: int | str) -> str:
    if isinstance(character, int):
        return escaped(character, '"')
    # what only formats text, and may reverse it, is not let through
    shown = character.isprintable() or unicodedata.category(character) in ("Zs", "Co")
    return character if shown else _octal(character.encode())


def _octal(data: bytes) -> str:
    return "".join(f"\\{code:03o}" for code in data)
