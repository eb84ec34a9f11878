"""Floating point in integers: IEEE 754 as chapters "F" and "D" of the unprivileged spec want it, bit by bit.

`wide` is 1 for double precision, 0 for single; a single's bits are the low half of a word, the other half is zero.
Between unpacking and rounding a number is a sign, a significand with its leading one in bit 63, and the exponent of
that bit in two's complement; what is lost on the way is remembered in bit 0 ("jammed"), far below the last place of a
double. What an operation raises goes into FLOAT_RAISED. Tininess is detected after rounding, and every NaN that comes
out is the canonical one.
"""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import clz, high_half, lts, quotient, sar, sext32
from rrdbg_core.cpu.native.names import DZ, NV, NX, OF, RDN, RMM, RNE, RTZ, RUP, UF, U
from rrdbg_core.cpu.pipeline import njit


@njit
def fraction_bits(wide):
    """Return the number of bits of the fraction."""
    return U(52) if wide != U(0) else U(23)


@njit
def sign_place(wide):
    """Return the place of the sign."""
    return U(63) if wide != U(0) else U(31)


@njit
def top_exponent(wide):
    """Return the exponent field of infinities and NaNs."""
    return U(2047) if wide != U(0) else U(255)


@njit
def sign_of(wide, a):
    """Return the sign: 0 or 1."""
    return a >> sign_place(wide)


@njit
def exponent_field(wide, a):
    """Return the biased exponent."""
    return (a >> fraction_bits(wide)) & top_exponent(wide)


@njit
def fraction_of(wide, a):
    """Return the fraction."""
    return a & ((U(1) << fraction_bits(wide)) - U(1))


@njit
def is_nan(wide, a):
    """Return True for a NaN."""
    return exponent_field(wide, a) == top_exponent(wide) and fraction_of(wide, a) != U(0)


@njit
def is_signalling(wide, a):
    """Return True for a signalling NaN."""
    return is_nan(wide, a) and (a >> (fraction_bits(wide) - U(1))) & U(1) == U(0)


@njit
def is_infinite(wide, a):
    """Return True for an infinity."""
    return exponent_field(wide, a) == top_exponent(wide) and fraction_of(wide, a) == U(0)


@njit
def is_zero(wide, a):
    """Return True for a zero."""
    return a & ((U(1) << sign_place(wide)) - U(1)) == U(0)


@njit
def canonical_nan(wide):
    """Return the NaN that operations give."""
    return U(0x7FF8000000000000) if wide != U(0) else U(0x7FC00000)


@njit
def infinity(wide, sign):
    """Return an infinity."""
    return sign << sign_place(wide) | top_exponent(wide) << fraction_bits(wide)


@njit
def zero_of_difference(wide, rm):
    """Return the zero that the difference of equal numbers is."""
    return U(1) << sign_place(wide) if rm == RDN else U(0)


@njit
def whole_significand(wide, a):
    """Return the significand of a finite number as an integer, its hidden bit included."""
    hidden = U(1) if exponent_field(wide, a) != U(0) else U(0)
    return fraction_of(wide, a) | hidden << fraction_bits(wide)


@njit
def significand(wide, a):
    """Return the significand of a finite number that is not zero, its leading one in bit 63."""
    whole = whole_significand(wide, a)
    return whole << clz(whole)


@njit
def scale(wide, a):
    """Return the exponent of the leading one of a finite number that is not zero."""
    field = exponent_field(wide, a)
    if field == U(0):
        field = U(1)
    last_place = field - (U(1075) if wide != U(0) else U(150))
    return last_place + U(63) - clz(whole_significand(wide, a))


@njit
def jammed(value, count):
    """Return a word shifted right, bit 0 telling whether a one was lost."""
    if count == U(0):
        return value
    if count > U(63):
        return U(1) if value != U(0) else U(0)
    return value >> count | (U(1) if value << (U(64) - count) != U(0) else U(0))


@njit
def rounds_up(rm, sign, odd, rest, half):
    """Return True if a magnitude whose last place is `odd`, and that is cut by `rest`, is rounded away from zero."""
    if rm == RNE:
        return rest > half or (rest == half and odd != U(0))
    if rm == RMM:
        return rest >= half
    if rm == RDN:
        return sign != U(0) and rest != U(0)
    if rm == RUP:
        return sign == U(0) and rest != U(0)
    return False


