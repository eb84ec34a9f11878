"""What the guest has touched since somebody last asked: whole pages at a time, for the index of a trace.

The machine takes this at the end of every epoch, a few milliseconds of guest time.
"""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import bytes_at, load4, load8, none_of_32, store1, store4, store8, u32_at, words_at
from rrdbg_core.cpu.native.caches import flush_tlb
from rrdbg_core.cpu.native.names import (
    DEC,
    DIRTY,
    DMAP,
    GEN,
    MACH,
    OP_ARMED,
    OP_ASLEEP,
    OP_BLOCK,
    OP_FIRST,
    OP_ILLEGAL,
    RGEN,
    RUN,
    STRIDE,
    TAKEN_LINES,
    TAKEN_PAGES,
    TAKEN_PARTS,
    UNSAVED,
    XGEN,
    U,
)
from rrdbg_core.cpu.pipeline import njit


@njit
def next_page(generations, page, pages, since):
    """Return the first page from `page` on that carries generation `since` or later; `pages`, if there is none."""
    while page < pages:
        if page & U(31) == U(0) and page + U(32) <= pages and none_of_32(generations, page, since):
            page += U(32)
        elif load4(generations, page << U(2)) >= since:
            return page
        else:
            page += U(1)
    return pages


@njit
def list_pages(c, generations, since, place):
    """List the pages of generation `since` or later in TAKEN_PAGES, from `place` on; return the place behind them."""
    pages = u32_at(c, TAKEN_PAGES)
    all_pages = words_at(c, MACH)[L.RAM_PAGES]
    page = next_page(generations, U(0), all_pages, since)
    while page < all_pages:
        pages[place] = np.uint32(page)
        place += U(1)
        page = next_page(generations, page + U(1), all_pages, since)
    return place


@njit
def dirty(c, since):
    """Fill TAKEN_PAGES with the pages written in generation `since` or later; return how many they are."""
    return list_pages(c, u32_at(c, GEN), since, U(0))


@njit
def take_unsaved(c, since):
    """Move the lines of the pages of generation `since` or later out of UNSAVED; see `Core.take_unsaved`.

    TAKEN_PAGES and TAKEN_LINES are filled. Returns how many pages they are.
    """
    generations = u32_at(c, GEN)
    unsaved = words_at(c, UNSAVED)
    pages = u32_at(c, TAKEN_PAGES)
    lines = words_at(c, TAKEN_LINES)
    all_pages = words_at(c, MACH)[L.RAM_PAGES]
    taken = U(0)
    page = next_page(generations, U(0), all_pages, since)
    while page < all_pages:
        if unsaved[page] != U(0):
            pages[taken] = np.uint32(page)
            lines[taken] = unsaved[page]
            unsaved[page] = U(0)
            taken += U(1)
        page = next_page(generations, page + U(1), all_pages, since)
    words_at(c, MACH)[L.UNSAVED_PAGES] = U(0)
    return taken


@njit
def low_bits(word):
    """Return the lowest bit of each of eight bytes that are 0 or 1: bit i is that of byte i."""
    return (word * U(0x0102_0408_1020_4080)) >> U(56)


@njit
def written_in(c, since):
    """Move the written words of the pages of generation `since` or later out of DIRTY.

    TAKEN_PAGES, TAKEN_LINES and, a byte a line, TAKEN_PARTS are filled, and UNSAVED learns of the lines. MACH learns
    how many of the pages and of the lines there are.
    """
    m = words_at(c, MACH)
    generations = u32_at(c, GEN)
    written = bytes_at(c, DIRTY)
    unsaved = words_at(c, UNSAVED)
    pages = u32_at(c, TAKEN_PAGES)
    lines = words_at(c, TAKEN_LINES)
    parts = bytes_at(c, TAKEN_PARTS)
    all_pages = m[L.RAM_PAGES]
    taken = U(0)
    part = U(0)
    page = next_page(generations, U(0), all_pages, since)
    while page < all_pages:
        mask = U(0)
        line = U(0)
        while line < U(64):
            at = (page << U(9)) + (line << U(3))
            marks = load8(written, at)
            if marks != U(0):
                store8(written, at, U(0))
                store1(parts, part, low_bits(marks))
                part += U(1)
                mask |= U(1) << line
            line += U(1)
        if unsaved[page] == U(0) and mask != U(0):
            m[L.UNSAVED_PAGES] += U(1)
        unsaved[page] |= mask
        pages[taken] = np.uint32(page)
        lines[taken] = mask
        taken += U(1)
        page = next_page(generations, page + U(1), all_pages, since)
    m[L.TAKEN_WRITTEN] = taken
    m[L.TAKEN_WORDS] = part


