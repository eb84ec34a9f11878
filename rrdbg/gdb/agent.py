"""Conditions that gdb hands over with its breakpoints: agent expressions, as conditions of the session.

gdb manual, appendix G "The GDB Agent Expression Mechanism". The bytecode is run on texts instead of numbers; what is
left on the stack is an expression over 64-bit words. Branches become `?:`. What this cannot say is left to gdb, which
tests its conditions itself in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rrdbg.gdb.errors import Malformed
from rrdbg.gdb.fields import bytes_of, number

MAX_TEXT = 4000
"""Characters of the longest expression; a program with many branches would grow without end."""
MAX_CONDITIONS = 16


class Untranslatable(Exception):
    """The session's expressions cannot say it."""


def _signed(operator: str) -> Callable[[str, str], str]:
    return lambda a, b: f"(u64)((i64){a}{operator}(i64){b})"


def _unsigned(operator: str) -> Callable[[str, str], str]:
    return lambda a, b: f"(u64)({a}{operator}{b})"


_BINARY: dict[int, Callable[[str, str], str]] = {
    0x02: _unsigned("+"),
    0x03: _unsigned("-"),
    0x04: _unsigned("*"),
    0x05: _signed("/"),
    0x06: _unsigned("/"),
    0x07: _signed("%"),
    0x08: _unsigned("%"),
    0x09: _unsigned("<<"),
    0x0A: _signed(">>"),
    0x0B: _unsigned(">>"),
    0x0F: _unsigned("&"),
    0x10: _unsigned("|"),
    0x11: _unsigned("^"),
    0x13: _unsigned("=="),
    0x14: _signed("<"),
    0x15: _unsigned("<"),
}
_UNARY: dict[int, str] = {
    0x0E: "(u64)!{}",
    0x12: "(u64)~{}",
    0x17: "(u64)*(u8*){}",
    0x18: "(u64)*(u16*){}",
    0x19: "(u64)*(u32*){}",
    0x1A: "(u64)*(u64*){}",
}
_CONSTANTS = {0x22: 1, 0x23: 2, 0x24: 4, 0x25: 8}
_EXT, _IF, _GOTO, _REG, _END, _DUP, _POP, _ZERO_EXT, _SWAP, _PICK, _ROT = (
    *(0x16, 0x20, 0x21, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x32, 0x33),
)


def condition_of(text: bytes, registers: Mapping[int, str]) -> str:
    """Return the condition of a `Z` packet: what follows its first `;`; empty when there is none or it is gdb's alone.

    Args:
        text: `X4,26000a27`, and more of them: any of them may hold.
        registers: The registers' names by gdb's number.

    Raises:
        Malformed: It is not made as the protocol says.
    """
    conditions: list[str] = []
    for code in _programs(text):
        try:
            conditions.append(translate(code, registers))
        except Untranslatable:
            return ""
    joined = " || ".join(conditions)
    return joined if len(joined) <= MAX_TEXT else ""


def _programs(text: bytes) -> list[bytes]:
    programs: list[bytes] = []
    while text.startswith(b"X") and len(programs) < MAX_CONDITIONS:
        head, comma, rest = text[1:].partition(b",")
        digits = 2 * number(head, "length")
        if not comma or len(rest) < digits:
            raise Malformed("a condition is cut off")
        programs.append(bytes_of(rest[:digits]))
        text = rest[digits:].lstrip(b";")
    return programs


def translate(code: bytes, registers: Mapping[int, str]) -> str:
    """Return an agent expression as an expression of the session.

    Raises:
        Untranslatable: That cannot be done.
    """
    return _Walk(code, registers).run(0, [])


class _Walk:
    def __init__(self, code: bytes, registers: Mapping[int, str]) -> None:
        self._code = code
        self._registers = registers
        self._budget = MAX_TEXT

    def run(self, at: int, stack: list[str]) -> str:
        """Run from an offset on and return what is on top of the stack at the end."""
        try:
            return self._run(at, stack)
        except (IndexError, RecursionError) as error:
            raise Untranslatable("the stack or the code ends too early") from error

    def _run(self, at: int, stack: list[str]) -> str:
        while True:
            code = self._code[at]
            self._budget -= 1
            if self._budget < 0 or (stack and len(stack[-1]) > MAX_TEXT):
                raise Untranslatable("too long")
            if code == _END:
                return stack[-1]
            if code == _IF:
                target = self._word(at + 1)
                condition = stack.pop()
                # only forwards: a loop has no expression
                if target <= at:
                    raise Untranslatable("it loops")
                yes = self.run(target, list(stack))
                return f"({condition}?{yes}:{self.run(at + 3, list(stack))})"
            at = self._step(code, at, stack)

    def _step(self, code: int, at: int, stack: list[str]) -> int:
        """Do one instruction other than end and branches; return where the next one is."""
        if code in _BINARY:
            second, first = stack.pop(), stack.pop()
            stack.append(f"({_BINARY[code](first, second)})")
        elif code in _UNARY:
            stack.append(f"({_UNARY[code].format(stack.pop())})")
        elif code in _CONSTANTS:
            size = _CONSTANTS[code]
            stack.append(f"((u64){int.from_bytes(self._code[at + 1 : at + 1 + size], 'big'):#x})")
            return at + 1 + size
        elif code == _EXT:
            shift = 64 - self._code[at + 1]
            if not 0 <= shift < 64:
                raise Untranslatable("a width of nothing")
            stack.append(f"((u64)((i64)({stack.pop()}<<{shift})>>{shift}))")
            return at + 2
        elif code == _ZERO_EXT:
            stack.append(f"({stack.pop()}&(u64){(1 << min(self._code[at + 1], 64)) - 1:#x})")
            return at + 2
        elif code == _REG:
            name = self._registers.get(self._word(at + 1))
            if name is None:
                raise Untranslatable("no such register")
            stack.append("((u64)0)" if name == "zero" else f"((u64)${name})")
            return at + 3
        elif code == _GOTO:
            target = self._word(at + 1)
            if target <= at:
                raise Untranslatable("it loops")
            return target
        elif code == _DUP:
            stack.append(stack[-1])
        elif code == _POP:
            stack.pop()
        elif code == _SWAP:
            stack[-1], stack[-2] = stack[-2], stack[-1]
        elif code == _PICK:
            stack.append(stack[-1 - self._code[at + 1]])
            return at + 2
        elif code == _ROT:
            stack[-3:] = [stack[-1], stack[-3], stack[-2]]
        else:
            raise Untranslatable(f"operation {code:#x}")
        return at + 1

    def _word(self, at: int) -> int:
        return self._code[at] << 8 | self._code[at + 1]
