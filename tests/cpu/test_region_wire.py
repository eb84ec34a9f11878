"""Messages between a machine and the process that compiles for it."""

from __future__ import annotations

import pytest
from rrdbg_core.cpu.regions import wire


def test_messages_in_any_pieces() -> None:
    message = wire.frame(wire.Kind.WANTED, b"12345678") + wire.frame(wire.Kind.NEVER, b"")
    for size in range(1, len(message)):
        at = [0]

        def read(count: int, size: int = size, at: list[int] = at) -> bytes:
            at[0] += min(count, size)
            return message[at[0] - min(count, size) : at[0]]

        assert wire.receive(read) == (wire.Kind.WANTED, b"12345678")
        assert wire.receive(read) == (wire.Kind.NEVER, b"")
        with pytest.raises(EOFError):
            wire.receive(read)


def test_blobs_and_words() -> None:
    blobs = [b"", b"1", bytes(1000)]
    assert wire.unpack_blobs(wire.pack_blobs(blobs)) == blobs
    for cut in range(1, 1013):
        data = wire.pack_blobs(blobs)[:cut]
        try:
            assert wire.pack_blobs(wire.unpack_blobs(data)) == data
        except wire.BrokenMessage:
            assert cut not in (4, 9)
    with pytest.raises(wire.BrokenMessage):
        wire.unpack_words(b"1234567")
