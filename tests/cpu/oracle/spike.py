"""Spike, the RISC-V ISA simulator, in this process: state in, steps, state out.

The wheel's Python binding exposes registers, CSRs and stepping. What it lacks is done by address: general registers
are a view on Spike's own array, and RAM pages are views on Spike's sparse memory, found once by a marker written
through Spike. One `step` is one retired instruction, one exception or one interrupt, which is rrdbg's step too.
"""

from __future__ import annotations

import ctypes
import os
import random
import re
import stat
import struct
import sys
import tempfile
from collections import deque
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

RAM_BASE = 0x8000_0000
PAGE = 4096
SPAN = 1 << 24
"""Bytes of memory that are looked through at once."""
# Zicclsm makes Spike perform misaligned loads and stores, as QEMU's `virt` does.
ISA = "rv64imafdc_zicsr_zifencei_zba_zbb_zbs_zicntr_zicclsm"
CLINT_BASE, CLINT_BYTES = 0x200_0000, 0xC_0000
MTIMECMP = CLINT_BASE + 0x4000
# What else answers on Spike's bus: the boot ROM, its PLIC and its UART.
FOREIGN = ((0x1000, 0x1000), (0xC00_0000, 0x100_0000), (0x1000_0000, 0x100))
PMPCFG0, MISA = 0x3A0, 0x301
ALL_ONES = (1 << 64) - 1

_SD_X6_X5 = bytes.fromhex("23b06200")
_MRET = bytes.fromhex("73002030")
_SHIM = "#!/bin/sh\nexec {python} {script}\n"


def peek(address: int, size: int) -> bytes:
    """Return bytes of this process, fewer where nothing is mapped (any more: memory is freed at any time)."""
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        return os.pread(memory, size, address)
    except OSError:
        return b""
    finally:
        os.close(memory)


def available() -> bool:
    """Return whether the `spike` wheel can be imported (Linux on x86-64 only)."""
    try:
        import riscv  # noqa: F401
    except ImportError:
        return False
    return True


def shared(ram_bytes: int = 32 * PAGE) -> Spike:
    """Return this process's simulator, or skip the test that asked for it.

    Spike keeps global state, so one process has one instance.
    """
    if not available():
        pytest.skip("the wheel `spike` is not installed")
    global _shared
    if _shared is None:
        _shared = Spike(ram_bytes)
    assert _shared.ram_bytes == ram_bytes
    return _shared