@njit
def arm(dec, slot):
    """Let the decoded instruction in a slot tell when it is run next; `started` makes it what it was.

    What its op is fits into the bits of the slot that registers, which have six bits of eight, leave free (above rd,
    rs1 and rs2), and two more: they choose one of the four ops OP_ARMED.
    """
    content = dec[slot]
    op = content & U(0xFF)
    if op >= OP_FIRST or op == OP_ILLEGAL:
        free = (op & U(3)) << U(14) | (op >> U(2) & U(3)) << U(22) | (op >> U(4) & U(3)) << U(30)
        dec[slot] = content & ~U(0xFF) | free | op >> U(6) | OP_ARMED
    elif op == OP_BLOCK:
        dec[slot] = content & ~U(0xFF) | OP_ASLEEP


@njit
def run_in(c, since, place, row, part):
    """Move the halfwords that were run in pages of generation `since` or later out of RUN, and arm their slots.

    TAKEN_PAGES, TAKEN_LINES and, four bytes a line, TAKEN_PARTS are filled from `place`, `row` and `part` on. MACH
    learns how many of the pages and of the lines there are.
    """
    m = words_at(c, MACH)
    generations = u32_at(c, XGEN)
    run = bytes_at(c, RUN)
    dec = words_at(c, DEC)
    pages = u32_at(c, TAKEN_PAGES)
    lines = words_at(c, TAKEN_LINES)
    parts = bytes_at(c, TAKEN_PARTS)
    all_pages = m[L.RAM_PAGES]
    taken = U(0)
    first = part
    page = next_page(generations, U(0), all_pages, since)
    while page < all_pages:
        decoded = U(u32_at(c, DMAP)[page]) * STRIDE
        mask = U(0)
        line = U(0)
        while line < U(64):
            halves = U(0)
            eight = U(0)
            while eight < U(4):
                at = (page << U(11)) + (line << U(5)) + (eight << U(3))
                marks = load8(run, at)
                if marks != U(0):
                    store8(run, at, U(0))
                    halves |= low_bits(marks) << (eight << U(3))
                eight += U(1)
            if halves != U(0):
                store4(parts, part << U(2), halves)
                part += U(1)
                mask |= U(1) << line
                half = U(0)
                while decoded != U(0) and half < U(32):
                    if (halves >> half) & U(1) != U(0):
                        arm(dec, decoded + (line << U(5)) + half)
                    half += U(1)
            line += U(1)
        pages[place + taken] = np.uint32(page)
        lines[row + taken] = mask
        taken += U(1)
        page = next_page(generations, page + U(1), all_pages, since)
    m[L.TAKEN_EXECUTED] = taken
    m[L.TAKEN_HALVES] = part - first


@njit
def take_written(c, since):
    """Take what was written in generation `since` or later; see `Core.take_written`."""
    written_in(c, since)
    return U(0)


@njit
def take_run(c, since):
    """Take what was run in generation `since` or later; see `Core.take_run`."""
    run_in(c, since, U(0), U(0), U(0))
    return U(0)


@njit
def take_touched(c, since):
    """Take all that was touched in generation `since` or later, and start a new one; see `Core.take_touched`.

    What was written stands first in each of the three, what was run last; the pages read stand between them.
    """
    m = words_at(c, MACH)
    written_in(c, since)
    written = m[L.TAKEN_WRITTEN]
    read_end = list_pages(c, u32_at(c, RGEN), since, written)
    m[L.TAKEN_READ] = read_end - written
    run_in(c, since, read_end, written, (m[L.TAKEN_WORDS] + U(3)) >> U(2))
    # a page that a TLB lets pass would not be noticed again
    m[L.GENERATION] += U(1)
    flush_tlb(c)
    return U(0)
