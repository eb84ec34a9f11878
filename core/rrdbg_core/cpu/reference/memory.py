"""Loads, stores, devices and atomics of the reference interpreter."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Exit
from rrdbg_core.cpu.reference.observe import Observed
from rrdbg_core.cpu.reference.pmp import pmp_allows
from rrdbg_core.cpu.reference.state import (
    LOAD_FAULT,
    LOAD_MISALIGNED,
    MPRV,
    PAGE,
    READ,
    STORE_FAULT,
    STORE_MISALIGNED,
    WRITE,
    Leave,
    Trap,
)
from rrdbg_core.isa.plain import M64, sext, signed
from rrdbg_core.isa.table import Decoded


def amo_result(funct5: int, old: int, operand: int) -> int:
    """Return what an AMO writes; words come sign-extended, which keeps their unsigned order too."""
    match funct5:
        case 0b00000:
            return old + operand
        case 0b00001:
            return operand
        case 0b00100:
            return old ^ operand
        case 0b01000:
            return old | operand
        case 0b01100:
            return old & operand
        case 0b10000:
            return min(old, operand, key=signed)
        case 0b10100:
            return max(old, operand, key=signed)
        case 0b11000:
            return min(old, operand)
        case _:
            return max(old, operand)


class Memory(Observed):
    """Adds accesses."""

    def _data_priv(self) -> int:
        status = self._h[L.MSTATUS]
        return status >> 11 & 3 if status & MPRV else self._h[L.PRIV]

    def _is_ram(self, address: int, size: int, kind: int, cause: int) -> bool:
        """Return True for RAM, False for what may be a device; raise if PMP forbids or there is nothing.

        An access across a page is two accesses, and the fault names the one that failed.
        """
        priv = self._data_priv()
        first = min(size, PAGE - address % PAGE)
        if not pmp_allows(self._regions, address, first, kind, priv):
            raise Trap(cause, address)
        if not self._in_ram(address, first):
            if first < size:
                raise Trap(cause, address)
            return False
        if first < size:
            rest = address + first
            if not pmp_allows(self._regions, rest, size - first, kind, priv) or not self._in_ram(rest, size - first):
                raise Trap(cause, rest)
        return True

    def _device(self, address: int, size: int, write: bool, value: int) -> int:
        """Ask the machine for a device access, or take its answer."""
        m, cause = self._m, STORE_FAULT if write else LOAD_FAULT
        state = m[L.MMIO_STATE]
        if state >= 2:
            m[L.MMIO_STATE] = 0
            if state == 3:
                raise Trap(cause, address)
            return m[L.MMIO_VALUE]
        if address % size:
            raise Trap(cause, address)
        m[L.MMIO_STATE], m[L.MMIO_ADDR], m[L.MMIO_SIZE] = 1, address, size
        m[L.MMIO_WRITE], m[L.MMIO_VALUE] = int(write), value
        raise Leave(Exit.MMIO_WRITE if write else Exit.MMIO_READ)

    def _load(self, address: int, size: int) -> int:
        address &= M64
        if not self._is_ram(address, size, READ, LOAD_FAULT):
            value = self._device(address, size, False, 0)
        else:
            value = self._peek(address, size)
            self._accessed(READ, address, size, value, value)
        self._log_access(READ, address, size, value)
        return value

    def _store(self, address: int, size: int, value: int) -> None:
        value &= (1 << 8 * size) - 1
        if self._is_ram(address, size, WRITE, STORE_FAULT):
            self._poke(address, size, value)
        else:
            self._device(address, size, True, value)
            self._log_access(WRITE, address, size, value)

    def _poke(self, address: int, size: int, value: int) -> None:
        at = address - self._m[L.RAM_BASE]
        old = self._peek(address, size)
        self._ram[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        new = self._peek(address, size)
        self._log_access(WRITE, address, size, new)
        self._accessed(WRITE, address, size, old, new)

    # -- atomics, unprivileged spec "A" --------------------------------------------------------------------------------

    def _atomic_operands(self, decoded: Decoded, misaligned: int) -> tuple[int, int]:
        address = self._h[decoded.rs1]
        size = 8 if decoded.imm & 7 == 3 else 4
        if address % size:
            raise Trap(misaligned, address)
        return address, size

    def _lr(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, LOAD_MISALIGNED)
        if not self._is_ram(address, size, READ, LOAD_FAULT):
            raise Trap(LOAD_FAULT, address)
        value = sext(self._peek(address, size), 8 * size)
        self._log_access(READ, address, size, value)
        self._accessed(READ, address, size, value, value)
        self._h[L.RES_VALID], self._h[L.RES_ADDR] = 1, address
        self._h[decoded.rd or L.XD] = value

    def _sc(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, STORE_MISALIGNED)
        if not self._is_ram(address, size, WRITE, STORE_FAULT):
            raise Trap(STORE_FAULT, address)
        h = self._h
        holds = h[L.RES_VALID] == 1 and h[L.RES_ADDR] == address
        h[L.RES_VALID] = h[L.RES_ADDR] = 0
        value = h[decoded.rs2]
        h[decoded.rd or L.XD] = 0 if holds else 1
        if holds:
            self._poke(address, size, value)

    def _amo(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, STORE_MISALIGNED)
        for kind in (WRITE, READ):
            if not self._is_ram(address, size, kind, STORE_FAULT):
                raise Trap(STORE_FAULT, address)
        bits = 8 * size
        old = sext(self._peek(address, size), bits)
        self._log_access(READ, address, size, old)
        self._accessed(READ, address, size, old, old)
        self._poke(address, size, amo_result(decoded.imm >> 3, old, sext(self._h[decoded.rs2], bits)))
        self._h[decoded.rd or L.XD] = old
