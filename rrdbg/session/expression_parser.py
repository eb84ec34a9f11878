"""From the text of an expression to its tree: gdb's grammar of C.

Whether `(name) -1` is a cast or a difference depends on what `name` is where the expression is evaluated. The parser
asks only where it must, and keeps the answers: a tree holds wherever they are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rrdbg.session import expression_nodes as nodes
from rrdbg.session.errors import UsageError
from rrdbg.session.expression_tokens import Token, character, mistake, tokens, unescape
from rrdbg.session.numbers import M64

MAX_DEPTH = 100
"""Levels of the deepest tree."""
PRECEDENCE = {
    ",": 1,
    "||": 4,
    "&&": 5,
    "|": 6,
    "^": 7,
    "&": 8,
    "==": 9,
    "!=": 9,
    "<": 10,
    "<=": 10,
    ">": 10,
    ">=": 10,
    "<<": 11,
    ">>": 11,
    "@": 12,
    "+": 13,
    "-": 13,
    "*": 14,
    "/": 14,
    "%": 14,
}
_ASSIGNMENT, _CHOICE = 2, 3
_ASSIGNS = {"=": "", **{f"{op}=": op for op in ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")}}
_TAGS = ("struct", "union", "enum", "class")
_QUALIFIERS = ("const", "volatile", "restrict", "__restrict", "_Atomic")
_WORDS = ("unsigned", "signed", "char", "short", "int", "long", "float", "double", "void", "_Bool", "__int128")
_OPERAND = ("number", "real", "char", "string", "dollar", "name", "quoted", "file")

IsType = Callable[[str], bool]
T = TypeVar("T", bound=nodes.Tree)


class Parser:
    """A Pratt parser."""

    def __init__(self, text: str, is_type: IsType) -> None:
        self.text = text
        self.answers: dict[str, bool] = {}
        self._ask = is_type
        self._tokens = tokens(text)
        self._at = 0
        self._nesting = 0
        self._depths: dict[int, int] = {}

    # the whole

    def parse(self) -> nodes.Tree:
        """Return the tree. Raises UsageError."""
        tree = self._type_or_expression()
        if self.token.kind != "end":
            raise self.error(f"unexpected {self.token.text!r}")
        return tree

    def error(self, what: str) -> UsageError:
        """Return the error about the current token."""
        return mistake(what, self.text, self.token.column)

    # tokens

    @property
    def token(self) -> Token:
        """The current token."""
        return self._tokens[self._at]

    def _peek(self, ahead: int = 1) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _advance(self) -> Token:
        token = self.token
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _is(self, text: str) -> bool:
        return self.token.kind == "op" and self.token.text == text

    def _take(self, text: str) -> bool:
        if self._is(text):
            self._advance()
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self.error(f"{text!r} is missing" if self.token.kind == "end" else f"{text!r} expected")

    def _enter(self) -> None:
        self._nesting += 1
        if self._nesting > MAX_DEPTH:
            raise self.error("too deeply nested")

    def _made(self, tree: T, *parts: nodes.Tree) -> T:
        depth = 1 + max((self._depths.get(id(part), 0) for part in parts), default=0)
        if depth > MAX_DEPTH:
            raise self.error("too long")
        self._depths[id(tree)] = depth
        return tree

    # expressions

    def _type_or_expression(self) -> nodes.Tree:
        """Parse what `whatis` and `sizeof` take: a type's name goes first where both are possible."""
        if self._starts_type(sure=False):
            saved = self._at
            named = self._type_name()
            if self.token.kind == "end" or self._is(")"):
                return named
            self._at = saved
        return self._expression(0)

    def _expression(self, level: int) -> nodes.Tree:
        self._enter()
        left = self._unary()
        while self.token.kind == "op":
            operator = self.token.text
            if operator in _ASSIGNS and level <= _ASSIGNMENT:
                self._advance()
                right = self._expression(_ASSIGNMENT)
                left = self._made(nodes.Assign(_ASSIGNS[operator], left, right), left, right)
            elif operator == "?" and level <= _CHOICE:
                self._advance()
                yes = self._expression(0)
                self._need(":")
                no = self._expression(_ASSIGNMENT)
                left = self._made(nodes.Choice(left, yes, no), left, yes, no)
            elif PRECEDENCE.get(operator, 0) > level:
                self._advance()
                right = self._expression(PRECEDENCE[operator])
                left = self._made(nodes.Binary(operator, left, right), left, right)
            else:
                break
        self._nesting -= 1
        return left

    def _unary(self) -> nodes.Tree:
        self._enter()
        tree = self._prefixed()
        self._nesting -= 1
        return tree

    def _prefixed(self) -> nodes.Tree:
        token = self.token
        if token.kind == "op":
            if token.text in ("-", "+", "~", "!", "*", "&"):
                self._advance()
                operand = self._unary()
                return self._made(nodes.Unary(token.text, operand), operand)
            if token.text == "&&":  # GNU C's address of a label means nothing here: &&x is & of & of x
                raise self.error("unexpected '&&'")
            if token.text in ("++", "--"):
                self._advance()
                operand = self._unary()
                return self._made(nodes.Assign(token.text, operand, operand), operand)
            if token.text == "{":
                self._advance()
                kind = self._type_name()
                self._need("}")
                operand = self._unary()
                return self._made(nodes.At(kind, operand), operand)
            if token.text == "(" and (cast := self._try_cast()) is not None:
                operand = self._unary()
                return self._made(nodes.Cast(cast, operand), operand)
        if token.kind == "name" and token.text in ("sizeof", "_Alignof", "alignof"):
            return self._measure(token)
        return self._postfix(self._primary())

    def _measure(self, token: Token) -> nodes.Tree:
        self._advance()
        operator = "sizeof" if token.text == "sizeof" else "alignof"
        if self._is("("):
            saved = self._at
            self._advance()
            tree = self._type_or_expression()
            if isinstance(tree, nodes.TypeName):
                self._need(")")
                return self._made(nodes.Measure(operator, tree))
            self._at = saved
        operand = self._unary()
        return self._made(nodes.Measure(operator, operand), operand)

    def _postfix(self, tree: nodes.Tree) -> nodes.Tree:
        while self.token.kind == "op":
            if self._take("["):
                index = self._expression(0)
                self._need("]")
                tree = self._made(nodes.Index(tree, index), tree, index)
            elif self._is(".") or self._is("->"):
                arrow = self._advance().text == "->"
                if self.token.kind not in ("name", "quoted", "number"):
                    raise self.error("a member's name is missing")
                tree = self._made(nodes.Member(tree, self._advance().text.strip("'"), arrow), tree)
            elif self._is("("):
                tree = self._made(nodes.Call(tree), tree)
                self._advance()
                if not self._is(")"):
                    self._expression(0)
                self._need(")")
            elif self._is("++") or self._is("--"):
                tree = self._made(nodes.Assign("post" + self._advance().text, tree, tree), tree)
            else:
                break
        return tree

    def _primary(self) -> nodes.Tree:
        token = self.token
        match token.kind:
            case "number":
                self._advance()
                return self._made(self._number(token))
            case "real":
                self._advance()
                suffix = token.text[-1].lower()
                size = {"f": 4, "l": 16}.get(suffix, 8)
                return self._made(nodes.Real(token.text.rstrip("fFlL"), size))
            case "char":
                code = character(token.text)
                if code is None:
                    raise self.error(f"unknown escape in {token.text}")
                self._advance()
                return self._made(nodes.Character(code))
            case "string":
                return self._made(self._string())
            case "dollar":
                self._advance()
                return self._made(nodes.Dollar(token.text[1:]))
            case "name" | "quoted" | "file":
                return self._made(self._name())
        if self._take("("):
            inner = self._expression(0)
            self._need(")")
            return inner
        if self._take("::"):  # past the variables of the function
            if self.token.kind not in ("name", "quoted"):
                raise self.error("a name is missing")
            name = self._name()
            return self._made(nodes.Qualified("", name.name)) if isinstance(name, nodes.Name) else name
        raise self.error("something is missing" if token.kind == "end" else f"unexpected {token.text!r}")

    def _string(self) -> nodes.String:
        data = b""
        while self.token.kind == "string":
            codes = unescape(self.token.text[1:-1])
            if codes is None:
                raise self.error(f"unknown escape in {self.token.text}")
            self._advance()
            data += b"".join(bytes([code]) if code < 256 else chr(code).encode("utf-8", "replace") for code in codes)
        return nodes.String(data)

    def _name(self) -> nodes.Tree:
        token = self._advance()
        if token.kind == "name" and token.text in (*_WORDS, *_TAGS, *_QUALIFIERS):
            self._at -= 1
            return self._type_name()
        parts = [token.text.strip("'")]
        while self._is("::"):
            self._advance()
            if self.token.kind not in ("name", "quoted"):
                raise self.error("a name is missing")
            parts.append(self._advance().text.strip("'"))
        if len(parts) == 1:
            return nodes.Name(parts[0])
        return nodes.Qualified("::".join(parts[:-1]), parts[-1])

    def _number(self, token: Token) -> nodes.Number:
        text = token.text.rstrip("uUlL")
        suffix = "".join(sorted(set(token.text[len(text) :].lower()), reverse=True))
        digits = text.replace("_", "")
        decimal = digits[:1] != "0" or digits == "0"
        try:
            value = int(digits, 0) if decimal or digits[1] in "xXbB" else int(digits, 8)
        except ValueError:
            self._at -= 1
            raise self.error(f"{token.text!r} is not a number") from None
        if value > M64:
            self._at -= 1
            raise self.error(f"{token.text[:40]} needs more than 64 bits")
        return nodes.Number(value, suffix, decimal)

    # types

    def _is_type(self, name: str) -> bool:
        if name not in self.answers:
            self.answers[name] = self._ask(name)
        return self.answers[name]

    def _starts_type(self, *, sure: bool) -> bool:
        """Return whether a type's name starts here; if not `sure`, a lone name may also be a variable."""
        token = self.token
        if token.kind == "name":
            if token.text in _WORDS or token.text in _TAGS or token.text in _QUALIFIERS:
                return True
            follows = self._peek()
            if not sure and not (follows.kind == "op" and follows.text in ("*", "&", "&&", "[", "(", "::", ")")):
                return False
            return self._is_type(self._path())
        return token.kind == "quoted" and self._is_type(token.text.strip("'"))

    def _path(self) -> str:
        """Return the qualified name that starts here."""
        parts, ahead = [self.token.text], 1
        while self._peek(ahead).text == "::" and self._peek(ahead + 1).kind == "name":
            parts.append(self._peek(ahead + 1).text)
            ahead += 2
        return "::".join(parts)

    def _try_cast(self) -> nodes.TypeName | None:
        saved = self._at
        self._advance()
        if self.token.kind in ("name", "quoted") and (self._starts_type(sure=True) or self._looks_like_cast()):
            try:
                kind = self._type_name()
            except UsageError:
                if self.token.kind == "end":
                    raise
                self._at = saved
                return None
            if self._is(")") and self._starts_operand(self._peek()):
                self._advance()
                return kind
        self._at = saved
        return None

    def _looks_like_cast(self) -> bool:
        """Return whether `(name` goes on as only a cast can: `(name *)`, `(name) 5`."""
        ahead = 1
        while self._peek(ahead).kind == "op" and self._peek(ahead).text == "*":
            ahead += 1
        if self._peek(ahead).text != ")" or self._peek(ahead).kind != "op":
            return False
        return ahead > 1 or self._peek(ahead + 1).kind in _OPERAND

    @staticmethod
    def _starts_operand(token: Token) -> bool:
        return token.kind in _OPERAND or (
            token.kind == "op" and token.text in ("(", "-", "+", "~", "!", "*", "&", "{", "++", "--", "::")
        )

    def _type_name(self) -> nodes.TypeName:
        base, qualifiers = self._base()
        return self._made(nodes.TypeName(base, qualifiers, tuple(self._declarator())))

    def _base(self) -> tuple[str, tuple[str, ...]]:
        words: list[str] = []
        qualifiers: list[str] = []
        tag = ""
        while self.token.kind in ("name", "quoted"):
            text = self.token.text
            if text in _QUALIFIERS:
                qualifiers.append(text.strip("_") if text != "_Atomic" else text)
            elif text in _TAGS and not words:
                tag = text
            elif text in _WORDS:
                words.append(text)
            elif not words:
                words.append(text.strip("'") if self.token.kind == "quoted" else self._path())
                self._at += 2 * words[-1].count("::") if self.token.kind == "name" else 0
                if not tag and text not in _WORDS and self._peek().text not in _QUALIFIERS:
                    self._advance()
                    break
            else:
                break
            self._advance()
        if not words:
            raise self.error("a type's name is missing")
        return f"{tag} {words[0]}" if tag else " ".join(words), tuple(qualifiers)

    def _declarator(self) -> list[nodes.Derived]:
        """Parse an abstract declarator; returns its steps from the base outwards."""
        self._enter()
        pointers: list[nodes.Derived] = []
        while True:
            if self.token.kind == "op" and self.token.text in ("*", "&", "&&"):
                pointers.append(nodes.Derived(self._advance().text))
            elif self.token.kind == "name" and self.token.text in _QUALIFIERS:
                pointers.append(nodes.Derived(self._advance().text.strip("_")))
            else:
                break
        inner: list[nodes.Derived] = []
        if self._is("(") and self._peek().kind == "op" and self._peek().text in ("*", "&", "&&"):
            self._advance()
            inner = self._declarator()
            self._need(")")
        suffixes: list[nodes.Derived] = []
        while True:
            if self._take("["):
                suffixes.append(nodes.Derived("[", self._count()))
            elif self._is("(") and (inner or pointers or self._is_parameters()):
                self._advance()
                suffixes.append(self._parameters())
            else:
                break
        self._nesting -= 1
        return [*pointers, *reversed(suffixes), *inner]

    def _is_parameters(self) -> bool:
        return self._peek().text == ")" or self._peek().text in _WORDS or self._peek().text in _TAGS

    def _count(self) -> int | None:
        if self._take("]"):
            return None
        if self.token.kind != "number":
            raise self.error("a number of elements is missing")
        count = self._number(self._advance()).value
        self._need("]")
        return count

    def _parameters(self) -> nodes.Derived:
        kinds: list[nodes.TypeName] = []
        variadic = False
        while not self._take(")"):
            if self._take("..."):
                variadic = True
            else:
                kinds.append(self._type_name())
            if not self._is(")"):
                self._need(",")
        if kinds == [nodes.TypeName("void")]:
            kinds = []
        return nodes.Derived("(", None, tuple(kinds), variadic)
