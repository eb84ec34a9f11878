"""Where every word of guest state lies: one u64 array per hart, one for the machine, shared by every tier.

`fields` is the schema: it alone says which words are guest state (saved, restored, digested), which are configuration
and which are scratch of the running kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from rrdbg_core.isa.csr import PMP_ENTRIES

HART_WORDS = 512
MACH_WORDS = 512
TLB_BITS = 13
"""Of the number of entries of a TLB bank, each a tag and an addend; bit 12 of an address on choose one."""
TLB_BANKS, XTLB_BANKS = 16, 4
ALL_BANKS = (1 << TLB_BANKS + XTLB_BANKS) - 1
"""All of them, as bits."""
TLB_LIST_BITS = 9
"""Of the words of the list that says which entries of a bank are in use: their number, and where they are."""

# ---- hart: architectural state ------------------------------------------------------------------------------------
X = 0  # x0 to x31; x0 is never written
XD = 32  # where instructions with rd = x0 write; never state
PC = 33
PRIV = 34  # 0 = U, 1 = S, 3 = M
WFI = 35  # 1 while the hart waits for an interrupt
MIP = 36  # every interrupt line and pending bit
RES_VALID = 37  # LR/SC reservation
RES_ADDR = 38  # its physical address
MSTATUS = 40
MIE = 41
MTVEC = 42
MEPC = 43
MCAUSE = 44
MTVAL = 45
MSCRATCH = 46
MCOUNTEREN = 47
MCOUNTINHIBIT = 48
MENVCFG = 49
MCYCLE = 50  # counter minus icount while it counts, the counter itself while inhibited
MINSTRET = 51
MHARTID = 52
PMPCFG = 64  # one word per entry
PMPADDR = 80
STVEC = 128  # CSRs of a machine with S mode
SEPC = 129
SCAUSE = 130
STVAL = 131
SSCRATCH = 132
SCOUNTEREN = 133
SENVCFG = 134
SATP = 135
MEDELEG = 136
MIDELEG = 137
STIMECMP = 138
STIMER = 139  # when time reaches stimecmp, virtual ns plus one; 0 if that raises nothing any more
SEIP = 140  # the bit of mip as software wrote it; MIP holds it or the line below
SEIP_LINE = 141  # the external interrupt of S mode
F = 192  # f0 to f31
FCSR = 224  # fflags | frm << 5

# ---- hart: where the kernel is, derived from PC ---------------------------------------------------------------------
CUR_PAGE = 256  # address of slot DB
CUR_DB = 257  # index of its decoded slot
CUR_IP = 258
STOP_PC = 259  # pc when the dispatch loop was left
LEFT = 260  # steps of its budget that were not made
RESULT = 261  # of a numba function that a handler calls
RAISED = 262  # where numba would name an exception
TABLE_AT = 263  # pointers for handlers: the table of pointers, the exec TLB bank in force, the dirty lines
XTLB_AT = 264
DIRTY_AT = 265
REAL_SLOT = 266  # what stands at a breakpoint that is passed over, or in an armed slot
REGION_STEPS = 267  # statistics: steps made in regions; how often one was entered; left for a single step outside
REGION_VISITS = 268
REGION_LEAVES = 269
STORED = 270  # what a region wants to store where it asks for the place
FLOAT_RAISED = 271  # fflags that the instruction raises, see native/floats.py
HOST_FLOAT = 272  # 1: the host's arithmetic is what cpu/host_floats.py takes it for
PAGING = 273  # while fetches are translated, the number of what is known of translations; else 0
DELTA = 274  # in regions: virtual address less the physical one, of all of their code
REGION_MISSES = 275  # how often a region was left because the TLB did not know a page, and where: the last eight places
MISSED_AT, MISSED = 276, 8
BLOCK_STEPS = 284  # statistics: steps made in blocks

# ---- machine --------------------------------------------------------------------------------------------------------
ICOUNT = 0
WARP_NS = 1
ACC = 2  # running hash of device reads, DMA and interrupt edges; goes into check words
TIME_OFFSET = 3  # what writes to mtime added to the timer, in ticks of 100 ns
SHIFT = 8
SEMIHOSTING = 9
RAM_BASE = 10
RAM_PAGES = 11
POOL_PAGES = 12  # decoded pages that fit
CLINT_AT = 13  # address of the CLINT, which the kernel serves by itself; 0 if the machine wants to
UART_AT = 14  # likewise; of the UART it serves what is most frequent
UART_PRINTS = 15  # 1: console output is put into a buffer; 0: somebody waits for it
IDLE_UNTIL = 16  # icount before which an idle hart may go on at the timer's deadline; 0: the machine sees to it
FLOAT = 17  # bits of mstatus.FS that can be written: none, and F and D are not there
SUPERVISOR = 18  # 1: there is S mode
SBI = 19  # 1: the machine answers calls of S mode

STATUS = 32  # how a step ended, see cpu/native/names.py
TRAP_CAUSE = 33
TRAP_TVAL = 34
NEXT_PC = 35
MMIO_STATE = 36  # 0 none, 1 wanted, 2 answered, 3 answered with a fault
MMIO_ADDR = 37
MMIO_SIZE = 38
MMIO_WRITE = 39
MMIO_VALUE = 40
CALLED = 41  # 1: the call of the host was carried out, the ebreak or ecall completes
SKIP_BREAK = 42  # icount + 1 at which breakpoints are passed over
SEARCH = 43  # 0: hits exit; 1: hits are remembered
LAST_HIT = 44  # icount of the newest hit
LAST_HIT_INDEX = 45
HITS = 46
GENERATION = 47
POOL_USED = 48
CHECKS = 49  # words in the check buffer
TRAPS = 50  # rows in the trap buffer
INNER_LIMIT = 51
HIT_INDEX = 53  # watch that was hit by this step, plus one
HIT_ADDR = 54
HIT_SIZE = 55
HIT_KIND = 56
HIT_OLD = 57
HIT_NEW = 58
TRACKED_HIT = 59  # 1: this step stored to a line the machine tracks
STEPPING = 60  # 1: look at every step: LOG, REG_WATCH or CATCH are in force
LOG_LIMIT = 61  # rows that the log takes, 0 for none
LOG_ROWS = 62  # rows in it
ACCESS_COUNT = 63  # memory accesses of this step
BREAKS = 64  # rows of breakpoints
WATCHES = 65  # rows of watched memory
WATCH_ROWS = 66  # rows of watches of all kinds
WATCH_FIRST = 86  # addresses of the lowest and the highest watched byte
WATCH_LAST = 87
REG_WATCH = 67  # bit r: some row is about register r
CATCH = 68  # bit 0: some row is about exceptions, bit 1: about interrupts
WINDOW_AT = 71  # position at which the next window of samples starts
WINDOW_PERIOD = 72  # steps between two windows, 0 for none
SAMPLES = 73  # words in the sample buffer
STALE = 74  # page + 1: a store has changed code of a region there, or on the next page
FLUSHES = 75  # how often the kernel has forgotten all decoded code
TLB_MISSES = 76  # statistics: loads and stores that missed the TLB, and how many of those regions could go on with
RESOLVED = 77
FETCHES = 78  # statistics: fetches that missed the exec TLB
DECODED = 79  # statistics: instructions decoded
OUTPUT_ROWS = 80  # rows in the buffer of console output: step and byte
SERVED = 85  # accesses to devices that the kernel did by itself in this run
CLINT_SERVED = 81  # statistics: accesses that the kernel did by itself; deadlines of the timer; warps to them
UART_SERVED = 82
CLINT_DEADLINES = 83
WARPS = 84
DUE = 70  # position at which something besides guest and timer happens next; 0: at the end of the run
WALK_FAULT = 88  # of a page walk that found nothing: 0 a page fault, 1 an access fault
PTE_PAGES = 89  # pages in the list of those with PTEs that translations in the TLBs were made of
WALKS = 90  # statistics: page walks; stores to PTEs after which something in the TLBs was forgotten
PTE_FLUSHES = 91
TRANSLATIONS = 101  # how often something in the TLBs was forgotten
SAMPLE_DELTA = 102  # virtual address less the physical one, of the newest sample
TLB_USED = 95  # bit i: bank i of the TLBs may hold something; from bit 16 on the exec TLB's
ALONE = 96  # 1 wanted, 2 in force: the next step is made by itself, see `wants_alone` in native/paging.py
AGED = 97  # PTEs in which the fetch of this step has set the bit A, at most two, and their offsets in RAM
AGED_AT = 98
NEWS = 103  # 1: there is something to take from who compiles regions, see regions/supply.py
BLOCK_BYTES = 104  # of code of blocks that fits; 0: none are made
BLOCK_USED = 105  # of code that there is
BLOCK_AFTER = 106  # executions of its first instruction after which a block is made
BLOCK_OUT = 107  # where the next way out of a block goes, while it is made
BLOCKS = 108  # statistics: blocks made
HIT_MORE = 100  # 1: this step hit something besides what HIT_INDEX says
PLACE = 92  # physical address of an access; of one that lies in two pages which are no neighbours in RAM:
FIRST_BYTES = 93  # how many of its bytes lie there
OTHER_PLACE = 94  # where the others do
MATCHED = 69  # first of the gates that this step has come to, 0 for none
UNSAVED_PAGES = 340  # pages that have lines written since the last snapshot, see cpu/native/collect.py
# what was taken there: pages written, lines of them, pages read, pages executed, lines of them
TAKEN_WRITTEN, TAKEN_WORDS, TAKEN_READ, TAKEN_EXECUTED, TAKEN_HALVES = range(341, 346)
PTE_OWNERS = 352  # two words for each of 64 lines with PTEs: its offset + 1, and the only page that it has led to
PTE_OWNERS_END = 480
ACCESSES = 320  # of this step: (kind | size << 8, address, value) each
MAX_ACCESSES = 4
PLACES = 332  # for each of three accesses the physical addresses of its first and of its last byte
MAX_REGION_PAGES = 16  # of a region that is entered while fetches are translated
REGION_PAGE_WORDS = 1 + 2 * MAX_REGION_PAGES  # their number, then the page and its lines that hold code, of each
WINDOW_STEPS = 64  # of a window of samples
SAMPLE_BUFFER = 1 << 14
LOG_WORDS = 22  # icount, pc, insn, priv, cause + 1 or 0, rd value, accesses, then 3 words for each of 3 accesses,
LOG_PLACES = 16  # and from here on two for each: the physical addresses of its first and last byte

# ---- devices: words of their state, in the order of their schemas, see native/devices.py ----------------------------
CLINT_MSIP, CLINT_MTIMECMP, CLINT_MTIP, CLINT_DEADLINE = range(4)
UART_IER, UART_LCR, UART_MCR = 0, 2, 3
UART_OVERRUN, UART_TRANSMITTED, UART_TIMED_OUT, UART_DATA_READY = 7, 8, 9, 11

# ---- tables of what stops a run; each has a pointer of its own, see cpu/native/names.py ------------------------------
BREAK_WORDS = 4  # address, gate, the instruction's four bytes and slot when it was last passed; ascending addresses
WATCH_WORDS = 4  # address or register or CATCH's bits, bytes or the register's word, kind, gate; watched memory first
GATE_WORDS = 16
# words of a gate: what a hit must pass to stop the run. Gate 0 is open and is not counted
GATE_CONDITION = 0  # address of its function (cpu/condition_code.py), 0 for none
GATE_IGNORE = 1  # hits still to be passed over; in a search, how many to remember the step of
GATE_PASSED = 2  # hits passed over; in a search, hits that held
GATE_LAST = 3  # in a search: step of the newest of those
GATE_DOUBTS = 4  # in a search: hits that could not be judged
GATE_STEP = 5  # number of the step that came to it, plus one, and what that did:
GATE_NEXT = 6  # the gate that it had come to before
GATE_VERDICT = 7
GATE_HIT = 8  # then five words as from HIT_ADDR on, and the index

WATCH_READ, WATCH_WRITE, WATCH_CHANGE, WATCH_TRACKED, WATCH_REGISTER, WATCH_TRAP = 1, 2, 4, 8, 16, 32

PRIV_U, PRIV_S, PRIV_M = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the state schema."""

    owner: str
    """"hart" or "mach"."""
    name: str
    """Name in dumps and divergence reports."""
    offset: int
    """First word."""
    words: int = 1
    """Number of words."""