@njit
def rounded(h, wide, rm, sign, exponent, whole):
    """Return the number that is nearest in the rounding mode: `whole` has its leading one in bit 63."""
    places = fraction_bits(wide)
    cut = U(63) - places
    half = U(1) << (cut - U(1))
    below = (half << U(1)) - U(1)
    lowest = U(0) - (U(1022) if wide != U(0) else U(126))
    field = exponent - lowest  # one less than what is stored: the hidden bit adds it
    tiny = False
    if lts(exponent, lowest) != U(0):
        tiny = True
        if exponent + U(1) == lowest:
            # with more room for the exponent it might have become the lowest normal number
            kept = whole >> cut
            fills = kept + U(1) == U(2) << places
            tiny = not (fills and rounds_up(rm, sign, kept & U(1), whole & below, half))
        whole = jammed(whole, lowest - exponent)
        field = U(0)
    rest = whole & below
    kept = whole >> cut
    if rounds_up(rm, sign, kept & U(1), rest, half):
        kept += U(1)
    bits = (field << places) + kept
    beyond = top_exponent(wide) << places
    if bits >= beyond:
        h[L.FLOAT_RAISED] |= OF | NX
        stays = rm == RTZ or (rm == RDN and sign == U(0)) or (rm == RUP and sign != U(0))
        bits = beyond - U(1) if stays else beyond
    elif rest != U(0):
        h[L.FLOAT_RAISED] |= NX | UF if tiny else NX
    return sign << sign_place(wide) | bits


@njit
def invalid(h, wide):
    """Raise NV, and return the canonical NaN."""
    h[L.FLOAT_RAISED] |= NV
    return canonical_nan(wide)


@njit
def nan_of(h, wide, a, b):
    """Return what an operation gives of operands of which one is a NaN."""
    if is_signalling(wide, a) or is_signalling(wide, b):
        h[L.FLOAT_RAISED] |= NV
    return canonical_nan(wide)


@njit
def float_add(h, wide, rm, a, b):
    """Return a + b."""
    if is_nan(wide, a) or is_nan(wide, b):
        return nan_of(h, wide, a, b)
    sign = sign_of(wide, a)
    differ = sign ^ sign_of(wide, b)
    if is_infinite(wide, a):
        if is_infinite(wide, b) and differ != U(0):
            return invalid(h, wide)
        return a
    if is_infinite(wide, b):
        return b
    if is_zero(wide, b):
        if is_zero(wide, a) and differ != U(0):
            return zero_of_difference(wide, rm)
        return a
    if is_zero(wide, a):
        return b
    exponent = scale(wide, a)
    other = scale(wide, b)
    # a bit of room for the carry
    x = significand(wide, a) >> U(1)
    y = significand(wide, b) >> U(1)
    if lts(exponent, other) != U(0):
        shifted = jammed(x, other - exponent)
        x = y
        y = shifted
        exponent = other
        sign ^= differ
    else:
        y = jammed(y, exponent - other)
    if differ == U(0):
        x += y
    elif x == y:
        return zero_of_difference(wide, rm)
    elif x < y:
        x = y - x
        sign ^= U(1)
    else:
        x -= y
    zeros = clz(x)
    return rounded(h, wide, rm, sign, exponent + U(1) - zeros, x << zeros)


@njit
def float_mul(h, wide, rm, a, b):
    """Return a * b: a zero of its sign, added to it, changes nothing."""
    return float_fma(h, wide, rm, a, b, (a ^ b) & (U(1) << sign_place(wide)))


@njit
def float_div(h, wide, rm, a, b):
    """Return a / b."""
    if is_nan(wide, a) or is_nan(wide, b):
        return nan_of(h, wide, a, b)
    sign = sign_of(wide, a) ^ sign_of(wide, b)
    if is_infinite(wide, a):
        return invalid(h, wide) if is_infinite(wide, b) else infinity(wide, sign)
    if is_infinite(wide, b):
        return sign << sign_place(wide)
    if is_zero(wide, b):
        if is_zero(wide, a):
            return invalid(h, wide)
        h[L.FLOAT_RAISED] |= DZ
        return infinity(wide, sign)
    if is_zero(wide, a):
        return sign << sign_place(wide)
    # 53 bits each; the quotient comes ten bits at a time behind its leading one
    x = significand(wide, a) >> U(11)
    y = significand(wide, b) >> U(11)
    exponent = scale(wide, a) - scale(wide, b)
    if x < y:
        x <<= U(1)
        exponent -= U(1)
    whole = U(1)
    left = x - y
    bits = U(0)
    while bits < U(60):
        left <<= U(10)
        digits = quotient(left, y)
        left -= digits * y
        whole = whole << U(10) | digits
        bits += U(10)
    return rounded(h, wide, rm, sign, exponent, whole << U(3) | (U(1) if left != U(0) else U(0)))


