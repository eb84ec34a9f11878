"""The guest that drives a device in a whole machine: walks a table of accesses, takes interrupts, folds what it reads.

0x8000_0000  the program
0x8001_0000  the table: kind, address, value; 24 bytes an entry
0x8008_0000  left to the device under check
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from rrdbg_core.devices.contract import Device
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.conformance.targets import Target
from rrdbg_core.machine.conformance.traffic import Op, What

BASE, TABLE = 0x8000_0000, 0x8001_0000
MAX_ENTRIES = 0x7_0000 // 24 - 1
RAM_BYTES = 1 << 20
_LOAD, _STORE, _SPIN, _SLEEP, _END = 0, 4, 8, 9, 10
_CONTEXT = 0x0C20_0000

_PROGRAM = """
    la t0, trap
    csrw mtvec, t0
    li s2, 0
    li s3, 0
    li s5, {irq}
    li t0, 0x0c000000
    slli t1, s5, 2
    add t1, t1, t0
    li t2, 1
    sw t2, 0(t1)
    li t0, 0x0c002000
    srli t1, s5, 5
    slli t1, t1, 2
    add t0, t0, t1
    sll t2, t2, s5
    srli t1, s5, 5
    beqz t1, low
    li t1, 32
    sub t1, s5, t1
    li t2, 1
    sll t2, t2, t1
low:
    sw t2, 0(t0)
    li s4, 0x0c200000
    li t0, 0x800
    csrw mie, t0
    csrrsi zero, mstatus, 8
    li s0, {table}
next:
    ld a0, 0(s0)
    ld a1, 8(s0)
    ld a2, 16(s0)
    addi s0, s0, 24
    li a3, 0
    slli a0, a0, 3
    la t0, jumps
    add t0, t0, a0
    jalr zero, 0(t0)
done:
    slli t0, s2, 5
    add s2, s2, t0
    add s2, s2, a3
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
    j spin; nop
    j sleep; nop
finish:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
    j finish
spin:
    addi a2, a2, -1
    bnez a2, spin
    j done
sleep:
    csrrci zero, mstatus, 8
    li t0, 0x02004000
    li t1, 0x0200bff8
    ld t1, 0(t1)
    addi t1, t1, 40
    sd t1, 0(t0)
    li t0, 0x880
    csrw mie, t0
    wfi
    li t0, 0x800
    csrw mie, t0
    csrrsi zero, mstatus, 8
    j done
trap:
    csrr s6, mcause
    blt s6, zero, interrupt
    li a3, 0xfa17
    csrr s6, mepc
    addi s6, s6, 4
    csrw mepc, s6
    mret
interrupt:
    lw s6, 4(s4)
    sw s6, 4(s4)
    addi s3, s3, 1
    mret
"""


def image(target: Target, ops: Sequence[Op]) -> bytes:
    """Return the guest that carries out some traffic: the accesses of it, and time that passes."""
    timed = target.kind.next_deadline_ns is not Device.next_deadline_ns
    entries = []
    for op in ops[:MAX_ENTRIES]:
        address = target.address + op.offset
        match op.what:
            case What.READ:
                entries.append((_LOAD + op.size.bit_length() - 1, address, 0))
            case What.WRITE:
                entries.append((_STORE + op.size.bit_length() - 1, address, op.value))
            case What.STORE:
                entries.append((_STORE + op.size.bit_length() - 1, op.offset, op.value))
            case What.ADVANCE:
                sleeps = timed and op.value > 1_000_000
                entries.append((_SLEEP, 0, 0) if sleeps else (_SPIN, 0, 1 + op.value % 500))
    entries.append((_END, 0, 0))
    code = assemble(_PROGRAM.format(irq=target.irq, table=TABLE))
    return code.ljust(TABLE - BASE, b"\0") + b"".join(struct.pack("<3Q", *entry) for entry in entries)
