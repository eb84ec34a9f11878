"""Arithmetic of F and D by the host's own, as LLVM IR, wherever it is sure to be the same.

It is the same as long as the host rounds to nearest and knows subnormal numbers, which is seen before (`TEST`, and
HOST_FLOAT in cpu/layout.py), and as long as the result is a finite number for which no exception but NX can be raised.
Whether NX is raised is not looked at where it has been, which is nearly always; otherwise what was lost in rounding
tells, which is a number that the host can compute exactly:

    a + b    what TwoSum gives
    a * b    a * b - r, by fma; r is far from the end of the normal numbers, or it is left
    a / b    r * b - a, likewise
    sqrt a   r * r - a, likewise
    a*b + c  what TwoSum gives, if a * b is exact; otherwise it is left
    to and from integers, from double to single: whether the way back leads to where it began

Everything else (other modes, what overflows or is subnormal, NaNs, FS that is not Dirty yet) is left to
native/floats.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rrdbg_core.cpu.emitter import Emitter

BINARY = {"fadd": "fadd", "fsub": "fsub", "fmul": "fmul", "fdiv": "fdiv"}
FUSED = ("fmadd", "fmsub", "fnmsub", "fnmadd")
COMPARISONS = {"fle": "ole", "flt": "olt", "feq": "oeq"}
EXTREMES = {"fmin": "or", "fmax": "and"}
"""What of the bits of two equal numbers makes the one that counts: of -0 and +0."""
INTEGERS = {"w": 31, "wu": 32, "l": 63, "lu": 63}
"""Bits of the magnitudes that are converted here."""
DONE_BY_HOST = frozenset(
    [f"{name}.{letter}" for name in (*BINARY, *FUSED, *COMPARISONS, *EXTREMES, "fsqrt") for letter in "sd"]
    + [f"fcvt.{integer}.{letter}" for integer in INTEGERS for letter in "sd"]
    + [f"fcvt.{letter}.{integer}" for integer in INTEGERS for letter in "sd"]
    + ["fcvt.s.d", "fcvt.d.s"]
)
"""Instructions that have something here."""
RNE, RTZ, DYNAMIC = 0, 1, 7


@dataclass(frozen=True, slots=True)
class _Format:
    kind: str
    """LLVM's type."""
    bits: int
    """Of a number."""
    places: int
    """Bits of the fraction."""
    bias: int
    """Of the exponent."""
    low: int
    """Least exponent field for which what is lost in rounding is a normal number, too."""
    span: int
    """Number of exponent fields from there on whose numbers can be added to each other."""


_FORMATS = {"s": _Format("float", 32, 23, 127, 56, 190), "d": _Format("double", 64, 52, 1023, 128, 1900)}
BOX = -1 << 32
"""What an f register that holds a single is otherwise."""
_INFINITE = "0x7FF0000000000000"


