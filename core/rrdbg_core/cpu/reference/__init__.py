"""The reference interpreter: the instruction table read as plain Python integers, one step at a time.

What the compiled kernel is compared with, and the engine that needs no compiler. It has the interface and the state
arrays of `Core`. Only the expression trees are shared; traps, CSRs, PMP, counters, atomics and the MMIO protocol are
written down a second time here, from the manual (RISC-V Privileged Architecture 20240411), not from the kernel.
"""

from rrdbg_core.cpu.reference.core import ReferenceCore

__all__ = ["ReferenceCore"]
