"""Keys for the guest: what is sent is what the terminal sent."""

from __future__ import annotations

import pytest
from textual import events
from textual._xterm_parser import XTermParser

from rrdbg.tui.live_keys import pasted, sent


def keys(text: str) -> list[events.Key]:
    """Return the keys that Textual reads from what a terminal sends."""
    parser = XTermParser()
    return [event for event in (*parser.feed(text), *parser.feed("")) if isinstance(event, events.Key)]


@pytest.mark.parametrize("code", [code for code in range(1, 127) if code != 0x1B])
def test_every_character_and_control_code(code: int) -> None:
    assert b"".join(map(sent, keys(chr(code)))) == bytes([code])


@pytest.mark.parametrize(
    "sequence",
    [f"\x1b[{rest}" for rest in ("A", "B", "C", "D", "H", "F", "5~", "6~", "2~", "3~", "Z", "1;5C", "1;5D", "1;2A")]
    + [f"\x1bO{rest}" for rest in "PQRS"]
    + [f"\x1b[{number}~" for number in (15, 17, 18, 19, 20, 21, 23, 24)],
)
def test_keys_with_a_sequence(sequence: str) -> None:
    assert b"".join(map(sent, keys(sequence))) == sequence.encode()


@pytest.mark.parametrize("text", ["é", "漢", "🦀"])
def test_other_scripts_are_sent_as_utf_8(text: str) -> None:
    assert b"".join(map(sent, keys(text))) == text.encode()


def test_alt_is_an_escape_in_front() -> None:
    assert sent(events.Key("alt+b", None)) == b"\x1bb"
    assert sent(events.Key("alt+b", "b")) == b"\x1bb"


@pytest.mark.parametrize("key", ["f30", "scroll_lock"])
def test_keys_that_no_terminal_sends(key: str) -> None:
    assert sent(events.Key(key, None)) == b""


def test_pasted_lines_end_as_with_enter() -> None:
    assert pasted("a\nb\r\nc\rd") == b"a\rb\rc\rd"
