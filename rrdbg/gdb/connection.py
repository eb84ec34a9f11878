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
from rrdbg.gdb.stub import Stub
from rrdbg.session.errors import EngineDied

MAX_WAITING = 256
"""Packets that a client may send ahead of their answers."""
PATIENCE_S = 0.8
"""Seconds after which a client that waits for an answer hears that somebody is there; gdb waits 2 s."""


class Stream(Protocol):
    """Bytes to and from a client."""

    def read(self) -> bytes:
        """Return what has come, at least a byte; nothing at the end. Raises OSError."""

    def write(self, data: bytes) -> None:
        """Send all of it. Raises OSError when nobody takes it."""

    def close(self) -> None:
        """End it; `read` in another thread then ends as well."""


class Connection:
    """Serves one client, to its end: `start`, then `serve`.

    Args:
        stream: The client.
        log: Told about defects of rrdbg.
    """

    def __init__(self, stream: Stream, log: Callable[[str], None]) -> None:
        self._stream = stream
        self._log = log
        self._decoder = Decoder()
        self._items: queue.Queue[Packet | Signal | None] = queue.Queue(MAX_WAITING)
        self._writing = threading.Lock()
        # packets by number: received, answered, and the last one that an interrupt came behind. Each has one writer
        self._received = self._answered = self._interrupted = 0
        self._gone = threading.Event()
        self._over = threading.Event()
        self._stub: Stub | None = None
        self._last = b""
        self._threads = [
            threading.Thread(target=target, name=f"rrdbg-gdb-{name}", daemon=True)
            for name, target in (("reader", self._read), ("patience", self._keep_patient))
        ]

    def wait_gone(self, seconds: float) -> bool:
        """Wait until the client is gone, at most so long, and return whether it is."""
        return self._gone.wait(seconds)

    def say(self, text: str) -> None:
        """Print on the client's console, while it waits for a stop or for `monitor`."""
        data = text.encode(errors="replace")
        step = MAX_PAYLOAD // 2 - 16
        for at in range(0, len(data), step):
            with self._writing:
                self._last = frame(b"O" + data[at : at + step].hex().encode())
                self._put_out(self._last)

    def end(self) -> None:
        """Let go of the client. From any thread."""
        self._gone.set()
        self._over.set()
        self._interrupt()
        self._stream.close()

    def start(self) -> None:
        """Take in what the client sends, and acknowledge it: it must not lose patience until it is served."""
        for thread in self._threads:
            thread.start()

    def serve(self, stub: Stub) -> None:
        """Answer until the client goes.

        Raises:
            EngineDied: There is no guest any more.
        """
        stub.say, stub.log = self.say, self._log
        stub.attach(self._is_interrupted)
        self._stub = stub
        try:
            while (item := self._items.get()) is not None:
                self._answer(stub, item)
        finally:
            self.end()
            self._drain()
            for thread in self._threads:
                thread.join()
            stub.leave()

    # the thread that serves

    def _answer(self, stub: Stub, item: Packet | Signal) -> None:
        if isinstance(item, Packet):
            answer = self._handle(stub, item.payload)
            self._decoder.checking = stub.client.acknowledging
        else:
            answer = b"E.the packet is too long"
        with self._writing:  # who has the answer may ask for it again at once
            self._answered += 1
            if answer is not None:
                self._last = frame(answer)
                self._put_out(self._last)

    def _handle(self, stub: Stub, payload: bytes) -> bytes | None:
        try:
            return stub.handle(payload)
        except EngineDied:
            raise
        except Exception:  # a client must not be able to end the server
            self._log(f"internal error at packet {payload[:80]!r}, please report it:\n{traceback.format_exc()}")
            return b"E01"

    def _write(self, data: bytes) -> None:
        with self._writing:
            self._put_out(data)

    def _put_out(self, data: bytes) -> None:
        """Send; `_writing` is held."""
        if self._gone.is_set():
            return
        try:
            self._stream.write(data)
        except OSError:
            self._gone.set()  # the reader finds that out as well

    def _is_interrupted(self) -> bool:
        """Return whether the packet that is being answered shall come to an end."""
        return self._gone.is_set() or self._answered < self._interrupted

    # the other threads

    def _keep_patient(self) -> None:
        """Send an acknowledgement too many now and then while a packet is worked at: gdb's timeout starts anew."""
        while not self._over.wait(PATIENCE_S):
            if self._answered < self._received:
                self._write(b"+")

    def _interrupt(self) -> None:
        """Let what was received so far come to an end."""
        self._interrupted = self._received
        if self._stub is not None and self._answered < self._interrupted:
            self._stub.runner.interrupt()

    def _read(self) -> None:
        try:
            while data := self._stream.read():
                previous: Packet | Signal | None = None
                for item in self._decoder.feed(data):
                    # the same packet twice in a row, before the first one was acknowledged: sent again by a client that
                    # had to wait until the server was there
                    if item == previous and isinstance(item, Packet) and self._is_acknowledging:
                        self._write(b"+")
                    else:
                        self._take(item)
                    previous = item
        except (OSError, ValueError):
            pass
        finally:
            self._gone.set()
            self._interrupt()
            self._put(None)

    @property
    def _is_acknowledging(self) -> bool:
        return self._stub is None or self._stub.client.acknowledging

    def _take(self, item: Packet | Signal) -> None:
        acknowledging = self._is_acknowledging
        if isinstance(item, Packet) or item is Signal.OVERLONG:
            self._received += 1
            if acknowledging:
                self._write(b"+")
            self._put(item)
        elif item is Signal.INTERRUPT:
            self._interrupt()
        elif item is Signal.BROKEN:
            self._write(b"-")
        elif item is Signal.NAK and acknowledging:
            with self._writing:
                # while a packet is worked at, it is impatience: the answer will come
                if self._answered == self._received and self._last:
                    self._put_out(self._last)

    def _put(self, item: Packet | Signal | None) -> None:
        """Queue an item; a client that is far ahead has to wait, unless the connection ends."""
        while True:
            try:
                return self._items.put(item, timeout=0.2)
            except queue.Full:
                if self._over.is_set():
                    return None

    def _drain(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._items.get_nowait()
