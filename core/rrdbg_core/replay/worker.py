"""Run a stretch of a replay in a process of its own: `python -m rrdbg_core.replay.worker TRACE UNTIL [DEVICES]`.

The state at the start comes in on standard input (see `capsule`); the check words and the state at the end go out on
standard output: u32 number of words, u64 words, state. What goes wrong is one line on standard error and exit code 1.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rrdbg_core.errors import RrdbgError
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import Divergence
from rrdbg_core.replay.capsule import Capsule, capture, decode, encode, release, source_of
from rrdbg_core.trace.reader import Trace

WAIT_S = 0.02
"""Host time between two looks at whether the work is wanted any more."""


class Stretch(Frozen):
    """What a stretch led to."""

    checks: npt.NDArray[np.uint64]
    """Check words on the way."""
    end: Capsule
    """State at its end."""


def run_elsewhere(trace: Trace, start: Capsule, until: int, poll: Callable[[int], None]) -> Stretch:
    """Run from a state to a position in a new process.

    Args:
        trace: The trace.
        start: The state.
        until: The position.
        poll: Called with the position of the start while it runs; raises to end it.

    Raises:
        Divergence: The journal does not fit what the guest does there.
    """
    command = [sys.executable, "-m", "rrdbg_core.replay.worker", str(trace.path), str(until), str(trace.end_icount)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    answer: list[tuple[bytes, bytes]] = []
    talk = threading.Thread(target=lambda: answer.append(process.communicate(encode(start))), daemon=True)
    talk.start()
    try:
        while talk.is_alive():
            talk.join(WAIT_S)
            poll(start.icount)
    except BaseException:
        process.kill()
        talk.join()
        raise
    out, err = answer[0]
    if process.returncode != 0:
        said = err.decode(errors="replace").strip().splitlines()
        raise Divergence(f"in a new process: {said[-1] if said else f'it died, exit code {process.returncode}'}")
    count = int.from_bytes(out[:4], "little")
    checks = np.frombuffer(out, "<u8", count, 4).astype(np.uint64)
    return Stretch(checks, decode(out[4 + 8 * count :]))


def main(path: str, until: int, end_icount: int) -> None:
    """Do the work, in the new process."""
    start = decode(sys.stdin.buffer.read())
    with Trace.open(path) as trace:
        source = source_of(trace)
        source.end_icount = end_icount
        machine = Machine(trace.manifest.config, dict(trace.images), source)
        release(start, machine, source)
        machine.run(until)
        checks = machine.core.take_checks()
        out = sys.stdout.buffer
        out.write(len(checks).to_bytes(4, "little") + checks.astype("<u8").tobytes())
        out.write(encode(capture(machine, source)))
        out.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except RrdbgError as error:
        print(error.message, file=sys.stderr)
        sys.exit(1)
