"""What random programs seldom reach: page ends, the end of RAM, budgets, counters, interrupts, full caches."""

from __future__ import annotations

import random
import struct

import pytest
from rrdbg_core.cpu import base
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.cpu.stops import Watch, WatchKind

from tests.cpu.guest import RAM, RAM_BYTES, asm, put, start
from tests.cpu.oracle.bare import csrr, csrw

KINDS = pytest.mark.parametrize("kind", [Core, ReferenceCore])
PAGE_END = RAM + 0x3000
VECTOR = RAM + 0x100
X5 = L.X + 5
ADD1, ADD9 = asm("addi", 5, 5, imm=1), asm("addi", 5, 5, imm=9)
NOP = asm("addi")
SELF = asm("jal", 0, imm=0)
PC = L.PC
ALL = (1 << 64) - 1


def begin(kind: type[Core], words: list[int], address: int = RAM) -> Core:
    core = kind(RAM_BYTES)
    core.hart[L.MTVEC] = VECTOR
    put(core, [SELF], VECTOR)
    start(core, words, address)
    return core


def trap(core: Core) -> tuple[int, int, int]:
    """Return mcause, mtval and mepc."""
    return tuple(int(core.hart[at]) for at in (L.MCAUSE, L.MTVAL, L.MEPC))  # type: ignore[return-value]


# ---- instructions across a page end ----------------------------------------------------------------------------------
@KINDS
def test_an_instruction_across_a_page_end_is_fetched_anew_each_time(kind: type[Core]) -> None:
    core = begin(kind, [ADD1, asm("jal", 0, imm=-4)], PAGE_END - 2)
    core.run(20)
    assert core.hart[X5] == 10
    core.write(PAGE_END, struct.pack("<I", ADD9)[2:])  # only the second half, in the other page
    core.run(22)
    assert core.hart[X5] == 19


@KINDS
def test_a_guest_store_to_the_second_half_acts_at_once(kind: type[Core]) -> None:
    core = begin(kind, [asm("sh", 0, 6, 7), NOP], PAGE_END - 6)
    put(core, [ADD1], PAGE_END - 2)
    core.hart[L.X + 6], core.hart[L.X + 7] = PAGE_END, ADD9 >> 16
    core.run(2)
    assert core.hart[X5] == 9


@KINDS
def test_a_branch_across_a_page_end(kind: type[Core]) -> None:
    """Its target is relative to where it starts, wherever its halves lie."""
    core = begin(kind, [ADD1], PAGE_END - 8)
    core.write(PAGE_END - 4, struct.pack("<HI", 0x0001, asm("bne", 0, 5, 0, -6)))  # c.nop before it
    core.run(3)
    assert core.hart[PC] == PAGE_END - 8
    core.run(3 * 7)
    assert core.hart[X5] == 7


@KINDS
@pytest.mark.parametrize("half", [0, 1])
def test_pmp_on_one_half(kind: type[Core], half: int) -> None:
    core = begin(kind, [ADD1], PAGE_END - 2)
    core.hart[L.PRIV] = L.PRIV_U
    # entry 0: the page of one half, no access; entry 1: everything
    page = PAGE_END - 4096 + 4096 * half
    core.hart[L.PMPADDR], core.hart[L.PMPCFG] = page >> 2 | 0x1FF, 0x18
    core.hart[L.PMPADDR + 1], core.hart[L.PMPCFG + 1] = (1 << 54) - 1, 0x1F
    core.run(1)
    assert trap(core) == (1, PAGE_END - 2 + 2 * half, PAGE_END - 2)


@KINDS
def test_pmp_that_cuts_a_page_decides_for_each_instruction(kind: type[Core]) -> None:
    core = begin(kind, [ADD1] * 16 + [SELF])
    core.hart[L.PRIV] = L.PRIV_U
    core.hart[L.PMPADDR], core.hart[L.PMPCFG] = (RAM + 32) >> 2 | 1, 0x18  # 16 bytes
    core.hart[L.PMPADDR + 1], core.hart[L.PMPCFG + 1] = (1 << 54) - 1, 0x1F
    core.run(8)
    assert core.hart[X5] == 8
    core.run(9)
    assert trap(core) == (1, RAM + 32, RAM + 32)


