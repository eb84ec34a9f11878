"""Semihosting: console, exits and clocks; what would reach the host is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.machine import Machine, StopReason

from tests.machine.boot import boot, console

M64 = (1 << 64) - 1
CALL = "slli zero, zero, 0x1f; ebreak; srai zero, zero, 7"
STOPPED = 0x20026


def _call(operation: int, *block: int, data: str = 'text: .ascii "console\\n"', machine: bool = True) -> str:
    """Return a program that makes one call with a block of arguments; -1 stands for the address of text."""
    text = f"la a1, block; li a0, {operation}; la t0, text;"
    for index, word in enumerate(block):
        text += f"sd t0, {8 * index}(a1);" if word == -1 else f"li t1, {word}; sd t1, {8 * index}(a1);"
    return f"{text} {CALL}; end: j end; block: .dword 0, 0, 0; {data}; .byte 0"


def _after(text: str, **config: object) -> tuple[Machine, int, bytes, list[str]]:
    machine = boot(text, **config)
    out, errors = console(machine), []
    machine.on_guest_error = lambda icount, device, text: errors.append(text)
    machine.run(1000)
    return machine, int(machine.core.hart[10]), bytes(out), errors


def test_console_calls_print() -> None:
    assert _after(_call(0x05, 2, -1, 7))[1:3] == (0, b"console")
    assert _after(_call(0x05, 3, -1, 3))[1:3] == (0, b"con")
    assert _after(_call(0x04).replace("la a1, block", "la a1, text"))[2] == b"console\n"
    assert _after(_call(0x03).replace("la a1, block", "la a1, text"))[2] == b"c"


def test_a_handle_that_was_not_opened_takes_nothing() -> None:
    assert _after(_call(0x05, 77, -1, 7))[1:3] == (7, b"")


@pytest.mark.parametrize(("mode", "handle"), [(0, 1), (3, 1), (4, 2), (7, 2), (8, 3), (11, 3), (12, M64)])
def test_the_console_can_be_opened(mode: int, handle: int) -> None:
    assert _after(_call(0x01, -1, mode, 3, data='text: .ascii ":tt"'))[1] == handle


def test_a_file_cannot_be_opened_and_that_is_told() -> None:
    _, result, _, errors = _after(_call(0x01, -1, 4, 11, data='text: .ascii "/etc/passwd"'))
    assert result == M64
    assert errors == ["semihosting: '/etc/passwd' was opened; only the console, ':tt', is offered"]


@pytest.mark.parametrize(
    ("operation", "block", "result"),
    [
        (0x02, (2,), 0),  # close
        (0x02, (9,), M64),
        (0x06, (1, -1, 5), 5),  # read: nothing, all five bytes are left
        (0x08, (M64,), 1),  # iserror
        (0x08, (5,), 0),
        (0x09, (1,), 1),  # istty
        (0x09, (9,), 0),
        (0x0A, (1, 0), M64),  # seek
        (0x0C, (2,), M64),  # flen
        (0x15, (-1, 5), M64),  # the command line
        (0x31, (), 1_000_000_000),  # tickfreq
    ],
)
def test_results(operation: int, block: tuple[int, ...], result: int) -> None:
    assert _after(_call(operation, *block))[1] == result


@pytest.mark.parametrize("operation", [0x07, 0x0E, 0x0F, 0x12, 0x16, 0x99])
def test_what_is_not_offered_is_told(operation: int) -> None:
    _, result, _, errors = _after(_call(operation))
    assert result == M64
    assert len(errors) == 1


@pytest.mark.parametrize("operation", [0x18, 0x20])
@pytest.mark.parametrize(("reason", "code", "status"), [(STOPPED, 0, 0), (STOPPED, 5, 5), (STOPPED, 261, 5), (1, 0, 1)])
def test_exit(operation: int, reason: int, code: int, status: int) -> None:
    machine = _after(_call(operation, reason, code))[0]
    assert machine.ended
    assert machine.exit_code == status


def test_clocks_are_virtual() -> None:
    base = 1_700_000_000_000_000_000
    assert _after(_call(0x11), rtc_base_ns=base)[1] == 1_700_000_000
    spin = "li t2, 30000; spin: addi t2, t2, -1; bnez t2, spin;"
    machine = boot(spin + _call(0x10), shift=10)
    machine.run(70_000)
    assert machine.core.hart[10] == (60_000 << 10) // 10_000_000
    text = _call(0x30).replace(CALL, CALL + "; ld s3, 0(a1)")
    machine = boot(spin + text, shift=2)
    machine.run(70_000)
    assert machine.core.hart[10] == 0
    assert 240_000 < machine.core.hart[19] < 240_100


def test_arguments_outside_ram_are_an_error_of_the_guest() -> None:
    _, result, _, errors = _after(_call(0x05).replace("la a1, block", "li a1, 0x1000"))
    assert result == M64
    assert errors == ["semihosting call 0x5: its arguments at 0x1000 lie outside RAM"]


def test_a_string_without_end_ends_with_ram() -> None:
    fill = "li a1, 0x800ffff0; li t1, 0x4141414141414141; sd t1, 0(a1); sd t1, 8(a1);"
    _, result, out, errors = _after(fill + f"li a0, 4; {CALL}; end: j end")
    assert (result, out, len(errors)) == (M64, b"", 1)


def test_without_semihosting_the_sequence_is_a_breakpoint() -> None:
    text = _call(0x18, STOPPED, 0)
    machine = boot(f"j start; trap: j trap; start: la t0, trap; csrw mtvec, t0; {text}", semihosting=False)
    machine.run(1000)
    assert not machine.ended
    assert machine.core.hart[44] == 3  # mcause


def test_an_ebreak_alone_is_a_breakpoint() -> None:
    machine = boot("la t0, trap; csrw mtvec, t0; ebreak; trap: j trap")
    machine.run(100)
    assert machine.core.hart[44] == 3


OPEN = "la a1, block; la t0, name; sd t0, 0(a1); li t0, 4; sd t0, 8(a1); li t0, 3; sd t0, 16(a1); li a0, 1;" + CALL
WRITE = "la a1, block; sd a0, 0(a1); la t0, text; sd t0, 8(a1); li t0, 7; sd t0, 16(a1); li a0, 5;" + CALL
DATA = 'end: j end; block: .dword 0, 0, 0; name: .ascii ":tt"; .byte 0; text: .ascii "console"'


def _exits_with_a0(text: str, plus: int = 0) -> str:
    leave = f"addi s3, a0, {plus}; la a1, block; li t0, {STOPPED}; sd t0, 0(a1); sd s3, 8(a1); li a0, 0x18; {CALL};"
    return text.replace("end: j end", leave + "end: j end")


@pytest.mark.oracle
@pytest.mark.skipif(shutil.which("qemu-system-riscv64") is None, reason="qemu-system-riscv64 is not installed")
@pytest.mark.parametrize(
    "text",
    [
        _exits_with_a0(f"{OPEN}; {WRITE}; {DATA}", plus=40),
        _exits_with_a0(_call(0x08, M64)),
        _exits_with_a0(_call(0x08, 1)),
        _exits_with_a0(_call(0x31).replace("end: j end", "srli a0, a0, 24; end: j end")),
        _call(0x18, STOPPED, 77),
        _call(0x20, STOPPED, 3),
        _call(0x18, 1, 0),
    ],
)
def test_output_and_exit_codes_are_those_of_qemu(text: str, tmp_path: Path) -> None:
    kernel = tmp_path / "guest.bin"
    kernel.write_bytes(assemble(text))
    command = ["qemu-system-riscv64", "-M", "virt", "-bios", "none", "-display", "none", "-serial", "none"]
    command += ["-monitor", "none", "-semihosting-config", "enable=on,target=native", "-kernel", str(kernel)]
    done = subprocess.run(command, timeout=120, stdin=subprocess.DEVNULL, capture_output=True)
    machine = boot(text)
    out = console(machine)
    assert machine.run(10_000) is StopReason.EXIT
    assert machine.exit_code == done.returncode
    assert bytes(out) == done.stdout + done.stderr
