"""Clients on sockets: rude ones, slow ones, vanishing ones, too many."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rrdbg.gdb.files import Files
from rrdbg.gdb.packets import MAX_PAYLOAD, Packet, Signal, frame
from rrdbg.gdb.server import Server, SocketStream, listen
from rrdbg.gdb.stub import Stub
from rrdbg.session.api import Cancelled, Progress, Session, Stop
from tests.gdb.client import PATIENCE_S, Client


class Slow:
    """A session whose way back takes as long as one lets it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.started = threading.Event()
        self.cancelled = threading.Event()
        self.ended = threading.Semaphore(0)
        self.on_progress: Any = None
        self._running = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def reverse_continue(self) -> Stop:
        """Work until cancelled."""
        self._running = True
        self.started.set()
        while not self.cancelled.wait(0.05):
            self.on_progress(Progress("reverse-continue", 0, 0, 0.0, None))
        self._running = False
        self.cancelled.clear()
        self.ended.release()
        raise Cancelled("reverse-continue was cancelled")

    def cancel(self) -> bool:
        """Cancel it, if it runs."""
        if self._running:
            self.cancelled.set()
        return self._running


class Serving:
    """A server in a thread."""

    def __init__(self, session: Session, *, once: bool = False) -> None:
        self.slow = Slow(session)
        self.log: list[str] = []
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        stub = Stub(cast(Session, self.slow), Files(dict))
        self.server = Server(stub, listener, self.log.append, once=once)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def stop(self) -> None:
        """End it, as a signal does."""
        self.server.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        assert not [line for line in self.log if "internal error" in line], self.log