@KINDS
def test_the_end_of_ram(kind: type[Core]) -> None:
    end = RAM + RAM_BYTES
    core = begin(kind, [NOP, ADD1], end - 8)
    core.run(2)
    assert (core.hart[X5], core.hart[PC]) == (1, end)
    core.run(3)
    assert trap(core) == (1, end, end)
    core.write(end - 2, struct.pack("<H", ADD1 & 0xFFFF))
    core.hart[PC] = end - 2
    core.run(4)
    assert trap(core) == (1, end, end - 2)


@KINDS
def test_a_breakpoint_on_an_instruction_across_a_page_end(kind: type[Core]) -> None:
    core = begin(kind, [ADD1, asm("jal", 0, imm=-4)], PAGE_END - 2)
    core.run(2)
    core.set_breakpoints([PAGE_END - 2])
    assert core.run(100) == Exit.BREAK
    core.skip_break_once()
    assert core.run(100) == Exit.BREAK
    assert (core.icount, core.hart[X5]) == (4, 2)
    core.set_breakpoints([])
    assert core.run(100) == Exit.LIMIT


# ---- budgets ---------------------------------------------------------------------------------------------------------
@KINDS
def test_a_run_ends_before_the_trap_of_the_next_step(kind: type[Core]) -> None:
    """A jump into nowhere is one step, the fault behind it another."""
    core = begin(kind, [asm("jalr", 1, 6)])
    core.hart[L.X + 6] = 0x4000_0000
    assert core.run(1) == Exit.LIMIT
    assert (core.icount, core.hart[PC], core.hart[L.MCAUSE]) == (1, 0x4000_0000, 0)
    core.run(2)
    assert (core.hart[PC], trap(core)) == (VECTOR, (1, 0x4000_0000, 0x4000_0000))
    assert core.take_traps().tolist() == [[1, 1]]


@KINDS
def test_any_cut_of_a_run_gives_the_same_states(kind: type[Core]) -> None:
    rng = random.Random(1)
    code = [asm("addi", 5, 5, imm=3), asm("mul", 5, 5, 5), asm("sd", 0, 6, 5, 8), asm("jal", 0, imm=-12)]
    ends = []
    for cuts in ([], [1, 2, 3], sorted(rng.sample(range(1, 999), 60))):
        core = begin(kind, code, RAM + 0x2FF8)
        core.hart[L.X + 6] = RAM + 0x8000
        for limit in (*cuts, 1000):
            assert core.run(limit) == Exit.LIMIT
            assert core.icount == limit
        ends.append((core.hart[: L.CUR_PAGE].tolist(), core.memory.ram.tobytes()))
    assert ends[0] == ends[1] == ends[2]


@KINDS
def test_a_limit_that_is_reached_runs_nothing(kind: type[Core]) -> None:
    core = begin(kind, [ADD1, SELF])
    core.run(1)
    for limit in (0, 1):
        assert core.run(limit) == Exit.LIMIT
    assert (core.icount, core.hart[X5]) == (1, 1)


# ---- counters, privileged spec 3.1.10 and 3.1.12 ---------------------------------------------------------------------
@KINDS
def test_counters(kind: type[Core]) -> None:
    core = begin(
        kind, [csrr(5, 0xB02), csrr(6, 0xB02), csrw(0xB02, 7), csrr(8, 0xB02), csrr(9, 0xC02), csrr(10, 0xB00)]
    )
    core.hart[L.X + 7] = 1000
    core.run(6)
    assert core.hart[5:11].tolist() == [0, 1, 1000, 1000, 1001, 5]


