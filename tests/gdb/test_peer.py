"""QEMU's gdb server as a peer: the same commands, forwards, stop at the same places with the same values."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import compile_program, needs_gcc, record
from tests.guests.qemu import QEMU, needs_qemu

pytestmark = [needs_gdb, needs_gcc, needs_qemu, pytest.mark.oracle]

SETTINGS = ["set osabi none", "set remote hostio-open-packet off"]
SCRIPT = [
    "break main", "continue", "info registers pc sp ra a0 s0", "next", "tbreak down if n == 3", "continue", "bt",
    "print depth", "stepi 7", "nexti 5", "info registers pc sp", "finish", "step 2", "next", "delete", "break moved",
    "continue", "print from", "finish", "print last", "continue 2", "print dx", "until", "next", "advance many",
    "print calls", "up", "info locals", "delete", "break insert if node->key == 12", "continue", "print *root",
    "print *node", "bt", "finish", "delete", "tbreak sum", "continue", "up", "print *root", "info locals", "x/8i $pc",
    "x/8xw root", "print/x $mstatus & 0x1888", "print $priv", "display/i $pc", "stepi", "stepi", "undisplay 1",
    "step 3", "next 3",
]  # fmt: skip


@contextmanager
def qemu(image: Path, folder: Path) -> Iterator[str]:
    """Run QEMU, stopped at its start, and yield the target."""
    assert QEMU is not None
    path = folder / "gdb.sock"
    command = [
        QEMU, "-M", "virt", "-cpu", "rv64", "-m", "128", "-bios", "none", "-nographic", "-monitor", "none", "-S",
        "-kernel", str(image), "-chardev", f"socket,path={path},server=on,wait=off,id=gdb", "-gdb", "chardev:gdb",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 120
            while not path.exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.01)
            yield f"remote {path}"
        finally:
            process.kill()


@pytest.mark.parametrize("flags", ["-O0", "-O2"])
def test_same_stops_as_qemu(flags: str, tmp_path: Path) -> None:
    image = compile_program("calls", flags, tmp_path)
    with qemu(image, tmp_path) as target, Gdb(target=target, elf=image, settings=SETTINGS) as peer:
        peer.ask("tbreak *0x80000000", "continue")  # behind QEMU's boot code
        theirs = peer.ask(*SCRIPT)
    with Gdb(record(image, tmp_path), elf=image, settings=SETTINGS) as gdb:
        gdb.ask("tbreak *0x80000000")
        gdb.ask("delete")
        ours = gdb.ask(*SCRIPT)
    for number, (command, mine, other) in enumerate(zip(SCRIPT, ours, theirs, strict=True)):
        assert mine == other, (number, command)
    assert not [answer for answer in ours if "End of the recording" in answer]