class Spike:
    """One hart with M and U mode, RAM at 0x8000_0000 and a CLINT at 0x200_0000."""

    isa, priv = ISA, "mu"

    def __init__(self, ram_bytes: int) -> None:
        self.ram_bytes = ram_bytes
        with tempfile.TemporaryDirectory() as folder:
            shim = Path(folder) / "dtc"
            shim.write_text(_SHIM.format(python=sys.executable, script=Path(__file__).with_name("minidtc.py")))
            shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
            path = os.environ["PATH"]
            os.environ["PATH"] = f"{folder}{os.pathsep}{path}"
            try:
                self._start()
            finally:
                os.environ["PATH"] = path
        self.x, self.f = self._registers()
        self.pages = self._find_pages()

    def _start(self) -> None:
        from riscv.cfg import cfg_t, mem_cfg_t
        from riscv.debug_module import debug_module_config_t
        from riscv.sim import sim_t

        # The C++ side keeps raw pointers to all of these.
        self._layout = [mem_cfg_t(RAM_BASE, self.ram_bytes)]
        self._cfg = cfg_t(isa=self.isa, priv=self.priv, mem_layout=self._layout, start_pc=RAM_BASE)
        self._debug = debug_module_config_t()
        self._sim = sim_t(cfg=self._cfg, halted=False, plugin_device_factories=[], args=["none"], dm_config=self._debug)
        self.core: Any = self._sim.get_core(0)
        self.state: Any = self.core.state
        self._step = self.core.step
        self.get_csr = self.core.get_csr
        self.put_csr = self.core.put_csr

    def _registers(self) -> Any:
        from riscv.processor import processor_t

        pattern = [0x1122_3344_5566_0000 + i for i in range(1, 32)]
        for i, value in enumerate(pattern, 1):
            self.state.XPR.write(i, value)
        address = processor_t.addressof(self.core)
        offset = ctypes.string_at(address, 8192).find(struct.pack("<31Q", *pattern))
        assert offset > 0, "the layout of Spike's processor changed"
        x = (ctypes.c_uint64 * 32).from_address(address + offset - 8)
        # f registers have 128 bits there, and stand behind
        f = (ctypes.c_uint64 * 64).from_address(address + offset - 8 + 256)
        return x, f

    def _find_pages(self) -> list[memoryview]:
        """Return a writable view per RAM page."""
        salt = random.SystemRandom().getrandbits(56) | 1
        count = self.ram_bytes // PAGE
        prefix = struct.pack("<Q", salt)[:7]

        def mark(page: int, value: int) -> None:
            self.core.mmu.load_reserved_64(RAM_BASE + page * PAGE)
            assert self.core.mmu.store_conditional_64(RAM_BASE + page * PAGE, value)

        for page in range(count):
            mark(page, salt | page << 56)
        candidates: dict[int, list[int]] = {page: [] for page in range(count)}
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, perm, *_ = line.split()
            low, high = (int(v, 16) for v in span.split("-"))
            # what is larger has been reserved; but a heap may become so
            if not perm.startswith("rw") or "[v" in line or (high - low > 1 << 30 and "[heap]" not in line):
                continue
            for start in range(low, high, SPAN):
                data = peek(start, min(SPAN + 7, high - start))
                for found in re.finditer(re.escape(prefix) + b".", data, re.DOTALL):
                    if found[0][7] in candidates:
                        candidates[found[0][7]].append(start + found.start())
        pages = []
        for page in range(count):
            # Python's own integers and buffers hold the marker too: keep the one place that follows Spike's store.
            mark(page, ~salt & (1 << 64) - 1)
            wanted = struct.pack("<Q", ~salt & (1 << 64) - 1)
            [address] = {a for a in candidates[page] if peek(a, 8) == wanted}
            pages.append(memoryview((ctypes.c_char * PAGE).from_address(address)).cast("B"))
            mark(page, 0)
        return pages

    def reset(self) -> None:
        """Put hart and CLINT into their reset state and drop caches and reservation. RAM past 8 bytes stays."""
        self.core.reset()
        self.put_csr(MISA, ALL_ONES)
        self.core.mmu.store_conditional_64(RAM_BASE, 0)
        # A guest store is the only way to mtimecmp, which survives the reset of the hart.
        self.x[5], self.x[6] = MTIMECMP, ALL_ONES
        self._run_one(_SD_X6_X5)

    def _run_one(self, insn: bytes) -> None:
        self.pages[0][:4] = insn
        self.flush()
        self.state.pc = RAM_BASE
        self._step(1)

    def enter(self, pc: int, priv: int) -> None:
        """Set pc and privilege (by an mret, as the binding has no setter; mepc and mstatus are put back)."""
        saved = bytes(self.pages[0][:4])
        mstatus, mepc = self.get_csr(0x300), self.get_csr(0x341)
        self.put_csr(0x300, mstatus & ~0x21888 | priv << 11)
        self._run_one(_MRET)
        self.put_csr(0x300, mstatus)
        self.put_csr(0x341, mepc)
        self.pages[0][:4] = saved
        assert self.state.prv == priv
        self.flush()
        self.state.pc = pc

    def flush(self) -> None:
        """Drop Spike's decoded instructions and TLB: a write to pmpcfg does, even of the value it has."""
        self.put_csr(PMPCFG0, self.get_csr(PMPCFG0))

    def write(self, address: int, data: bytes) -> None:
        """Write RAM behind Spike's back; call `flush` if it may be code."""
        at = address - RAM_BASE
        done = 0
        while done < len(data):
            page, offset = divmod(at + done, PAGE)
            n = min(PAGE - offset, len(data) - done)
            self.pages[page][offset : offset + n] = data[done : done + n]
            done += n

    def ram(self) -> bytes:
        """Return all of RAM."""
        return b"".join(self.pages)

    def step(self, count: int) -> None:
        """Make `count` steps. A whole batch handed to Spike would end at the first trap."""
        deque(map(self._step, repeat(1, count)), maxlen=0)

    def step_exact(self, count: int) -> None:
        """Make `count` steps in which stores to code act at once; Spike alone waits for a fence.i."""
        for _ in range(count):
            self.flush()
            self._step(1)


_shared: Spike | None = None