@KINDS
def test_inhibited_counters_stand_still(kind: type[Core]) -> None:
    code = [NOP, asm("csrrwi", 0, 5, imm=0x320), csrr(5, 0xB02), csrr(6, 0xB00), asm("csrrwi", 0, 0, imm=0x320)]
    core = begin(kind, [*code, csrr(7, 0xB02), csrr(8, 0xB00)])
    core.run(7)
    assert core.hart[5:9].tolist() == [1, 1, 2, 3]


@KINDS
def test_a_trap_retires_nothing(kind: type[Core]) -> None:
    core = begin(kind, [asm("ecall")])
    put(core, [csrr(5, 0xB02), csrr(6, 0xB00)], VECTOR)
    core.run(3)
    assert core.hart[5:7].tolist() == [0, 2]


@KINDS
def test_time_follows_steps_shift_and_warp(kind: type[Core]) -> None:
    core = begin(kind, [*[NOP] * 100, csrr(5, 0xC01)])
    core.mach[L.SHIFT], core.mach[L.WARP_NS] = 3, 12_345
    core.run(101)
    assert core.hart[X5] == (8 * 100 + 12_345) // 100


# ---- interrupts ------------------------------------------------------------------------------------------------------
@KINDS
def test_interrupts_come_in_the_order_of_the_manual(kind: type[Core]) -> None:
    core = begin(kind, [SELF])
    core.hart[L.MSTATUS], core.hart[L.MIE], core.hart[L.MTVEC] = 8, 0x888, VECTOR | 1
    put(core, [asm("mret")] * 16, VECTOR)
    core.set_interrupt(0x888, True)
    for number in (11, 3, 7):
        icount = core.icount
        core.run(icount + 1)
        assert (core.hart[L.MCAUSE], core.hart[PC]) == (1 << 63 | number, VECTOR + 4 * number)
        assert (core.hart[L.MSTATUS], core.hart[L.MEPC]) == (0x1880, RAM)
        core.set_interrupt(1 << number, False)
        core.run(icount + 2)
        assert (core.hart[PC], core.hart[L.MSTATUS]) == (RAM, 0x88)
    core.run(core.icount + 5)
    assert core.take_traps()[:, 0].tolist() == [0, 2, 4]


@KINDS
def test_user_mode_cannot_mask_interrupts(kind: type[Core]) -> None:
    core = begin(kind, [SELF])
    core.hart[L.PRIV], core.hart[L.MIE] = L.PRIV_U, 0x80
    core.hart[L.PMPADDR], core.hart[L.PMPCFG] = (1 << 54) - 1, 0x1F
    core.run(3)
    core.set_interrupt(0x80, True)
    core.run(4)
    assert (core.hart[L.MCAUSE], core.hart[L.PRIV], core.hart[L.MSTATUS]) == (1 << 63 | 7, 3, 0)


@KINDS
def test_a_csr_write_that_opens_interrupts_acts_before_the_next_step(kind: type[Core]) -> None:
    core = begin(kind, [asm("csrrsi", 0, 8, imm=0x300), ADD1, ADD1])
    core.hart[L.MIE] = 8
    core.set_interrupt(8, True)
    core.run(2)
    assert (core.hart[X5], core.hart[L.MEPC], core.hart[PC]) == (0, RAM + 4, VECTOR)


@KINDS
def test_wfi_waits_and_goes_on_where_it_is_masked(kind: type[Core]) -> None:
    core = begin(kind, [asm("wfi"), ADD1, SELF])
    core.hart[L.MIE] = 0x80
    assert core.run(100) == Exit.WFI
    assert (core.icount, core.hart[L.WFI]) == (1, 1)
    assert core.run(100) == Exit.WFI
    core.set_interrupt(8, True)  # not enabled: does not wake
    assert core.run(100) == Exit.WFI
    core.set_interrupt(0x80, True)
    assert core.run(2) == Exit.LIMIT
    assert (core.hart[X5], core.hart[L.WFI], core.hart[PC]) == (1, 0, RAM + 8)


