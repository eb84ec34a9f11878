"""Object code is linked while the process has no two free pages within 2 GiB of each other.

A process of its own, `python -m tests.cpu.far_apart`: guests of some hundred MB, each in several machines, leave an
address space like that. Fails, or aborts in LLVM, if code and what belongs to it are laid out apart.
"""

from __future__ import annotations

import ctypes

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.regions.compile import compile_plans
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.machine.conformance.assembler import assemble

GIB = 1 << 30
PAGE = 4096
PC = 0x8000_0000
CODE = assemble("loop: addi a0, a0, 1; addi a1, a1, -1; bne a1, x0, loop; end: j end")
_PRIVATE_ANONYMOUS_NORESERVE = 0x4022


def scatter() -> None:
    """Fill all holes of the address space above 16 GiB of nothing, and make a hole of 2 pages every 4 GiB in it."""
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def reserve(size: int) -> int:
        return int(libc.mmap(None, size, 0, _PRIVATE_ANONYMOUS_NORESERVE, -1, 0))

    block = reserve(16 * GIB)
    size = GIB
    while size >= PAGE:
        while (address := reserve(size)) > block:
            pass
        libc.munmap(address, size)
        size //= 2
    for distance in range(4, 16, 4):
        libc.munmap(block + distance * GIB, 2 * PAGE)


def main() -> None:
    """Link a region and run it."""
    core = Core(16 * PAGE)
    core.write(PC, CODE)
    plan = Plan((Block(PC, CODE[:12]),), (PC,))
    code = compile_plans([plan])
    scatter()
    core.regions.add([plan], code)
    core.hart[L.PC], core.hart[L.X + 11] = PC, 1000
    core.run(3000)
    assert core.hart[L.X + 10] == 1000
    assert core.hart[L.REGION_STEPS], "the region was not run"


if __name__ == "__main__":
    main()