FIELDS: tuple[Field, ...] = (
    Field("hart", "x", X + 1, 31),
    Field("hart", "pc", PC),
    Field("hart", "priv", PRIV),
    Field("hart", "wfi", WFI),
    Field("hart", "mip", MIP),
    Field("hart", "reservation_valid", RES_VALID),
    Field("hart", "reservation_addr", RES_ADDR),
    Field("hart", "mstatus", MSTATUS),
    Field("hart", "mie", MIE),
    Field("hart", "mtvec", MTVEC),
    Field("hart", "mepc", MEPC),
    Field("hart", "mcause", MCAUSE),
    Field("hart", "mtval", MTVAL),
    Field("hart", "mscratch", MSCRATCH),
    Field("hart", "mcounteren", MCOUNTEREN),
    Field("hart", "mcountinhibit", MCOUNTINHIBIT),
    Field("hart", "menvcfg", MENVCFG),
    Field("hart", "mcycle", MCYCLE),
    Field("hart", "minstret", MINSTRET),
    Field("hart", "mhartid", MHARTID),
    Field("hart", "pmpcfg", PMPCFG, PMP_ENTRIES),
    Field("hart", "pmpaddr", PMPADDR, PMP_ENTRIES),
    Field("mach", "icount", ICOUNT),
    Field("mach", "warp_ns", WARP_NS),
    Field("mach", "acc", ACC),
    Field("mach", "time_offset", TIME_OFFSET),
)
"""Guest state of every machine. Everything else in the two arrays is configuration, derived, or scratch."""
FLOAT_FIELDS: tuple[Field, ...] = (Field("hart", "f", F, 32), Field("hart", "fcsr", FCSR))
"""Guest state of machines with F and D."""

