"""Strings of large arrays, of which little is shown."""

from __future__ import annotations

import random

import pytest

from rrdbg.session.printing_strings import string_text


class Counted(bytes):
    """Bytes that count how often they are asked for some."""

    asked = 0

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        self.asked += 1
        return super().__getitem__(key)


@pytest.mark.parametrize(
    "data",
    [random.Random(1).randbytes(1 << 20), bytes(1 << 20), b"\xcc" * (1 << 20), "é".encode() * (1 << 19)],
    ids=["noise", "zeros", "no characters", "characters"],
)
def test_a_large_array_is_not_read_for_its_first_characters(data: bytes) -> None:
    counted = Counted(data)
    text = string_text(counted, elements=200, repeats=10)
    assert len(text) < 2000
    assert counted.asked < 2000


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\xcc" * 20 + b"\xa9", "'\\314' <repeats 19 times>, \"̩\""),
        (b"\xe1" * 20, "'\\341' <repeats 19 times>, <incomplete sequence \\341>"),
        (b"\xe1" * 20 + b"a", "'\\341' <repeats 20 times>, \"a\""),
        ("é".encode() * 20 + b"\xc3", "'é' <repeats 20 times>, <incomplete sequence \\303>"),
        (b"\x80" * 12 + b"\xff", "'\\200' <repeats 12 times>, \"\\377\""),
    ],
)
def test_where_a_run_ends(data: bytes, shown: str) -> None:
    assert string_text(data, repeats=10) == shown


def test_runs_say_the_same_as_the_characters_one_by_one() -> None:
    rng = random.Random(2)
    pieces = [b"a", b"\0", b"\xe1", b"\x80", b"\xc3\xa9", b"\xe2\x82\xac", b"\xff", b"\xc3", b"\xf0\x9f", b"\\", b'"']
    for _ in range(2000):
        data = b"".join(rng.choice(pieces) * rng.choice((1, 1, 2, 5)) for _ in range(rng.randrange(1, 7))) + b"."
        plain = string_text(data)
        spread = "".join(string_text(part + b".")[1:-2] for part in characters(data))
        assert plain == f'"{spread}"', data


def characters(data: bytes) -> list[bytes]:
    """Return bytes character by character, as Python decodes them; what is none as single bytes."""
    found, at = [], 0
    while at < len(data):
        for size in (4, 3, 2, 1):
            piece = data[at : at + size]
            try:
                alone = len(piece.decode()) == 1
            except UnicodeDecodeError:
                alone = size == 1
            if alone:
                found.append(piece)
                at += len(piece)
                break
    return found
