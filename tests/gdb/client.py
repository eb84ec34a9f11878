"""A client on a socket that sends bytes as it likes."""

from __future__ import annotations

import socket
from types import TracebackType

from rrdbg.gdb.packets import Decoder, Packet, Signal, frame

PATIENCE_S = 120.0
"""Longer than anything here takes; only a hang meets it."""


class Client:
    """A connection to a server."""

    def __init__(self, port: int, *, quiet: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._decoder = Decoder()
        self._items: list[Packet | Signal] = []
        if quiet:
            assert self.ask(b"QStartNoAckMode") == b"OK"
            self.socket.sendall(b"+")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def ask(self, payload: bytes) -> bytes:
        """Send a packet and return the answer, console output left out."""
        self.send(frame(payload))
        return self.answer()

    def answer(self) -> bytes:
        """Return the next answer, console output left out."""
        while True:
            item = self.next()
            if isinstance(item, Packet) and (item.payload == b"OK" or not item.payload.startswith(b"O")):
                return item.payload

    def next(self) -> Packet | Signal:
        """Return what comes next."""
        while not self._items:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError
            self._items += self._decoder.feed(data)
        return self._items.pop(0)

    def next_packet(self) -> bytes:
        """Return the next packet, whatever it is."""
        while not isinstance(item := self.next(), Packet):
            pass
        return item.payload
