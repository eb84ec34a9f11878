"""Floating types of the guest: float, double and the 128-bit long double, exactly."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction

_MANTISSA = {2: 10, 4: 23, 8: 52, 16: 112}
"""Bits of the mantissa that are stored, by the size in bytes (IEEE 754 binary16 to binary128)."""
SIZES = (2, 4, 8, 16)

Real = Fraction | float
"""A number: exact when it is finite, else a float that is infinite or no number."""


def _layout(size: int) -> tuple[int, int]:
    mantissa = _MANTISSA[size]
    return mantissa, 8 * size - 1 - mantissa


def decode(data: bytes) -> Real:
    """Return the number that bytes mean; a negative zero is the float -0.0."""
    mantissa, exponent = _layout(len(data))
    bits = int.from_bytes(data, "little")
    sign = -1 if bits >> (mantissa + exponent) else 1
    power = bits >> mantissa & ((1 << exponent) - 1)
    low = bits & ((1 << mantissa) - 1)
    bias = (1 << (exponent - 1)) - 1
    if power == (1 << exponent) - 1:
        return math.nan if low else sign * math.inf
    if power == 0 and low == 0:
        return -0.0 if sign < 0 else Fraction(0)
    whole, power = (low, 1) if power == 0 else (low | 1 << mantissa, power)
    shift = power - bias - mantissa
    return sign * Fraction(whole << shift if shift >= 0 else whole, 1 if shift >= 0 else 1 << -shift)


def encode(value: Real | int, size: int) -> bytes:
    """Return the bytes of the nearest number, ties to even."""
    mantissa, exponent = _layout(size)
    top = (1 << exponent) - 1
    bias = (1 << (exponent - 1)) - 1
    if isinstance(value, float) and not math.isfinite(value):
        low = 1 << (mantissa - 1) if math.isnan(value) else 0
        sign = int(math.copysign(1.0, value) < 0)
        return (sign << (mantissa + exponent) | top << mantissa | low).to_bytes(size, "little")
    sign = int(value < 0 or (isinstance(value, float) and math.copysign(1.0, value) < 0))
    exact = abs(Fraction(value))
    bits = 0
    if exact:
        power = exact.numerator.bit_length() - exact.denominator.bit_length()
        if Fraction(2) ** power > exact:
            power -= 1
        power = max(power, 1 - bias)
        whole = round(exact / Fraction(2) ** (power - mantissa))  # round() ties to even
        # a subnormal has no leading bit; a carry out of the mantissa goes into the exponent by itself
        bits = whole + (power + bias - 1 << mantissa)
        bits = min(bits, top << mantissa)
    return (sign << (mantissa + exponent) | bits).to_bytes(size, "little")


def parse(text: str) -> Real:
    """Return the number that a constant's digits mean."""
    value = Decimal(text)
    # a constant with an absurd exponent is infinite, or nothing
    if value and value.adjusted() > 5000:
        return math.inf
    if value and value.adjusted() < -5100:
        return Fraction(0)
    return Fraction(value)


def whole(data: bytes) -> int:
    """Return a number without its fraction, as 64 bits can hold it; what is no number is the largest one."""
    value = decode(data)
    if isinstance(value, float) and not math.isfinite(value):
        return -(1 << 63) if value < 0 else (1 << 63) - 1
    return max(-(1 << 63), min(int(value), (1 << 63) - 1))


def text(data: bytes) -> str:
    """Return a number as gdb prints it: as many digits as tell it from its neighbours."""
    mantissa, _ = _layout(len(data))
    value = decode(data)
    bits = int.from_bytes(data, "little")
    minus = "-" if bits >> (8 * len(data) - 1) else ""
    if isinstance(value, float):
        if math.isnan(value):
            return f"{minus}nan({bits & ((1 << mantissa) - 1):#x})"
        return f"{minus}inf" if math.isinf(value) else "-0"
    digits = int(2 + (mantissa + 1) * 0.30103)
    return general(value, digits)


def general(value: Fraction, digits: int) -> str:
    """Return a finite number as C's `%.*g` does."""
    if value == 0:
        return "0"
    context = Context(prec=digits, Emax=99999, Emin=-99999)
    rounded = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    # dividing rounds each operand to nothing: Decimal() is exact, the quotient is rounded once, half to even
    power = rounded.adjusted()
    sign, figures = ("-" if rounded < 0 else ""), "".join(map(str, rounded.as_tuple().digits)).rstrip("0")
    if -4 <= power < digits:
        if power < 0:
            return f"{sign}0.{'0' * (-power - 1)}{figures}"
        figures = figures.ljust(power + 1, "0")
        rest = figures[power + 1 :]
        return f"{sign}{figures[: power + 1]}{'.' + rest if rest else ''}"
    rest = figures[1:]
    return f"{sign}{figures[0]}{'.' + rest if rest else ''}e{'+' if power >= 0 else '-'}{abs(power):02d}"
