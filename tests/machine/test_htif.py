"""HTIF: exits, console and system calls through tohost, in stores of 64 and of 32 bits."""

from __future__ import annotations

import pytest
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.conformance.assembler import BASE, assemble
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import FOREVER, ReplaySource

from tests.machine.boot import console
from tests.machine.elf import elf

TOHOST, FROMHOST, BLOCK = BASE + 0x1000, BASE + 0x1040, BASE + 0x1100


def _machine(text: str, **config: object) -> Machine:
    code = assemble(f"li s0, {TOHOST}; li s1, {FROMHOST}; li s2, {BLOCK};" + text)
    data = elf([(BASE, code, 0x2000)], symbols={"tohost": TOHOST, "fromhost": FROMHOST})
    ref = ImageRef(kind="elf", digest="x", name="guest")
    made = MachineConfig(ram_bytes=1 << 20, images=(ref,), **config)  # type: ignore[arg-type]
    return Machine(made, {"x": data}, ReplaySource([], FOREVER))


def _word(machine: Machine, address: int) -> int:
    return int.from_bytes(machine.memory.read(address, 8), "little")


@pytest.mark.parametrize("shift", [0, 5, 10])
@pytest.mark.parametrize("store", ["sd t0, 0(s0)", "sw t0, 0(s0); sw zero, 4(s0)", "sw t0, 0(s0)"])
@pytest.mark.parametrize(("value", "code"), [(1, 0), (3, 1), (2 * 42 + 1, 42), (2 * 300 + 1, 300)])
def test_an_odd_value_ends_the_run(store: str, value: int, code: int, shift: int) -> None:
    machine = _machine(f"li t0, {value}; {store}; end: j end", shift=shift)
    assert machine.run(100_000) is StopReason.EXIT
    assert machine.exit_code == code
    assert machine.icount < 100


def test_a_loop_of_stores_ends_it_at_the_second() -> None:
    # as riscv-tests do
    machine = _machine("li t0, 1; write_tohost: sw t0, 0(s0); sw zero, 4(s0); j write_tohost")
    assert machine.run(100_000) is StopReason.EXIT
    assert machine.icount < 20


PRINT = {
    "64 bits": "li t0, {word}; sd t0, 0(s0);",
    "32 bits": "li t0, {low}; sw t0, 0(s0); li t0, 0x01010000; sw t0, 4(s0);",
    "high half first": "li t0, 0x01010000; sw t0, 4(s0); li t0, {low}; sw t0, 0(s0);",
}


@pytest.mark.parametrize("shift", [0, 10])
@pytest.mark.parametrize("how", ["64 bits", "32 bits"])
def test_device_one_prints(how: str, shift: int) -> None:
    text = "wait{n}: ld t1, 0(s0); bnez t1, wait{n};"
    body = ""
    for number, byte in enumerate(b"odd and even"):
        body += PRINT[how].format(word=0x0101 << 48 | byte, low=byte) + text.format(n=number)
    machine = _machine(body + "li t0, 1; sd t0, 0(s0); end: j end", shift=shift)
    out = console(machine)
    assert machine.run(100_000) is StopReason.EXIT
    assert out == b"odd and even"


def test_the_host_answers_once_the_guest_has_taken_the_last_answer() -> None:
    machine = _machine("li t0, 0x0101000000000041; sd t0, 0(s0); ld s3, 0(s1); sd t0, 0(s0); end: j end")
    machine.run(1000)
    assert _word(machine, TOHOST) == 0
    assert _word(machine, FROMHOST) == 0x0101_0000_0000_0141


CALL = """
    li t0, {number}; sd t0, 0(s2); li t0, {first}; sd t0, 8(s2); la t0, text; sd t0, 16(s2); li t0, 5; sd t0, 24(s2)
    sd s2, 0(s0)
    wait: ld t0, 0(s1); beqz t0, wait
    sd zero, 0(s1)
    ld s4, 0(s2)
    li t0, 1; sd t0, 0(s0)
    end: j end
    text: .ascii "hello"
"""


def test_system_calls_write_and_exit() -> None:
    machine = _machine(CALL.format(number=64, first=1))
    out = console(machine)
    assert machine.run(100_000) is StopReason.EXIT
    assert (out, machine.exit_code, machine.core.hart[20]) == (b"hello", 0, 5)
    machine = _machine(CALL.format(number=93, first=9))
    assert machine.run(100_000) is StopReason.EXIT
    assert machine.exit_code == 9


def test_other_system_calls_are_refused_and_told() -> None:
    machine = _machine(CALL.format(number=1024, first=0))
    errors: list[str] = []
    machine.on_guest_error = lambda icount, device, text: errors.append(f"{device}: {text}")
    machine.run(100_000)
    assert errors == ["htif: system call 1024: not offered"]
    assert int(machine.core.hart[20]) == (1 << 64) - 38


@pytest.mark.parametrize("value", ["0x0100000000000000", "0x0201000000000041", "0xffff000000000001", "0x7ffffff0"])
def test_what_is_not_offered_is_a_guest_error(value: str) -> None:
    machine = _machine(f"li t0, {value}; sd t0, 0(s0); end: j end")
    errors: list[str] = []
    machine.on_guest_error = lambda icount, device, text: errors.append(text)
    machine.run(1000)
    assert len(errors) == 1
    assert not machine.ended
    assert _word(machine, TOHOST) == 0


def test_a_half_written_command_is_state() -> None:
    text = "li t0, 65; sw t0, 0(s0); nop; nop; li t0, 0x01010000; sw t0, 4(s0); end: j end"
    straight = _machine(text)
    out = console(straight)
    straight.run(200)
    assert out == b"A"
    for at in range(30):
        machine, other = _machine(text), _machine(text)
        first, second = console(machine), console(other)
        machine.run(at)
        other.core.load_pages(__import__("numpy").arange(other.memory.pages), machine.memory.rows())
        other.restore(machine.save(), order=other.shuffled(at))
        other.run(200)
        assert first + second == b"A"
        assert other.digest() == straight.digest()


def test_there_is_no_htif_without_the_symbol() -> None:
    data = elf([(BASE, assemble(f"li s0, {TOHOST}; li t0, 1; sd t0, 0(s0); end: j end"), 0x2000)])
    config = MachineConfig(ram_bytes=1 << 20, images=(ImageRef(kind="elf", digest="x", name="guest"),))
    machine = Machine(config, {"x": data}, ReplaySource([], FOREVER))
    assert "htif" not in machine.devices
    assert machine.run(1000) is StopReason.LIMIT
