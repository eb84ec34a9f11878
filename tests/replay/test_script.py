"""Scripted input: the grammar, and when each action is due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.errors import ExitCode
from rrdbg_core.machine.source import Now
from rrdbg_core.replay.script import Action, BadScript, ScriptInput, parse_script, unescape


def now(icount: int, virtual_ns: int | None = None) -> Now:
    return Now(icount, icount if virtual_ns is None else virtual_ns, 0, False, None)


def test_every_form_of_a_line() -> None:
    text = '# a comment\n\nat 1_000_000: help\\n\n  after 2.5ms:x\non "say: \\"$\\" ": a: b\\r\\n\nat 20k: \\x03\\\\\n'
    assert parse_script(text) == (
        Action(3, b"help\n", icount=1_000_000),
        Action(4, b"x", delay_ns=2_500_000),
        Action(5, b"a: b\r\n", pattern=b'say: "$" '),
        Action(6, b"\x03\\", icount=20_000),
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("type this", "is not an action"),
        ("at soon: x", "'soon' is not a number of steps"),
        ("at 99999999999G: x", "is not a number of steps"),
        ("after 5: x", "'5' is not a duration"),
        ('on "": x', "the pattern is empty"),
        ("on prompt: x", "is not an action"),
        ("at 5:", "there is no text"),
        (r"at 5: \q", r"unknown escape \q"),
        (r"at 5: \x", r"unknown escape \x"),
        ("at 5: \\", "unknown escape"),
        (r"at 5: \400", r"unknown escape \400"),
    ],
)
def test_a_bad_line_is_named(line: str, complaint: str) -> None:
    with pytest.raises(BadScript) as caught:
        parse_script("# first\n" + line + "\n", "boot.txt")
    assert complaint in caught.value.message
    assert caught.value.message.startswith("boot.txt: line 2: ")
    assert caught.value.exit_code == ExitCode.USAGE
    assert "at 1_000_000: text" in (caught.value.hint or "")


@given(st.binary(min_size=1))
def test_every_byte_can_be_written_as_an_escape(data: bytes) -> None:
    assert unescape("".join(f"\\x{byte:02x}" for byte in data)) == data
    assert unescape("".join(f"\\{byte:03o}" for byte in data)) == data


def test_at_waits_for_the_icount_and_says_when_that_is() -> None:
    source = ScriptInput(parse_script("at 500: ab\nat 500: c"))
    assert source.offer(now(499), 1) == 0
    assert source.wake(now(499)).icount == 500
    assert source.offer(now(500), 1) == 2
    assert source.take(1, now(500)) == b"a"
    assert source.leftover() == "line 1 of the script was not typed to its end"
    assert source.take(1, now(501)) == b"b"
    assert source.offer(now(501), 1) == 1
    assert source.take(1, now(501)) == b"c"
    assert source.leftover() == ""


def test_after_counts_virtual_time_from_the_end_of_the_action_before() -> None:
    source = ScriptInput(parse_script("after 10us: ab\nafter 10us: c"))
    assert source.wake(now(0)).virtual_ns == 10_000
    assert source.offer(now(5, 10_000), 4) == 2
    source.take(1, now(5, 10_000))
    source.take(1, now(9, 90_000))
    assert source.offer(now(10, 99_999), 4) == 0
    assert source.wake(now(10, 99_999)).virtual_ns == 100_000
    assert source.offer(now(11, 100_000), 4) == 1


def test_a_pattern_may_span_pieces_and_is_searched_from_the_action_before_on() -> None:
    source = ScriptInput(parse_script('on "$ ": one\non "$ ": two\non "$ ": three'))
    source.printed(1, b"hello $")
    assert source.offer(now(2), 9) == 0
    source.printed(3, b" more $ ")  # the second prompt came before the first answer was typed
    for text in (b"one", b"two"):
        assert source.offer(now(4), 9) == len(text)
        assert source.take(9, now(4)) == text
    assert source.offer(now(5), 9) == 0
    assert source.leftover() == "line 3 of the script was never reached"


def test_output_from_before_the_action_before_does_not_count() -> None:
    source = ScriptInput(parse_script('at 100: x\non "$ ": y'))
    source.printed(1, b"$ ")
    assert source.offer(now(100), 1) == 1
    assert source.take(1, now(100)) == b"x"
    assert source.offer(now(101), 1) == 0
    source.printed(102, b"$ ")
    assert source.offer(now(103), 1) == 1