class HostFloat:
    """The fast part of an instruction: emits, and leaves for `slow` where the host must not be asked.

    Numbers are LLVM's: float or double; integers are i64.

    Args:
        f: Where it is emitted.
        name: The instruction.
        slow: Label of what to do else.
        fcsr: A pointer to fcsr.
        looks: Whether it does something where NX is not raised yet: there is more to that than to all else.
    """

    def __init__(self, f: Emitter, name: str, slow: str, fcsr: str, *, looks: bool = True) -> None:
        self.f = f
        self.slow = slow
        """Label of what to do else; it may be set to another one."""
        self._fcsr = fcsr
        self._looks = looks
        self.name = name
        self.stem, *letters = name.split(".")
        self.gives, self.takes = (letters[0], letters[-1])
        """Formats: s, d, or one of `INTEGERS`."""
        self.mode: int | None = None if self.stem in (*COMPARISONS, *EXTREMES) else RNE
        """Rounding mode that it has to have."""
        if self.gives in INTEGERS:
            self.mode = RTZ
        self.arity = 3 if self.stem in FUSED else 1 if self.stem in ("fcvt", "fsqrt", "fclass") else 2
        self._form = _FORMATS[self.takes if self.takes in _FORMATS else self.gives]
        if self.stem in COMPARISONS:
            self.gives = "l"

    @property
    def works(self) -> bool:
        """Whether the host has what it takes."""
        return self.stem not in FUSED or host_has_fma()

    @property
    def may_look(self) -> bool:
        """Whether it makes a difference whether NX is raised."""
        exact = "fcvt.d.w", "fcvt.d.wu", "fcvt.d.s"
        return self.mode is not None and self.name not in exact

    @property
    def changes(self) -> bool:
        """Whether it may write an f register or fcsr."""
        return self.mode is not None or self.stem in EXTREMES

    def need(self, condition: str) -> None:
        """Go on if a condition holds."""
        on = self.f.fresh("on")
        self.f.do(f"br i1 {condition}, label %{on}, label %{self.slow}, !prof !1")
        self.f.label(on)

    def need_mode(self) -> None:
        """Go on if the instruction, in slot %w, has the rounding mode that it has to have."""
        if self.mode is None:
            return
        f = self.f
        rm = f.let(f"and i64 {f.let('lshr i64 %w, 44')}, 7")
        frm = f.let(f"lshr i64 {f.let(f'load i64, ptr {self._fcsr}')}, 5")
        mode = f.let(f"select i1 {f.let(f'icmp eq i64 {rm}, {DYNAMIC}')}, i64 {frm}, i64 {rm}")
        self.need(f.let(f"icmp eq i64 {mode}, {self.mode}"))

    # ---- numbers -----------------------------------------------------------------------------------------------------
    def number(self, value: str, letter: str) -> str:
        """Return the number of a format that an f register holds; a single has to be in its box, or it is left."""
        if letter == "d":
            return self.f.let(f"bitcast i64 {value} to double")
        self.need(self.f.let(f"icmp uge i64 {value}, {BOX}"))
        return unboxed(self.f, value)

    def register(self, number: str, letter: str) -> str:
        """Return what an f register holds of a number."""
        return self.f.let(f"bitcast double {number} to i64") if letter == "d" else boxed(self.f, number)

    def _bits(self, number: str) -> str:
        return self.f.let(f"bitcast {self._form.kind} {number} to i{self._form.bits}")

    def _call(self, function: str, *numbers: str) -> str:
        kind = self._form.kind
        arguments = ", ".join(f"{kind} {number}" for number in numbers)
        return self.f.let(f"call {kind} @llvm.{function}.f{self._form.bits}({arguments})")

    def _need_field(self, number: str, form: _Format, low: int, span: int) -> None:
        """Go on if the exponent field of a number is one of `span` from `low` on."""
        f, kind = self.f, f"i{form.bits}"
        bits = f.let(f"bitcast {form.kind} {number} to {kind}")
        place = f.let(f"add {kind} {f.let(f'lshr {kind} {bits}, {form.places}')}, {-low}")
        self.need(f.let(f"icmp ult {kind} {f.let(f'and {kind} {place}, {2 * form.bias + 1}')}, {span}"))

    def _need_normal(self, number: str, form: _Format) -> None:
        """Go on if a result is a normal number, and did not become one by being rounded."""
        self._need_field(number, form, 2, 2 * form.bias - 1)

    def _need_finite(self, number: str) -> None:
        size = self._call("fabs", number)
        self.need(self.f.let(f"fcmp olt {self._form.kind} {size}, {_INFINITE}"))

    def _need_room(self, number: str) -> None:
        """Go on if what is lost in rounding can be computed."""
        self._need_field(number, self._form, self._form.low, self._form.span)

    def _raise(self, inexact: Callable[[], str]) -> None:
        """Raise NX if it is not raised already and a condition holds, which is emitted for that case alone."""
        f = self.f
        before = f.let(f"load i64, ptr {self._fcsr}")
        is_raised = f.let(f"trunc i64 {before} to i1")
        if not self._looks:
            self.need(is_raised)
            return
        look, done = f.fresh("look"), f.fresh("done")
        f.do(f"br i1 {is_raised}, label %{done}, label %{look}, !prof !1")
        f.label(look)
        raised = f.let(f"zext i1 {inexact()} to i64")
        f.do(f"store i64 {f.let(f'or i64 {before}, {raised}')}, ptr {self._fcsr}")
        f.do(f"br label %{done}")
        f.label(done)

    # ---- instructions ------------------------------------------------------------------------------------------------
    def compute(self, *operands: str) -> str:
        """Return the result of operands, and raise what has to be."""
        if self.stem in FUSED:
            return self._fused(*operands)
        if self.stem in BINARY:
            return self._binary(*operands)
        if self.stem in COMPARISONS:
            return self._comparison(*operands)
        if self.stem in EXTREMES:
            return self._extreme(*operands)
        if self.stem == "fsqrt":
            return self._root(*operands)
        if self.gives in INTEGERS:
            return self._to_integer(*operands)
        return self._of_integer(*operands) if self.takes in INTEGERS else self._resized(*operands)

    def _binary(self, x: str, y: str) -> str:
        f, kind = self.f, self._form.kind
        result = f.let(f"{BINARY[self.stem]} {kind} {x}, {y}")
        if self.stem in ("fadd", "fsub"):
            # no sum is both subnormal and inexact
            self._need_finite(result)
            self._raise(
                lambda: self._is_inexact_sum(x, f.let(f"fneg {kind} {y}") if self.stem == "fsub" else y, result)
            )
        else:
            self._need_normal(result, self._form)
            self._raise(lambda: self._is_inexact(result, x, y) if self.stem == "fmul" else self._is_rest(result, y, x))
        return result

    def _is_inexact(self, product: str, x: str, y: str) -> str:
        self._need_room(product)
        return self._is_rest(x, y, product, room=False)

    def _is_rest(self, x: str, y: str, product: str, *, room: bool = True) -> str:
        """Return whether x * y is not what it should be."""
        if not host_has_fma():
            self.need("false")
            return "false"
        if room:
            self._need_room(product)
        rest = self._call("fma", x, y, self.f.let(f"fneg {self._form.kind} {product}"))
        return self.f.let(f"fcmp une {self._form.kind} {rest}, 0.0")

    def _is_inexact_sum(self, x: str, y: str, total: str) -> str:
        f, kind = self.f, self._form.kind
        # near the largest numbers the steps between overflow
        size = self._call("fabs", total)
        largest = f"0x{1023 + self._form.bias - 4 << 52:016X}"
        self.need(f.let(f"fcmp olt {kind} {size}, {largest}"))
        of_y = f.let(f"fsub {kind} {total}, {x}")
        of_x = f.let(f"fsub {kind} {total}, {of_y}")
        lost_x, lost_y = f.let(f"fsub {kind} {x}, {of_x}"), f.let(f"fsub {kind} {y}, {of_y}")
        return f.let(f"fcmp une {kind} {f.let(f'fadd {kind} {lost_x}, {lost_y}')}, 0.0")

    def _fused(self, x: str, y: str, z: str) -> str:
        f, kind = self.f, self._form.kind
        x = f.let(f"fneg {kind} {x}") if self.stem.startswith("fn") else x
        z = f.let(f"fneg {kind} {z}") if self.stem in ("fmsub", "fnmadd") else z
        result = self._call("fma", x, y, z)
        self._need_normal(result, self._form)

        def inexact() -> str:
            product = f.let(f"fmul {kind} {x}, {y}")
            self.need(f.let(f"xor i1 {self._is_inexact(product, x, y)}, true"))
            return self._is_inexact_sum(product, z, result)

        self._raise(inexact)
        return result

    def _root(self, x: str) -> str:
        result = self._call("sqrt", x)
        self._need_normal(result, self._form)
        self._raise(lambda: self._is_rest(result, result, x))
        return result

    def _ordered(self, x: str, y: str) -> None:
        self.need(self.f.let(f"fcmp ord {self._form.kind} {x}, {y}"))

    def _comparison(self, x: str, y: str) -> str:
        f = self.f
        self._ordered(x, y)
        return f.let(f"zext i1 {f.let(f'fcmp {COMPARISONS[self.stem]} {self._form.kind} {x}, {y}')} to i64")

    def _extreme(self, x: str, y: str) -> str:
        f, kind, bits = self.f, self._form.kind, f"i{self._form.bits}"
        self._ordered(x, y)
        first = f.let(f"fcmp {'olt' if self.stem == 'fmin' else 'ogt'} {kind} {x}, {y}")
        other = f.let(f"select i1 {first}, {kind} {x}, {kind} {y}")
        both = f.let(f"{EXTREMES[self.stem]} {bits} {self._bits(x)}, {self._bits(y)}")
        either = f.let(f"bitcast {bits} {both} to {kind}")
        return f.let(f"select i1 {f.let(f'fcmp oeq {kind} {x}, {y}')}, {kind} {either}, {kind} {other}")

    def _to_integer(self, x: str) -> str:
        """Return a number as an integer, if it fits."""
        f, form = self.f, self._form
        bits = f"i{form.bits}"
        size = self._bits(x)
        if not self.gives.endswith("u"):
            size = f.let(f"and {bits} {size}, {(1 << form.bits - 1) - 1}")
        self.need(f.let(f"icmp ult {bits} {size}, {form.bias + INTEGERS[self.gives] << form.places}"))
        whole = f.let(f"fptosi {form.kind} {x} to i64")
        self._raise(lambda: f.let(f"fcmp une {form.kind} {f.let(f'sitofp i64 {whole} to {form.kind}')}, {x}"))
        return f.operation("sext32", [whole]) if self.gives.startswith("w") else whole

    def _of_integer(self, value: str) -> str:
        f, form = self.f, self._form
        match self.takes:
            case "w":
                value = f.operation("sext32", [value])
            case "wu":
                value = f.let(f"and i64 {value}, {0xFFFF_FFFF}")
            case "lu":
                self.need(f.let(f"icmp sge i64 {value}, 0"))
        result = f.let(f"sitofp i64 {value} to {form.kind}")
        if form.places < INTEGERS[self.takes]:

            def inexact() -> str:
                """Leave it where the integer is not so small that it is exact."""
                small = f.let(f"add i64 {value}, {1 << form.places}")
                self.need(f.let(f"icmp ule i64 {small}, {2 << form.places}"))
                return "false"

            self._raise(inexact)
        return result

    def _resized(self, x: str) -> str:
        f = self.f
        if self.gives == "d":
            self._ordered(x, x)
            return f.let(f"fpext float {x} to double")
        result = f.let(f"fptrunc double {x} to float")
        self._need_normal(result, _FORMATS["s"])
        self._raise(lambda: f.let(f"fcmp une double {f.let(f'fpext float {result} to double')}, {x}"))
        return result


