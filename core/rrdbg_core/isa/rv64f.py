"""F and D, unprivileged spec chapters "F" and "D": single and double precision, each row written once for both.

A single lies in the low half of an f register, the upper half all ones ("NaN boxing"). Whatever is more than moving
bits is one helper, which knows the instruction by its bits.
"""

from __future__ import annotations

from collections.abc import Callable

from rrdbg_core.isa.expr import Effect, Ex, FloatLoad, FloatStore, SetFrd, SetRd, eq, lift, select, sext32, zext32
from rrdbg_core.isa.rows import helper, insn

_ALL = ("rd", "rs1", "rs2", "rs3")
_NAN = 0x7FC0_0000
_SIGN = 1 << 31


def box(value: Ex) -> Ex:
    """Return a single as an f register holds it."""
    return value | lift(0xFFFF_FFFF_0000_0000)


def unbox(register: Ex) -> Ex:
    """Return the single in an f register: the canonical NaN if there is none."""
    return select(eq(register >> 32, 0xFFFF_FFFF), zext32(register), lift(_NAN))


insn("flw", "F", "I", "....... ..... ..... 010 ..... 0000111", floats=("rd",))(lambda rs1, imm: FloatLoad(rs1 + imm, 4))
insn("fld", "D", "I", "....... ..... ..... 011 ..... 0000111", floats=("rd",))(lambda rs1, imm: FloatLoad(rs1 + imm, 8))
insn("fsw", "F", "S", "....... ..... ..... 010 ..... 0100111", floats=("rs2",))(
    lambda rs1, fs2, imm: FloatStore(rs1 + imm, 4, fs2)
)
insn("fsd", "D", "S", "....... ..... ..... 011 ..... 0100111", floats=("rs2",))(
    lambda rs1, fs2, imm: FloatStore(rs1 + imm, 8, fs2)
)

insn("fmv.x.w", "F", "R", "1110000 00000 ..... 000 ..... 1010011", floats=("rs1",))(lambda fs1: SetRd(sext32(fs1)))
insn("fmv.w.x", "F", "R", "1111000 00000 ..... 000 ..... 1010011", floats=("rd",))(lambda rs1: SetFrd(box(zext32(rs1))))
insn("fmv.x.d", "D", "R", "1110001 00000 ..... 000 ..... 1010011", floats=("rs1",))(lambda fs1: SetRd(fs1))
insn("fmv.d.x", "D", "R", "1111001 00000 ..... 000 ..... 1010011", floats=("rd",))(lambda rs1: SetFrd(rs1))

_SIGNS: dict[str, Callable[[Ex, Ex], Ex]] = {
    "fsgnj": lambda a, b: b,
    "fsgnjn": lambda a, b: ~b,
    "fsgnjx": lambda a, b: a ^ b,
}
"""Where each takes the sign of its result from."""


def _sign_injection(sign: Callable[[Ex, Ex], Ex], *, wide: bool) -> Callable[[Ex, Ex], Effect]:
    bit = 1 << 63 if wide else _SIGN

    def row(fs1: Ex, fs2: Ex) -> Effect:
        if wide:
            return SetFrd(fs1 & bit - 1 | sign(fs1, fs2) & bit)
        a, b = unbox(fs1), unbox(fs2)
        return SetFrd(box(a & bit - 1 | sign(a, b) & bit))

    return row


for _number, (_name, _sign) in enumerate(_SIGNS.items()):
    for _format, _letter in enumerate("sd"):
        _pattern = f"001000{_format} ..... ..... {_number:03b} ..... 1010011"
        insn(f"{_name}.{_letter}", "FD"[_format], "R", _pattern, floats=("rd", "rs1", "rs2"))(
            _sign_injection(_sign, wide=bool(_format))
        )

_WITH_MODE = {"fadd": "00000", "fsub": "00001", "fmul": "00010", "fdiv": "00011"}
_FUSED = {"fmadd": "1000011", "fmsub": "1000111", "fnmsub": "1001011", "fnmadd": "1001111"}
_EXTREMES = {"fmin": "000", "fmax": "001"}
_COMPARISONS = {"fle": "000", "flt": "001", "feq": "010"}
_INTEGERS = {"w": "00000", "wu": "00001", "l": "00010", "lu": "00011"}

for _format, _letter in enumerate("sd"):
    _ext = "FD"[_format]

    def _row(name: str, fmt: str, pattern: str, floats: tuple[str, ...], ext: str = _ext) -> None:
        helper(name, ext, fmt, pattern, "float_op", floats=floats)

    for _name, _opcode in _FUSED.items():
        _row(f"{_name}.{_letter}", "R4", f".....0{_format} ..... ..... ... ..... {_opcode}", _ALL)
    for _name, _funct5 in _WITH_MODE.items():
        _row(f"{_name}.{_letter}", "RM", f"{_funct5}0{_format} ..... ..... ... ..... 1010011", _ALL)
    _row(f"fsqrt.{_letter}", "RM", f"010110{_format} 00000 ..... ... ..... 1010011", _ALL)
    for _name, _funct3 in _EXTREMES.items():
        _row(f"{_name}.{_letter}", "RF", f"001010{_format} ..... ..... {_funct3} ..... 1010011", _ALL)
    for _name, _funct3 in _COMPARISONS.items():
        _row(f"{_name}.{_letter}", "RF", f"101000{_format} ..... ..... {_funct3} ..... 1010011", ("rs1", "rs2"))
    _row(f"fclass.{_letter}", "RF", f"111000{_format} 00000 ..... 001 ..... 1010011", ("rs1",))
    for _name, _kind in _INTEGERS.items():
        _row(f"fcvt.{_name}.{_letter}", "RM", f"110000{_format} {_kind} ..... ... ..... 1010011", ("rs1",))
        _row(f"fcvt.{_letter}.{_name}", "RM", f"110100{_format} {_kind} ..... ... ..... 1010011", ("rd",))
    _row(
        "fcvt.d.s" if _format else "fcvt.s.d",
        "RM",
        f"010000{_format} 0000{1 - _format} ..... ... ..... 1010011",
        ("rd", "rs1"),
        "D",
    )
