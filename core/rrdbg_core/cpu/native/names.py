"""The names that the numba part of the kernel shares. All values are u64.

The functions in this package are compiled by numba and called out of line by the dispatch loop (cpu/dispatch.py). `c`
is the table of pointers, `h` the hart's words, `m` the machine's; `left` is the number of steps left, this one
excluded, so that the icount of the step is INNER_LIMIT - left - 1.

A function that can end a step in an unusual way returns how the step ended:

    DONE       as usual: go on behind the instruction
    DONE_OUT   done, but leave the dispatch loop (a watch was hit, or interrupts must be looked at)
    JUMPED     done, NEXT_PC holds where to go on
    TRAPPED    an exception: TRAP_CAUSE and TRAP_TVAL are set, nothing else changed
    EXITED     not done: STATUS says what the machine has to do first

Shapes: see `Core`. Mutates: everything that the table points to.
"""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L

U = np.uint64

# the table of pointers
HART, MACH, RAM, DEC, DMAP, DREV, TLB, XTLB, FLAGS, GEN, RGEN, XGEN = (U(_i) for _i in range(12))
LINES, RVC, DECODE, CHECKS, TRAPS, LOG, DIRTY, VARIANTS = (U(_i) for _i in range(12, 20))
BREAKS, WATCHES, GATES, WATCHED, RUN, SAMPLES, REGION_CODE = (U(_i) for _i in range(20, 27))
CLINT, UART, OUTPUT = (U(_i) for _i in range(27, 30))
TAKEN_PAGES, TAKEN_LINES, TAKEN_PARTS, UNSAVED = (U(_i) for _i in range(30, 34))
PTE_LINES, PTE_LIST, REGION_PAGES, REGION_PLACES = (U(_i) for _i in range(34, 38))
STENCILS, BLOCK_CODE, BLOCK_OF, TLB_LISTS = (U(_i) for _i in range(38, 42))

# the table of pointers of a digest, and numbers of words there, see digest.py; the first eight are accumulators
D_WORDS, D_HASHES, D_SUMS, D_SECRET, D_WRITTEN, D_RAM, D_PARTS = (U(_i) for _i in range(7))
DIGEST_PAGES, DIGEST_SIZE, DIGEST_PARTS, DIGEST_FRESH, DIGEST_HIGH, DIGEST_LOW = (U(_i) for _i in range(8, 14))

# how a step ended
DONE, DONE_OUT, JUMPED, TRAPPED, EXITED = (U(_i) for _i in range(5))

# why the kernel came back
(
    EXIT_LIMIT,
    EXIT_MMIO_READ,
    EXIT_MMIO_WRITE,
    EXIT_WFI,
    EXIT_BREAK,
    EXIT_WATCH,
    EXIT_SEMIHOST,
    EXIT_TRACKED,
    EXIT_DRAIN,
    EXIT_SERVED,
    EXIT_SBI,
) = (U(_i) for _i in range(11))

PAGE = U(4096)
OFFSET = U(4095)
PAGE_MASK = U(0xFFFF_FFFF_FFFF_F000)
STRIDE = U(2056)  # words of a decoded page: 2048 slots and a tail of OP_FETCH
BANK_BITS = U(L.TLB_BITS + 1)
BANK = U(2 << L.TLB_BITS)  # words of one TLB bank
WRITE_TLB = U(4 << L.TLB_BITS)  # the read TLB has two banks (U and M) in front of it
WATCHED_TLB = U(8 << L.TLB_BITS)  # likewise, for pages of which some lines are watched: looked at when the others miss
S_BANKS = U(16 << L.TLB_BITS)  # all of it once more, for S mode: with mstatus.SUM off, and on
X_BANKS = U(L.TLB_BANKS * (2 << L.TLB_BITS))  # the exec TLB's lie behind the others
TLB_LISTED = U((1 << L.TLB_LIST_BITS) - 1)  # entries that fit into the list of a bank
WRITE_BANKS = U(0b1100_0000_1100)  # those for stores to pages no line of which is watched, as bits
NOT_M_MODES = U(0b1101_1111_1111_0101_0101)  # banks of the TLBs, see TLB_USED in cpu/layout.py
NO_TAG = U(0x800)  # equals no masked address: a tag keeps the page and the bits that alignment forbids

OP_UNDECODED, OP_FETCH, OP_BREAK, OP_ILLEGAL = (U(_i) for _i in range(4))
OP_ARMED = U(4)  # four of them, see `arm` in collect.py
OP_REGION = U(8)  # op | number of a function in the table of handlers << 8 | number of the entry << 32
OP_BLOCK = U(9)  # op | address of its code << 8
OP_COUNTED = U(10)  # where a block may begin: op | executions so far << 8 | halfwords of the instruction << 16 | ENDS
OP_ASLEEP = U(11)  # as OP_BLOCK, while instructions of it have to tell when they are run
OP_FIRST = U(12)  # the first that is an instruction
CROSSING = U(2050)  # in that tail: the last instruction decoded that goes on in another page, and its slot
FETCH_PAGE = STRIDE  # decoded page 1: OP_FETCH only; page 0 is the scratch page

