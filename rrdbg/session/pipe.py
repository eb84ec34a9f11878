"""Frames on a pipe: four bytes of length, little endian, then a message."""

from __future__ import annotations

import struct
import threading
from typing import Any, BinaryIO

from rrdbg.session.codec import decode, encode

_LENGTH = struct.Struct("<I")
MAX_FRAME = 1 << 28
"""Bytes of the largest message; a longer one is a broken pipe."""


class Channel:
    """Both directions of a pipe. Several threads may send; one receives."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()

    def send(self, value: Any) -> None:
        """Send a value. Raises OSError when nobody listens."""
        message = encode(value)
        with self._lock:
            self._outgoing.write(_LENGTH.pack(len(message)) + message)
            self._outgoing.flush()

    def receive(self) -> Any:
        """Return the next value. Raises EOFError at the end, ValueError for a broken message."""
        length = _LENGTH.unpack(self._exactly(_LENGTH.size))[0]
        if length > MAX_FRAME:
            raise ValueError(f"a message of {length} bytes")
        return decode(self._exactly(length))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._incoming.read(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data
