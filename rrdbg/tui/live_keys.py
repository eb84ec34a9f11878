"""What a terminal would send for a key: for keys that go to the guest instead of the debugger."""

from __future__ import annotations

from textual import events

ESCAPE = "ctrl+a"
"""Key in front of the few commands that the debugger keeps for itself."""

SEQUENCES = {
    "enter": "\r", "tab": "\t", "shift+tab": "\x1b[Z", "backspace": "\x7f", "escape": "\x1b", "space": " ",
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F",
    "insert": "\x1b[2~", "delete": "\x1b[3~", "pageup": "\x1b[5~", "pagedown": "\x1b[6~",
    "f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS", "f5": "\x1b[15~", "f6": "\x1b[17~",
    "f7": "\x1b[18~", "f8": "\x1b[19~", "f9": "\x1b[20~", "f10": "\x1b[21~", "f11": "\x1b[23~", "f12": "\x1b[24~",
    "ctrl+at": "\0", "ctrl+space": "\0", "ctrl+backslash": "\x1c", "ctrl+right_square_bracket": "\x1d",
    "ctrl+circumflex_accent": "\x1e", "ctrl+underscore": "\x1f", "ctrl+enter": "\r", "shift+enter": "\r",
    "ctrl+backspace": "\x08", "shift+backspace": "\x7f", "shift+space": " ",
}  # fmt: skip
"""Keys by their names in Textual, as xterm sends them."""

_ARROWS = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4}


def sent(event: events.Key) -> bytes:
    """Return the bytes of a key; none for one that no terminal has."""
    key = event.key
    if key == "backspace" and event.character == "\x08":  # a terminal with the old kind
        return b"\x08"
    if key in SEQUENCES:
        return SEQUENCES[key].encode()
    *modifiers, last = key.split("+")
    if modifiers == ["ctrl"] and len(last) == 1 and last.isascii() and last.isalpha():
        return bytes([ord(last.lower()) & 0x1F])
    if last in _ARROWS and modifiers:
        return f"\x1b[1;{1 + sum(_MODIFIERS.get(name, 0) for name in modifiers)}{_ARROWS[last]}".encode()
    if "alt" in modifiers:
        modifiers.remove("alt")
        character = event.character or (last if len(last) == 1 else "")
        rest = sent(events.Key("+".join([*modifiers, last]), character or None))
        return b"\x1b" + rest if rest else b""
    return event.character.encode() if event.character else b""


def pasted(text: str) -> bytes:
    """Return the bytes of a text that was pasted: lines end as with the Enter key."""
    return text.replace("\r\n", "\r").replace("\n", "\r").encode()