@KINDS
def test_wfi_with_an_interrupt_pending_does_not_wait(kind: type[Core]) -> None:
    core = begin(kind, [asm("wfi"), ADD1, SELF])
    core.hart[L.MIE] = 0x80
    core.set_interrupt(0x80, True)
    assert core.run(2) == Exit.LIMIT
    assert core.hart[X5] == 1


# ---- devices ---------------------------------------------------------------------------------------------------------
@KINDS
def test_a_device_access_is_asked_for_once_and_completed(kind: type[Core]) -> None:
    core = begin(kind, [asm("lh", 5, 6, imm=2), asm("sb", 0, 6, 5), SELF])
    core.hart[L.X + 6] = 0x1000_0000
    core.set_breakpoints([RAM])
    core.skip_break_once()
    assert core.run(9) == Exit.MMIO_READ
    assert core.mach[L.MMIO_ADDR : L.MMIO_WRITE + 1].tolist() == [0x1000_0002, 2, 0]
    assert (core.icount, core.hart[PC]) == (0, RAM)
    assert core.run(9) == Exit.MMIO_READ  # not answered: nothing happens
    core.mmio_done(0x8001)
    assert core.run(9) == Exit.MMIO_WRITE
    assert core.hart[X5] == 0xFFFF_FFFF_FFFF_8001
    assert core.mach[L.MMIO_ADDR : L.MMIO_VALUE + 1].tolist() == [0x1000_0000, 1, 1, 0x01]
    core.mmio_done(ok=False)
    assert core.run(2) == Exit.LIMIT
    assert trap(core) == (7, 0x1000_0000, RAM + 4)


@KINDS
def test_an_answer_completes_its_step_even_if_an_interrupt_has_come(kind: type[Core]) -> None:
    core = begin(kind, [asm("lw", 5, 6), SELF])
    core.hart[L.X + 6], core.hart[L.MSTATUS], core.hart[L.MIE] = 0x1000_0000, 8, 8
    assert core.run(9) == Exit.MMIO_READ
    core.set_interrupt(8, True)
    core.mmio_done(7)
    core.run(1)
    assert (core.hart[X5], core.hart[PC]) == (7, RAM + 4)
    core.run(2)
    assert (core.hart[L.MCAUSE], core.hart[L.MEPC]) == (1 << 63 | 3, RAM + 4)


@KINDS
def test_dma_breaks_a_reservation_it_touches(kind: type[Core]) -> None:
    lr, sc = 0x1003_32AF, 0x1863_33AF  # lr.d x5, (x6); sc.d x7, x6, (x6)
    for address, fails in ((RAM + 0x8000, 1), (RAM + 0x7FFF, 0), (RAM + 0x8007, 1), (RAM + 0x8008, 0)):
        core = begin(kind, [lr, sc])
        core.hart[L.X + 6] = RAM + 0x8000
        core.run(1)
        core.write(address, b"\1")
        core.run(2)
        assert core.hart[L.X + 7] == fails


@KINDS
def test_the_semihosting_sequence(kind: type[Core]) -> None:
    call = [0x01F0_1013, asm("ebreak"), 0x4070_5013]
    core = begin(kind, [*call, ADD1, SELF])
    core.mach[L.SEMIHOSTING] = 1
    assert core.run(9) == Exit.SEMIHOST
    assert (core.icount, core.hart[PC]) == (1, RAM + 4)
    core.call_done()
    assert core.run(4) == Exit.LIMIT
    assert core.hart[X5] == 1
    for spoilt in ([NOP, *call[1:]], [*call[:2], NOP], [call[0], 0x9002_9002, call[2]]):
        core = begin(kind, spoilt)
        core.mach[L.SEMIHOSTING] = 1
        assert core.run(2) == Exit.LIMIT
        assert core.hart[L.MCAUSE] == 3


