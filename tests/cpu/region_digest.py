"""What programs do in regions and blocks, as one line: `python -m tests.cpu.region_digest [GENERIC]`.

With an argument, kernel and regions are compiled for a CPU without extensions.
"""

from __future__ import annotations

import sys

import llvmlite.binding as llvm
import xxhash
from rrdbg_core.cpu import layout as L

from tests.cpu.oracle.floating import FloatFlow
from tests.cpu.oracle.flows import Flow
from tests.cpu.oracle.forced import ForcedSubject

HART, MACH = L.state_words("hart"), L.state_words("mach")
PROGRAMS, STEPS = 3, 30_000


def digest() -> str:
    """Return a hash of all that differs when anything of a guest does, and how many steps were made in regions."""
    subject = ForcedSubject()
    core = subject.core
    core.mach[L.BLOCK_AFTER] = 1
    whole = xxhash.xxh3_128()
    inside = 0
    for seed in range(PROGRAMS):
        kind = FloatFlow if seed == PROGRAMS - 1 else Flow
        subject.load(kind(seed).case(str(seed), STEPS))
        for _ in range(3):
            before = int(core.hart[L.REGION_STEPS])
            subject.step(STEPS // 3)
            inside += int(core.hart[L.REGION_STEPS]) - before
            for words in (core.hart[HART], core.mach[MACH], core.memory.ram, core.take_checks(), core.take_traps()):
                whole.update(words.tobytes())
            for words in (*core.take_written(), *core.take_run()):
                whole.update(words.tobytes())
    return f"{whole.hexdigest()} {inside}"


if __name__ == "__main__":
    if sys.argv[1:]:
        llvm.get_host_cpu_name = lambda: "generic"
        llvm.get_host_cpu_features = lambda: llvm.FeatureMap()
    print(digest())
