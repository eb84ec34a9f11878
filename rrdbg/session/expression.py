"""Expressions at instruction level: what `p`, `x`, conditions and locations are written in.

    integers      42, 1_000, 0x8000_0000, 0b101, 'a'
    registers     $a0, $x10, $pc, $mstatus, $icount, $priv, $time_ns; at a prompt $1, $, $$: values shown before
    symbols       main, heap_head: their address; &symbol is the same
    operators     + - * / % & | ^ ~ << >> == != < <= > >= && || ! ?: and parentheses, with C's precedences
    memory        *(u32*)address, *(uint32_t *)$sp, ((u16*)table)[3], *address (8 bytes, signed)
    casts         (u8)$a0, (int)$a0, and pointers to u8 u16 u32 u64 i8 i16 i32 i64 and C's integer types

Arithmetic is C's on 64 bits: general registers are signed (as in gdb), addresses and CSRs unsigned, and an unsigned
operand makes the operation unsigned. A pointer that was cast counts in units of its type; plain addresses count bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rrdbg.session.errors import UsageError
from rrdbg.session.numbers import I64, M64, TYPE_WORDS, U64, Type, Value, combine, type_of


class Context(Protocol):
    """Where an expression finds its values."""

    def register(self, name: str) -> Value:
        """Return a register by name, without `$`. Raises NotFound."""

    def symbol(self, name: str) -> int:
        """Return a symbol's address. Raises NotFound."""

    def load(self, address: int, size: int) -> int:
        """Return `size` bytes of guest memory as an unsigned number. Raises RrdbgError."""


Node = Callable[[Context], Value]


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression."""

    text: str
    """As it was written."""
    evaluate: Node
    """Returns its value in a context."""
    place: Callable[[Context], tuple[int, Type]] | None = None
    """For an expression that names memory: its address and type."""
    symbol: str = ""
    """The symbol, for an expression that is one and nothing else."""
    register: str = ""
    """The register, for an expression that is one and nothing else."""


def parse(text: str) -> Expression:
    """Parse an expression.

    Raises:
        UsageError: It cannot be understood; the message says at which column.
    """
    parser = _Parser(text)
    result = parser.expression(0)
    parser.expect_end()
    return Expression(text.strip(), result.node, result.place, result.symbol, result.register)


@dataclass(frozen=True, slots=True)
class _Term:
    node: Node
    place: Callable[[Context], tuple[int, Type]] | None = None
    symbol: str = ""
    register: str = ""


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>0[xX][0-9a-fA-F_]+ | 0[bB][01_]+ | [0-9][0-9_]*)
    | (?P<char>'(?:\\.|[^\\'])')
    | (?P<register>\$[A-Za-z_]\w*)
    | (?P<name>[A-Za-z_.][\w.$@]* | '[^']+')
    | (?P<op><<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>()\[\]?:,])
    )""",
    re.VERBOSE,
)
_PRECEDENCE = {
    "||": 2,
    "&&": 3,
    "|": 4,
    "^": 5,
    "&": 6,
    "==": 7,
    "!=": 7,
    "<": 8,
    "<=": 8,
    ">": 8,
    ">=": 8,
    "<<": 9,
    ">>": 9,
    "+": 10,
    "-": 10,
    "*": 11,
    "/": 11,
    "%": 11,
}
_ESCAPES = {"n": 10, "r": 13, "t": 9, "0": 0, "\\": 92, "'": 39, "a": 7, "b": 8, "e": 27}
_MAX_DEPTH = 100