SUPERVISOR_FIELDS: tuple[Field, ...] = (
    Field("hart", "stvec", STVEC),
    Field("hart", "sepc", SEPC),
    Field("hart", "scause", SCAUSE),
    Field("hart", "stval", STVAL),
    Field("hart", "sscratch", SSCRATCH),
    Field("hart", "scounteren", SCOUNTEREN),
    Field("hart", "senvcfg", SENVCFG),
    Field("hart", "satp", SATP),
    Field("hart", "medeleg", MEDELEG),
    Field("hart", "mideleg", MIDELEG),
    Field("hart", "stimecmp", STIMECMP),
    Field("hart", "stimer", STIMER),
    Field("hart", "seip", SEIP),
    Field("hart", "seip_line", SEIP_LINE),
)
"""Guest state of machines with S mode."""


def fields(*, floats: bool = True, supervisor: bool = True) -> tuple[Field, ...]:
    """Return the state schema of a machine with or without F and D, and with or without S mode."""
    return FIELDS + (FLOAT_FIELDS if floats else ()) + (SUPERVISOR_FIELDS if supervisor else ())


def state_words(owner: str, *, floats: bool = True, supervisor: bool = True) -> list[int]:
    """Return the offsets of the state words of "hart" or "mach", in schema order."""
    found = fields(floats=floats, supervisor=supervisor)
    return [f.offset + i for f in found if f.owner == owner for i in range(f.words)]


def register_word(number: int) -> int:
    """Return the offset of a register by its DWARF number: x0 to x31, then f0 to f31."""
    return X + number if number < 32 else F + number - 32
