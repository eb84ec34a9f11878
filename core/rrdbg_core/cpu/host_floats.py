"""Arithmetic of F and D by the host's own, as LLVM IR, wherever it is sure to be the same.

The host computes rounded to nearest, as it is set up; nobody changes that. Where operands and result lie well inside
the normal numbers, the only exception there can be is NX, and integers tell whether it is raised:

    a + b    the rounding error, which the host can compute exactly (TwoSum)
    a * b    the bits of the product of the significands that are cut off
    a / b    whether quotient times divisor is the dividend; its lowest 64 bits tell, as the rest is known
    sqrt     likewise
    a*b + c  nobody: the host does it only where NX is raised already, which is nearly always

Everything else (other modes, zeros, subnormal numbers, infinities, NaNs, FS that is not Dirty yet) is left to
native/floats.py. What the host does to subnormal numbers and to NaNs, which modes of its unit decide, is never seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from rrdbg_core.cpu.emitter import Emitter

BINARY = {"fadd": "fadd", "fsub": "fadd", "fmul": "fmul", "fdiv": "fdiv"}
FUSED = ("fmadd", "fmsub", "fnmsub", "fnmadd")
COMPARISONS = ("fle", "flt", "feq")
DONE_BY_HOST = frozenset(f"{name}.{letter}" for name in (*BINARY, *FUSED, *COMPARISONS, "fsqrt") for letter in "sd")
"""Instructions that have something here."""


@dataclass(frozen=True, slots=True)
class _Format:
    kind: str
    """LLVM's type."""
    places: int
    """Bits of the fraction."""
    bias: int
    """Of the exponent."""
    low: int
    """Least exponent field that is well inside: the last place of such a number is a normal number, too."""
    span: int
    """Number of exponent fields that are."""

    @property
    def sign(self) -> int:
        return 1 << self.places + self.bias.bit_length() + 1


_FORMATS = {"s": _Format("float", 23, 127, 32, 190), "d": _Format("double", 52, 1023, 64, 1900)}
_BOX = 0xFFFF_FFFF << 32