def boxed(f: Emitter, number: str) -> str:
    """Return a single as an f register holds it."""
    word = f.let(f"zext i32 {f.let(f'bitcast float {number} to i32')} to i64")
    return f.let(f"or i64 {word}, {BOX}")


def unboxed(f: Emitter, value: str) -> str:
    """Return the low half of an f register as a single."""
    return f.let(f"bitcast i32 {f.let(f'trunc i64 {value} to i32')} to float")


_NUMBERS = (
    *(0x3FF0000000000000, 0x3CA0000000000000, 0x3FF0000000000000),  # 1 + 2^-53 = 1: to the even one, or down
    *(0x3FF0000000000001, 0x3CA0000000000000, 0x3FF0000000000002),  # likewise, or up
    *(0x0008000000000000, 0x0008000000000000, 0x0010000000000000),  # what is subnormal is no zero
    *(0x0018000000000000, 0x8010000000000000, 0x0008000000000000),  # nor does it become one
)
"""Two numbers and their sum, several times."""


def _test() -> str:
    f = Emitter("define internal i1 @host_float() noinline")
    found = "true"
    for at in range(0, len(_NUMBERS), 3):
        places = [f.let(f"getelementptr i64, ptr @host_numbers, i64 {at + index}") for index in range(3)]
        # whoever compiles this must not do the sums
        x, y = (f.let(f"load volatile double, ptr {place}") for place in places[:2])
        total = f.let(f"bitcast double {f.let(f'fadd double {x}, {y}')} to i64")
        same = f.let(f"icmp eq i64 {total}, {f.let(f'load volatile i64, ptr {places[2]}')}")
        found = f.let(f"and i1 {found}, {same}")
    f.do(f"ret i1 {found}")
    words = ", ".join(f"i64 {word - (word >> 63 << 64)}" for word in _NUMBERS)
    return f"@host_numbers = internal global [{len(_NUMBERS)} x i64] [{words}]\n{f.text()}"


TEST = _test()
"""@host_float: whether the host rounds to nearest and knows subnormal numbers. Libraries may change that"""


def host_has_fma() -> bool:
    """Return whether LLVM makes one instruction of a fused operation here; else it would be a call of a function."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return bool(features.get("fma") or features.get("neon"))
