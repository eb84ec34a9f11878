"""Register probes: a list of accesses that a tiny guest carries out, on rrdbg and on QEMU, with what it read.

The guest is an interpreter: it walks a table of (operation, address, value), stores each result, and at the end sends
all results through the UART as raw bytes and leaves through the finisher. A fault is a result, too.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.machine.conformance.assembler import BASE, assemble

from tests.machine.boot import boot, console

TABLE = BASE + 0x1_0000
RESULTS = BASE + 0x4_0000
FAULT = 0xFA17 << 48
READ, WRITE, MIP, WAIT, END = 0, 4, 8, 9, 10
UART, RTC, CLINT, PLIC, VIRTIO, FINISHER = 0x1000_0000, 0x10_1000, 0x200_0000, 0xC00_0000, 0x1000_1000, 0x10_0000


@dataclass(frozen=True)
class Op:
    """One entry of the table."""

    code: int
    address: int = 0
    value: int = 0

    def __str__(self) -> str:
        if self.code < WRITE:
            return f"read{8 << self.code} 0x{self.address:x}"
        if self.code < MIP:
            return f"write{8 << self.code - WRITE} 0x{self.address:x} = 0x{self.value:x}"
        return {MIP: "mip", WAIT: f"wait {self.value}"}.get(self.code, "end")


def read(address: int, size: int) -> Op:
    """Read `size` bytes."""
    return Op(READ + size.bit_length() - 1, address)


def write(address: int, size: int, value: int) -> Op:
    """Write `size` bytes."""
    return Op(WRITE + size.bit_length() - 1, address, value)


def mip() -> Op:
    """Read mip."""
    return Op(MIP)


def wait(turns: int) -> Op:
    """Spin."""
    return Op(WAIT, value=turns)


INTERPRETER = f"""
    la t0, fault
    csrw mtvec, t0
    li s0, {TABLE:#x}
    li s1, {RESULTS:#x}
next:
    ld a0, 0(s0)
    ld a1, 8(s0)
    ld a2, 16(s0)
    addi s0, s0, 24
    li a3, 0
    slli t0, a0, 3
    la t1, jumps
    add t0, t0, t1
    jalr zero, 0(t0)
done:
    sd a3, 0(s1)
    addi s1, s1, 8
    j next
jumps:
    lbu a3, 0(a1); j done
    lhu a3, 0(a1); j done
    lwu a3, 0(a1); j done
    ld a3, 0(a1); j done
    sb a2, 0(a1); j done
    sh a2, 0(a1); j done
    sw a2, 0(a1); j done
    sd a2, 0(a1); j done
    csrr a3, mip; j done
    j spin; nop
finish:
    li t0, {UART:#x}
    sb zero, 3(t0)
    sb zero, 4(t0)
    sb zero, 1(t0)
    li s2, {RESULTS:#x}
out:
    beq s2, s1, off
    lbu t1, 0(s2)
full:
    lbu t2, 5(t0)
    andi t2, t2, 32
    beqz t2, full
    sb t1, 0(t0)
    addi s2, s2, 1
    j out
off:
    li t0, {FINISHER:#x}
    li t1, 0x5555
    sw t1, 0(t0)
    j off
spin:
    addi a2, a2, -1
    bnez a2, spin
    j done
fault:
    j fault2
fault2:
    csrr a3, mcause
    li t0, {FAULT:#x}
    or a3, a3, t0
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
"""


def image(ops: list[Op]) -> bytes:
    """Return the raw guest that carries out `ops`."""
    code = assemble(INTERPRETER)
    table = b"".join(struct.pack("<3Q", op.code, op.address, op.value & (1 << 64) - 1) for op in [*ops, Op(END)])
    return code.ljust(TABLE - BASE, b"\0") + table


def on_qemu(ops: list[Op], *arguments: str) -> list[int]:
    """Return the results on QEMU's virt."""
    with tempfile.TemporaryDirectory() as folder:
        kernel, out = Path(folder, "kernel.bin"), Path(folder, "out")
        kernel.write_bytes(image(ops))
        command = ["qemu-system-riscv64", "-M", "virt", "-bios", "none", "-display", "none", "-monitor", "none"]
        command += ["-global", "virtio-mmio.force-legacy=false", "-icount", "shift=0"]
        command += ["-serial", f"file:{out}", "-kernel", str(kernel), *arguments]
        subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL)
        data = out.read_bytes()
    return [word for (word,) in struct.iter_unpack("<Q", data[-8 * len(ops) :])]


RNG = DeviceRef(kind="virtio-rng", name="rng", slot=0)


def on_rrdbg(ops: list[Op], *devices: DeviceRef) -> list[int]:
    """Return the results on rrdbg."""
    machine = boot(image(ops), devices=devices)
    text = console(machine)
    machine.run(50_000_000)
    assert machine.ended
    return [word for (word,) in struct.iter_unpack("<Q", bytes(text)[-8 * len(ops) :])]


def differences(ops: list[Op], here: list[int], there: list[int]) -> list[str]:
    """Return what differs, one line each. QEMU's harts have S mode, hence more interrupts in mip."""
    masks = [0x888 if op.code == MIP else (1 << 64) - 1 for op in ops]
    rows = zip(ops, masks, here, there, strict=True)
    return [f"{i}: {op}: rrdbg 0x{a:x}, QEMU 0x{b:x}" for i, (op, mask, a, b) in enumerate(rows) if (a ^ b) & mask]
