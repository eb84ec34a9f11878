"""A, unprivileged spec "Atomic Instructions": each is one helper, told apart by funct5."""

from __future__ import annotations

from rrdbg_core.isa.rows import helper

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
