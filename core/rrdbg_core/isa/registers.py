"""Names of the integer registers, by the RISC-V calling convention."""

from __future__ import annotations

ABI: tuple[str, ...] = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5"),
    *("a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"),
)
"""ABI name of x0 to x31."""

REGISTERS: dict[str, int] = {
    **{f"x{number}": number for number in range(32)},
    **{name: number for number, name in enumerate(ABI)},
    "fp": 8,
}
"""Every name of every integer register."""
