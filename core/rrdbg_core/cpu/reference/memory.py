"""Loads, stores, devices and atomics of the reference interpreter."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Exit
from rrdbg_core.cpu.pmp import pmp_allows
from rrdbg_core.cpu.reference.paging import Paging
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


class Memory(Paging):
    """Adds accesses."""

    def _data_priv(self) -> int:
        status = self._h[L.MSTATUS]
        return status >> 11 & 3 if status & MPRV else self._h[L.PRIV]

    def _places(self, address: int, size: int, kind: int, cause: int) -> list[tuple[int, int]]:
        """Return where the bytes of an access lie: physical address and number of bytes, in one piece or in two.

        One piece that is not in RAM may be a device's. An access across a page is two accesses, and the fault names
        the one that failed.
        """
        m = self._m
        if m[L.MMIO_STATE] >= 2:
            return [(m[L.MMIO_ADDR], size)]  # it was translated when the device was asked
        priv = self._data_priv()
        first = min(size, PAGE - address % PAGE)
        places: list[tuple[int, int]] = []
        for at, length in ((address, first), (address + first & M64, size - first)):
            if length:
                place = self._translate(at, kind, priv)
                if not pmp_allows(self._regions, place, length, kind, priv):
                    raise Trap(cause, at)
                if first < size and not self._in_ram(place, length):
                    raise Trap(cause, at)
                places.append((place, length))
        if len(places) == 2 and places[0][0] + first == places[1][0]:
            return [(places[0][0], size)]
        return places

    def _all_in_ram(self, places: list[tuple[int, int]]) -> bool:
        return all(self._in_ram(place, length) for place, length in places)

    def _device(self, address: int, place: int, size: int, write: bool, value: int) -> int:
        """Ask the machine for a device access, or take its answer."""
        m, cause = self._m, STORE_FAULT if write else LOAD_FAULT
        state = m[L.MMIO_STATE]
        if state >= 2:
            m[L.MMIO_STATE] = 0
            if state == 3:
                raise Trap(cause, address)
            return m[L.MMIO_VALUE]
        if place % size:
            raise Trap(cause, address)
        m[L.MMIO_STATE], m[L.MMIO_ADDR], m[L.MMIO_SIZE] = 1, place, size
        m[L.MMIO_WRITE], m[L.MMIO_VALUE] = int(write), value
        raise Leave(Exit.MMIO_WRITE if write else Exit.MMIO_READ)

    def _load(self, address: int, size: int) -> int:
        address &= M64
        places = self._places(address, size, READ, LOAD_FAULT)
        if not self._all_in_ram(places):
            value = self._device(address, places[0][0], size, False, 0)
        else:
            value, shift = 0, 0
            for place, length in places:
                part = self._peek(place, length)
                self._accessed(READ, place, length, part, part)
                value |= part << shift
                shift += 8 * length
        self._log_access(READ, address, size, value, places)
        return value

    def _store(self, address: int, size: int, value: int) -> None:
        value &= (1 << 8 * size) - 1
        places = self._places(address, size, WRITE, STORE_FAULT)
        if self._all_in_ram(places):
            self._poke(address, places, size, value)
        else:
            self._device(address, places[0][0], size, True, value)
            self._log_access(WRITE, address, size, value, places)

    def _poke(self, address: int, places: list[tuple[int, int]], size: int, value: int) -> None:
        value &= (1 << 8 * size) - 1
        self._log_access(WRITE, address, size, value, places)
        for place, length in places:
            at = place - self._m[L.RAM_BASE]
            old, new = self._peek(place, length), value & (1 << 8 * length) - 1
            self._ram[at : at + length] = new.to_bytes(length, "little")
            self._accessed(WRITE, place, length, old, new)
            value >>= 8 * length

    # -- atomics, unprivileged spec "A" --------------------------------------------------------------------------------

    def _atomic_operands(self, decoded: Decoded, misaligned: int) -> tuple[int, int]:
        address = self._h[decoded.rs1]
        size = 8 if decoded.imm & 7 == 3 else 4
        if address % size:
            raise Trap(misaligned, address)
        return address, size

    def _atomic_place(self, address: int, size: int, kind: int, cause: int) -> int:
        """Return the physical address of an atomic access; devices take none."""
        [(place, _)] = self._places(address, size, kind, cause)
        if not self._in_ram(place, size):
            raise Trap(cause, address)
        return place

    def _lr(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, LOAD_MISALIGNED)
        place = self._atomic_place(address, size, READ, LOAD_FAULT)
        value = sext(self._peek(place, size), 8 * size)
        self._log_access(READ, address, size, value, [(place, size)])
        self._accessed(READ, place, size, value, value)
        self._h[L.RES_VALID], self._h[L.RES_ADDR] = 1, place
        self._h[decoded.rd or L.XD] = value

    def _sc(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, STORE_MISALIGNED)
        place = self._atomic_place(address, size, WRITE, STORE_FAULT)
        h = self._h
        holds = h[L.RES_VALID] == 1 and h[L.RES_ADDR] == place
        h[L.RES_VALID] = h[L.RES_ADDR] = 0
        value = h[decoded.rs2]
        h[decoded.rd or L.XD] = 0 if holds else 1
        if holds:
            self._poke(address, [(place, size)], size, value)

    def _amo(self, decoded: Decoded) -> None:
        address, size = self._atomic_operands(decoded, STORE_MISALIGNED)
        place = self._atomic_place(address, size, WRITE, STORE_FAULT)
        if not pmp_allows(self._regions, place, size, READ, self._data_priv()):
            raise Trap(STORE_FAULT, address)
        bits = 8 * size
        old = sext(self._peek(place, size), bits)
        self._log_access(READ, address, size, old, [(place, size)])
        self._accessed(READ, place, size, old, old)
        new = amo_result(decoded.imm >> 3, old, sext(self._h[decoded.rs2], bits))
        self._poke(address, [(place, size)], size, new)
        self._h[decoded.rd or L.XD] = old
