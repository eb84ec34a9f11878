"""A guest reset inside a run: what starts anew and what goes on, as on QEMU's virt."""

from __future__ import annotations

import numpy as np
from rrdbg_core.cpu import layout as L
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import ReplaySource

from tests.machine.boot import boot, console

DATA, KEPT = 0x8000_0400, 0x8000_8000

RESETTING = f"""
    li s0, {KEPT}
    ld s1, 0(s0)
    addi s1, s1, 1
    sd s1, 0(s0)
    li s2, {DATA}
    ld s3, 0(s2)
    sd s1, 0(s2)
    addi s4, s1, 48
    li t0, 0x10000000
    sb s4, 0(t0)
    addi s4, s3, 48
    sb s4, 0(t0)
    li t1, 0xc1
    sb t1, 2(t0)
    li t1, 3
    bne s1, t1, again
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
    j end
again:
    li t0, 0x0200bff8
    ld s5, 0(t0)
    li t0, 0x100000
    li t1, 0x7777
    sw t1, 0(t0)
end: j end
"""
"""Counts its lives in RAM beyond the image, and changes a word of the image each time."""


def _machine() -> Machine:
    from rrdbg_core.machine.conformance.assembler import BASE, assemble

    image = assemble(RESETTING).ljust(DATA - BASE, b"\0") + bytes(8)
    return boot(image)


def test_ram_stays_but_the_image_is_loaded_again() -> None:
    machine = _machine()
    text = console(machine)
    assert machine.run(100_000) is StopReason.EXIT
    # lives 1, 2 and 3; the word of the image is 0 each time
    assert text == b"102030"


def test_icount_and_the_clocks_go_on() -> None:
    machine = _machine()
    machine.run(0)
    while not machine.board[2]:
        machine.run(machine.icount + 1)
    icount = machine.icount
    assert icount > 20
    assert machine.virtual_ns() == icount
    assert int(machine.core.hart[L.PC]) == 0x8000_0000
    assert machine.mtime() == 0  # as on QEMU
    assert machine.uart.state.fcr == 0  # type: ignore[attr-defined]
    assert machine.core.hart[L.PRIV] == 3
    machine.run(icount + 1000)
    assert machine.ended


def test_a_reset_from_outside_is_an_event_like_others() -> None:
    event = Event(500, EventKind.RESET, "", "", b"", 0)
    machine = boot("li s0, 1; loop: addi s1, s1, 1; j loop", events=[event])
    machine.run(499)
    assert machine.core.hart[L.X + 9] > 0
    machine.run(500)
    assert (machine.core.hart[L.X + 9], int(machine.core.hart[L.PC])) == (0, 0x8000_0000)
    assert machine.icount == 500
    machine.run(501)
    assert machine.core.hart[L.X + 8] == 1


def test_a_machine_that_was_reset_is_saved_and_restored_like_any() -> None:
    straight = _machine()
    straight.run(100_000)
    for at in range(0, straight.icount, 7):
        machine, other = _machine(), _machine()
        machine.run(at)
        other.core.load_pages(np.arange(machine.memory.pages), machine.memory.rows())
        other.restore(machine.save(), order=other.shuffled(at))
        other.run(100_000)
        assert other.digest() == straight.digest()


def test_pending_bottom_halves_are_gone_with_a_reset() -> None:
    from tests.machine.test_halves import POSTMAN

    machine = boot(f"li t0, {0x4000_0000}; sw t0, 0(t0); end: j end", devices=(POSTMAN,))
    machine.run(10)
    assert machine.halves.tolist() == [1, 0]
    machine.source = ReplaySource([Event(10, EventKind.RESET, "", "", b"", 0)], 1 << 40)
    machine.run(10)
    assert machine.halves.tolist() == [0, 0]
