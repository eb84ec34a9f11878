"""Run a guest on rrdbg in this process and print what it took as JSON; the harness starts one such process a sample.

    python -m tests.bench.guest plain ELF
    python -m tests.bench.guest record ELF TRACE
    python -m tests.bench.guest replay TRACE

Times are those from before the first step to behind the last one: the kernel is loaded and RAM is there before. What
compiles for a guest that is run or recorded is started as the program starts it, before most else is imported.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrdbg_core.cpu.regions.client import prepare

from tests.bench.host import descendants_cpu, peak_bytes

if TYPE_CHECKING:
    from rrdbg_core.machine.config import MachineConfig


class Meter:
    """What happens between `start` and `stop`."""

    def start(self) -> None:
        """Begin."""
        self.helper_cpu = descendants_cpu()
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def stop(self) -> dict[str, float]:
        """Return seconds: of the clock, of this process on all cores, of the processes that it started."""
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return {"wall": wall, "cpu": cpu, "helper_cpu": descendants_cpu() - self.helper_cpu}


def machine_of(elf: bytes, name: str = "guest") -> tuple[MachineConfig, dict[str, bytes]]:
    """Return a machine that runs an ELF, and its images."""
    from rrdbg_core.machine.config import ImageRef, MachineConfig
    from rrdbg_core.trace.contents import image_digest

    digest = image_digest(elf)
    image = ImageRef(kind="elf", digest=digest, name=name)
    return MachineConfig(isa="rv64gc", privilege="msu", images=(image,)), {digest: elf}


def plain(elf: str) -> dict[str, Any]:
    """Run a guest to its end without recording it."""
    from rrdbg_core.machine.machine import Machine
    from rrdbg_core.machine.source import FOREVER, ReplaySource

    machine = Machine(*machine_of(Path(elf).read_bytes()), ReplaySource([], FOREVER))
    output = bytearray()
    machine.on_console = lambda _, data: output.extend(data)
    meter = Meter()
    meter.start()
    machine.run(FOREVER)
    times = meter.stop()
    return {**times, "steps": machine.icount, "exit_code": machine.exit_code, "output": digest(output)}


def record(elf: str, trace: str) -> dict[str, Any]:
    """Record a guest with all defaults; the trace is closed within the time."""
    from rrdbg_core.replay.live import LiveSource
    from rrdbg_core.replay.recorder import record

    config, images = machine_of(Path(elf).read_bytes())
    output = bytearray()
    meter = Meter()
    recording = record(
        config,
        images,
        LiveSource(config),
        trace,
        on_start=meter.start,
        on_console=lambda _, data: output.extend(data),
    )
    times, ending = meter.stop(), recording.ending
    return {
        **times,
        "steps": ending.icount,
        "exit_code": ending.exit_code,
        "output": digest(output),
        "trace_bytes": recording.trace_bytes,
    }


def replay(trace: str) -> dict[str, Any]:
    """Replay a trace from start to end, as a search does that finds nothing: all of it is run and compared."""
    from rrdbg_core.replay.replayer import Replayer
    from rrdbg_core.replay.targets import Targets
    from rrdbg_core.trace.reader import Trace

    import rrdbg

    with Trace.open(Path(trace)) as opened:
        replayer = Replayer(opened)
        meter = Meter()
        meter.start()
        replayer.run(replayer.end, Targets())
        times, steps = meter.stop(), replayer.stats().machine.steps
        if not steps == replayer.icount == replayer.end:
            sys.exit(f"{steps} steps led to {replayer.icount}, the trace ends at {replayer.end}")
    with rrdbg.open(trace) as session:
        console = b"".join(chunk.data for chunk in session.console(0, steps))
        return {**times, "steps": steps, "exit_code": 0, "output": digest(console)}


def digest(output: bytes | bytearray) -> str:
    """Return the hash that the guests' manifest has."""
    return hashlib.sha256(output).hexdigest()


MODES: dict[str, Callable[..., dict[str, Any]]] = {"plain": plain, "record": record, "replay": replay}

if __name__ == "__main__":
    if sys.argv[1] != "replay":
        prepare()
    print(json.dumps({**MODES[sys.argv[1]](*sys.argv[2:]), "peak_bytes": peak_bytes()}))