@pytest.fixture
def serving(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    # no client here loses patience, so that a busy machine sends no acknowledgement too many
    monkeypatch.setattr("rrdbg.gdb.connection.PATIENCE_S", 3600.0)
    running = Serving(session)
    yield running
    running.stop()


@pytest.fixture
def connect(serving: Serving) -> Callable[..., Client]:
    return lambda **options: Client(serving.port, **options)


def test_one_byte_at_a_time(connect: Callable[..., Client]) -> None:
    with connect(quiet=False) as client:
        for byte in frame(b"qAttached"):
            client.send(bytes((byte,)))
        assert [client.next(), client.next()] == [Signal.ACK, Packet(b"1")]


def test_acknowledgements_and_repeats(connect: Callable[..., Client]) -> None:
    with connect(quiet=False) as client:
        client.send(b"$qAttached#00")
        assert client.next() is Signal.NAK
        client.send(frame(b"qAttached"))
        assert [client.next(), client.next()] == [Signal.ACK, Packet(b"1")]
        client.send(b"-")
        assert client.next() == Packet(b"1")
        client.send(b"+" + frame(b"QStartNoAckMode"))
        assert [client.next(), client.next()] == [Signal.ACK, Packet(b"OK")]
        client.send(b"+$qC#00-")  # no acknowledgements: no checksums, no repeats
        assert client.next() == Packet(b"QC1")
        assert client.ask(b"qAttached") == b"1"


def test_a_packet_sent_again_before_the_server_was_there(connect: Callable[..., Client]) -> None:
    with connect(quiet=False) as client:
        client.send(3 * frame(b"qC"))
        assert [client.next() for _ in range(4)].count(Packet(b"QC1")) == 1
        assert client.ask(b"qAttached") == b"1"


def test_a_client_that_waits_hears_that_somebody_is_there(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrdbg.gdb.connection.PATIENCE_S", 0.01)
    with connect() as client:
        client.send(frame(b"bc"))
        assert [client.next() for _ in range(5)] == [Signal.ACK] * 5
        client.send(b"\x03")
        assert client.answer().startswith(b"T02")


def test_pipelined_packets_are_answered_in_order(connect: Callable[..., Client]) -> None:
    with connect() as client:
        client.send(b"".join(frame(b"m%x,1" % (0x8000_0000 + n)) for n in range(2000)))
        answers = [client.next_packet() for _ in range(2000)]
        assert b"".join(answers) == client.ask(b"m80000000,7d0")


def test_overlong_packets(connect: Callable[..., Client]) -> None:
    with connect(quiet=False) as client:
        client.send(frame(b"m" * (MAX_PAYLOAD + 1)))
        assert [client.next(), client.next_packet()[:2]] == [Signal.ACK, b"E."]
        client.send(b"$" + b"a" * (4 * MAX_PAYLOAD))
        assert client.ask(b"qC") == b"QC1"


@given(st.lists(st.one_of(st.binary(max_size=300), st.binary(max_size=40).map(frame)), max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_ends_nothing(serving: Serving, parts: list[bytes]) -> None:
    with Client(serving.port, quiet=False) as rude, contextlib.suppress(OSError):
        for part in parts:
            rude.send(part)
    with Client(serving.port) as client:
        assert client.ask(b"qC") == b"QC1"


def test_interrupt_in_the_middle_of_a_search(connect: Callable[..., Client], serving: Serving) -> None:
    with connect() as client:
        client.ask(b"vCont;s")
        for _ in range(3):
            client.send(frame(b"bc"))
            assert serving.slow.started.wait(PATIENCE_S)
            serving.slow.started.clear()
            client.send(b"\x03")
            assert b"position 1" in bytes.fromhex(client.next_packet()[1:].decode())
            assert client.next_packet().startswith(b"T02")
        # one that comes too late harms nothing
        client.send(b"\x03")
        assert client.ask(b"vCont;s").startswith(b"T05")


def test_interrupt_sent_along_with_the_search(connect: Callable[..., Client]) -> None:
    with connect() as client:
        for _ in range(20):
            client.send(frame(b"bc") + b"\x03")
            assert client.answer().startswith(b"T02")


def test_vanishing_in_the_middle_of_a_search(connect: Callable[..., Client], serving: Serving) -> None:
    for _ in range(3):
        with connect() as client:
            client.ask(b"Z0,80000100,4")
            client.send(frame(b"bc"))
            assert serving.slow.started.wait(PATIENCE_S)
            serving.slow.started.clear()
        assert serving.slow.ended.acquire(timeout=PATIENCE_S)
    with connect() as client:
        assert client.ask(b"?").startswith(b"T05")
        # neither the search nor the breakpoint is left
        assert b"replaylog:end" in client.ask(b"vCont;c")


def test_vanishing_in_the_middle_of_a_packet(connect: Callable[..., Client]) -> None:
    for cut in range(1, 8):
        with connect(quiet=False) as client:
            client.send(frame(b"qC")[:cut])
    with connect() as client:
        assert client.ask(b"qC") == b"QC1"


def test_a_second_client_is_told(connect: Callable[..., Client], serving: Serving) -> None:
    with connect() as first:
        with connect(quiet=False) as second:
            second.send(frame(b"qSupported:swbreak+"))
            assert second.next() is Signal.ACK
            assert second.next_packet().startswith(b"E.another debugger is attached")
            with pytest.raises(EOFError):
                second.next()
        # silent ones, and more of them than are listened to
        silent = [socket.create_connection(("127.0.0.1", serving.port)) for _ in range(10)]
        assert first.ask(b"qC") == b"QC1"
        for sock in silent:
            sock.close()
        assert first.ask(b"qC") == b"QC1"
    assert any("refused" in line for line in serving.log)
    with connect() as client:
        assert client.ask(b"qC") == b"QC1"


def test_a_client_that_comes_before_the_end_of_the_last_one_was_heard(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However busy the machine: that it has let go is known to the host, not only to whoever reads from it."""
    monkeypatch.setattr("rrdbg.gdb.server._GRACE_S", 0.0)
    read, entered, late = SocketStream.read, threading.Event(), threading.Event()

    def reads_late(stream: SocketStream) -> bytes:
        data = read(stream)
        if not data:
            entered.set()
            late.wait(PATIENCE_S)
        return data

    monkeypatch.setattr(SocketStream, "read", reads_late)
    with connect() as client:
        assert client.ask(b"qC") == b"QC1"
    assert entered.wait(PATIENCE_S)
    threading.Timer(0.05, late.set).start()
    with connect() as client:
        assert client.ask(b"qC") == b"QC1"


def test_a_client_comes_back_where_it_was(connect: Callable[..., Client]) -> None:
    with connect() as client:
        client.ask(b"vCont;s")
        pc = client.ask(b"p20")
        assert client.ask(b"D") == b"OK"
    with connect() as client:
        assert client.ask(b"p20") == pc


def test_once(session: Session) -> None:
    serving = Serving(session, once=True)
    with Client(serving.port) as client:
        assert client.ask(b"qC") == b"QC1"
    serving.thread.join(PATIENCE_S)
    assert not serving.thread.is_alive()


def test_an_end_in_the_middle_of_a_search(session: Session) -> None:
    serving = Serving(session)
    with Client(serving.port) as client:
        client.send(frame(b"bc"))
        assert serving.slow.started.wait(PATIENCE_S)
        serving.stop()
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                client.next()
