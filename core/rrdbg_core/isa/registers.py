"""Names of the registers, by the RISC-V calling convention."""

from __future__ import annotations

ABI: tuple[str, ...] = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5"),
    *("a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"),
)
"""ABI name of x0 to x31."""

FLOAT_ABI: tuple[str, ...] = (
    *("ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5"),
    *("fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11"),
    *("ft8", "ft9", "ft10", "ft11"),
)
"""ABI name of f0 to f31."""

REGISTERS: dict[str, int] = {
    **{f"x{number}": number for number in range(32)},
    **{name: number for number, name in enumerate(ABI)},
    "fp": 8,
}
"""Every name of every integer register."""

FLOAT_REGISTERS: dict[str, int] = {
    **{f"f{number}": number for number in range(32)},
    **{name: number for number, name in enumerate(FLOAT_ABI)},
}
"""Every name of every f register."""

DWARF_NUMBERS: dict[str, int] = REGISTERS | {name: 32 + number for name, number in FLOAT_REGISTERS.items()}
"""Number of every register as debug information has it (RISC-V DWARF specification): x0 to x31, then f0 to f31."""
DWARF_NAMES: tuple[str, ...] = ABI + FLOAT_ABI
"""ABI name by that number."""