@KINDS
def test_a_tracked_store_leaves_after_its_step(kind: type[Core]) -> None:
    core = begin(kind, [asm("sw", 0, 6, 5, 4), asm("sw", 0, 6, 5), asm("lw", 7, 6), SELF])
    core.hart[L.X + 6] = RAM + 0x8000
    core.track([(RAM + 0x8000, 4)])
    core.set_watches([Watch(RAM + 0x8004, 4, WatchKind.WRITE)])
    assert core.run(9) == Exit.WATCH
    assert (core.icount, core.tracked_hit) == (1, False)
    assert core.run(9) == Exit.TRACKED
    assert (core.icount, core.tracked_hit) == (2, True)
    assert core.run(9) == Exit.LIMIT


# ---- full caches -----------------------------------------------------------------------------------------------------
def test_more_code_pages_than_are_kept_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "POOL_PAGES", 5)
    cores = []
    for kind in (Core, ReferenceCore):
        core = begin(kind, [])
        for page in range(16, 27):  # from page to page, and round again
            target = 4096 if page < 26 else -10 * 4096
            put(core, [ADD1, asm("sw", 0, 6, 5, 0), asm("jal", 0, imm=target - 8)], RAM + 4096 * page)
        core.hart[PC], core.hart[L.X + 6] = RAM + 16 * 4096, RAM + 0x9000
        for limit in range(7, 3000, 7):
            core.run(limit)
        cores.append((core.hart[: L.CUR_PAGE].tolist(), core.memory.ram.tobytes()))
    assert cores[0] == cores[1]


@pytest.mark.parametrize("seed", range(4))
def test_pages_that_share_a_tlb_entry(seed: int) -> None:
    """Loads and stores, aligned or not, all over 4 MiB, with PMP and watches in the way."""
    size = 4 << 20
    rng = random.Random(seed)
    names = ("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu", "sb", "sh", "sw", "sd")
    code = []
    for _ in range(400):
        name = rng.choice(names)
        code.append(
            asm(name, rng.randrange(16, 32), rng.randrange(6, 16), rng.randrange(16, 32), rng.getrandbits(12) - 2048)
        )
        if rng.random() < 0.3:
            code.append(asm("add", rng.randrange(6, 16), rng.randrange(6, 16), 3))
            code.append(asm("and", code[-1] >> 7 & 31, code[-1] >> 7 & 31, 4))
            code.append(asm("or", code[-1] >> 7 & 31, code[-1] >> 7 & 31, 2))
    code.append(asm("jal", 0, imm=-4 * len(code)))
    bases = [RAM + 0x10000 + rng.randrange(size - 0x20000) for _ in range(10)]
    states = []
    for kind in (Core, ReferenceCore):
        core = kind(size)
        put(core, [csrr(5, 0x341), asm("addi", 5, 5, imm=4), csrw(0x341, 5), asm("mret")], VECTOR)
        start(core, code, RAM + 0x1000)
        core.hart[L.MTVEC], core.hart[L.PRIV] = VECTOR, L.PRIV_U
        core.hart[L.PMPADDR], core.hart[L.PMPCFG] = (RAM + 0x20_0000) >> 2 | 0x1FFF, 0x19  # 64 KiB, read-only
        core.hart[L.PMPADDR + 1], core.hart[L.PMPCFG + 1] = (1 << 54) - 1, 0x1F
        core.hart[6:16] = bases
        core.hart[2:5] = RAM, 0x10_0008, RAM + size - 0x8000 - 1
        core.set_watches([Watch(base - 2048, 4096, WatchKind.WRITE) for base in bases[:4]])
        stops = []
        while core.icount < 20_000:
            reason = core.run(20_000)
            if reason in (Exit.MMIO_READ, Exit.MMIO_WRITE):
                core.mmio_done(ok=False)
            elif reason == Exit.WATCH:
                stops.append((core.icount, core.hit))
        pages, lines, words = core.take_written()
        states.append(
            (
                core.hart[: L.CUR_PAGE].tolist(),
                core.memory.ram.tobytes(),
                stops,
                pages.tolist(),
                lines.tolist(),
                words.tolist(),
            )
        )
    assert states[0] == states[1]
    assert states[0][2]
