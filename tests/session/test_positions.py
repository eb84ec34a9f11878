"""Every form of a position, and the messages for those that are none."""

from __future__ import annotations

import pytest

from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.positions import looks_like_position, resolve


class Track:
    """A trace of 2 M steps whose virtual time jumps by 1 ms at step 1 M."""

    icount = 1000
    end = 2_000_000

    def virtual_at(self, icount: int) -> int:
        return icount + (1_000_000 if icount >= 1_000_000 else 0)

    def at_virtual(self, ns: int) -> int:
        if ns <= 1_000_000:
            return ns
        return max(ns - 1_000_000, 1_000_000)

    def bookmark_at(self, name: str) -> int | None:
        return {"crash": 77}.get(name)

    def event_at(self, number: int) -> int | None:
        return {3: 33}.get(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (5, 5),
        ("1_234_567", 1_234_567),
        ("20k", 20_000),
        ("1.5M", 1_500_000),
        ("+100", 1100),
        ("-1k", 0),
        ("50%", 1_000_000),
        ("12.5 %", 250_000),
        ("0.5ms", 500_000),
        ("1.5ms", 1_000_000),
        ("2.5ms", 1_500_000),
        ("+1us", 2000),
        ("-500ns", 500),
        ("start", 0),
        ("end", 2_000_000),
        ("@crash", 77),
        ("#3", 33),
        (" 7 ", 7),
    ],
)
def test_form(text: str | int, expected: int) -> None:
    assert resolve(text, Track()) == expected


@pytest.mark.parametrize("text", ["", "abc", "3G", "-2k", "101%", "1s", "1.2.3", "#x", "0x10", "1e5", "+", "%"])
def test_mistake(text: str) -> None:
    with pytest.raises(UsageError):
        resolve(text, Track())


@pytest.mark.parametrize("text", ["@nosuch", "#4"])
def test_unknown(text: str) -> None:
    with pytest.raises(NotFound):
        resolve(text, Track())


def test_plain_numbers_may_be_addresses() -> None:
    assert looks_like_position("+100")
    assert looks_like_position("50%")
    assert not looks_like_position("100")
    assert not looks_like_position("main")