# blocks, see blocks.py and cpu/stencils.py
HOLE_RD, HOLE_RS1, HOLE_RS2, HOLE_FRD, HOLE_FS1, HOLE_FS2, HOLE_FS3, HOLE_IMM = (U(_i) for _i in range(8))
HOLE_SLOT, HOLE_HERE, HOLE_BEHIND, HOLE_TARGET, HOLE_LEFT, HOLE_WAY = (U(_i) for _i in range(8, 14))
WAY_OUT = U(16)
ABSOLUTE_64, RELATIVE, ABSOLUTE_8 = U(1), U(2), U(3)
STENCIL_ENTER, STENCIL_END, STENCIL_OUT, TO_NOBODY = (U(_i) for _i in range(256, 260))
MIDDLE = U(16)  # word of the hart that h points to
ENDS, NEAR = U(1 << 40), U(1 << 41)
BEGINS = U(255)  # in BLOCK_OF: a block may begin here
BLOCK_HEAD = U(16)
BLOCK_SLOTS = U(128)  # of a block at most, or one more
BLOCK_ROOM = U(1 << 16)  # bytes that one may need

CODE, WATCHED_R, WATCHED_W, PTE = U(1), U(2), U(4), U(8)  # flags of a RAM page

READ, WRITE, EXEC = U(1), U(2), U(4)  # kinds of access, as in pmpcfg
READ_FAULT, WRITE_FAULT, EXEC_FAULT = U(5), U(7), U(1)
READ_MISALIGNED, WRITE_MISALIGNED = U(4), U(6)
READ_PAGE_FAULT, WRITE_PAGE_FAULT, EXEC_PAGE_FAULT = U(13), U(15), U(12)
PTE_V, PTE_R, PTE_W, PTE_X, PTE_U = (U(1 << _i) for _i in range(5))
PTE_A, PTE_D, PTE_RESERVED, PPN = U(1 << 6), U(1 << 7), U(0x3FF << 54), U((1 << 44) - 1)

MIE_BIT, MPIE_BIT, MPP, MPRV, TW = U(1 << 3), U(1 << 7), U(3 << 11), U(1 << 17), U(1 << 21)
FS = U(3 << 13)  # mstatus.FS: 0 Off, 1 Initial, 2 Clean, 3 Dirty
SD = U(1 << 63)
MSTATUS_WRITABLE = MIE_BIT | MPIE_BIT | MPP | MPRV | TW
SIE_BIT, SPIE_BIT, SPP, SUM, MXR = U(1 << 1), U(1 << 5), U(1 << 8), U(1 << 18), U(1 << 19)
TVM, TSR = U(1 << 20), U(1 << 22)
SSTATUS_WRITABLE = SIE_BIT | SPIE_BIT | SPP | SUM | MXR
UXL, SXL = U(2 << 32), U(2 << 34)
INTERRUPTS = U(0x888)
SSI, STI, SEI = U(1 << 1), U(1 << 5), U(1 << 9)
S_EXCEPTIONS, S_INTERRUPTS = U(0xB3FE), SSI | STI | SEI
FIOM, ADUE, STCE = U(1), U(1 << 61), U(1 << 63)  # of menvcfg
TIMEBASE_NS = U(100)

MTIMECMP, MTIME = U(0x4000), U(0xBFF8)  # places of the registers in the CLINT
CLINT_LINES, TIMER_LINE = U(1 << 3 | 1 << 7), U(1 << 7)  # its bits of mip
LAST_TICK = U((1 << 63) // 100)  # what lies behind it is no deadline

FMT_R, FMT_I, FMT_SH6, FMT_SH5, FMT_S, FMT_B, FMT_U, FMT_J, FMT_CSR, FMT_CSRI, FMT_AMO, FMT_N, FMT_F = (
    U(i) for i in range(13)
)
FMT_RF, FMT_RM, FMT_R4 = (U(i) for i in range(13, 16))

# floating point: exceptions, as bits of fflags, and rounding modes
NX, UF, OF, DZ, NV = (U(1 << i) for i in range(5))
RNE, RTZ, RDN, RUP, RMM = (U(i) for i in range(5))

# what the debugger's eyes need, in words of the hart array that are not state
OLD = U(400)  # the registers, x and f, before a step that is looked at
STEP_PC, STEP_INSN, STEP_PRIV, STEP_RD = U(464), U(465), U(466), U(467)
REGISTER_HIT, TRAP_HIT = U(1 << 32), U(2 << 32)  # HIT_INDEX beyond the watches

NOWHERE = U(0xFFFF_FFFF_FFFF_FFFF)  # no offset in RAM, see `resolve`
SIZE_BITS, FOR_READ, FOR_WRITE, ALIGNED = U(15), U(1 << 4), U(1 << 5), U(1 << 6)  # what `resolve` is asked for

NO, HOLDS, UNJUDGED = U(0), U(1), U(2)  # verdicts, see cpu/condition_code.py

CHECK_BUFFER = U(4096)
TRAP_BUFFER = U(8192)
OUTPUT_BUFFER = U(4096)
SERVED_MAX = U(1 << 17)  # accesses to devices that the kernel does before it comes back, about 10 ms
