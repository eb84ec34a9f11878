"""A, unprivileged spec "Atomic Instructions": each is one helper, told apart by funct5."""

from __future__ import annotations

from collections.abc import Callable

from rrdbg_core.isa.expr import Ex, lts, ltu, select
from rrdbg_core.isa.rows import helper

AMO: dict[str, Callable[[Ex, Ex], Ex]] = {
    "amoswap": lambda old, operand: operand,
    "amoadd": lambda old, operand: old + operand,
    "amoxor": lambda old, operand: old ^ operand,
    "amoand": lambda old, operand: old & operand,
    "amoor": lambda old, operand: old | operand,
    "amomin": lambda old, operand: select(lts(operand, old), operand, old),
    "amomax": lambda old, operand: select(lts(old, operand), operand, old),
    "amominu": lambda old, operand: select(ltu(operand, old), operand, old),
    "amomaxu": lambda old, operand: select(ltu(old, operand), operand, old),
}
"""What an AMO writes, out of the old word and rs2, both sign-extended to 64 bits: that keeps their unsigned order."""

for _width, _funct3 in (("w", "010"), ("d", "011")):
    helper(f"lr.{_width}", "A", "AMO", f"00010.. 00000 ..... {_funct3} ..... 0101111", "lr")
    helper(f"sc.{_width}", "A", "AMO", f"00011.. ..... ..... {_funct3} ..... 0101111", "sc")
    for _name, _funct5 in (
        ("swap", "00001"),
        ("add", "00000"),
        ("xor", "00100"),
        ("and", "01100"),
        ("or", "01000"),
        ("min", "10000"),
        ("max", "10100"),
        ("minu", "11000"),
        ("maxu", "11100"),
    ):
        helper(f"amo{_name}.{_width}", "A", "AMO", f"{_funct5}.. ..... ..... {_funct3} ..... 0101111", "amo")