class HostFloat:
    """The fast part of a handler: emits, and leaves for `slow` where the host must not be asked.

    Args:
        f: Where it is emitted.
        name: The instruction.
        slow: Label of what to do else.
    """

    def __init__(self, f: Emitter, name: str, slow: str) -> None:
        self.f = f
        self.stem, _, letter = name.partition(".")
        self.form = _FORMATS[letter]
        self.wide = letter == "d"
        self.slow = slow

    def need(self, condition: str) -> None:
        """Go on if a condition holds."""
        on = self.f.fresh("on")
        self.f.do(f"br i1 {condition}, label %{on}, label %{self.slow}, !prof !1")
        self.f.label(on)

    def rounds_to_nearest(self, fcsr: str) -> None:
        """Go on if that is the rounding mode of the instruction."""
        f = self.f
        rm = f.let(f"and i64 {f.let('lshr i64 %w, 44')}, 7")
        frm = f.let(f"lshr i64 {fcsr}, 5")
        mode = f.let(f"select i1 {f.let(f'icmp eq i64 {rm}, 7')}, i64 {frm}, i64 {rm}")
        self.need(f.let(f"icmp eq i64 {mode}, 0"))

    def well_inside(self, *values: str, positive: bool = False) -> None:
        """Go on if numbers, singles with their box, are well inside the normal ones."""
        f, form = self.f, self.form
        found = []
        for value in values:
            size = value if positive else f.let(f"and i64 {value}, {_signed(~form.sign)}")
            least = form.low << form.places | (0 if self.wide else _BOX)
            place = f.let(f"sub i64 {size}, {_signed(least)}")
            found.append(f.let(f"icmp ult i64 {place}, {form.span << form.places}"))
        for other in found[1:]:
            found[0] = f.let(f"and i1 {found[0]}, {other}")
        self.need(found[0])

    def number(self, value: str) -> str:
        """Return the bits of a number as one of the host's."""
        if self.wide:
            return self.f.let(f"bitcast i64 {value} to double")
        return self.f.let(f"bitcast i32 {self.f.let(f'trunc i64 {value} to i32')} to float")

    def bits(self, number: str) -> str:
        """Return a number of the host's as an f register holds it."""
        if self.wide:
            return self.f.let(f"bitcast double {number} to i64")
        word = self.f.let(f"zext i32 {self.f.let(f'bitcast float {number} to i32')} to i64")
        return self.f.let(f"or i64 {word}, {_signed(_BOX)}")

    def exponent(self, value: str) -> str:
        """Return the exponent field."""
        f = self.f
        return f.let(f"and i64 {f.let(f'lshr i64 {value}, {self.form.places}')}, {2 * self.form.bias + 1}")

    def significand(self, value: str) -> str:
        """Return the significand of a normal number as an integer."""
        f, hidden = self.f, 1 << self.form.places
        return f.let(f"or i64 {f.let(f'and i64 {value}, {hidden - 1}')}, {hidden}")

    def negative(self, value: str) -> str:
        """Return a number with the other sign."""
        return self.f.let(f"xor i64 {value}, {_signed(self.form.sign)}")

    def arithmetic(self, fcsr: str, a: str, b: str, c: str) -> tuple[str, str]:
        """Return the result of operands, and fcsr with what it raises."""
        f, kind = self.f, self.form.kind
        self.rounds_to_nearest(fcsr)
        if self.stem in FUSED:
            self.need(f.let(f"trunc i64 {fcsr} to i1"))
            self.well_inside(a, b, c)
            a = self.negative(a) if self.stem.startswith("fn") else a
            c = self.negative(c) if self.stem in ("fmsub", "fnmadd") else c
            x, y, z = (self.number(value) for value in (a, b, c))
            bits = "f64" if self.wide else "f32"
            result = self.bits(f.let(f"call {kind} @llvm.fma.{bits}({kind} {x}, {kind} {y}, {kind} {z})"))
            self.well_inside(result)
            return result, fcsr
        if self.stem == "fsqrt":
            self.well_inside(a, positive=True)
            bits = "f64" if self.wide else "f32"
            result = self.bits(f.let(f"call {kind} @llvm.sqrt.{bits}({kind} {self.number(a)})"))
            return result, self._raised(fcsr, self._is_no_quotient(a, result, result))
        self.well_inside(a, b)
        if self.stem == "fsub":
            b = self.negative(b)
        x, y = self.number(a), self.number(b)
        number = f.let(f"{BINARY[self.stem]} {kind} {x}, {y}")
        result = self.bits(number)
        self.well_inside(result)
        if self.stem in ("fadd", "fsub"):
            inexact = self._error_of_sum(x, y, number)
        elif self.stem == "fmul":
            inexact = self._is_cut(a, b, result)
        else:
            inexact = self._is_no_quotient(a, result, b)
        return result, self._raised(fcsr, inexact)

    def _raised(self, fcsr: str, inexact: str) -> str:
        return self.f.let(f"or i64 {fcsr}, {self.f.let(f'zext i1 {inexact} to i64')}")

    def _error_of_sum(self, x: str, y: str, total: str) -> str:
        f, kind = self.f, self.form.kind
        of_y = f.let(f"fsub {kind} {total}, {x}")
        of_x = f.let(f"fsub {kind} {total}, {of_y}")
        lost_x, lost_y = f.let(f"fsub {kind} {x}, {of_x}"), f.let(f"fsub {kind} {y}, {of_y}")
        return f.let(f"fcmp une {kind} {f.let(f'fadd {kind} {lost_x}, {lost_y}')}, 0.0")

    def _is_cut(self, a: str, b: str, result: str) -> str:
        f, form = self.f, self.form
        product = f.let(f"mul i64 {self.significand(a)}, {self.significand(b)}")
        exponents = f.let(f"add i64 {self.exponent(a)}, {self.exponent(b)}")
        # one bit more is cut where the product has one more
        more = f.let(f"sub i64 {f.let(f'add i64 {self.exponent(result)}, {form.bias}')}, {exponents}")
        rest = f.let(f"shl i64 {product}, {f.let(f'sub i64 {64 - form.places}, {more}')}")
        return f.let(f"icmp ne i64 {rest}, 0")

    def _is_no_quotient(self, a: str, quotient: str, b: str) -> str:
        f, form = self.f, self.form
        product = f.let(f"mul i64 {self.significand(quotient)}, {self.significand(b)}")
        exponents = f.let(f"add i64 {self.exponent(quotient)}, {self.exponent(b)}")
        shift = f.let(f"sub i64 {f.let(f'add i64 {self.exponent(a)}, {form.bias + form.places}')}, {exponents}")
        return f.let(f"icmp ne i64 {f.let(f'shl i64 {self.significand(a)}, {shift}')}, {product}")

    def comparison(self, a: str, b: str) -> str:
        """Return 0 or 1; both are numbers in their box, or it is left."""
        f, form = self.f, self.form
        fit, keys = [], []
        for value in (a, b):
            if not self.wide:
                fit.append(f.let(f"icmp uge i64 {value}, {_signed(_BOX)}"))
                value = f.let(f"sext i32 {f.let(f'trunc i64 {value} to i32')} to i64")
            size = f.let(f"and i64 {value}, {form.sign - 1}")
            fit.append(f.let(f"icmp ule i64 {size}, {(2 * form.bias + 1) << form.places}"))
            minus = f.let(f"icmp slt i64 {value}, 0")
            keys.append(f.let(f"select i1 {minus}, i64 {f.let(f'sub i64 0, {size}')}, i64 {size}"))
        for other in fit[1:]:
            fit[0] = f.let(f"and i1 {fit[0]}, {other}")
        self.need(fit[0])
        relation = {"fle": "sle", "flt": "slt", "feq": "eq"}[self.stem]
        return f.let(f"zext i1 {f.let(f'icmp {relation} i64 {keys[0]}, {keys[1]}')} to i64")


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


DECLARATIONS = """
declare double @llvm.fma.f64(double, double, double)
declare float @llvm.fma.f32(float, float, float)
declare double @llvm.sqrt.f64(double)
declare float @llvm.sqrt.f32(float)
"""


def host_has_fma() -> bool:
    """Return whether LLVM makes one instruction of a fused operation here; else it would be a call of a function."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return bool(features.get("fma") or features.get("neon"))
