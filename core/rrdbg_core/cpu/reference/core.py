"""The reference interpreter: privileged instructions, traps, and one step after the other."""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import Words
from rrdbg_core.cpu.core import CHECK_PERIOD, Exit
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.cpu.pmp import pmp_allows, pmp_regions
from rrdbg_core.cpu.reference.floating import Floating
from rrdbg_core.cpu.reference.state import (
    BREAKPOINT,
    ECALL,
    EXEC,
    FETCH_FAULT,
    INTERRUPT,
    MIE,
    MPIE,
    MPP,
    MPRV,
    SIE,
    SPIE,
    SPP,
    TSR,
    TVM,
    TW,
    Leave,
    Trap,
)
from rrdbg_core.cpu.reference.trees import FACTORIES, Step
from rrdbg_core.isa.csr import STI
from rrdbg_core.isa.plain import M64
from rrdbg_core.isa.table import Decoded, decode

_CHECK_MULTIPLIER = 0x9E37_79B9_7F4A_7C15


def _mix(a: int, b: int) -> int:
    a = (a ^ b) * _CHECK_MULTIPLIER & M64
    return a ^ a >> 29


class ReferenceCore(Floating):
    """`Core` without a kernel: the same arrays, exits, checks, logs and stops; slower by a factor of some hundreds."""

    def lend(self, clint: Words, clint_at: int, uart: Words, uart_at: int) -> None:
        """Leave both devices, and the deadline of the CLINT, to the machine."""

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self, limit: int) -> Exit:
        """Run until icount is `limit`, or until something is due before that. Never goes beyond the limit."""
        h, m = self._h, self._m
        h[:] = self.hart.tolist()
        m[:] = self.mach.tolist()
        self._limit = limit
        self._regions = pmp_regions(h)
        self._checks_made: list[int] = []
        self._traps_taken: list[tuple[int, int]] = []
        try:
            return self._run(limit)
        finally:
            self.hart[:] = h
            self.mach[:] = m
            if self._checks_made:
                self.check_words.append(np.array(self._checks_made, np.uint64))
            if self._traps_taken:
                self.trap_rows.append(np.array(self._traps_taken, np.uint64))
            self._hand_over_log()

    def _run(self, limit: int) -> Exit:
        h, m = self._h, self._m
        while m[L.ICOUNT] < limit:
            if m[L.MMIO_STATE] < 2 and not m[L.CALLED]:  # else the step has been begun: its PTEs are written
                m[L.HIT_INDEX] = m[L.HIT_MORE] = 0
                self._matched = {}
            m[L.TRACKED_HIT] = m[L.ACCESS_COUNT] = 0
            stepping = m[L.STEPPING]
            if stepping:
                old = h[: L.FCSR]
                row = self._row_before()
            code = self._step()
            if code is not None:
                return code
            if m[L.ICOUNT] % CHECK_PERIOD == 0:
                self._checks_made.append(self._check_word())
            if stepping:
                self._after(old, row)
            if m[L.CATCH] and self._cause:
                self._caught()
            if self._matched:
                self._judge_step()
            if m[L.HIT_INDEX]:
                return Exit.WATCH
            if m[L.TRACKED_HIT]:
                return Exit.TRACKED
        return Exit.LIMIT

    def _check_word(self) -> int:
        h, m = self._h, self._m
        a = _mix(m[L.ACC], m[L.ICOUNT])
        for i in range(1, 32):
            a = _mix(a, h[i])
        for value in (h[L.PC], h[L.PRIV] | h[L.WFI] << 8):
            a = _mix(a, value)
        for offset in (L.MSTATUS, L.MIP, L.MIE, L.MEPC, L.MCAUSE, L.MSCRATCH):
            a = _mix(a, h[offset])
        if m[L.FLOAT]:
            for value in h[L.F : L.F + 33]:
                a = _mix(a, value)
        if m[L.SUPERVISOR]:
            for offset in (L.SATP, L.SEPC, L.SCAUSE, L.SSCRATCH):
                a = _mix(a, h[offset])
        return a

    # -- privileged instructions and traps -----------------------------------------------------------------------------

    def _nop(self, decoded: Decoded) -> None:
        pass

    def _ecall(self, decoded: Decoded) -> None:
        m, priv = self._m, self._h[L.PRIV]
        if not m[L.SBI] or priv != L.PRIV_S:
            raise Trap(ECALL + priv, 0)
        if not m[L.CALLED]:
            raise Leave(Exit.SBI)
        m[L.CALLED] = 0

    def _ebreak(self, decoded: Decoded) -> None:
        m, pc = self._m, self._h[L.PC]
        if m[L.CALLED]:
            m[L.CALLED] = 0
            return
        # slli x0, x0, 0x1f; ebreak; srai x0, x0, 7 (RISC-V semihosting 0.4)
        around = [self._code_word(at & M64) for at in (pc - 4, pc + 4)] if m[L.SEMIHOSTING] else []
        if decoded.length == 4 and around == [0x01F0_1013, 0x4070_5013]:
            raise Leave(Exit.SEMIHOST)
        raise Trap(BREAKPOINT, pc)

    def _mret(self, decoded: Decoded) -> int:
        h = self._h
        if h[L.PRIV] != L.PRIV_M:
            self._illegal()
        status = h[L.MSTATUS]
        previous = status >> 11 & 3
        new = status & ~(MIE | MPP) | MPIE
        if status & MPIE:
            new |= MIE
        if previous != L.PRIV_M:
            new &= ~MPRV
        h[L.MSTATUS], h[L.PRIV] = new, previous
        return h[L.MEPC]

    def _sret(self, decoded: Decoded) -> int:
        h = self._h
        status = h[L.MSTATUS]
        trapped = h[L.PRIV] == L.PRIV_S and status & TSR
        if not self._m[L.SUPERVISOR] or h[L.PRIV] == L.PRIV_U or trapped:
            self._illegal()
        new = status & ~(SIE | SPP | MPRV) | SPIE
        if status & SPIE:
            new |= SIE
        h[L.MSTATUS], h[L.PRIV] = new, L.PRIV_S if status & SPP else L.PRIV_U
        return h[L.SEPC]

    def _sfence(self, decoded: Decoded) -> None:
        """Do nothing: there is no TLB."""
        h = self._h
        trapped = h[L.PRIV] == L.PRIV_S and h[L.MSTATUS] & TVM
        if not self._m[L.SUPERVISOR] or h[L.PRIV] == L.PRIV_U or trapped:
            self._illegal()

    def _wfi(self, decoded: Decoded) -> None:
        h = self._h
        if h[L.PRIV] == L.PRIV_U or (h[L.PRIV] == L.PRIV_S and h[L.MSTATUS] & TW):
            self._illegal()
        if not h[L.MIP] & h[L.MIE]:
            h[L.WFI] = 1

    def _pending_interrupt(self) -> int:
        """Return the cause of the interrupt to take now, or 0."""
        h = self._h
        pending = h[L.MIP] & h[L.MIE]
        enabled = 0
        if h[L.PRIV] != L.PRIV_M or h[L.MSTATUS] & MIE:
            enabled = pending & ~h[L.MIDELEG]
        if not enabled and (h[L.PRIV] == L.PRIV_U or (h[L.PRIV] == L.PRIV_S and h[L.MSTATUS] & SIE)):
            enabled = pending & h[L.MIDELEG]
        if not enabled:
            return 0
        return INTERRUPT | next(line for line in (11, 3, 7, 9, 1, 5) if enabled >> line & 1)

    def _take_trap(self, cause: int, tval: int) -> None:
        h = self._h
        self._traps_taken.append((self._m[L.ICOUNT], cause))
        self._m[L.MMIO_STATE] = 0  # whatever a device has answered, nobody waits for it any more
        status, delegated = h[L.MSTATUS], h[L.MIDELEG] if cause & INTERRUPT else h[L.MEDELEG]
        if h[L.PRIV] != L.PRIV_M and delegated >> (cause & 63) & 1:
            h[L.SEPC], h[L.SCAUSE], h[L.STVAL] = h[L.PC], cause, tval
            new = status & ~(SIE | SPIE | SPP) | (SPP if h[L.PRIV] == L.PRIV_S else 0)
            h[L.MSTATUS] = new | SPIE if status & SIE else new
            h[L.PRIV], vector = L.PRIV_S, h[L.STVEC]
        else:
            h[L.MEPC], h[L.MCAUSE], h[L.MTVAL] = h[L.PC], cause, tval
            new = status & ~(MIE | MPIE | MPP) | h[L.PRIV] << 11
            h[L.MSTATUS] = new | MPIE if status & MIE else new
            h[L.PRIV], vector = L.PRIV_M, h[L.MTVEC]
        h[L.PC] = vector & ~3
        if vector & 1 and cause & INTERRUPT:
            h[L.PC] = h[L.PC] + 4 * (cause & 0xFF) & M64
        if not h[L.MCOUNTINHIBIT] & 4:
            # minstret is this word plus icount, and a trap retires nothing.
            h[L.MINSTRET] = h[L.MINSTRET] - 1 & M64

    # -- one step ------------------------------------------------------------------------------------------------------

    def _fetch(self) -> tuple[Step, int]:
        """Return the instruction at pc, bound to its operands, and its length."""
        pc, priv = self._h[L.PC], self._h[L.PRIV]
        word, self._fetched_at = self._fetch_half(pc, priv)
        if word & 3 == 3:
            word |= self._fetch_half(pc + 2 & M64, priv)[0] << 16
        self._word = word
        found = self._bound.get(word)
        if found is None:
            found = self._bound[word] = self._bind(word)
        return found

    def _fetch_half(self, address: int, priv: int) -> tuple[int, int]:
        """Return a halfword and its physical address."""
        place = self._translate(address, EXEC, priv)
        if not self._in_ram(place, 2) or not pmp_allows(self._regions, place, 2, EXEC, priv):
            raise Trap(FETCH_FAULT, address)
        self.memory.executed[place - RAM_BASE >> 12] = self._m[L.GENERATION]
        return self._peek(place, 2), place

    def _bind(self, word: int) -> tuple[Step, int]:
        decoded = decode(word)
        if decoded is None:
            return self._illegal, 4 if word & 3 == 3 else 2
        if len(self._bound) > 1 << 16:
            self._bound.clear()
        return FACTORIES[decoded.insn.name](self, self._h, decoded), decoded.length

    def _step(self) -> Exit | None:
        """Make one step, or return why it cannot be made. Sets `_cause` to what the step log calls the trap."""
        h, m = self._h, self._m
        self._cause = 0
        self._at = m[L.ICOUNT]
        if self._stimer_due() <= self._at:
            h[L.STIMER] = 0
            h[L.MIP] |= STI
        if m[L.MMIO_STATE] < 2 and not m[L.CALLED]:
            interrupt = self._pending_interrupt()
            if interrupt:
                h[L.WFI] = 0
                self._take_trap(interrupt, 0)
                self._cause = interrupt
                m[L.ICOUNT] += 1
                return None
            if h[L.WFI]:
                if not h[L.MIP] & h[L.MIE]:
                    return Exit.WFI
                h[L.WFI] = 0
        try:
            self._aged.clear()
            step, length = self._fetch()
            if m[L.BREAKS] and self._at_break():
                self._grow_young()
                return Exit.BREAK
            self.memory.run[self._fetched_at - RAM_BASE >> 1] = 1
            target = step()
            h[L.PC] = h[L.PC] + length & M64 if target is None else target
        except Trap as trap:
            self._take_trap(trap.cause, trap.tval)
            self._cause = trap.cause + 1
        except Leave as exit_:
            return exit_.code
        m[L.ICOUNT] += 1
        return None