@njit
def float_sqrt(h, wide, rm, a):
    """Return the square root."""
    if is_nan(wide, a):
        return nan_of(h, wide, a, a)
    if is_zero(wide, a):
        return a
    if sign_of(wide, a) != U(0):
        return invalid(h, wide)
    if is_infinite(wide, a):
        return a
    exponent = scale(wide, a)
    # two bits before the point: the exponent becomes even
    pairs = significand(wide, a)
    if exponent & U(1) == U(0):
        pairs >>= U(1)
    root = U(0)
    left = U(0)
    place = U(0)
    while place < U(60):
        left = left << U(2) | pairs >> U(62)
        pairs <<= U(2)
        trial = root << U(2) | U(1)
        root <<= U(1)
        if left >= trial:
            left -= trial
            root |= U(1)
        place += U(1)
    return rounded(h, wide, rm, U(0), sar(exponent, U(1)), root << U(4) | (U(1) if left != U(0) else U(0)))


@njit
def float_fma(h, wide, rm, a, b, c):
    """Return a * b + c, rounded once."""
    nothing = (is_infinite(wide, a) and is_zero(wide, b)) or (is_zero(wide, a) and is_infinite(wide, b))
    if is_nan(wide, a) or is_nan(wide, b) or is_nan(wide, c):
        # infinity times zero is invalid even if a quiet NaN is added
        if nothing or is_signalling(wide, c):
            return invalid(h, wide)
        return nan_of(h, wide, a, b)
    if nothing:
        return invalid(h, wide)
    sign = sign_of(wide, a) ^ sign_of(wide, b)
    differ = sign ^ sign_of(wide, c)
    if is_infinite(wide, a) or is_infinite(wide, b):
        if is_infinite(wide, c) and differ != U(0):
            return invalid(h, wide)
        return infinity(wide, sign)
    if is_infinite(wide, c):
        return c
    if is_zero(wide, a) or is_zero(wide, b):
        if is_zero(wide, c) and differ != U(0):
            return zero_of_difference(wide, rm)
        return c
    x = significand(wide, a)
    y = significand(wide, b)
    exponent = scale(wide, a) + scale(wide, b) + U(1)
    high = high_half(x, y)
    low = x * y
    if high >> U(63) == U(0):
        high = high << U(1) | low >> U(63)
        low <<= U(1)
        exponent -= U(1)
    if is_zero(wide, c):
        return rounded(h, wide, rm, sign, exponent, high | (U(1) if low != U(0) else U(0)))
    # a bit of room for the carry: the lowest bits of both are zero
    low = low >> U(1) | high << U(63)
    high >>= U(1)
    other_high = significand(wide, c) >> U(1)
    other_low = U(0)
    other = scale(wide, c)
    if lts(exponent, other) != U(0):
        x = high
        y = low
        high = other_high
        low = other_low
        other_high = x
        other_low = y
        x = exponent
        exponent = other
        other = x
        sign ^= differ
    distance = exponent - other
    if distance > U(63):
        other_low = jammed(other_high, distance - U(64)) | (U(1) if other_low != U(0) else U(0))
        other_high = U(0)
    elif distance != U(0):
        other_low = jammed(other_low, distance) | other_high << (U(64) - distance)
        other_high >>= distance
    if differ == U(0):
        low += other_low
        high += other_high + (U(1) if low < other_low else U(0))
    else:
        if high < other_high or (high == other_high and low < other_low):
            x = high
            y = low
            high = other_high
            low = other_low
            other_high = x
            other_low = y
            sign ^= U(1)
        high -= other_high + (U(1) if low < other_low else U(0))
        low -= other_low
        if high | low == U(0):
            return zero_of_difference(wide, rm)
    exponent += U(1)
    if high == U(0):
        high = low
        low = U(0)
        exponent -= U(64)
    zeros = clz(high)
    if zeros != U(0):
        high = high << zeros | low >> (U(64) - zeros)
        low <<= zeros
    return rounded(h, wide, rm, sign, exponent - zeros, high | (U(1) if low != U(0) else U(0)))


@njit
def float_resized(h, wide, rm, a):
    """Return a double as a single, or (`wide` = 1) a single as a double."""
    other = wide ^ U(1)
    if is_nan(other, a):
        if is_signalling(other, a):
            h[L.FLOAT_RAISED] |= NV
        return canonical_nan(wide)
    sign = sign_of(other, a)
    if is_infinite(other, a):
        return infinity(wide, sign)
    if is_zero(other, a):
        return sign << sign_place(wide)
    return rounded(h, wide, rm, sign, scale(other, a), significand(other, a))


