"""One client's connection: bytes in, packets to the stub, answers out.

A reader thread takes in what comes, so that Ctrl-C and a client that vanishes are heard while the guest runs; the
thread that serves answers packet by packet.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Callable
from typing import Protocol

from rrdbg.gdb.packets import MAX_PAYLOAD, Decoder, Packet, Signal, frame
from rrdbg.gdb.stub import Detached, Stub
from rrdbg.session.errors import EngineDied

MAX_WAITING = 256
"""Packets that a client may send ahead of their answers."""


class Stream(Protocol):
    """Bytes to and from a client."""

    def read(self) -> bytes:
        """Return what has come, at least a byte; nothing at the end. Raises OSError."""

    def write(self, data: bytes) -> None:
        """Send all of it. Raises OSError when nobody takes it."""

    def close(self) -> None:
        """End it; `read` in another thread then ends as well."""


class Connection:
    """Serves one client, to its end.

    Args:
        stream: The client.
        log: Told about defects of rrdbg.
    """

    def __init__(self, stream: Stream, log: Callable[[str], None]) -> None:
        self._stream = stream
        self._log = log
        self._decoder = Decoder()
        self._items: queue.Queue[Packet | Signal | None] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting = 0
        self._gone = threading.Event()
        self._stub: Stub | None = None
        self._last = b""

    def wait_gone(self, seconds: float) -> bool:
        """Wait until the client is gone, at most so long, and return whether it is."""
        return self._gone.wait(seconds)

    def say(self, text: str) -> None:
        """Print on the client's console, while it waits for a stop or for `monitor`."""
        data = text.encode(errors="replace")
        step = MAX_PAYLOAD // 2 - 16
        for at in range(0, len(data), step):
            self._send(b"O" + data[at : at + step].hex().encode())

    def end(self) -> None:
        """Let go of the client. From any thread."""
        self._gone.set()
        if self._stub is not None:
            self._stub.runner.interrupt()
        self._stream.close()

    def serve(self, stub: Stub) -> None:
        """Answer until the client goes.

        Raises:
            EngineDied: There is no guest any more.
        """
        self._stub = stub
        stub.attach()
        reader = threading.Thread(target=self._read, name="rrdbg-gdb-reader", daemon=True)
        reader.start()
        try:
            while (item := self._items.get()) is not None:
                try:
                    self._answer(stub, item)
                finally:
                    self._done()
        except Detached as end:
            if end.answer is not None:
                self._send(end.answer)
        finally:
            self._gone.set()
            self._stream.close()
            self._drain()
            reader.join()
            stub.leave()

    # the thread that serves

    def _answer(self, stub: Stub, item: Packet | Signal) -> None:
        if item is Signal.BROKEN:
            self._write(b"-")
        elif item is Signal.NAK:
            if self._last and stub.client.acknowledging:
                self._write(self._last)
        elif item is Signal.OVERLONG:
            self._acknowledge(stub)
            self._send(b"E.the packet is too long")
        elif isinstance(item, Packet):
            self._acknowledge(stub)
            answer = self._handle(stub, item.payload)
            if answer is not None:
                self._send(answer)
            self._decoder.checking = stub.client.acknowledging

    def _handle(self, stub: Stub, payload: bytes) -> bytes | None:
        try:
            return stub.handle(payload)
        except (Detached, EngineDied):
            raise
        except Exception:  # a client must not be able to end the server
            self._log(f"internal error at packet {payload[:80]!r}, please report it:\n{traceback.format_exc()}")
            return b"E01"

    def _acknowledge(self, stub: Stub) -> None:
        if stub.client.acknowledging:
            self._write(b"+")

    def _send(self, payload: bytes) -> None:
        self._last = frame(payload)
        self._write(self._last)

    def _write(self, data: bytes) -> None:
        if self._gone.is_set():
            return
        try:
            with self._writing:
                self._stream.write(data)
        except OSError:
            self._gone.set()  # the reader finds that out as well

    def _done(self) -> None:
        with self._lock:
            self._waiting -= 1
            if not self._waiting and not self._gone.is_set() and self._stub is not None:
                self._stub.runner.interrupted.clear()  # it came too late

    # the reader's thread

    def _read(self) -> None:
        try:
            while data := self._stream.read():
                for item in self._decoder.feed(data):
                    self._take(item)
        except (OSError, ValueError):
            pass
        finally:
            self._gone.set()
            if self._stub is not None:
                self._stub.runner.interrupt()
            self._put(None)

    def _take(self, item: Packet | Signal) -> None:
        assert self._stub is not None
        if item is Signal.ACK:
            return
        if item is Signal.INTERRUPT:
            with self._lock:
                if self._waiting:
                    self._stub.runner.interrupt()
            return
        with self._lock:
            self._waiting += 1
        self._put(item)

    def _put(self, item: Packet | Signal | None) -> None:
        """Queue an item; a client that is far ahead has to wait, unless the connection ends."""
        while True:
            try:
                return self._items.put(item, timeout=0.2)
            except queue.Full:
                if self._gone.is_set() and item is not None:
                    return None

    def _drain(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._items.get_nowait()
