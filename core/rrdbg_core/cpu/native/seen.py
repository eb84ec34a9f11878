"""What watches see of an access to memory, and what the step log takes down of it."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import words_at
from rrdbg_core.cpu.native.gates import came_to
from rrdbg_core.cpu.native.names import MACH, READ, WATCHED, WATCHES, WRITE, U
from rrdbg_core.cpu.pipeline import njit


@njit
def log_access(m, kind, address, size, value):
    """Remember one memory access of the step. PLACE and what follows say where it has just gone."""
    count = m[L.ACCESS_COUNT]
    if count < U(3):
        row = U(L.ACCESSES) + count * U(3)
        m[row] = kind | size << U(8)
        m[row + U(1)] = address
        m[row + U(2)] = value
        row = U(L.PLACES) + count * U(2)
        m[row] = m[L.PLACE]
        m[row + U(1)] = m[L.PLACE] + size - U(1)
        if m[L.FIRST_BYTES] < size:
            m[row + U(1)] = m[L.OTHER_PLACE] + size - m[L.FIRST_BYTES] - U(1)
        m[L.ACCESS_COUNT] = count + U(1)


@njit
def is_watched(c, address, size):
    """Return True if the lines that an access to RAM touches are watched."""
    lines = words_at(c, WATCHED)
    first = address - words_at(c, MACH)[L.RAM_BASE]
    last = first + size - U(1)
    hit = (lines[first >> U(12)] >> ((first >> U(6)) & U(63))) | (lines[last >> U(12)] >> ((last >> U(6)) & U(63)))
    return hit & U(1) != U(0)


@njit
def changed_in(start, end, address, size, old, new):
    """Return True if an access changes bytes of a watch; only those count."""
    b = U(0)
    while b < size:
        inside = address + b >= start and address + b < end
        if inside and ((old ^ new) >> (b << U(3))) & U(0xFF) != U(0):
            return True
        b += U(1)
    return False


@njit
def seen(c, kind, address, size, old, new, left):
    """Look whether an access to a watched page hits a watch: stop behind the step, or see behind it whether to."""
    if not is_watched(c, address, size):
        return
    m = words_at(c, MACH)
    rows = words_at(c, WATCHES)
    step = m[L.INNER_LIMIT] - left - U(1)
    i = U(0)
    while i < m[L.WATCHES]:
        row = i * U(L.WATCH_WORDS)
        start = rows[row]
        end = start + rows[row + U(1)]
        kinds = rows[row + U(2)]
        if address < end and start < address + size:
            hit = False
            if kinds & U(L.WATCH_TRACKED) != U(0):
                if kind == WRITE:
                    m[L.TRACKED_HIT] = U(1)
            elif kind == READ:
                hit = kinds & U(L.WATCH_READ) != U(0)
            elif kinds & U(L.WATCH_WRITE) != U(0):
                hit = True
            elif kinds & U(L.WATCH_CHANGE) != U(0):
                hit = changed_in(start, end, address, size, old, new)
            if hit:
                came_to(c, rows[row + U(3)], step, i + U(1), address, size, kind, old, new)
        i += U(1)


@njit
def is_unseen(c, reads, writes, address, size, old, new):
    """Return True if no watch has anything to see of an access to a watched line.

    Args:
        reads: Whether it reads; what one stores that does is not known before it has read.
        writes: Whether it writes.
        address: Of its bytes, which lie in one page of RAM.
        size: Number of bytes.
        old: What they are.
        new: What is stored, if it does not read.
    """
    m = words_at(c, MACH)
    rows = words_at(c, WATCHES)
    i = U(0)
    while i < m[L.WATCHES]:
        row = i * U(L.WATCH_WORDS)
        start = rows[row]
        end = start + rows[row + U(1)]
        kinds = rows[row + U(2)]
        if address < end and start < address + size:
            if reads and (writes or kinds & U(L.WATCH_READ) != U(0)):
                return False
            if writes:
                if kinds & U(L.WATCH_TRACKED | L.WATCH_WRITE) != U(0):
                    return False
                if kinds & U(L.WATCH_CHANGE) != U(0) and changed_in(start, end, address, size, old, new):
                    return False
        i += U(1)
    return True
