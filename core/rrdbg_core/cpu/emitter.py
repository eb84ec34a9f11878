"""Text of LLVM functions: instructions with fresh names, and operations of the vocabulary of `rrdbg_core.isa.expr`."""

from __future__ import annotations

_INFIX = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor", "shl": "shl"}
_INFIX |= {"shr": "lshr", "sar": "ashr"}
_COMPARE = {"ltu": "ult", "lts": "slt", "eq": "eq", "ne": "ne"}
_INTRINSIC = {"clz": "ctlz", "ctz": "cttz", "cpop": "ctpop", "rev8": "bswap"}


class Emitter:
    """The text of one function, with fresh names.

    Args:
        head: What stands before its body.
    """

    def __init__(self, head: str) -> None:
        self.lines = [f"{head} {{"]
        self._count = 0

    def fresh(self, prefix: str = "t") -> str:
        """Return a new name for a value or a label."""
        self._count += 1
        return f"{prefix}{self._count}"

    def let(self, text: str) -> str:
        """Emit an instruction and return its value."""
        name = "%" + self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Emit an instruction without a value."""
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        """Start a block."""
        self.lines.append(f"{name}:")

    def text(self) -> str:
        """Return the function."""
        return "\n".join([*self.lines, "}", ""])

    def comparison(self, op: str, a: str, b: str) -> str:
        """Emit one of those operations of the vocabulary that give 0 or 1, as an i1."""
        return self.let(f"icmp {_COMPARE[op]} i64 {a}, {b}")

    def operation(self, op: str, args: list[str]) -> str:
        """Emit one operation of the vocabulary."""
        a, b = args[0], args[-1]
        if op in ("add", "or") and "0" in args:
            return b if a == "0" else a
        if op in _INFIX:
            return self.let(f"{_INFIX[op]} i64 {a}, {b}")
        if op in _COMPARE:
            return self.let(f"zext i1 {self.comparison(op, a, b)} to i64")
        if op in _INTRINSIC:
            last = ", i1 false" if op in ("clz", "ctz") else ""
            return self.let(f"call i64 @llvm.{_INTRINSIC[op]}.i64(i64 {a}{last})")
        match op:
            case "not":
                return self.let(f"xor i64 {a}, -1")
            case "sext8" | "sext16" | "sext32":
                kind = f"i{op[4:]}"
                return self.let(f"sext {kind} {self.let(f'trunc i64 {a} to {kind}')} to i64")
            case "select":
                return self.let(f"select i1 {self.let(f'icmp ne i64 {a}, 0')}, i64 {args[1]}, i64 {b}")
            case "mulhu" | "mulh" | "mulhsu":
                wide = [
                    self.let(f"{extend} i64 {x} to i128")
                    for extend, x in zip(
                        {"mulhu": ("zext", "zext"), "mulh": ("sext", "sext"), "mulhsu": ("sext", "zext")}[op],
                        args,
                        strict=True,
                    )
                ]
                product = self.let(f"mul i128 {wide[0]}, {wide[1]}")
                return self.let(f"trunc i128 {self.let(f'lshr i128 {product}, 64')} to i64")
            case "divu" | "remu" | "divs" | "rems":
                return self.division(op, a, b)
            case "ror":
                return self.let(f"call i64 @llvm.fshr.i64(i64 {a}, i64 {a}, i64 {b})")
            case "ror32":
                low, count = (self.let(f"trunc i64 {x} to i32") for x in (a, b))
                return self.let(
                    f"zext i32 {self.let(f'call i32 @llvm.fshr.i32(i32 {low}, i32 {low}, i32 {count})')} to i64"
                )
            case "orcb":
                return self.or_combine(a)
        raise AssertionError(f"{op} is not in the vocabulary")

    def division(self, op: str, a: str, b: str) -> str:
        """Divide as the manual wants it, table "Semantics for division by zero and division overflow"."""
        signed = op.endswith("s")
        zero = self.let(f"icmp eq i64 {b}, 0")
        odd, by_zero = zero, "-1" if op.startswith("div") else a
        if signed:
            # the one quotient that overflows: division by -1 negates instead
            minus = self.let(f"icmp eq i64 {b}, -1")
            odd = self.let(f"or i1 {zero}, {minus}")
        divisor = self.let(f"select i1 {odd}, i64 1, i64 {b}")
        result = self.let(f"{'s' if signed else 'u'}{op[:3]} i64 {a}, {divisor}")
        if signed:
            by_minus = self.let(f"sub i64 0, {a}") if op == "divs" else "0"
            result = self.let(f"select i1 {minus}, i64 {by_minus}, i64 {result}")
        return self.let(f"select i1 {zero}, i64 {by_zero}, i64 {result}")

    def or_combine(self, a: str) -> str:
        """Return 0xff for every byte that is not 0."""
        bits = a
        for shift, mask in ((4, 0x0F0F0F0F0F0F0F0F), (2, 0x3333333333333333), (1, 0x5555555555555555)):
            moved = self.let(f"and i64 {self.let(f'lshr i64 {bits}, {shift}')}, {mask}")
            bits = self.let(f"or i64 {bits}, {moved}")
        return self.let(f"mul i64 {self.let(f'and i64 {bits}, {0x0101010101010101}')}, 255")
