"""A machine with S mode: a guest that waits for stimecmp, swaps pages and prints, and that nobody's looking changes."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.errors import RrdbgError
from rrdbg_core.isa.csr import MENVCFG_ADUE, MENVCFG_STCE
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import FOREVER, ReplaySource
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.reader import Trace

import rrdbg
from tests.cpu.guest import asm
from tests.cpu.oracle.bare import li
from tests.cpu.oracle.paged import NUMBER, A, D, R, V, W, X
from tests.machine.elf import elf
from tests.session.traces import make_trace

RAM, RAM_BYTES = 0x8000_0000, 1 << 20
ENTRY, HANDLER, ROOT, DATA, WINDOW, UART = (
    RAM + 0x1000,
    RAM + 0x2000,
    RAM + 0x1_0000,
    RAM + 0x2_0000,
    1 << 30,
    0x1000_0000,
)
A0, A1, T0, S0, S1, S2, S3, S4, S5 = 10, 11, 5, 8, 9, 18, 19, 20, 21


def image(*, every: int = 9) -> bytes:
    """Return RAM's first pages: M mode's setup, the program of S mode, its handler, and page tables.

    Args:
        every: Ticks between two interrupts.
    """

    def csrw(name: str, value: int) -> list[int]:
        return [*li(T0, value), asm("csrrw", 0, T0, imm=NUMBER[name])]

    setup = csrw("pmpaddr0", (1 << 54) - 1) + csrw("pmpcfg0", 0x1F) + csrw("mideleg", 0x222)
    setup += csrw("medeleg", 0xB3FE) + csrw("menvcfg", MENVCFG_ADUE | MENVCFG_STCE) + csrw("mcounteren", 7)
    setup += (
        csrw("stimecmp", -1)
        + csrw("mepc", ENTRY)
        + csrw("mstatus", 1 << 11)
        + csrw("satp", 8 << 60 | ROOT >> 12)
        + [asm("mret")]
    )
    pte = ROOT + 0x2000
    program = csrw("stvec", HANDLER) + csrw("sie", 0x222) + [asm("csrrsi", 0, 2, imm=NUMBER["sstatus"])]
    program += [*li(S1, pte), *li(S2, 1 << 10), *li(S3, WINDOW), *li(S4, UART)]
    body = [asm("csrrs", A0, 0, imm=NUMBER["time"]), asm("addi", A0, A0, imm=every)]
    body += [asm("csrrw", 0, A0, imm=NUMBER["stimecmp"]), asm("wfi"), asm("addi", S0, S0, imm=1)]
    # the window shows the other page from now on
    body += [asm("ld", A1, S1), asm("xor", A1, A1, S2), asm("sd", 0, S1, A1)]
    body += [asm("ld", A1, S3), asm("add", A1, A1, S0), asm("sd", 0, S3, A1), asm("sb", 0, S4, S0)]
    body += [asm("jal", 0, imm=-4 * len(body))]
    handler = [asm("csrrs", T0, 0, imm=NUMBER["scause"]), asm("sd", 0, S3, T0, 8)]
    handler += [*li(T0, -1), asm("csrrw", 0, T0, imm=NUMBER["stimecmp"]), asm("addi", S5, S5, imm=1), asm("sret")]
    leaf, table = V | R | W | A | D, ROOT + 0x1000
    root = [leaf, table >> 12 << 10 | V, RAM >> 12 << 10 | leaf | X]
    out = bytearray(ROOT + 0x3000 - RAM)
    for address, words in ((RAM, setup), (ENTRY, program + body), (HANDLER, handler)):
        out[address - RAM : address - RAM + 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)
    for address, ptes in ((ROOT, root), (table, [pte >> 12 << 10 | V]), (pte, [DATA >> 12 << 10 | V | R | W])):
        out[address - RAM : address - RAM + 8 * len(ptes)] = struct.pack(f"<{len(ptes)}Q", *ptes)
    return bytes(out)


def machine(kind: type[Core] = Core, *, every: int = 9, shift: int = 0) -> Machine:
    ref = ImageRef(kind="raw", digest="guest", name="guest", load_address=RAM)
    config = MachineConfig(images=(ref,), ram_bytes=RAM_BYTES, privilege="msu", isa="rv64gc", shift=shift)
    return Machine(config, {"guest": image(every=every)}, ReplaySource([], FOREVER), core=kind(RAM_BYTES))


@pytest.mark.parametrize("shift", [0, 4])
def test_the_guest_does_what_it_should(shift: int) -> None:
    guest = machine(shift=shift)
    printed = bytearray()
    guest.on_console = lambda step, data: printed.extend(data)
    assert guest.run(3_000) is StopReason.LIMIT
    hart = guest.core.hart
    rounds = int(hart[L.X + S0])
    assert rounds > 100
    assert abs(int(hart[L.X + S5]) - rounds) <= 1
    assert printed[:3] == bytes((1, 2, 3))
    a, b = (int.from_bytes(guest.memory.read(DATA + page, 8), "little") for page in (0, 0x1000))
    # odd rounds and even ones add up in pages of their own
    assert {a, b} <= {sum(range(first, last + 1, 2)) for first in (1, 2) for last in range(rounds - 2, rounds + 1)}
    # most of the time it was asleep
    assert guest.warp_ns > 3_000 << shift


@pytest.mark.parametrize("every", [9, 1, 30])
def test_kernel_and_reference_make_the_same_machine(every: int) -> None:
    guests = machine(every=every), machine(ReferenceCore, every=every)
    for limit in (1, 60, 61, 200, 1_003, 1_500):
        for guest in guests:
            assert guest.run(limit) is StopReason.LIMIT
        assert guests[0].differences(guests[0].save(), guests[1].save()) == []
        assert guests[0].digest() == guests[1].digest()


@pytest.mark.parametrize("seed", range(3))
def test_pauses_and_fresh_machines_change_nothing(seed: int) -> None:
    rng = random.Random(seed)
    straight = machine()
    straight.run(4_000)
    guest = machine()
    at = 0
    while at < 4_000:
        at = min(at + rng.choice((1, 2, 3, 17, 100, 400)), 4_000)
        guest.run(at)
        match rng.randrange(3):
            case 0:
                fresh = machine()
                fresh.run(rng.randrange(300))
                fresh.core.load_pages(np.arange(guest.memory.pages), guest.memory.rows())
                fresh.restore(guest.save(), order=guest.shuffled(seed))
                guest = fresh
            case 1:
                guest.core.drop_caches()
            case _:
                pass
    assert guest.differences(straight.save(), guest.save()) == []
    assert guest.digest() == straight.digest()


def test_every_word_of_the_supervisor_is_in_the_digest() -> None:
    guest = machine()
    guest.run(500)
    before = guest.digest()
    for field in L.SUPERVISOR_FIELDS:
        guest.core.hart[field.offset] ^= 1
        assert guest.digest() != before, field.name
        guest.core.hart[field.offset] ^= 1
    assert guest.digest() == before


def test_a_state_without_s_mode_is_of_another_machine() -> None:
    ref = ImageRef(kind="raw", digest="guest", name="guest", load_address=RAM)
    config = MachineConfig(images=(ref,), ram_bytes=RAM_BYTES, isa="rv64gc")
    plain = Machine(config, {"guest": image()}, ReplaySource([], FOREVER))
    assert "satp" not in {name for _, name, _ in plain.parts.fields()}
    with pytest.raises(RrdbgError, match="another machine"):
        machine().restore(plain.save())
    # what has no S mode knows none of its instructions and registers
    plain.run(20)
    assert plain.core.hart[L.MCAUSE] in (1, 2)
    assert not plain.core.hart[[field.offset for field in L.SUPERVISOR_FIELDS]].any()


def test_a_recording_replays_and_tells_what_the_supervisor_has(tmp_path: Path) -> None:
    path = tmp_path / "run.rrt"
    data = image()
    mode = {"isa": "rv64gc", "privilege": "msu", "ram_bytes": RAM_BYTES}
    make_trace(elf([(RAM, data, len(data))]), path, until=200_000, **mode)
    with Trace.open(path) as trace:
        report = verify(trace, pauses=6, seed=1)
    assert report.ok, report.text
    with rrdbg.open(path) as session:
        session.goto(100_003)
        registers = {row.name: row for row in session.registers(["csr", "priv"])}
        assert registers["stvec"].value == HANDLER
        assert registers["satp"].text == f"Sv39 table at 0x{ROOT:x}"
        assert registers["priv"].text == "S"
        rounds = session.evaluate("$s0")
        session.reverse_stepi(50)
        assert rounds - 5 <= session.evaluate("$s0") <= rounds
        assert session.evaluate("$misa") >> 18 & 1


def test_the_plics_second_context_is_s_modes() -> None:
    guest = machine()
    guest.run(60)
    plic, hart = guest.plic, guest.core.hart
    plic.write(4 * 10, 4, 1)
    plic.write(0x2080, 4, 1 << 10)
    plic.raise_line(10)
    assert (int(hart[L.MIP]) & 0xA00, hart[L.SEIP_LINE], hart[L.SEIP]) == (0x200, 0x200, 0)
    assert plic.read(0x20_1004, 4) == 10
    assert (int(hart[L.MIP]) & 0xA00, hart[L.SEIP_LINE]) == (0, 0)
    # what software has raised stays
    hart[L.SEIP] = 0x200
    plic.write(0x20_1004, 4, 10)
    assert int(hart[L.MIP]) & 0xA00 == 0x200
