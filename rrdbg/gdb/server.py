"""The server: waits for gdb, one client at a time, and lives on when a client goes, however it goes."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.gdb.connection import Connection
from rrdbg.gdb.packets import Decoder, Packet, frame
from rrdbg.gdb.stub import Stub

REFUSAL_S = 5.0
"""Seconds that a client which is refused has to say something."""
MAX_REFUSALS = 8
_TICK_S = 0.25
_GRACE_S = 0.25
"""Seconds in which a client that has let go is gone, if the host does not say that it has."""
_END_S = 10.0
"""Seconds that a client's end may take: what runs for it is cancelled."""


class SocketStream:
    """A client on a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.setblocking(True)
        with contextlib.suppress(OSError):  # answers are short and wanted at once
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def read(self) -> bytes:
        """Return what has come; nothing at the end."""
        return self._socket.recv(1 << 16)

    def write(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    def has_ended(self) -> bool:
        """Return whether the client has let go, read to the end or not; False where the host does not say."""
        if not hasattr(select, "POLLRDHUP"):
            return False
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLRDHUP)
        except ValueError:  # closed here already
            return True
        return bool(poll.poll(0))

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class PipeStream:
    """A client at this process's standard input and output."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._in, self._out = incoming, outgoing
        # wakes `read` when the stream is closed: nothing else ends a read of a pipe
        self._wake, self._waker = os.pipe()

    def read(self) -> bytes:
        """Return what has come; nothing at the end."""
        ready, _, _ = select.select([self._in, self._wake], [], [])
        return b"" if self._wake in ready else os.read(self._in, 1 << 16)

    def write(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view) :]

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            os.write(self._waker, b"x")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        RrdbgError: The port is taken, or the address is not this host's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise RrdbgError(f"cannot listen on {host!r}: {error.strerror}", exit_code=ExitCode.HOST_IO) from error
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # a server that ended a moment ago does not block its port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(MAX_REFUSALS)
    except OSError as error:
        sock.close()
        raise RrdbgError(
            f"cannot listen on {host} port {port}: {error.strerror}",
            hint="`--port 0` takes a free one",
            exit_code=ExitCode.HOST_IO,
        ) from error
    return sock


def is_loopback(host: str) -> bool:
    """Return whether only this host reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Server:
    """Serves one client after another.

    Args:
        stub: Answers.
        listener: Where clients come.
        log: Told what happens, a line each.
        once: End with the first client.
    """

    def __init__(self, stub: Stub, listener: socket.socket, log: Callable[[str], None], *, once: bool = False) -> None:
        self._stub = stub
        self._listener = listener
        self._log = log
        self._once = once
        self._stopped = False
        self._connection: Connection | None = None
        self._stream: SocketStream | None = None
        self._thread = threading.Thread()
        self._failure: BaseException | None = None
        self._refusals: list[threading.Thread] = []

    def stop(self) -> None:
        """Make `run` return soon. From any thread."""
        self._stopped = True

    def run(self) -> None:
        """Serve until an exception of a signal's handler, `stop`, or the end of the only client.

        Raises:
            EngineDied: There is no guest any more.
        """
        self._listener.setblocking(False)
        served = False
        try:
            while not self._stopped and not (self._once and served and self._connection is None):
                # looked at now and then: the end of a client's thread wakes nobody
                ready, _, _ = select.select([self._listener], [], [], _TICK_S)
                self._reap()
                if not ready:
                    continue
                try:
                    sock, address = self._listener.accept()
                except OSError:
                    continue  # it has gone again
                served = True
                self._welcome(sock, f"{address[0]}:{address[1]}")
        finally:
            self._listener.close()
            if self._connection is not None:
                self._connection.end()
                self._thread.join(_END_S)

    def _welcome(self, sock: socket.socket, name: str) -> None:
        # a client that lets go and comes again may be here before its end is
        if self._connection is not None and self._stream is not None:
            grace = _END_S if self._stream.has_ended() else _GRACE_S
            if self._connection.wait_gone(grace):
                self._thread.join(_END_S)
                self._reap()
        if self._connection is None:
            self._start(sock, name)
        else:
            self._refuse(sock, name)

    def _reap(self) -> None:
        """Forget a client whose thread has ended."""
        if self._connection is not None and not self._thread.is_alive():
            self._connection = None
            if self._failure is not None:
                raise self._failure

    def _start(self, sock: socket.socket, name: str) -> None:
        self._stream = SocketStream(sock)
        connection = self._connection = Connection(self._stream, self._log)

        def serve() -> None:
            self._log(f"{name} is attached")
            try:
                connection.start()
                connection.serve(self._stub)
            except BaseException as error:
                self._failure = error
            self._log(f"{name} is gone")

        self._thread = threading.Thread(target=serve, name="rrdbg-gdb", daemon=True)
        self._thread.start()

    def _refuse(self, sock: socket.socket, name: str) -> None:
        self._log(f"{name} is refused: another debugger is attached")
        self._refusals = [thread for thread in self._refusals if thread.is_alive()]
        if len(self._refusals) >= MAX_REFUSALS:
            sock.close()
            return
        thread = threading.Thread(target=refuse, args=(sock,), name="rrdbg-gdb-refusal", daemon=True)
        self._refusals.append(thread)
        thread.start()


def refuse(sock: socket.socket) -> None:
    """Answer a client's first packet with why it cannot be served, and end."""
    decoder = Decoder()
    with sock, contextlib.suppress(OSError):
        sock.settimeout(REFUSAL_S)
        while data := sock.recv(4096):
            if any(isinstance(item, Packet) for item in decoder.feed(data)):
                sock.sendall(b"+" + frame(b"E.another debugger is attached to this trace; one at a time"))
                sock.shutdown(socket.SHUT_WR)
                break


def serve_stream(
    opened: Callable[[], AbstractContextManager[Stub]], stream: PipeStream, log: Callable[[str], None]
) -> None:
    """Serve the one client of a pipe, in a thread, so that signals reach this one.

    Args:
        opened: Opens the trace. That may take longer than gdb waits for the first answer, so it is listened to before.
        stream: The client.
        log: Told about defects.
    """
    connection = Connection(stream, log)
    failure: list[BaseException] = []

    def serve() -> None:
        try:
            with opened() as stub:
                connection.serve(stub)
        except BaseException as error:
            failure.append(error)

    connection.start()
    worker = threading.Thread(target=serve, name="rrdbg-gdb", daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(_TICK_S)
    finally:
        connection.end()
        worker.join(_END_S)
    if failure:
        raise failure[0]
