"""The framing of gdb's remote serial protocol: `$payload#checksum`, acknowledgements, and the interrupt byte.

gdb manual, appendix E.1 "Overview". Whatever a client sends, the decoder goes on: what it makes no sense of is
dropped, and what is too long is read past without being kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

MAX_PAYLOAD = 1 << 16
"""Bytes of the longest packet taken or sent, escapes included."""

INTERRUPT_BYTE = 0x03
_START, _END, _ESCAPE = b"$#}"
_HEX = b"0123456789abcdefABCDEF"
_SPECIAL = frozenset(b"$#}*")


class Signal(Enum):
    """What a client says beside packets."""

    ACK = "+"
    NAK = "-"
    INTERRUPT = "\x03"
    BROKEN = "broken"
    """A packet whose checksum is wrong: to be sent again."""
    OVERLONG = "overlong"
    """A packet longer than `MAX_PAYLOAD`, otherwise whole."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A whole packet."""

    payload: bytes
    """What is between `$` and `#`, escapes resolved."""


class Decoder:
    """Takes what a client sends apart, in pieces of any size."""

    def __init__(self) -> None:
        self._payload: bytearray | None = None
        self._sum = 0
        self._length = 0
        self._check: bytearray | None = None
        self.checking = True

    checking: bool
    """Whether checksums count; without acknowledgements a client may leave them wrong."""

    def feed(self, data: bytes) -> Iterator[Packet | Signal]:
        """Yield what is complete with these bytes."""
        at = 0
        while at < len(data):
            if self._check is not None:
                at = self._take_check(data, at)
                if self._check is not None and len(self._check) == 2:
                    yield self._finish()
            elif self._payload is not None:
                at = self._take_payload(data, at)
            else:
                byte = data[at]
                at += 1
                if byte == _START:
                    self._begin()
                elif byte == INTERRUPT_BYTE:
                    yield Signal.INTERRUPT
                elif byte in b"+-":
                    yield Signal.ACK if byte == 0x2B else Signal.NAK

    def _begin(self) -> None:
        self._payload, self._check = bytearray(), None
        self._sum = self._length = 0

    def _take_payload(self, data: bytes, at: int) -> int:
        """Take bytes up to the end of the payload; return where to go on."""
        assert self._payload is not None
        ends = [found for mark in (b"#", b"$") if (found := data.find(mark, at)) >= 0]
        end = min(ends, default=len(data))
        piece = data[at:end]
        self._sum += sum(piece)
        self._length += len(piece)
        if self._length <= MAX_PAYLOAD:
            self._payload += piece
        if end == len(data):
            return end
        if data[end] == _START:  # the rest of the old packet got lost
            self._begin()
        else:
            self._check = bytearray()
        return end + 1

    def _take_check(self, data: bytes, at: int) -> int:
        assert self._check is not None
        if data[at] == _START:  # so did its checksum
            self._begin()
        else:
            self._check.append(data[at])
        return at + 1

    def _finish(self) -> Packet | Signal:
        assert self._payload is not None
        assert self._check is not None
        payload, check = bytes(self._payload), bytes(self._check)
        self._payload = self._check = None
        right = all(digit in _HEX for digit in check) and int(check, 16) == self._sum & 0xFF
        if self.checking and not right:
            return Signal.BROKEN
        if self._length > MAX_PAYLOAD:
            return Signal.OVERLONG
        return Packet(unescape(payload))


def frame(payload: bytes) -> bytes:
    """Return a payload, escaped already where it must be, as a packet."""
    return b"$%b#%02x" % (payload, sum(payload) & 0xFF)


def escape(data: bytes) -> bytes:
    """Return binary data as it may stand in a payload."""
    if _SPECIAL.isdisjoint(data):
        return data
    escaped = bytearray()
    for byte in data:
        escaped += bytes((_ESCAPE, byte ^ 0x20)) if byte in _SPECIAL else bytes((byte,))
    return bytes(escaped)


def unescape(data: bytes) -> bytes:
    """Undo `escape`."""
    if _ESCAPE not in data:
        return data
    plain = bytearray()
    at = 0
    while at < len(data):
        if data[at] == _ESCAPE and at + 1 < len(data):
            at += 1
            plain.append(data[at] ^ 0x20)
        else:
            plain.append(data[at])
        at += 1
    return bytes(plain)