@njit
def float_of_integer(h, wide, rm, value, kind):
    """Return an integer as a number. `kind`: bit 0, it is unsigned; bit 1, it has 64 bits."""
    if kind & U(2) == U(0):
        value = value & U(0xFFFFFFFF) if kind & U(1) != U(0) else sext32(value)
    sign = U(0)
    if kind & U(1) == U(0) and value >> U(63) != U(0):
        sign = U(1)
        value = U(0) - value
    if value == U(0):
        return U(0)
    zeros = clz(value)
    return rounded(h, wide, rm, sign, U(63) - zeros, value << zeros)


@njit
def greatest_integer(kind, sign):
    """Return the magnitude of the integer that is furthest from zero; `kind` as above."""
    if kind & U(1) != U(0):
        if sign != U(0):
            return U(0)
        return U(0xFFFFFFFFFFFFFFFF) if kind & U(2) != U(0) else U(0xFFFFFFFF)
    return (U(1) << (U(63) if kind & U(2) != U(0) else U(31))) - U(1) + sign


@njit
def integer_of_float(h, wide, rm, a, kind):
    """Return a number as an integer, the nearest that there is; `kind` as above."""
    sign = sign_of(wide, a)
    whole = U(0)
    rest = U(0)
    fits = True
    if exponent_field(wide, a) == top_exponent(wide):
        fits = False
        if is_nan(wide, a):
            sign = U(0)
    elif not is_zero(wide, a):
        exponent = scale(wide, a)
        bits = significand(wide, a)
        if exponent < U(64):
            whole = bits >> (U(63) - exponent)
            rest = (bits << exponent) << U(1)
        elif lts(exponent, U(0)) != U(0):
            rest = jammed(bits, ~exponent)
        else:
            fits = False
        if rounds_up(rm, sign, whole & U(1), rest, U(1 << 63)):
            whole += U(1)
    limit = greatest_integer(kind, sign)
    if not fits or whole > limit:
        h[L.FLOAT_RAISED] |= NV
        whole = limit
    elif rest != U(0):
        h[L.FLOAT_RAISED] |= NX
    value = U(0) - whole if sign != U(0) else whole
    return value if kind & U(2) != U(0) else sext32(value)


@njit
def is_less(wide, a, b):
    """Return True if a < b; neither is a NaN."""
    if is_zero(wide, a) and is_zero(wide, b):
        return False
    if sign_of(wide, a) != sign_of(wide, b):
        return sign_of(wide, a) != U(0)
    return b < a if sign_of(wide, a) != U(0) else a < b


@njit
def float_compare(h, wide, a, b, kind):
    """Return a <= b (`kind` 0), a < b (1) or a = b (2): 0 or 1."""
    if is_nan(wide, a) or is_nan(wide, b):
        if kind != U(2) or is_signalling(wide, a) or is_signalling(wide, b):
            h[L.FLOAT_RAISED] |= NV
        return U(0)
    same = a == b or (is_zero(wide, a) and is_zero(wide, b))
    if kind == U(2):
        return U(1) if same else U(0)
    if kind == U(0) and same:
        return U(1)
    return U(1) if is_less(wide, a, b) else U(0)


@njit
def float_extreme(h, wide, a, b, kind):
    """Return the lesser (`kind` 0) or the greater of two numbers: of -0 and +0 likewise, and of a NaN the other."""
    if is_signalling(wide, a) or is_signalling(wide, b):
        h[L.FLOAT_RAISED] |= NV
    if is_nan(wide, a):
        return canonical_nan(wide) if is_nan(wide, b) else b
    if is_nan(wide, b):
        return a
    less = is_less(wide, a, b)
    if is_zero(wide, a) and is_zero(wide, b):
        less = sign_of(wide, a) != U(0)
    if kind != U(0):
        less = not less
    return a if less else b


@njit
def float_class(wide, a):
    """Return the bit of the class, see the table of FCLASS."""
    if is_nan(wide, a):
        return U(1 << 8) if is_signalling(wide, a) else U(1 << 9)
    place = U(3)
    if exponent_field(wide, a) == top_exponent(wide):
        place = U(0)
    elif exponent_field(wide, a) != U(0):
        place = U(1)
    elif not is_zero(wide, a):
        place = U(2)
    return U(1) << (place if sign_of(wide, a) != U(0) else U(7) - place)
