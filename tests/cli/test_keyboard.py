"""Ctrl-A commands among what is typed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rrdbg.cli.keyboard import ESCAPE, Keys


def test_keys_go_to_the_guest_and_commands_do_not() -> None:
    keys = Keys()
    assert keys.feed(b"ls\x03\x1a\r") == (b"ls\x03\x1a\r", "")
    assert keys.feed(b"a\x01hb\x01\x01c\x01Xnever") == (b"ab\x01c", "hx")


def test_unknown_letters_are_dropped_with_the_ctrl_a() -> None:
    assert Keys().feed(b"a\x01zb") == (b"ab", "")


@given(st.binary(max_size=40).filter(lambda data: b"\x01x" not in data.lower()), st.integers(0, 40))
def test_it_does_not_matter_how_a_read_is_cut(data: bytes, cut: int) -> None:
    whole, parts = Keys(), Keys()
    expected = whole.feed(data)
    first, second = parts.feed(data[:cut]), parts.feed(data[cut:])
    assert (first[0] + second[0], first[1] + second[1]) == expected


@given(st.binary(max_size=40))
def test_every_byte_can_be_sent(data: bytes) -> None:
    typed = data.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPE]))
    assert Keys().feed(typed) == (data, "")
