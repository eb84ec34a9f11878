"""What paging and S mode do, one tiny guest for each behaviour, on the kernel and on the reference interpreter.

No guest here executes sfence.vma: page tables act at once (design, contract rule 9).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.cpu.stops import Watch, WatchKind
from rrdbg_core.isa.csr import MENVCFG_ADUE, MENVCFG_STCE

from tests.cpu.guest import asm
from tests.cpu.oracle.paged import MPRV, MXR, NUMBER, PAGE, PAGES, RAM, SUM, TABLES, A, D, R, Tables, U, V, W, X

CODE, OTHER, FIRST, SECOND = RAM + 0x4000, RAM + 0x5000, RAM + 0x1_0000, RAM + 0x1_2000
"""Pages of code, and of data that are no neighbours."""
VIRTUAL, DATA, USER = 0x40_0000, 0x60_0000, 0x80_0000
M_HANDLER, S_HANDLER = RAM, RAM + 0x1000
ALL = V | R | W | X | A | D
FETCH_PAGE_FAULT, LOAD_PAGE_FAULT, STORE_PAGE_FAULT = 12, 13, 15
A0, A1, A2, T0 = 10, 11, 12, 5


class Guest:
    """A core in S mode, with Sv39 tables: code at VIRTUAL and OTHER behind it, data in two pages from DATA on."""

    def __init__(self, kind: type[Core]) -> None:
        self.core = core = kind(PAGES * PAGE)
        core.mach[L.SUPERVISOR] = 1
        core.reset()
        self.tables = Tables(random.Random(0), 3)
        self.map(VIRTUAL, CODE, V | R | X | A)
        self.map(VIRTUAL + PAGE, OTHER, V | R | X | A)
        self.map(DATA, FIRST, V | R | W | A | D)
        self.map(DATA + PAGE, SECOND, V | R | W | A | D)
        self.map(S_HANDLER, S_HANDLER, V | R | X | A)
        hart = core.hart
        hart[L.SATP] = 8 << 60 | TABLES >> 12
        hart[L.MTVEC], hart[L.STVEC] = M_HANDLER, S_HANDLER
        hart[L.MEDELEG], hart[L.MIDELEG] = 0xB3FE, 0x222
        hart[L.PMPADDR], hart[L.PMPCFG] = (1 << 54) - 1, 0x1F
        hart[L.PC], hart[L.PRIV] = VIRTUAL, L.PRIV_S

    def map(self, address: int, physical: int, flags: int, leaf: int = 0) -> None:
        """Map a page."""
        assert self.tables.map(address, physical, flags, leaf)
        self.core.write(TABLES, self.tables.content())

    def pte_at(self, address: int, level: int = 0) -> int:
        """Return the physical address of the PTE of a page."""
        table = TABLES
        for depth, index in enumerate(self.tables.indices(address)):
            at = table + 8 * index
            if depth == 2 - level:
                return at
            table = self.word(at) >> 10 << 12
        raise AssertionError

    def word(self, physical: int) -> int:
        """Return eight bytes of RAM."""
        return int.from_bytes(self.core.memory.read(physical, 8), "little")

    def put(self, physical: int, *words: int) -> None:
        """Write instructions."""
        self.core.write(physical, struct.pack(f"<{len(words)}I", *words))

    def run(self, steps: int) -> None:
        """Make steps."""
        assert self.core.run(self.core.icount + steps) == Exit.LIMIT

    def trap(self) -> tuple[int, int, int]:
        """Return what a supervisor trap left: scause, stval, sepc."""
        hart = self.core.hart
        assert hart[L.PC] == S_HANDLER
        assert hart[L.PRIV] == L.PRIV_S
        return int(hart[L.SCAUSE]), int(hart[L.STVAL]), int(hart[L.SEPC])


@pytest.fixture(params=[Core, ReferenceCore])
def guest(request: pytest.FixtureRequest) -> Guest:
    return Guest(request.param)


# ---- accesses across pages -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("warm", [False, True])
def test_misaligned_accesses_across_pages(guest: Guest, warm: bool) -> None:
    hart = guest.core.hart
    guest.core.write(FIRST + PAGE - 3, b"abc")
    guest.core.write(SECOND, b"defgh")
    guest.put(CODE, asm("ld", A0, A1), asm("sd", 0, A1, A2), asm("ld", A0, A1))
    hart[L.X + A1], hart[L.X + A2] = DATA + PAGE - 3, 0x1122_3344_5566_7788
    if warm:
        # both pages are in the TLBs
        guest.put(OTHER, asm("ld", T0, A1, imm=-8), asm("ld", T0, A1, imm=8), asm("sd", 0, A1, 0, 32))
        hart[L.PC] = VIRTUAL + PAGE
        guest.run(3)
        hart[L.PC] = VIRTUAL
    guest.run(1)
    assert int(hart[L.X + A0]).to_bytes(8, "little") == b"abcdefgh"
    guest.run(2)
    assert hart[L.X + A0] == 0x1122_3344_5566_7788
    assert guest.core.memory.read(FIRST + PAGE - 3, 3) == bytes((0x88, 0x77, 0x66))
    assert guest.core.memory.read(SECOND, 5) == bytes((0x55, 0x44, 0x33, 0x22, 0x11))


@pytest.mark.parametrize("name", ["ld", "sd"])
@pytest.mark.parametrize("missing", [0, 1])
def test_misaligned_access_across_a_page_fault(guest: Guest, name: str, missing: int) -> None:
    hart = guest.core.hart
    pte = guest.pte_at(DATA + missing * PAGE)
    guest.core.write(pte, bytes(8))
    guest.put(CODE, asm(name, A0 if name == "ld" else 0, A1, A2))
    hart[L.X + A1], hart[L.X + A2] = DATA + PAGE - 3, 0x1122_3344_5566_7788
    before = guest.core.memory.read(RAM, PAGES * PAGE)
    guest.run(1)
    cause = LOAD_PAGE_FAULT if name == "ld" else STORE_PAGE_FAULT
    assert guest.trap() == (cause, DATA + PAGE if missing else DATA + PAGE - 3, VIRTUAL)
    assert guest.core.memory.read(RAM, PAGES * PAGE) == before
    assert hart[L.X + A0] == 0


def test_an_instruction_across_two_pages_of_which_one_faults(guest: Guest) -> None:
    core, at = guest.core, VIRTUAL + PAGE - 2
    word = asm("addi", A0, 0, imm=77)
    core.write(CODE + PAGE - 2, word.to_bytes(4, "little")[:2])
    core.write(OTHER, word.to_bytes(4, "little")[2:])
    pte = guest.pte_at(VIRTUAL + PAGE)
    whole = core.memory.read(pte, 8)
    for _ in range(2):
        core.write(pte, bytes(8))
        core.hart[L.PC], core.hart[L.X + A0] = at, 0
        guest.run(1)
        assert guest.trap() == (FETCH_PAGE_FAULT, at + 2, at)
        core.write(pte, whole)
        core.hart[L.PC] = at
        guest.run(1)
        assert (core.hart[L.PC], core.hart[L.X + A0]) == (at + 4, 77)
    # the second half lies in a page that is no neighbour
    core.write(SECOND, core.memory.read(OTHER, 2))
    core.write(OTHER, bytes(2))
    core.write(pte, struct.pack("<Q", SECOND >> 12 << 10 | V | X | A))
    core.hart[L.PC], core.hart[L.X + A0] = at, 0
    guest.run(1)
    assert core.hart[L.X + A0] == 77


# ---- page tables that change -----------------------------------------------------------------------------------------
def edits(guest: Guest, pte: int, value: int, before: Sequence[int], behind: Sequence[int]) -> None:
    """Put a program at CODE that stores `value` at physical address `pte` between other instructions."""
    guest.map(0xA0_0000, pte & -PAGE, V | R | W | A | D)
    hart = guest.core.hart
    hart[L.X + 20], hart[L.X + 21] = 0xA0_0000 + pte % PAGE, value
    guest.put(CODE, *before, asm("sd", 0, 20, 21), *behind)


def test_a_pte_edited_without_sfence(guest: Guest) -> None:
    hart = guest.core.hart
    guest.core.write(FIRST, b"old 8 by")
    guest.core.write(SECOND, b"new 8 by")
    load, store = asm("ld", A0, A1), asm("sd", 0, A1, A0, 64)
    pte = guest.pte_at(DATA)
    edits(guest, pte, SECOND >> 12 << 10 | V | R | W | A | D, [load, store, load], [load, store])
    hart[L.X + A1] = DATA
    guest.run(3)
    assert int(hart[L.X + A0]).to_bytes(8, "little") == b"old 8 by"
    guest.run(3)
    assert int(hart[L.X + A0]).to_bytes(8, "little") == b"new 8 by"
    assert guest.core.memory.read(FIRST + 64, 8) == b"old 8 by"
    assert guest.core.memory.read(SECOND + 64, 8) == b"new 8 by"


def test_one_store_to_two_lines_of_page_tables(guest: Guest) -> None:
    """It takes away a page by the second line; the first one has led to another page only."""
    pages = VIRTUAL + 15 * PAGE, VIRTUAL + 16 * PAGE
    for address, place in zip(pages, (FIRST, SECOND), strict=True):
        guest.map(address, place, V | R | A)
    ptes = [guest.pte_at(address) for address in pages]
    assert ptes[1] == ptes[0] + 8
    assert not ptes[1] % 64
    tables = VIRTUAL + 32 * PAGE
    guest.map(tables, ptes[0] & -PAGE, V | R | W | A | D)
    hart = guest.core.hart
    hart[L.X + A0], hart[L.X + A1], hart[L.X + A2] = *pages, tables + ptes[0] % PAGE + 4
    load, other = asm("ld", 14, A0), asm("ld", 15, A1)
    guest.put(CODE, load, other, asm("sd", 0, A2, 0, 0), load, other)
    guest.run(5)
    assert guest.trap() == (LOAD_PAGE_FAULT, pages[1], VIRTUAL + 16)


def test_a_page_that_was_written_before_it_held_a_page_table(guest: Guest) -> None:
    """The write TLB lets stores to the page pass, until a walk reads a PTE there."""
    hart = guest.core.hart
    guest.core.write(FIRST, b"old 8 by")
    guest.core.write(SECOND, b"new 8 by")
    load, pte, elsewhere = asm("ld", A0, A1), guest.pte_at(DATA), asm("sd", 0, 20, 0, 2040)
    edits(guest, pte, SECOND >> 12 << 10 | V | R | W | A | D, [elsewhere, elsewhere, load], [load])
    assert guest.pte_at(0xA0_0000) & -PAGE != pte & -PAGE  # no walk for this mapping reads there
    hart[L.X + A1] = DATA
    guest.run(3)
    assert int(hart[L.X + A0]).to_bytes(8, "little") == b"old 8 by"
    guest.run(2)
    assert int(hart[L.X + A0]).to_bytes(8, "little") == b"new 8 by"


def test_code_decoded_in_a_page_that_is_written_elsewhere(guest: Guest) -> None:
    """Likewise: stores by any mapping are seen once a page holds decoded code."""
    hart = guest.core.hart
    guest.map(DATA + 2 * PAGE, OTHER, V | R | W | A | D)
    add = asm("addi", A0, A0, imm=1)
    hart[L.X + A1], hart[L.X + A2] = DATA + 2 * PAGE, asm("addi", A0, A0, imm=9)
    store = asm("sw", 0, A1, A2, 4)
    # a store to the page, code there is run and decoded, the next store changes it
    guest.put(CODE, asm("sw", 0, A1, A2, 64), asm("jal", 0, imm=PAGE), store, asm("jal", 0, imm=PAGE - 8))
    guest.put(OTHER, 0, add, asm("jal", 0, imm=-PAGE))
    guest.run(4)
    assert (hart[L.PC], hart[L.X + A0]) == (VIRTUAL + 8, 1)
    guest.run(3)
    assert hart[L.X + A0] == 10


def test_the_status_bits_that_open_pages(guest: Guest) -> None:
    """MXR and SUM, set and cleared, act on pages that are in the TLBs."""
    hart = guest.core.hart
    guest.map(USER, SECOND, V | R | U | A)
    for bit, address in ((MXR, VIRTUAL + PAGE), (SUM, USER)):
        pte = guest.pte_at(address)
        if bit == MXR:
            guest.core.write(pte, struct.pack("<Q", OTHER >> 12 << 10 | V | X | A))
        load, closed = asm("ld", A0, A1), asm("csrrc", 0, A2, imm=NUMBER["sstatus"])
        guest.put(CODE, load, load, closed, load)
        hart[L.X + A1], hart[L.X + A2] = address, bit
        hart[L.MSTATUS], hart[L.PC], hart[L.PRIV] = bit, VIRTUAL, L.PRIV_S
        guest.run(3)
        assert hart[L.PC] == VIRTUAL + 12
        guest.run(1)
        assert guest.trap() == (LOAD_PAGE_FAULT, address, VIRTUAL + 12)
        guest.put(CODE, asm("csrrs", 0, A2, imm=NUMBER["sstatus"]), load)
        hart[L.PC] = VIRTUAL
        guest.run(2)
        assert hart[L.PC] == VIRTUAL + 8


def test_the_status_bits_act_on_the_next_access(guest: Guest) -> None:
    """Though nothing but the CSR instruction stands between two accesses that would hit the TLB."""
    hart, core = guest.core.hart, guest.core
    guest.map(USER, SECOND, V | R | U | A)
    load = asm("ld", A0, A1)
    guest.put(CODE, load, asm("csrrc", 0, A2, imm=NUMBER["sstatus"]), load)
    hart[L.X + A1], hart[L.X + A2], hart[L.MSTATUS] = USER, SUM, SUM
    guest.run(3)
    assert guest.trap() == (LOAD_PAGE_FAULT, USER, VIRTUAL + 8)

    mstatus = NUMBER["mstatus"]
    guest.put(CODE, asm("csrrs", 0, A2, imm=mstatus), load, asm("csrrw", 0, T0, imm=mstatus), load)
    core.write(FIRST, b"s mode's")
    hart[L.X + A1], hart[L.X + A2], hart[L.X + T0] = DATA, MPRV, MPRV
    hart[L.MSTATUS], hart[L.PC], hart[L.PRIV] = 1 << 11, CODE, L.PRIV_M
    guest.run(4)
    assert int(hart[L.X + A0]).to_bytes(8, "little") == b"s mode's"
    assert (hart[L.PC], hart[L.MCAUSE], hart[L.MEPC]) == (M_HANDLER, LOAD_PAGE_FAULT, CODE + 12)

    guest.put(CODE, load, asm("csrrs", 0, A2, imm=mstatus), load)
    hart[L.X + A1], hart[L.MSTATUS], hart[L.PC] = FIRST, 1 << 11, CODE
    guest.run(3)
    assert (hart[L.PC], hart[L.MCAUSE], hart[L.MEPC]) == (M_HANDLER, LOAD_PAGE_FAULT, CODE + 8)


def test_the_page_of_the_store_itself_is_taken_away(guest: Guest) -> None:
    """The very next fetch faults, though its page was run the step before."""
    edits(
        guest,
        guest.pte_at(VIRTUAL),
        CODE >> 12 << 10 | V | R | A,
        [asm("addi", A0, 0, imm=1)],
        [asm("addi", A0, A0, imm=1)],
    )
    guest.run(3)
    assert guest.trap() == (FETCH_PAGE_FAULT, VIRTUAL + 8, VIRTUAL + 8)
    assert guest.core.hart[L.X + A0] == 1


def test_a_superpage_is_split(guest: Guest) -> None:
    hart, core = guest.core.hart, guest.core
    big, table = 0x20_0000, TABLES + 7 * PAGE
    guest.map(big, RAM, V | R | W | A | D, leaf=1)
    core.write(FIRST, b"one page")
    core.write(SECOND, b"any page")
    # all but one page stay where they are
    ptes = [RAM + PAGE * page >> 12 << 10 | V | R | W | A | D for page in range(512)]
    ptes[(FIRST - RAM) // PAGE] = SECOND >> 12 << 10 | V | R | A | D
    guest.tables.words[7], guest.tables.used = ptes, 7
    load, far = asm("ld", A0, A1), asm("ld", A2, 13)
    edits(guest, guest.pte_at(big, 1), table >> 12 << 10 | V, [load, far], [load, far, asm("sd", 0, A1, 0)])
    hart[L.X + A1], hart[L.X + 13] = big + (FIRST - RAM), big + (SECOND - RAM)
    guest.run(2)
    assert int(hart[L.X + A0]).to_bytes(8, "little") == b"one page"
    guest.run(3)
    assert int(hart[L.X + A0]).to_bytes(8, "little") == int(hart[L.X + A2]).to_bytes(8, "little") == b"any page"
    guest.run(1)
    assert guest.trap() == (STORE_PAGE_FAULT, big + (FIRST - RAM), VIRTUAL + 20)


def test_a_page_that_is_code_and_data(guest: Guest) -> None:
    """A store through another mapping of the page acts at the very next fetch."""
    hart = guest.core.hart
    guest.map(DATA + 2 * PAGE, CODE, V | R | W | A | D)
    hart[L.X + A1], hart[L.X + A2] = DATA + 2 * PAGE + 4, asm("addi", A0, A0, imm=9)
    add = asm("addi", A0, A0, imm=1)
    guest.put(CODE, asm("sw", 0, A1, A2), add, add)
    guest.run(3)
    assert hart[L.X + A0] == 10
    # now that it is decoded
    hart[L.X + A2], hart[L.X + A0], hart[L.PC] = asm("addi", A0, A0, imm=100), 0, VIRTUAL
    guest.run(3)
    assert hart[L.X + A0] == 101


def test_accessed_and_dirty(guest: Guest) -> None:
    hart, core = guest.core.hart, guest.core
    pte = guest.pte_at(DATA)
    core.write(pte, struct.pack("<Q", FIRST >> 12 << 10 | V | R | W))
    guest.put(CODE, asm("ld", A0, A1), asm("sd", 0, A1, A0), asm("ld", A0, A1))
    hart[L.X + A1] = DATA
    core.take_written()
    guest.run(1)
    assert guest.word(pte) & 0xFF == V | R | W | A
    assert [int(page) for page in core.take_written()[0]] == [(pte - RAM) // PAGE]
    guest.run(1)
    assert guest.word(pte) & 0xFF == V | R | W | A | D
    # without Svadu's bit they fault instead
    core.write(pte, struct.pack("<Q", FIRST >> 12 << 10 | V | R | W | A))
    hart[L.MENVCFG] = 0
    hart[L.PC] = VIRTUAL
    guest.run(2)
    assert guest.trap() == (STORE_PAGE_FAULT, DATA, VIRTUAL + 4)
    assert guest.word(pte) & 0xFF == V | R | W | A


# ---- privilege -------------------------------------------------------------------------------------------------------
def test_loads_with_mprv(guest: Guest) -> None:
    hart, core = guest.core.hart, guest.core
    guest.map(USER, SECOND, V | R | U | A)
    core.write(FIRST, b"s mode's")
    core.write(SECOND, b"u mode's")
    load, user = asm("ld", A0, A1), asm("ld", A2, 13)
    hart[L.X + A1], hart[L.X + 13] = DATA, USER
    hart[L.PRIV] = L.PRIV_M
    guest.put(CODE, load, user)

    def outcome(status: int) -> tuple[bytes | int, bytes | int]:
        found: list[bytes | int] = []
        for offset, register in ((0, A0), (4, A2)):
            hart[L.MSTATUS], hart[L.PC], hart[L.PRIV] = status, CODE + offset, L.PRIV_M
            guest.run(1)
            trapped = int(hart[L.PC]) == M_HANDLER
            found.append(int(hart[L.MCAUSE]) if trapped else int(hart[L.X + register]).to_bytes(8, "little"))
        return found[0], found[1]

    for _ in range(2):
        assert outcome(MPRV | 1 << 11) == (b"s mode's", LOAD_PAGE_FAULT)
        assert outcome(MPRV | 1 << 11 | SUM) == (b"s mode's", b"u mode's")
        assert outcome(MPRV) == (LOAD_PAGE_FAULT, b"u mode's")
        # M mode's own loads are not translated, and DATA is no address of RAM: devices are asked
        hart[L.MSTATUS], hart[L.PC], hart[L.PRIV] = MPRV | 3 << 11, CODE, L.PRIV_M
        assert core.run(core.icount + 1) == Exit.MMIO_READ
        core.mmio_done(ok=False)
        guest.run(1)
        assert hart[L.MCAUSE] == 5


def test_nested_traps(guest: Guest) -> None:
    """A call from U mode, a page fault in its handler, and a call to M mode in the handler of that."""
    hart = guest.core.hart
    guest.map(USER, OTHER, V | R | X | U | A)
    guest.put(OTHER, asm("ecall"))
    load, deeper = asm("ld", A0, 0, imm=0), asm("ecall")
    guest.put(S_HANDLER, load)
    hart[L.PC], hart[L.PRIV], hart[L.MSTATUS] = USER, L.PRIV_U, 0x2
    hart[L.MEDELEG] = 0xB1FE | 1 << 8
    guest.run(1)
    assert guest.trap() == (8, 0, USER)
    assert int(hart[L.MSTATUS]) & 0x122 == 0x20  # SPIE was SIE, SPP is U
    guest.run(1)
    assert guest.trap() == (LOAD_PAGE_FAULT, 0, S_HANDLER)
    assert int(hart[L.MSTATUS]) & 0x122 == 0x100
    guest.put(S_HANDLER, deeper)
    guest.run(1)
    assert (hart[L.PC], hart[L.PRIV]) == (M_HANDLER, L.PRIV_M)
    assert (hart[L.MCAUSE], hart[L.MEPC], int(hart[L.MSTATUS]) >> 11 & 3) == (9, S_HANDLER, 1)
    guest.put(M_HANDLER, asm("mret"))
    guest.run(1)
    assert (hart[L.PC], hart[L.PRIV]) == (S_HANDLER, L.PRIV_S)


def test_a_delegated_timer_interrupt(guest: Guest) -> None:
    """Time comes to stimecmp in a wait for interrupts and in a loop, and to the very step."""
    hart, core = guest.core.hart, guest.core
    hart[L.MENVCFG] = MENVCFG_ADUE | MENVCFG_STCE
    hart[L.MCOUNTEREN], hart[L.MSTATUS], hart[L.MIE] = 7, 0x2, 0x20
    hart[L.X + A1] = 5  # ticks of 100 steps
    guest.put(CODE, asm("csrrw", 0, A1, imm=NUMBER["stimecmp"]), asm("jal", 0, imm=0))
    guest.run(500)
    assert (hart[L.PC], int(hart[L.MIP])) == (VIRTUAL + 4, 0)
    guest.run(1)
    assert guest.trap() == (1 << 63 | 5, 0, VIRTUAL + 4)
    assert (hart[L.MIP], hart[L.STIMER]) == (0x20, 0)
    # a later one lowers the line again
    guest.put(
        S_HANDLER, asm("csrrw", 0, A2, imm=NUMBER["stimecmp"]), asm("csrrs", T0, 0, imm=NUMBER["sip"]), asm("sret")
    )
    hart[L.X + A2] = 50
    guest.run(3)
    assert (hart[L.X + T0], hart[L.PC]) == (0, VIRTUAL + 4)
    # asleep, until somebody moves time
    guest.put(CODE + 4, asm("wfi"))
    assert core.run(core.icount + 100) == Exit.WFI
    core.mach[L.WARP_NS] = 5000 - core.icount
    guest.run(1)
    assert guest.trap() == (1 << 63 | 5, 0, VIRTUAL + 8)


@pytest.mark.parametrize(
    ("bit", "words"),
    [
        (1 << 20, (asm("csrrs", A0, 0, imm=NUMBER["satp"]), asm("sfence.vma"))),
        (1 << 21, (asm("wfi"),)),
        (1 << 22, (asm("sret"),)),
    ],
)
def test_what_m_mode_takes_away(guest: Guest, bit: int, words: tuple[int, ...]) -> None:
    hart = guest.core.hart
    for word in words:
        for status, traps in ((0, False), (bit, True)):
            guest.put(CODE, word)
            hart[L.PC], hart[L.PRIV], hart[L.MSTATUS], hart[L.SEPC] = VIRTUAL, L.PRIV_S, status | 1 << 8, VIRTUAL + 4
            hart[L.MIP] = hart[L.MIE] = 2  # wfi goes on
            guest.run(1)
            assert (hart[L.PC] == S_HANDLER) == traps
            if traps:
                assert guest.trap() == (2, word, VIRTUAL)
            hart[L.MIP] = 0


# ---- the debugger ----------------------------------------------------------------------------------------------------
def test_breakpoints_hold_where_a_page_is_mapped_twice(guest: Guest) -> None:
    hart, core = guest.core.hart, guest.core
    guest.map(DATA + 2 * PAGE, CODE, V | R | X | A)
    guest.put(CODE, *[asm("addi", A0, A0, imm=1)] * 4)
    for first in (VIRTUAL, DATA + 2 * PAGE):
        core.drop_caches()
        core.set_breakpoints([VIRTUAL + 8])
        for start in (first, VIRTUAL + DATA + 2 * PAGE - first):
            hart[L.PC] = start
            limit = core.icount + 4
            if start == VIRTUAL:
                assert core.run(limit) == Exit.BREAK
                assert hart[L.PC] == VIRTUAL + 8
            else:
                assert core.run(limit) == Exit.LIMIT
        core.set_breakpoints([])


def test_watches_of_physical_memory_see_accesses_by_any_mapping(guest: Guest) -> None:
    hart, core = guest.core.hart, guest.core
    guest.map(DATA + 2 * PAGE, FIRST, V | R | W | A | D)
    guest.put(CODE, asm("sd", 0, A1, A2), asm("sd", 0, A1, A2, 64), asm("sd", 0, 13, A2, 8))
    hart[L.X + A1], hart[L.X + 13], hart[L.X + A2] = DATA, DATA + 2 * PAGE, 5
    core.set_watches([Watch(FIRST + 8, 8, WatchKind.WRITE)])
    assert core.run(core.icount + 9) == Exit.WATCH
    assert core.icount == 3
    assert (core.hit.address, core.hit.new) == (FIRST + 8, 5)


@pytest.fixture(autouse=True)
def nothing_left(guest: Guest) -> Iterator[None]:
    yield
    guest.core.set_watches([])


def test_the_external_interrupt_is_the_line_or_what_software_wrote(guest: Guest) -> None:
    """Of SEIP a read-modify-write of mip takes back only what software wrote (privileged spec 3.1.9)."""
    hart = guest.core.hart
    hart[L.PRIV], hart[L.PC] = L.PRIV_M, CODE
    hart[L.MIP] = hart[L.SEIP_LINE] = 0x200
    hart[L.X + A1], hart[L.X + A2] = 0x2, 0x200
    mip = NUMBER["mip"]
    guest.put(CODE, asm("csrrs", A0, A1, imm=mip), asm("csrrc", A0, A2, imm=mip), asm("csrrs", A0, A2, imm=mip))
    guest.run(1)
    assert (hart[L.X + A0], hart[L.MIP], hart[L.SEIP]) == (0x200, 0x202, 0)
    guest.run(1)
    assert (hart[L.X + A0], hart[L.MIP], hart[L.SEIP]) == (0x202, 0x202, 0)
    guest.run(1)
    assert (hart[L.MIP], hart[L.SEIP]) == (0x202, 0x200)
