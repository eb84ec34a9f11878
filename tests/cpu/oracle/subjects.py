"""rrdbg's CPUs as subjects: the core with a CLINT that does what Spike's does, byte for byte."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.isa.csr import MSTATUS_FS

from tests.cpu.oracle.compare import COMPARED_CSRS, SpikeSubject, State, Subject
from tests.cpu.oracle.programs import Case
from tests.cpu.oracle.spike import CLINT_BASE, CLINT_BYTES, FOREIGN, RAM_BASE, shared

RAM_BYTES = 32 * 4096
MSI, MTI = 1 << 3, 1 << 7
M64 = (1 << 64) - 1
_WORDS = {
    3: L.FCSR, 0x304: L.MIE, 0x305: L.MTVEC, 0x306: L.MCOUNTEREN, 0x30A: L.MENVCFG, 0x320: L.MCOUNTINHIBIT,
    0x340: L.MSCRATCH, 0x341: L.MEPC, 0x342: L.MCAUSE, 0x343: L.MTVAL, 0x344: L.MIP,
    **{0x3B0 + i: L.PMPADDR + i for i in range(16)},
}  # fmt: skip
_STATUS_BITS = 0x22_7888


def set_csr(core: Core, number: int, value: int) -> None:
    """Put a start value into a CSR, as Spike's own setter would make it legal."""
    hart = core.hart
    match number:
        case 0x300:
            if value >> 11 & 3 != 3:
                value &= ~0x1800
            hart[L.MSTATUS] = value & _STATUS_BITS
        case 0x304:
            hart[L.MIE] = value & 0x888
        case 0x305:
            hart[L.MTVEC] = value & ~2
        case 0x3A0 | 0x3A2:
            for i in range(8):
                cfg = value >> 8 * i & 0x9F
                hart[L.PMPCFG + 4 * (number - 0x3A0) + i] = cfg if cfg & 1 else cfg & ~2
        case _:
            hart[_WORDS[number]] = value & ((1 << 54) - 1 if number >= 0x3B0 else M64)


def get_csr(core: Core, number: int) -> int:
    """Return what a read of a CSR gives."""
    hart = core.hart
    match number:
        case 0x300:
            status = int(hart[L.MSTATUS])
            return status | 2 << 32 | (status & 0x6000 == 0x6000) << 63
        case 0x3A0 | 0x3A2:
            first = L.PMPCFG + 4 * (number - 0x3A0)
            return sum(int(hart[first + i]) << 8 * i for i in range(8))
        case 0xB02:
            return int(hart[L.MINSTRET]) + (0 if hart[L.MCOUNTINHIBIT] & 4 else core.icount) & M64
        case _:
            return int(hart[_WORDS[number]])


class Clint:
    """Spike's CLINT for one hart, whose clock stands still."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.reset()

    def reset(self) -> None:
        self.words = {0x4000: M64, 0xBFF8: 0}

    def _half(self, offset: int, size: int) -> bool:
        """Return whether an access is a pair of accesses to msip words."""
        return offset < 0x4000 and size == 8

    def read(self, offset: int, size: int) -> int:
        if self._half(offset, size):
            return self.read(offset, 4) | self.read(offset + 4, 4) << 32
        value = int(bool(self.core.hart[L.MIP] & MSI)) if offset < 4 else self.words.get(offset & ~7, 0)
        return value >> 8 * (offset & (3 if offset < 4 else 7)) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        if self._half(offset, size):
            self.write(offset, 4, value & 0xFFFF_FFFF)
            self.write(offset + 4, 4, value >> 32)
            return
        if offset < 4:
            self.core.set_interrupt(MSI, bool(value << 8 * offset & 1))
        elif offset & ~7 in self.words:
            shift = 8 * (offset & 7)
            kept = self.words[offset & ~7] & ~(((1 << 8 * size) - 1) << shift)
            self.words[offset & ~7] = kept | value << shift
        self.core.set_interrupt(MTI, self.words[0xBFF8] >= self.words[0x4000])


class CoreSubject:
    """`Core`, or the reference interpreter, as a subject."""

    def __init__(self, kind: type[Core] = Core) -> None:
        self.core = kind(RAM_BYTES)
        self.core.mach[L.FLOAT] = MSTATUS_FS
        self.clint = Clint(self.core)
        self.foreign = False
        self.slept = 0

    def load(self, case: Case) -> None:
        core = self.core
        core.hart[:] = core.mach[L.ICOUNT] = 0
        core.reset()
        core.write(RAM_BASE, bytes(RAM_BYTES))
        for address, data in case.memory.items():
            core.write(address, data)
        for number, value in case.csrs.items():
            set_csr(core, number, value)
        core.hart[L.X + 1 : L.X + 32] = case.x[1:]
        core.hart[L.F : L.F + 32] = case.f
        core.hart[L.PC], core.hart[L.PRIV] = case.pc, case.priv
        core.drop_caches()
        core.take_checks(), core.take_traps()
        self.clint.reset()
        self.foreign = False
        self.slept = 0

    def step(self, count: int) -> None:
        core, limit = self.core, self.core.icount + count
        while (reason := core.run(limit)) in (Exit.MMIO_READ, Exit.MMIO_WRITE):
            self.answer()
        assert reason in (Exit.LIMIT, Exit.WFI), reason
        self.slept += limit - core.icount

    def answer(self) -> None:
        """Carry out the device access that the core has stopped for."""
        address, size, write, value = (int(word) for word in self.core.mach[L.MMIO_ADDR : L.MMIO_VALUE + 1])
        if any(base < address + size and address < base + length for base, length in FOREIGN):
            self.foreign = True
        if not CLINT_BASE <= address <= CLINT_BASE + CLINT_BYTES - size:
            self.core.mmio_done(ok=False)
        elif write:
            self.clint.write(address - CLINT_BASE, size, value)
            self.core.mmio_done()
        else:
            self.core.mmio_done(self.clint.read(address - CLINT_BASE, size))

    def state(self) -> State:
        core, hart = self.core, self.core.hart
        csrs = [get_csr(core, number) for number in COMPARED_CSRS.values()]
        # a hart that waits makes no steps; Spike makes some, and counts each as an instruction
        if not hart[L.MCOUNTINHIBIT] & 4:
            csrs[-1] = csrs[-1] + self.slept & M64
        x = (0, *hart[L.X + 1 : L.X + 32].tolist())
        return State(
            int(hart[L.PC]),
            int(hart[L.PRIV]),
            x,
            tuple(csrs),
            core.memory.ram.tobytes(),
            tuple(hart[L.F : L.F + 32].tolist()),
        )


def make(name: str) -> Subject:
    """Return the subject `name`: spike, core or reference."""
    if name == "spike":
        return SpikeSubject(shared(RAM_BYTES))
    return CoreSubject({"core": Core, "reference": ReferenceCore}[name])
