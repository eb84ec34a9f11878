"""Characters and strings as gdb writes them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

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
    pieces: list[str] = []
    open_string = ""
    shown, whole = 0, True
    for character, count in _runs(data):
        if elements and shown >= elements:
            whole = False
            break
        shown += count
        is_cut, text = isinstance(character, bytes), _between_quotes(character)
        if not is_cut and not (repeats and count > repeats):
            open_string += text * count
            continue
        if open_string:
            pieces.append(f'"{open_string}"')
            open_string = ""
        pieces.append(f"<incomplete sequence {text}>" if is_cut else f"'{text}' <repeats {count} times>")
    if open_string:
        pieces.append(f'"{open_string}"')
    return ", ".join(pieces) + ("" if whole and not ellipsis else "...")


def _runs(data: bytes) -> Iterator[tuple[int | str | bytes, int]]:
    """Yield characters with how often each stands in a row; little is read of a large array of which little is shown.

    What is no character comes as single bytes, and the start of one whose end is missing as `bytes`.
    """
    last: int | str | bytes = b""
    count = at = 0
    while at < len(data):
        lead = data[at]
        size = next(size for size, limit in _LEADS if lead < limit)
        character: int | str | bytes = lead
        single = size == 1
        if at + size > len(data) and all(byte & 0xC0 == 0x80 for byte in data[at + 1 :]):
            character, size = data[at:], len(data) - at
        elif not single:
            try:
                character = data[at : at + size].decode()
            except UnicodeDecodeError:
                size = 1
        end = _end_of_run(data, at, size)
        if size == 1 and not single:  # the last of them may begin a character
            end = max(end - 1, at + 1)
        if character != last:
            if count:
                yield last, count
            last, count = character, 0
        count += (end - at) // size
        at = end
    if count:
        yield last, count


def _end_of_run(data: bytes, at: int, size: int) -> int:
    """Return where a piece stops to be repeated."""
    found = re.compile(b"(?:%b)+" % re.escape(data[at : at + size]), re.DOTALL).match(data, at)
    return at if found is None else found.end()


_LEADS = ((1, 0xC2), (2, 0xE0), (3, 0xF0), (4, 0xF8), (5, 0xFC), (6, 0xFE), (1, 0x100))
"""Bytes of a character by its first one, which is less than that; those of UTF-8 as it once was count, as in gdb."""


def _between_quotes(character: int | str | bytes) -> str:
    if isinstance(character, int):
        return escaped(character, '"')
    if isinstance(character, bytes):
        return _octal(character)
    # what only formats text, and may reverse it, is not let through
    shown = character.isprintable() or unicodedata.category(character) in ("Zs", "Co")
    return character if shown else _octal(character.encode())


def _octal(data: bytes) -> str:
    return "".join(f"\\{code:03o}" for code in data)
