"""`rrdbg gdb` as a process: how it starts, ends and fails."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rrdbg.gdb.packets import Decoder, Packet, frame
from tests.cli.support import PATIENCE_S, RRDBG, run
from tests.gdb.client import Client
from tests.guests.manifest import elf


class Served:
    """A server as users start it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        assert process.stderr is not None
        while not (found := re.search(r"target extended-remote (\S+):(\d+)'", self.said)):
            line = process.stderr.readline()
            assert line, self.said
            self.said += line
        self.host, self.port = found[1], int(found[2])

    def end(self) -> int:
        """Wait for its end and return the exit code."""
        assert self.process.stderr is not None
        self.said += self.process.stderr.read()
        assert "Traceback" not in self.said
        return self.process.wait(PATIENCE_S)

    def children(self) -> list[int]:
        """Return the processes it has started."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


@contextmanager
def serve(trace: Path, *options: str) -> Iterator[Served]:
    command = [*RRDBG, "gdb", str(trace), *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Served(process)
        finally:
            process.kill()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_end_it(hello: Path, name: str) -> None:
    with serve(hello, "--port", "0") as served, Client(served.port) as client:
        assert client.ask(b"qC") == b"QC1"
        engines = served.children()
        assert engines
        served.process.send_signal(getattr(signal, name))
        assert served.end() == 0
        assert all(map(gone, engines))
        with pytest.raises((EOFError, ConnectionError)):
            client.ask(b"qC")


def test_once(hello: Path) -> None:
    with serve(hello, "--port", "0", "--once") as served:
        assert served.host == "127.0.0.1"
        with Client(served.port) as client:
            assert client.ask(b"qC") == b"QC1"
        assert served.end() == 0
        assert "is attached" in served.said
        assert "is gone" in served.said


def test_a_port_in_use(hello: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run("gdb", hello, "--port", str(port)).told(68, f"cannot listen on 127.0.0.1 port {port}", "--port 0")


def test_the_default_port_is_not_insisted_on(hello: Path) -> None:
    try:
        taken = socket.create_server(("127.0.0.1", 1234))
    except OSError:
        taken = None  # somebody has it: as good
    try:
        with serve(hello) as served:
            assert served.port != 1234
    finally:
        if taken is not None:
            taken.close()


def test_addresses(hello: Path) -> None:
    run("gdb", hello, "--listen", "192.0.2.1", "--port", "0").told(68, "cannot listen on 192.0.2.1")
    with serve(hello, "--listen", "0.0.0.0", "--port", "0") as served:
        assert "no authentication" in served.said
    with serve(hello, "--listen", "localhost", "--port", "0") as served:
        assert "no authentication" not in served.said


def test_what_cannot_be_served(hello: Path, tmp_path: Path) -> None:
    run("gdb", tmp_path / "none.rrt").told(67, "none.rrt")
    broken = tmp_path / "broken.rrt"
    broken.write_bytes(b"nothing of ours")
    run("gdb", broken).told(65, "broken.rrt")
    run("gdb", broken, "--stdio").told(65, "broken.rrt")
    run("gdb", hello, "--symbols", tmp_path / "none.elf").told(67, "none.elf")
    assert run("gdb", hello, "--port", "66000").code == 2
    assert run("gdb", hello, "--port", "x").code == 2


def test_no_gdb_to_launch(hello: Path, tmp_path: Path) -> None:
    run("gdb", hello, "--launch", env={**os.environ, "PATH": str(tmp_path)}).told(67, "no gdb for RISC-V")


def test_in_a_pipe(hello: Path) -> None:
    packets = [b"qSupported:swbreak+", b"QStartNoAckMode", b"?", b"vCont;s", b"D"]
    with subprocess.Popen(
        [*RRDBG, "gdb", str(hello), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"".join(map(frame, packets)))
        process.stdin.flush()
        decoder, answers = Decoder(), []
        while len(answers) < len(packets):
            data = os.read(process.stdout.fileno(), 1 << 16)
            assert data
            answers += [item.payload for item in decoder.feed(data) if isinstance(item, Packet)]
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == b""
    assert answers[1] == answers[4] == b"OK"
    assert answers[2][:3] == answers[3][:3] == b"T05"
    assert run("gdb", hello, "--stdio", input=b"", stdin=None).code == 0


def test_other_symbols(hello: Path) -> None:
    with serve(hello, "--port", "0", "--symbols", str(elf("sort"))) as served, Client(served.port) as client:
        assert client.ask(b"qXfer:exec-file:read::0,1000") == b"l/sort.elf"
        assert client.ask(b"vFile:open:" + b"/sort.elf".hex().encode() + b",0,0") == b"F3"
        assert client.ask(b"vFile:open:" + b"/hello.elf".hex().encode() + b",0,0") == b"F4"
        assert client.ask(b"vFile:open:" + str(elf("sort")).encode().hex().encode() + b",0,0") == b"F-1,2"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc to find the engine's process in")
def test_the_engine_dies(hello: Path) -> None:
    with serve(hello, "--port", "0") as served, Client(served.port) as client:
        assert client.ask(b"Z0,80000100,4") == b"OK"
        assert client.ask(b"vCont;s").startswith(b"T05")
        for pid in served.children():
            os.kill(pid, signal.SIGKILL)
        client.send(frame(b"vCont;s"))
        assert served.end() == 1
        assert "the engine's process" in served.said
