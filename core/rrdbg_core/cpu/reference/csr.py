"""Control and status registers of the reference interpreter, privileged spec chapters 2 and 3."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.pmp import LOCKED, pmp_regions
from rrdbg_core.cpu.reference.memory import Memory
from rrdbg_core.cpu.reference.state import ILLEGAL, MIE, MPIE, MPP, MPRV, READ, TVM, TW, WRITE, Trap
from rrdbg_core.isa.csr import (
    MENVCFG_ADUE,
    MENVCFG_STCE,
    MISA,
    MISA_FD,
    MISA_S,
    MSTATUS_FS,
    MSTATUS_SD,
    MSTATUS_SXL,
    MSTATUS_UXL,
    MSTATUS_WRITABLE_S,
    S_EXCEPTIONS,
    S_INTERRUPTS,
    SEI,
    SSI,
    SSTATUS_WRITABLE,
    STI,
)
from rrdbg_core.isa.plain import M64
from rrdbg_core.isa.table import Decoded

# What software can write, by CSR number; the rest of the register reads as 0. Privileged spec 3.1.
_PLAIN = {
    0x304: (L.MIE, 0x888),
    0x305: (L.MTVEC, M64 & ~2),
    0x306: (L.MCOUNTEREN, 0xFFFF_FFFF),
    0x30A: (L.MENVCFG, 1),
    0x340: (L.MSCRATCH, M64),
    0x341: (L.MEPC, M64 & ~1),
    0x342: (L.MCAUSE, M64),
    0x343: (L.MTVAL, M64),
    0x344: (L.MIP, 0),
    0xF14: (L.MHARTID, 0),
}
# The same of a machine with S mode. Privileged spec 3.1 and 10.1.
_PLAIN_S = _PLAIN | {
    0x105: (L.STVEC, M64 & ~2),
    0x106: (L.SCOUNTEREN, 0xFFFF_FFFF),
    0x10A: (L.SENVCFG, 1),
    0x140: (L.SSCRATCH, M64),
    0x141: (L.SEPC, M64 & ~1),
    0x142: (L.SCAUSE, M64),
    0x143: (L.STVAL, M64),
    0x302: (L.MEDELEG, S_EXCEPTIONS),
    0x303: (L.MIDELEG, S_INTERRUPTS),
    0x304: (L.MIE, 0xAAA),
}
_READ_AS_ZERO = {0x7A0, 0x7A1, 0x7A2, 0x7A3, 0xF11, 0xF12, 0xF13, 0xF15}
_READ_AS_ZERO |= {*range(0x323, 0x340), *range(0xB03, 0xB20), *range(0xC03, 0xC20)}


class Csrs(Memory):
    """Adds the CSR instructions."""

    def _counts(self, offset: int, inhibit: int, icount: int) -> int:
        h = self._h
        return h[offset] if h[L.MCOUNTINHIBIT] & inhibit else h[offset] + icount & M64

    def _set_count(self, offset: int, inhibit: int, value: int) -> None:
        # The next step sees the value, so this one does not count.
        h = self._h
        h[offset] = value if h[L.MCOUNTINHIBIT] & inhibit else value - self._m[L.ICOUNT] - 1 & M64

    def _read_csr(self, number: int) -> int | None:
        """Return the value of a register, or None if there is none."""
        h, m = self._h, self._m
        icount = m[L.ICOUNT]
        plain = _PLAIN_S if m[L.SUPERVISOR] else _PLAIN
        if number in plain:
            return h[plain[number][0]]
        if number in _READ_AS_ZERO:
            return 0
        match number:
            case 1 | 2 | 3 if h[L.MSTATUS] & MSTATUS_FS:
                return {1: h[L.FCSR] & 31, 2: h[L.FCSR] >> 5, 3: h[L.FCSR]}[number]
            case 0x300:
                return self._status() | (MSTATUS_SXL if m[L.SUPERVISOR] else 0)
            case 0x301:
                return MISA | (MISA_FD if m[L.FLOAT] else 0) | (MISA_S if m[L.SUPERVISOR] else 0)
            case 0x320:
                return h[L.MCOUNTINHIBIT]
            case 0x3A0 | 0x3A2:
                first = L.PMPCFG + (number - 0x3A0) * 4
                return sum(h[first + i] << 8 * i for i in range(8))
            case 0xB00 | 0xC00:
                return self._counts(L.MCYCLE, 1, icount)
            case 0xB02 | 0xC02:
                return self._counts(L.MINSTRET, 4, icount)
            case 0xC01:
                return ((icount << m[L.SHIFT]) + m[L.WARP_NS] & M64) // 100 + m[L.TIME_OFFSET] & M64
        if 0x3B0 <= number < 0x3C0:
            return h[L.PMPADDR + number - 0x3B0]
        return self._read_supervisor(number) if m[L.SUPERVISOR] else None

    def _status(self) -> int:
        status = self._h[L.MSTATUS] | MSTATUS_UXL
        return status | MSTATUS_SD if status & MSTATUS_FS == MSTATUS_FS else status

    def _read_supervisor(self, number: int) -> int | None:
        """Return the value of a register that views others, or that not everybody may read."""
        h = self._h
        match number:
            case 0x100:
                return self._status() & (SSTATUS_WRITABLE | MSTATUS_FS | MSTATUS_UXL | MSTATUS_SD)
            case 0x104:
                return h[L.MIE] & h[L.MIDELEG]
            case 0x144:
                return h[L.MIP] & h[L.MIDELEG]
            case 0x14D:
                # both have to let S mode, "Sstc" chapters 2 and 3
                usable = h[L.MCOUNTEREN] & 2 and h[L.MENVCFG] & MENVCFG_STCE
                return h[L.STIMECMP] if h[L.PRIV] == L.PRIV_M or usable else None
            case 0x180:
                return None if h[L.PRIV] == L.PRIV_S and h[L.MSTATUS] & TVM else h[L.SATP]
        return None

    def _write_csr(self, number: int, value: int) -> None:
        h = self._h
        if self._m[L.SUPERVISOR] and self._write_supervisor(number, value):
            return
        if number in _PLAIN:
            offset, mask = _PLAIN[number]
            if mask:
                h[offset] = value & mask
            return
        match number:
            case 1 | 2 | 3:
                frm, flags = h[L.FCSR] >> 5, h[L.FCSR] & 31
                flags = flags if number == 2 else value & 31
                frm = frm if number == 1 else (value if number == 2 else value >> 5) & 7
                h[L.FCSR] = frm << 5 | flags
                h[L.MSTATUS] |= MSTATUS_FS
            case 0x300:
                if value & MPP != MPP:
                    value &= ~MPP
                h[L.MSTATUS] = value & (MIE | MPIE | MPP | MPRV | TW | self._m[L.FLOAT])
            case 0x320:
                # Whether this step counts is up to the new value.
                icount = self._m[L.ICOUNT]
                counts = [(at, bit, self._counts(at, bit, icount)) for at, bit in ((L.MCYCLE, 1), (L.MINSTRET, 4))]
                h[L.MCOUNTINHIBIT] = value & 5
                for at, bit, count in counts:
                    h[at] = count if value & bit else count - icount & M64
            case 0xB00:
                self._set_count(L.MCYCLE, 1, value)
            case 0xB02:
                self._set_count(L.MINSTRET, 4, value)
            case 0x3A0 | 0x3A2:
                for i in range(8):
                    entry = L.PMPCFG + (number - 0x3A0) * 4 + i
                    cfg = value >> 8 * i & 0x9F
                    if not h[entry] & LOCKED:
                        h[entry] = cfg if cfg & READ else cfg & ~WRITE
                self._regions = pmp_regions(h)
        if 0x3B0 <= number < 0x3C0:
            i = number - 0x3B0
            above = h[L.PMPCFG + i + 1] if i < 15 else 0
            if not h[L.PMPCFG + i] & LOCKED and above & 0x98 != 0x88:
                h[L.PMPADDR + i] = value & (1 << 54) - 1
            self._regions = pmp_regions(h)

    def _write_supervisor(self, number: int, value: int) -> bool:
        """Write a register that a machine with S mode has, or has otherwise; return whether it is one."""
        h, m = self._h, self._m
        match number:
            case 0x100:
                mask = SSTATUS_WRITABLE | m[L.FLOAT]
                h[L.MSTATUS] = h[L.MSTATUS] & ~mask | value & mask
            case 0x104:
                h[L.MIE] = h[L.MIE] & ~h[L.MIDELEG] | value & h[L.MIDELEG]
            case 0x144:
                mask = h[L.MIDELEG] & SSI
                h[L.MIP] = h[L.MIP] & ~mask | value & mask
            case 0x14D:
                h[L.STIMECMP] = value
                self._start_stimer()
            case 0x180:
                if value >> 60 in (0, 8, 9, 10):  # else nothing is written, privileged spec 10.1.11
                    h[L.SATP] = value
            case 0x300:
                if value & MPP == 2 << 11:
                    value &= ~MPP
                h[L.MSTATUS] = value & (MSTATUS_WRITABLE_S | m[L.FLOAT])
            case 0x30A:
                started = value & ~h[L.MENVCFG] & MENVCFG_STCE
                h[L.MENVCFG] = value & (1 | MENVCFG_ADUE | MENVCFG_STCE)
                if started:
                    self._start_stimer()
                elif not value & MENVCFG_STCE:
                    h[L.STIMER] = 0
            case 0x344:
                mask = SSI | SEI | (0 if h[L.MENVCFG] & MENVCFG_STCE else STI)
                h[L.MIP] = h[L.MIP] & ~mask | value & mask | h[L.SEIP_LINE]
                h[L.SEIP] = value & SEI
            case _ if number in _PLAIN_S:
                offset, mask = _PLAIN_S[number]
                h[offset] = value & mask
            case _:
                return False
        return True

    def _start_stimer(self) -> None:
        """Compare time and stimecmp, and start or stop the timer. Sstc chapter 1."""
        h, m = self._h, self._m
        if not h[L.MENVCFG] & MENVCFG_STCE:
            return
        now_ns = (m[L.ICOUNT] << m[L.SHIFT]) + m[L.WARP_NS] & M64
        time = now_ns // 100 + m[L.TIME_OFFSET] & M64
        due_ns = (now_ns // 100 + h[L.STIMECMP] - time) * 100
        later = h[L.STIMECMP] > time
        h[L.MIP] = h[L.MIP] & ~STI if later else h[L.MIP] | STI
        h[L.STIMER] = due_ns + 1 if later and due_ns < 1 << 63 else 0

    def _counter_enabled(self, number: int) -> bool:
        h, bit = self._h, number & 31
        if h[L.PRIV] == L.PRIV_M:
            return True
        if not h[L.MCOUNTEREN] >> bit & 1:
            return False
        return h[L.PRIV] == L.PRIV_S or not self._m[L.SUPERVISOR] or bool(h[L.SCOUNTEREN] >> bit & 1)

    def _csr(self, decoded: Decoded) -> None:
        h, number = self._h, decoded.imm
        name = decoded.insn.name
        operand = decoded.rs1 if name.endswith("i") else h[decoded.rs1]
        writes = name.startswith("csrrw") or decoded.rs1 != 0
        enabled = not 0xC00 <= number < 0xC20 or self._counter_enabled(number)
        old = self._read_csr(number)
        if old is None or not enabled or number >> 8 & 3 > h[L.PRIV] or (writes and number >> 10 == 3):
            self._illegal()
            return
        if writes:
            operation = name[4]
            # of SEIP only what software wrote comes back, privileged spec 3.1.9
            held = old & ~SEI | h[L.SEIP] if number == 0x344 else old
            new = operand if operation == "w" else held | operand if operation == "s" else held & ~operand
            self._write_csr(number, new)
        h[decoded.rd or L.XD] = old

    def _illegal(self) -> None:
        raise Trap(ILLEGAL, self._word)
