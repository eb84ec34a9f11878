"""Memory for the code of blocks, see native/blocks.py."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.handler import ENTER

BLOCK_BYTES = 16 << 20
"""Code that a core keeps. When it is full, all of it is thrown away; no more of it is touched than was ever needed."""
BLOCK_AFTER = 4
"""Executions of its first instruction after which a block is made: to make it takes as long as a hundred steps."""


def block_memory(stencils: int) -> npt.NDArray[np.uint8]:
    """Return memory that can be written and executed: u8[BLOCK_BYTES]; u8[0] where there are no blocks.

    There are none where the kernel has no stencils (cpu/stencils.py), or where the system allows no such memory. A
    copy of the process gets a copy of it.

    Args:
        stencils: Address of the table of stencils.
    """
    if ctypes.c_uint64.from_address(stencils + 8 * ENTER).value:
        try:
            flags, uses = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
            return np.frombuffer(mmap.mmap(-1, BLOCK_BYTES, flags, uses), np.uint8)
        except OSError:
            pass
    return np.zeros(0, np.uint8)
