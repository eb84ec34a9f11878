"""The built-in firmware: calls of S mode, in both interpreters, and what a debugger sees of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.devices import sbi
from rrdbg_core.isa.csr import SSI, STI
from rrdbg_core.machine.base import RESETS
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import FOREVER, ReplaySource

from tests.machine.boot import console

M64 = (1 << 64) - 1
RAM, RAM_BYTES = 0x8000_0000, 1 << 20
END = "end: j end"
KINDS = pytest.mark.parametrize("kind", [Core, ReferenceCore])


def supervisor(code: str, kind: type[Core] = Core, events: Sequence[Event] = ()) -> Machine:
    """Return a machine that stands at the first instruction of `code`, in S mode."""
    ref = ImageRef(kind="raw", digest="guest", name="guest")
    config = MachineConfig(images=(ref,), ram_bytes=RAM_BYTES, privilege="msu", firmware="sbi")
    return Machine(config, {"guest": assemble(code)}, ReplaySource(list(events), FOREVER), core=kind(RAM_BYTES))


def calls(extension: int, function: int = 0, *arguments: int) -> str:
    """Return code that makes a call."""
    loads = "; ".join(f"li a{index}, {argument}" for index, argument in enumerate(arguments))
    return f"{loads or 'nop'}; li a6, {function}; li a7, {extension}; ecall;"


def answer(extension: int, function: int = 0, *arguments: int, kind: type[Core] = Core) -> tuple[int, int]:
    """Return error and value of a call, signed."""
    machine = supervisor(calls(extension, function, *arguments) + END, kind)
    machine.run(100)
    a0, a1 = (int(value) for value in machine.core.hart[L.X + 10 : L.X + 12].view(np.int64))
    return a0, a1


@KINDS
def test_the_hart_starts_in_s_mode(kind: type[Core]) -> None:
    machine = supervisor("csrr s0, 0x100; csrr s1, 0x106; csrr s2, 0xc01; ecall; " + END, kind)
    machine.run(10)
    assert machine.core.hart[L.PRIV] == L.PRIV_S
    assert machine.core.hart[L.X + 9] == 7


@KINDS
@pytest.mark.parametrize(
    ("call", "error", "value"),
    [
        ((0x10, 0), 0, 2 << 24),
        ((0x10, 3, 0x54494D45), 0, 1),
        ((0x10, 3, 0x4442434E), 0, 1),
        ((0x10, 3, 0x504D55), 0, 0),
        ((0x10, 4), 0, 0),
        ((0x10, 9), sbi.NOT_SUPPORTED, 0),
        ((0x504D55, 0), sbi.NOT_SUPPORTED, 0),
        ((0x54494D45, 1), sbi.NOT_SUPPORTED, 0),
        ((0x735049, 0, 1, 0), 0, 0),
        ((0x735049, 0, 2, 0), sbi.INVALID_PARAM, 0),
        ((0x735049, 0, 1, 1), sbi.INVALID_PARAM, 0),
        ((0x735049, 0, 0, 5), 0, 0),
        ((0x52464E43, 0, 1, 0), 0, 0),
        ((0x52464E43, 1, 0, -1, 0, 4096), 0, 0),
        ((0x52464E43, 2, 2, 0), sbi.INVALID_PARAM, 0),
        ((0x52464E43, 3, 1, 0), sbi.NOT_SUPPORTED, 0),
        ((0x48534D, 0, 0, RAM, 0), sbi.ALREADY_AVAILABLE, 0),
        ((0x48534D, 0, 1, RAM, 0), sbi.INVALID_PARAM, 0),
        ((0x48534D, 1), sbi.FAILED, 0),
        ((0x48534D, 2, 0), 0, 0),
        ((0x48534D, 2, 1), sbi.INVALID_PARAM, 0),
        ((0x48534D, 3, 1 << 31), sbi.NOT_SUPPORTED, 0),
        ((0x53525354, 0, 3, 0), sbi.INVALID_PARAM, 0),
        ((0x4442434E, 0, 8, 0x1000, 0), sbi.INVALID_PARAM, 0),
        ((0x4442434E, 0, 8, RAM, 1), sbi.INVALID_PARAM, 0),
        ((0x4442434E, 1, 8, RAM + 0x1000, 0), 0, 0),
    ],
)
def test_answers(kind: type[Core], call: tuple[int, ...], error: int, value: int) -> None:
    assert answer(*call, kind=kind) == (error, value)


@pytest.mark.parametrize(("extension", "result"), [(3, 0), (5, 0), (6, 0), (7, 0), (2, -1)])
def test_legacy_calls_answer_in_a0_alone(extension: int, result: int) -> None:
    machine = supervisor(calls(extension, 0, 0, 77) + END)
    machine.run(100)
    assert machine.core.hart[L.X + 10] == result & M64
    assert machine.core.hart[L.X + 11] == 77


@KINDS
def test_printing(kind: type[Core]) -> None:
    code = "la a1, text; li a2, 0; li a0, 5; li a6, 0; li a7, 0x4442434e; ecall; mv s0, a1;"
    code += calls(0x4442434E, 2, 0x21) + calls(1, 0, 0x0A) + END + '; text: .ascii "hello"'
    machine = supervisor(code, kind)
    text = console(machine)
    machine.run(100)
    assert text == b"hello!\n"
    assert machine.core.hart[L.X + 8] == 5


def test_reading_takes_what_the_uart_has() -> None:
    typed = Event(4, EventKind.UART_INPUT, "uart", "", b"a", 0)
    code = "nop; nop; nop; nop; nop; nop;" + calls(2) + "mv s0, a0;" + calls(2) + "mv s1, a0;" + END
    machine = supervisor(code, events=[typed])
    machine.run(100)
    assert machine.core.hart[L.X + 8] == ord("a")
    assert machine.core.hart[L.X + 9] == M64


@KINDS
def test_the_timer_interrupts(kind: type[Core]) -> None:
    code = "la t0, trap; csrw 0x105, t0; li t0, 32; csrw 0x104, t0; li t0, 2; csrs 0x100, t0;"
    code += calls(0x54494D45, 0, 9) + "spin: j spin; trap: csrr s0, 0x142; csrr s1, 0xc01;" + END
    machine = supervisor(code, kind)
    machine.run(2000)
    assert machine.core.hart[L.X + 8] == 1 << 63 | 5
    assert machine.core.hart[L.X + 9] == 9
    assert machine.core.hart[L.MIP] & STI


def test_a_timer_set_ahead_no_longer_pends() -> None:
    machine = supervisor(calls(0, 0, 0) + calls(0, 0, -1) + END)
    machine.run(3)
    assert machine.core.hart[L.MIP] & STI == 0
    machine.run(5)
    assert machine.core.hart[L.MIP] & STI
    machine.run(30)
    assert machine.core.hart[L.MIP] & STI == 0


def test_an_ipi_to_oneself() -> None:
    machine = supervisor(calls(0x735049, 0, 0, -1) + calls(3) + END)
    machine.run(6)
    assert machine.core.hart[L.MIP] & SSI
    machine.run(30)
    assert machine.core.hart[L.MIP] & SSI == 0


def test_suspending_waits_for_an_interrupt() -> None:
    code = "li t0, 32; csrw 0x104, t0;" + calls(0, 0, 50) + calls(0x48534D, 3, 0) + "csrr s1, 0xc01;" + END
    machine = supervisor(code)
    machine.run(100)
    assert machine.core.hart[L.X + 9] >= 50
    assert machine.warp_ns > 0


@pytest.mark.parametrize(("call", "code"), [((8,), 0), ((0x53525354, 0, 0, 0), 0), ((0x53525354, 0, 0, 1), 1)])
def test_shutting_down(call: tuple[int, ...], code: int) -> None:
    machine = supervisor(calls(*call) + END)
    assert machine.run(100) is StopReason.EXIT
    assert machine.exit_code == code


@pytest.mark.parametrize("kind", [1, 2])
def test_a_reset_starts_over_in_s_mode(kind: int) -> None:
    machine = supervisor("csrr s0, 0x105; li t0, 0x80000040; csrw 0x105, t0;" + calls(0x53525354, 0, kind, 0) + END)
    while not machine.board[RESETS] and machine.icount < 100:
        machine.run(machine.icount + 1)
    assert machine.core.hart[L.STVEC] == 0
    assert machine.core.hart[L.PC] == RAM
    assert machine.core.hart[L.PRIV] == L.PRIV_S


def test_what_is_not_offered_is_told() -> None:
    machine = supervisor(calls(0x504D55, 2) + END)
    errors: list[tuple[str, str]] = []
    machine.on_guest_error = lambda icount, device, text: errors.append((device, text))
    machine.run(100)
    assert errors == [("sbi", "SBI call 0x504d55, function 2: not offered")]


@KINDS
def test_other_privileges_trap(kind: type[Core]) -> None:
    """An ecall of U mode goes to S mode's handler, with or without the firmware."""
    code = "la t0, trap; csrw 0x105, t0; la t0, user; csrw 0x141, t0; sret; user: ecall;"
    machine = supervisor(code + "trap: csrr s0, 0x142;" + END, kind)
    machine.run(30)
    assert machine.core.hart[L.X + 8] == 8


@KINDS
def test_without_the_firmware_an_ecall_of_s_mode_traps(kind: type[Core]) -> None:
    machine = supervisor("ecall;" + END, kind)
    machine.core.mach[L.SBI] = 0
    machine.run(1)
    assert machine.core.hart[L.MCAUSE] == 9


def test_a_call_is_one_step_and_both_interpreters_agree() -> None:
    code = calls(0x10, 0) + calls(0x54494D45, 0, 7) + calls(0x4442434E, 2, 0x21) + calls(0x735049, 0, 1, 0) + END
    machines = [supervisor(code, kind) for kind in (Core, ReferenceCore)]
    for step in range(60):
        states = []
        for machine in machines:
            machine.run(step)
            states.append((machine.digest(), machine.core.hart[: L.X + 32].tolist()))
        assert states[0] == states[1], step