class _Parser:
    """A Pratt parser that builds closures."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.kind, self.token, self.column = "", "", 0
        self.advance()

    def advance(self) -> None:
        rest = self.text[self.at :]
        if not rest.strip():
            self.kind, self.token, self.column = "end", "", len(self.text)
            return
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            self.column = self.at + len(rest) - len(rest.lstrip())
            raise self.error(f"unexpected {self.text[self.column]!r}")
        self.kind = match.lastgroup or ""
        self.token = match[self.kind]
        self.column = match.start(self.kind)
        self.at = match.end()

    def error(self, what: str) -> UsageError:
        return UsageError(f"{what} at column {self.column + 1} of expression {self.text.strip()!r}")

    def expect_end(self) -> None:
        if self.kind != "end":
            raise self.error(f"unexpected {self.token!r}")

    def take(self, token: str) -> bool:
        if self.kind == "op" and self.token == token:
            self.advance()
            return True
        return False

    def need(self, token: str) -> None:
        if not self.take(token):
            raise self.error(f"{token!r} is missing" if self.kind == "end" else f"{token!r} expected")

    def expression(self, level: int) -> _Term:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error("too deeply nested")
        left = self.unary()
        while self.kind == "op":
            operator = self.token
            if operator == "?" and level <= 1:
                self.advance()
                yes = self.expression(0)
                self.need(":")
                left = _Term(_choice(left.node, yes.node, self.expression(1).node))
                continue
            precedence = _PRECEDENCE.get(operator, 0)
            if precedence <= level or precedence == 0:
                break
            self.advance()
            left = _Term(_binary(operator, left.node, self.expression(precedence).node))
        self.depth -= 1
        return left

    def unary(self) -> _Term:
        for operator in ("-", "+", "~", "!"):
            if self.take(operator):
                return _Term(_unary(operator, self.deeper().node))
        if self.take("*"):
            return _dereference(self.deeper().node)
        if self.take("&"):
            return self.address_of(self.deeper())
        if self.kind == "op" and self.token == "(":
            cast = self.try_cast()
            if cast is not None:
                kind, pointer = cast
                return _Term(_cast(self.deeper().node, kind, pointer))
        return self.postfix(self.primary())

    def deeper(self) -> _Term:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error("too deeply nested")
        term = self.unary()
        self.depth -= 1
        return term

    def postfix(self, term: _Term) -> _Term:
        while self.take("["):
            index = self.expression(0)
            self.need("]")
            term = _dereference(_binary("+", term.node, index.node))
        return term

    def address_of(self, term: _Term) -> _Term:
        if term.symbol:
            return _Term(term.node)
        if term.place is None:
            raise self.error("only memory has an address")
        place = term.place

        def address(context: Context) -> Value:
            where, kind = place(context)
            return Value(where, U64, kind, True)

        return _Term(address)

    def try_cast(self) -> tuple[Type, bool] | None:
        saved = self.at, self.kind, self.token, self.column
        self.advance()
        words: list[str] = []
        while self.kind == "name" and self.token in TYPE_WORDS:
            if self.token not in ("const", "volatile", "struct"):
                words.append(self.token)
            self.advance()
        kind = type_of(words)
        pointer = False
        while kind is not None and self.take("*"):
            if pointer:
                kind = U64
            pointer = True
        if kind is None or not self.take(")"):
            self.at, self.kind, self.token, self.column = saved
            return None
        return kind, pointer

    def primary(self) -> _Term:
        kind, token = self.kind, self.token
        if kind == "number":
            value = _number(token)
            if value is None:
                raise self.error(f"{token!r} is not a number")
            if value > M64:
                raise self.error(f"{token} needs more than 64 bits")
            self.advance()
            constant = Value(value, I64 if value >> 63 == 0 else U64)
            return _Term(lambda _: constant)
        if kind == "char":
            body = token[1:-1]
            code = _ESCAPES.get(body[1:]) if body[0] == "\\" else ord(body)
            if code is None:
                raise self.error(f"unknown escape {body}")
            self.advance()
            letter = Value(code, I64)
            return _Term(lambda _: letter)
        if kind == "register":
            self.advance()
            name = token[1:]
            return _Term(lambda context: context.register(name), register=name)
        if kind == "name":
            self.advance()
            symbol = token.strip("'")
            return _Term(lambda context: Value(context.symbol(symbol), U64, None, True), symbol=symbol)
        if self.take("("):
            inner = self.expression(0)
            self.need(")")
            return inner
        raise self.error("something is missing" if kind == "end" else f"unexpected {token!r}")


def _number(token: str) -> int | None:
    try:
        return int(token.replace("_", "") if token[:1] != "0" or len(token) < 2 else _octal_free(token), 0)
    except ValueError:
        return None


def _octal_free(token: str) -> str:
    # a leading zero means nothing here: 007 is 7, and 0x, 0b are kept
    return token.replace("_", "") if token[1] in "xXbB" else token.replace("_", "").lstrip("0") or "0"


def _dereference(node: Node) -> _Term:
    def place(context: Context) -> tuple[int, Type]:
        pointer = node(context)
        return pointer.bits, pointer.target or I64

    def load(context: Context) -> Value:
        address, kind = place(context)
        return Value(kind.fit(context.load(address, kind.size)), kind)

    return _Term(load, place)


def _cast(node: Node, kind: Type, pointer: bool) -> Node:
    def cast(context: Context) -> Value:
        value = node(context)
        if pointer:
            return Value(value.bits, U64, kind, True)
        return Value(kind.fit(value.number), kind)

    return cast


def _choice(test: Node, yes: Node, no: Node) -> Node:
    return lambda context: yes(context) if test(context).number else no(context)


def _unary(operator: str, node: Node) -> Node:
    def apply(context: Context) -> Value:
        value = node(context)
        if operator == "!":
            return Value(int(not value.number), I64)
        if operator == "+":
            return value
        number = -value.number if operator == "-" else ~value.number
        kind = I64 if value.type.signed or value.type.size < 8 else U64
        return Value(kind.fit(number), kind)

    return apply


def _binary(operator: str, left: Node, right: Node) -> Node:
    if operator == "&&":
        return lambda context: Value(int(bool(left(context).number) and bool(right(context).number)), I64)
    if operator == "||":
        return lambda context: Value(int(bool(left(context).number) or bool(right(context).number)), I64)
    return lambda context: combine(operator, left(context), right(context))
