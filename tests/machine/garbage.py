"""A guest that reads and writes at random all over the devices' registers."""

from __future__ import annotations

from collections.abc import Sequence

from rrdbg_core.machine.conformance.assembler import assemble

REGIONS = (
    # base, mask of the offset; the finisher's first register would end the run
    *((0x0010_0008, 0x7F8), (0x0010_1000, 0x3F), (0x0200_0000, 0xFFFF), (0x0C00_0000, 0x7F), (0x0C00_1000, 0xF)),
    *((0x0C00_2000, 0xFF), (0x0C20_0000, 0x1007), (0x1000_0000, 0xF), (0x1000_1000, 0xFF), (0x1000_1100, 0xFF)),
    *((0x1000_2000, 0x1FF), (0x4000_0000, 0x1F), (0x0C00_0000, 0x7F_FFFF), (0x2000_0000, 0xFFFF)),
    *((0x0200_0000, 0x7), (0x0200_4000, 0x7), (0x0200_BFF8, 0x7)),
)
"""Where, with what is near: holes, the ends of devices, and a place where nothing is."""

_TEXT = """
    la t0, trap
    csrw mtvec, t0
    li t0, 0x800
    csrw mie, t0
    csrrsi zero, mstatus, 8
    la s0, table
    li s1, {seed}
    li s2, {accesses}
    li s3, {count}
    li s6, 0
next:
    slli t0, s1, 13
    xor s1, s1, t0
    srli t0, s1, 7
    xor s1, s1, t0
    slli t0, s1, 17
    xor s1, s1, t0
    srli t0, s1, 8
    remu t0, t0, s3
    slli t0, t0, 4
    add t0, t0, s0
    ld a1, 0(t0)
    ld t1, 8(t0)
    srli t0, s1, 24
    and t1, t1, t0
    andi a0, s1, 3
    li t0, -1
    sll t0, t0, a0
    and t1, t1, t0
    add a1, a1, t1
    srli a2, s1, 40
    srli t0, s1, 5
    andi t0, t0, 1
    beqz t0, small
    mv a2, s1
small:
    andi a0, s1, 7
    slli a0, a0, 3
    la t0, jumps
    add t0, t0, a0
    jalr zero, 0(t0)
done:
    slli t0, s6, 3
    xor s6, s6, t0
    add s6, s6, a3
    addi s2, s2, -1
    bnez s2, next
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
end: j end
jumps:
    lbu a3, 0(a1); j done
    lhu a3, 0(a1); j done
    lwu a3, 0(a1); j done
    ld a3, 0(a1); j done
    sb a2, 0(a1); j done
    sh a2, 0(a1); j done
    sw a2, 0(a1); j done
    sd a2, 0(a1); j done
trap:
    csrr s7, mcause
    blt s7, zero, interrupt
    csrr s7, mepc
    addi s7, s7, 4
    csrw mepc, s7
    mret
interrupt:
    li s7, 0x0c200004
    lwu s8, 0(s7)
    sw s8, 0(s7)
    mret
table:
"""


def garbage_guest(
    *, accesses: int, seed: int = 0x1234_5678_9ABC_DEF1, regions: Sequence[tuple[int, int]] = REGIONS
) -> bytes:
    """Return a guest that makes so many accesses and then leaves with exit code 0."""
    table = "".join(f"    .dword {base}, {mask}\n" for base, mask in regions)
    return assemble(_TEXT.format(seed=seed, accesses=accesses, count=len(regions)) + table)
