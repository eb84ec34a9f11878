"""F and D of the reference interpreter, unprivileged spec chapters "F" and "D"."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.reference.csr import Csrs
from rrdbg_core.cpu.reference.rationals import DOUBLE, SINGLE, Float, Format
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.plain import M64, sext
from rrdbg_core.isa.table import Decoded

_BOX = 0xFFFF_FFFF_0000_0000
_FORMATS = {"s": SINGLE, "d": DOUBLE}
_INTEGERS = {
    "w": (-(1 << 31), (1 << 31) - 1),
    "wu": (0, (1 << 32) - 1),
    "l": (-(1 << 63), (1 << 63) - 1),
    "lu": (0, M64),
}


class Floating(Csrs):
    """Adds the f registers."""

    def _float_on(self) -> None:
        """Go on unless mstatus.FS is Off."""
        if not self._h[L.MSTATUS] & MSTATUS_FS:
            self._illegal()

    def _set_float(self, rd: int, value: int) -> None:
        h = self._h
        h[L.F + rd] = value
        h[L.MSTATUS] |= MSTATUS_FS

    def _float_value(self, register: int, form: Format) -> int:
        """Return a number in an f register."""
        value = self._h[L.F + register]
        if form is DOUBLE:
            return value
        return value & 0xFFFF_FFFF if value >= _BOX else SINGLE.nan

    def _float_op(self, decoded: Decoded) -> None:
        self._float_on()
        h = self._h
        name, *kinds = decoded.insn.name.split(".")
        rm = decoded.imm >> 12 & 7 if decoded.insn.fmt != "RF" else 0
        if rm == 7:
            rm = h[L.FCSR] >> 5
            if rm > 4:
                self._illegal()
        unit = Float(_FORMATS["d" if kinds[0] == "d" else "s"], rm)
        a, b = (self._float_value(register, unit.form) for register in (decoded.rs1, decoded.rs2))
        sign = unit.form.sign
        integer = "rd" not in decoded.insn.floats
        match name:
            case "fmadd" | "fmsub" | "fnmsub" | "fnmadd":
                c = self._float_value(decoded.imm >> 27, unit.form)
                value = unit.mul_add(
                    a ^ sign if name.startswith("fn") else a, b, c ^ sign if name in ("fmsub", "fnmadd") else c
                )
            case "fadd":
                value = unit.add(a, b)
            case "fsub":
                value = unit.add(a, b ^ sign)
            case "fmul":
                value = unit.mul(a, b)
            case "fdiv":
                value = unit.div(a, b)
            case "fsqrt":
                value = unit.sqrt(a)
            case "fmin" | "fmax":
                value = unit.extreme(a, b, greatest=name == "fmax")
            case "fle" | "flt" | "feq":
                value = unit.compare(a, b, name[1:])
            case "fclass":
                value = unit.classify(a)
            case _:
                value = self._convert(unit, kinds[0], kinds[1], decoded.rs1)
        if integer:
            h[decoded.rd or L.XD] = value & M64
        else:
            self._set_float(decoded.rd, value if unit.form is DOUBLE else value | _BOX)
        if unit.flags:
            h[L.FCSR] |= unit.flags
            h[L.MSTATUS] |= MSTATUS_FS

    def _convert(self, unit: Float, to: str, of: str, register: int) -> int:
        if to in _INTEGERS:
            unit.form = _FORMATS[of]
            low, high = _INTEGERS[to]
            value = unit.integer(self._float_value(register, unit.form), low, high)
            return sext(value, 32) if to.startswith("w") else value
        if of in _INTEGERS:
            value = self._h[register]
            if of.startswith("w"):
                value = sext(value, 32)
            low, high = _INTEGERS[of]
            value &= high if low == 0 else M64
            return unit.of_integer(value - (1 << 64) if low and value >> 63 else value)
        return unit.of_float(_FORMATS[of], self._float_value(register, _FORMATS[of]))
