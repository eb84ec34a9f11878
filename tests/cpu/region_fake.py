"""Compilers' processes that die or talk nonsense: `python -m tests.cpu.region_fake WHAT ...`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rrdbg_core.cpu.regions import wire
from rrdbg_core.cpu.regions.record import Record, encode_plan, seal
from rrdbg_core.cpu.regions.store import key
from rrdbg_core.cpu.regions.wire import PROTOCOL, Kind, frame, pack_words

from tests.cpu.region_records import plan_at


def dies(at: str, how: str, marker: str) -> None:
    """Be good, but die at a message the first time."""
    from rrdbg_core.cpu.regions import helper

    from tests.cpu.region_compiler import Sampled, compile_plans

    count = 0

    def maybe() -> None:
        nonlocal count
        if count == int(at) and not Path(marker).exists():
            Path(marker).touch()
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(0)
        count += 1

    receive, write = helper.receive, os.write

    def dying_receive(*args: Any) -> Any:
        maybe()
        message = receive(*args)
        maybe()
        return message

    def dying_write(file: int, data: memoryview) -> int:
        if file > 2:
            maybe()
            size = write(file, data)
            maybe()
            return size
        return write(file, data)

    helper.receive = dying_receive
    os.write = dying_write  # type: ignore[assignment]
    helper.serve(Sampled, compile_plans)


def mad(kind: str) -> None:
    """Say something that no compiler says."""
    begin = wire.receive(lambda size: os.read(0, size))[1]
    ready = frame(Kind.READY, PROTOCOL.to_bytes(4, "little") + key())
    record = Record((encode_plan(plan_at(0x80000000)),), b"object code")
    salt = key() + begin[8 + len(key()) :]
    right = frame(Kind.RESULT, bytes(9) + seal(salt, record))
    words = {
        "garbage": os.urandom(100_000),
        "zeros": bytes(1000),
        "huge": ready + b"\x11\xff\xff\xff\xff",
        "key": frame(Kind.READY, PROTOCOL.to_bytes(4, "little") + bytes(16)) + right,
        "kind": ready + frame(Kind.SAMPLES, bytes(8)),
        "damaged": ready + right[:-1] + bytes([right[-1] ^ 1]),
        "pages": ready + frame(Kind.WANTED, pack_words(range(0, 5000 * 4096, 4096))),
        "half": ready + right[:-20],
        "none": b"",
        "ours": ready + frame(Kind.RESULT, bytes(9) + seal(key() + b"other", record)),
        "right": ready + right,
        "deaf": ready,
    }[kind]
    os.write(1, words)
    if kind not in ("garbage", "half", "none"):
        time.sleep(1000)


if __name__ == "__main__":
    {"dies": dies, "mad": mad}[sys.argv[1]](*sys.argv[2:])
