"""Framing: whatever comes, in pieces of any size."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdbg.gdb.packets import MAX_PAYLOAD, Decoder, Packet, Signal, escape, frame, unescape

Item = Packet | Signal


def decode(data: bytes, cuts: list[int] | None = None) -> list[Item]:
    decoder = Decoder()
    pieces = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    found: list[Item] = []
    for lo, hi in pairwise(pieces):
        found += decoder.feed(data[lo:hi])
    return found


payloads = st.binary(max_size=200)
bits = st.one_of(
    payloads.map(lambda data: (frame(escape(data)), [Packet(data)])),
    st.just((b"+", [Signal.ACK])),
    st.just((b"-", [Signal.NAK])),
    st.just((b"\x03", [Signal.INTERRUPT])),
    st.sampled_from([b"x", b"\n", b"#"]).map(lambda junk: (junk, [])),
)


@given(st.lists(bits, max_size=8), st.lists(st.integers(0, 5000), max_size=20))
def test_any_cut_gives_the_same(parts: list[tuple[bytes, list[Item]]], cuts: list[int]) -> None:
    data = b"".join(sent for sent, _ in parts)
    wanted = [item for _, items in parts for item in items]
    assert decode(data, cuts) == wanted
    assert decode(data, list(range(len(data)))) == wanted


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=20))
def test_garbage_is_survived_and_a_packet_behind_it_is_heard(data: bytes, cuts: list[int]) -> None:
    items = decode(data + b"$g#67", cuts)
    assert items[-1] in (Packet(b"g"), Signal.BROKEN, Signal.OVERLONG)
    assert decode(data + b"$#00$g#67", cuts)[-1] == Packet(b"g")


@given(st.binary(max_size=500))
def test_escaping(data: bytes) -> None:
    assert unescape(escape(data)) == data
    assert not set(escape(data)) & set(b"$#*")


@pytest.mark.parametrize(
    ("sent", "items"),
    [
        (b"$g#68", [Signal.BROKEN]),
        (b"$g#zz", [Signal.BROKEN]),
        (b"$g$m0,4#fd", [Packet(b"m0,4")]),
        (b"$g#6$g#67", [Packet(b"g")]),
        (b"$a\x03b#c6", [Packet(b"a\x03b")]),
        (frame(b"X0,1:}\x03"), [Packet(b"X0,1:#")]),
        (b"$#00", [Packet(b"")]),
    ],
)
def test_odd_packets(sent: bytes, items: list[Item]) -> None:
    assert decode(sent) == items


def test_an_endless_packet_takes_no_memory() -> None:
    decoder = Decoder()
    assert not list(decoder.feed(b"$"))
    for _ in range(200):
        assert not list(decoder.feed(b"a" * MAX_PAYLOAD))
    assert len(decoder._payload or b"") <= MAX_PAYLOAD
    assert list(decoder.feed(b"#00")) == [Signal.OVERLONG]
    assert list(decoder.feed(b"$g#67")) == [Packet(b"g")]


def test_without_acknowledgements_the_checksum_does_not_count() -> None:
    decoder = Decoder()
    decoder.checking = False
    assert list(decoder.feed(b"$g#00")) == [Packet(b"g")]
