"""Floating point as IEEE 754 defines it: the exact result, a rational number, rounded once.

Slow, and easy to check by eye. It shares nothing with cpu/native/floats.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
RNE, RTZ, RDN, RUP, RMM = range(5)


@dataclass(frozen=True, slots=True)
class Format:
    """A format of IEEE 754."""

    bits: int
    """Of all of it."""
    precision: int
    """Bits of a significand, the hidden one included."""

    @property
    def bias(self) -> int:
        """What is added to exponents; the greatest one, too."""
        return (1 << self.bits - self.precision - 1) - 1

    @property
    def infinity(self) -> int:
        """The positive one."""
        return (2 * self.bias + 1) << self.precision - 1

    @property
    def nan(self) -> int:
        """The canonical one."""
        return self.infinity | 1 << self.precision - 2

    @property
    def sign(self) -> int:
        """The bit."""
        return 1 << self.bits - 1

    def is_nan(self, a: int) -> bool:
        """Return True for a NaN."""
        return a & self.sign - 1 > self.infinity

    def is_signalling(self, a: int) -> bool:
        """Return True for a signalling NaN."""
        return self.is_nan(a) and not a >> self.precision - 2 & 1

    def is_infinite(self, a: int) -> bool:
        """Return True for an infinity."""
        return a & self.sign - 1 == self.infinity

    def value(self, a: int) -> Fraction:
        """Return the value of a finite number."""
        field, fraction = a >> self.precision - 1 & 2 * self.bias + 1, a & (1 << self.precision - 1) - 1
        whole = fraction | (1 << self.precision - 1 if field else 0)
        value = Fraction(whole) * Fraction(2) ** (max(field, 1) - self.bias - self.precision + 1)
        return -value if a & self.sign else value


SINGLE, DOUBLE = Format(32, 24), Format(64, 53)


def to_integer(value: Fraction, rm: int) -> int:
    """Return an integer next to a value, in a rounding mode."""
    floor = value.numerator // value.denominator
    rest = value - floor
    if rest == 0 or rm == RDN:
        return floor
    match rm:
        case 2 | 3:
            return floor + 1
        case 1:
            return floor if value > 0 else floor + 1
    if rest == Fraction(1, 2):
        return floor + (floor & 1 if rm == RNE else value > 0)
    return floor + (rest > Fraction(1, 2))


class Float:
    """Operations in one format and rounding mode; what they raise is gathered in `flags`.

    Args:
        form: The format.
        rm: The rounding mode.
    """

    def __init__(self, form: Format, rm: int) -> None:
        self.form = form
        self.rm = rm
        self.flags = 0

    def rounded(self, value: Fraction) -> int:
        """Return the number nearest to a value that is not zero."""
        form, rm, sign = self.form, self.rm, value < 0
        size = abs(value)
        exponent = size.numerator.bit_length() - size.denominator.bit_length()
        exponent -= size < Fraction(2) ** exponent
        lowest = 1 - form.bias

        def at(exponent: int) -> Fraction:
            place = Fraction(2) ** (exponent - form.precision + 1)
            return to_integer(value / place, rm) * place

        result = at(max(exponent, lowest))
        if abs(result) >= Fraction(2) ** (form.bias + 1):
            self.flags |= OF | NX
            stays = rm == RTZ or (rm == RDN and not sign) or (rm == RUP and sign)
            return form.infinity - stays | sign * form.sign
        if result != value:
            # tiny is what would be below the normal numbers with as many bits as these have
            self.flags |= NX | (UF if abs(at(exponent)) < Fraction(2) ** lowest else 0)
        size = abs(result)
        exponent = size.numerator.bit_length() - size.denominator.bit_length() if size else lowest
        exponent = max(exponent - (size < Fraction(2) ** exponent), lowest)
        whole = size / Fraction(2) ** (exponent - form.precision + 1)
        assert whole.denominator == 1
        return int(sign) * form.sign | (exponent - lowest << form.precision - 1) + whole.numerator

    def invalid(self) -> int:
        """Raise NV, and return the canonical NaN."""
        self.flags |= NV
        return self.form.nan

    def nan_of(self, *operands: int) -> int | None:
        """Return what comes of operands if one is a NaN, else None."""
        if any(map(self.form.is_signalling, operands)):
            self.flags |= NV
        return self.form.nan if any(map(self.form.is_nan, operands)) else None

    def exact(self, value: Fraction, *, negative_zero: bool) -> int:
        """Return a value rounded; its sign, if it is zero, is said."""
        return self.rounded(value) if value else self.form.sign * negative_zero

    def mul_add(self, a: int, b: int, c: int) -> int:
        """Return a * b + c."""
        form = self.form
        sign = (a ^ b) & form.sign
        zero_times_infinity = any(form.is_infinite(x) and not y & form.sign - 1 for x, y in ((a, b), (b, a)))
        nan = self.nan_of(a, b, c)
        if zero_times_infinity:
            return self.invalid()
        if nan is not None:
            return nan
        if form.is_infinite(a) or form.is_infinite(b):
            return self.invalid() if form.is_infinite(c) and c & form.sign != sign else form.infinity | sign
        if form.is_infinite(c):
            return c
        product, addend = form.value(a) * form.value(b), form.value(c)
        if not product and not addend and c & form.sign == sign:
            return c
        return self.exact(product + addend, negative_zero=self.rm == RDN)

    def add(self, a: int, b: int) -> int:
        """Return a + b."""
        return self.mul_add(self.form.bias << self.form.precision - 1, a, b)

    def mul(self, a: int, b: int) -> int:
        """Return a * b."""
        form = self.form
        sign = (a ^ b) & form.sign
        nan = self.nan_of(a, b)
        if nan is not None:
            return nan
        if form.is_infinite(a) or form.is_infinite(b):
            return self.invalid() if not a & form.sign - 1 or not b & form.sign - 1 else form.infinity | sign
        return self.exact(form.value(a) * form.value(b), negative_zero=bool(sign))

    def div(self, a: int, b: int) -> int:
        """Return a / b."""
        form = self.form
        sign = (a ^ b) & form.sign
        nan = self.nan_of(a, b)
        if nan is not None:
            return nan
        if form.is_infinite(a):
            return self.invalid() if form.is_infinite(b) else form.infinity | sign
        if form.is_infinite(b):
            return sign
        if not form.value(b):
            if not form.value(a):
                return self.invalid()
            self.flags |= DZ
            return form.infinity | sign
        return self.exact(form.value(a) / form.value(b), negative_zero=bool(sign))

    def sqrt(self, a: int) -> int:
        """Return the square root."""
        form = self.form
        nan = self.nan_of(a)
        if nan is not None:
            return nan
        if not a & form.sign - 1 or a == form.infinity:
            return a
        if a & form.sign:
            return self.invalid()
        # where the root goes on behind all places that matter, half of the last one stands for the rest
        scaled = form.value(a) * (1 << 2 * 700)
        assert scaled.denominator == 1
        root = isqrt(scaled.numerator)
        inexact = root * root != scaled.numerator
        return self.rounded((root + Fraction(int(inexact), 2)) / (1 << 700))

    def of_float(self, other: Format, a: int) -> int:
        """Return a number of another format."""
        sign = self.form.sign if a & other.sign else 0
        if other.is_nan(a):
            return self.invalid() if other.is_signalling(a) else self.form.nan
        if other.is_infinite(a):
            return self.form.infinity | sign
        return self.exact(other.value(a), negative_zero=bool(sign))

    def of_integer(self, value: int) -> int:
        """Return an integer as a number."""
        return self.exact(Fraction(value), negative_zero=False)

    def integer(self, a: int, low: int, high: int) -> int:
        """Return a number as an integer from `low` to `high`, the nearest that there is."""
        form = self.form
        if form.is_nan(a) or form.is_infinite(a):
            self.flags |= NV
            return low if form.is_infinite(a) and a & form.sign else high
        value = form.value(a)
        whole = to_integer(value, self.rm)
        if not low <= whole <= high:
            self.flags |= NV
            return low if value < 0 else high
        self.flags |= NX if whole != value else 0
        return whole

    def compare(self, a: int, b: int, relation: str) -> int:
        """Return whether a `relation` b holds: le, lt or eq."""
        form = self.form
        if relation != "eq" and (form.is_nan(a) or form.is_nan(b)):
            self.flags |= NV
        if self.nan_of(a, b) is not None:
            return 0
        x, y = self._order(a), self._order(b)
        return int(x == y or (relation == "le" and x < y)) if relation != "lt" else int(x < y)

    def _order(self, a: int) -> int:
        size = a & self.form.sign - 1
        return -size if a & self.form.sign else size

    def extreme(self, a: int, b: int, *, greatest: bool) -> int:
        """Return the lesser or the greater of two numbers; -0 is less than +0."""
        form = self.form
        nan = self.nan_of(a, b)
        if form.is_nan(a) or form.is_nan(b):
            assert nan is not None
            return b if not form.is_nan(b) else a if not form.is_nan(a) else nan
        low, high = sorted((a, b), key=lambda x: (self._order(x), not x & form.sign))
        return high if greatest else low

    def classify(self, a: int) -> int:
        """Return the bit of fclass."""
        form = self.form
        if form.is_nan(a):
            return 1 << (8 if form.is_signalling(a) else 9)
        size = a & form.sign - 1
        kind = 0 if size == form.infinity else 3 if size == 0 else 2 if size < 1 << form.precision - 1 else 1
        return 1 << (kind if a & form.sign else 7 - kind)
