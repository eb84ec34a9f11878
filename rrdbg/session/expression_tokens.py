"""Expressions cut into tokens."""

from __future__ import annotations

import re

from rrdbg_core.frozen import Frozen

from rrdbg.session.errors import UsageError

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<real>(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)? | \.[0-9]+(?:[eE][-+]?[0-9]+)? | [0-9]+[eE][-+]?[0-9]+)
               [fFlL]?(?![\w.]))
    | (?P<number>0[xX][0-9a-fA-F_]+[uUlL]* | 0[bB][01_]+[uUlL]* | [0-9][0-9_]*[uUlL]*)
    | (?P<char>[LuU]?'(?:\\(?:[0-7]{1,3}|x[0-9a-fA-F]+|.)|[^\\'])')
    | (?P<quoted>'[^']+')
    | (?P<string>"(?:\\.|[^\\"])*")
    | (?P<dollar>\$(?:[A-Za-z_]\w*|\$?[0-9]*))
    | (?P<name>[A-Za-z_]\w*)
    | (?P<op><<=|>>=|\.\.\.|::|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>()\[\]{}?:,.@=])
    )""",
    re.VERBOSE,
)
_FILE = re.compile(r"\s*([\w./+-]*\w\.\w+)\s*::")
_ESCAPES = {"n": 10, "r": 13, "t": 9, "a": 7, "b": 8, "e": 27, "f": 12, "v": 11}
MAX_LENGTH = 100_000
"""Characters of the longest expression."""


class Token(Frozen):
    """A token."""

    kind: str
    """"real", "number", "char", "quoted", "string", "dollar", "name", "file", "op" or "end"."""
    text: str
    """As it was written."""
    column: int
    """Where it starts, from 0."""
    end: int
    """Where it ends."""


def tokens(text: str) -> list[Token]:
    """Cut an expression into tokens; the last one is the end.

    Raises:
        UsageError: A character that no token starts with.
    """
    if len(text) > MAX_LENGTH:
        raise UsageError(f"an expression of {len(text):_} characters is too long", hint=f"at most {MAX_LENGTH:_}")
    found: list[Token] = []
    at = 0
    while text[at:].strip():
        if match := _FILE.match(text, at):  # file.c::name, without quotes
            found.append(Token("file", match[1], match.start(1), match.end(1)))
            at = match.end(1)
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            column = at + len(text[at:]) - len(text[at:].lstrip())
            raise mistake(f"unexpected {text[column]!r}", text, column)
        kind = match.lastgroup or ""
        token = Token(kind, match[kind], match.start(kind), match.end(kind))
        if kind == "real" and token.text[0] == "." and found and _ends_value(found[-1], token):
            # counter.0 is a symbol that the compiler made up, not a number
            token = Token("op", ".", token.column, token.column + 1)
        found.append(token)
        at = token.end
    return [*found, Token("end", "", len(text), len(text))]


def mistake(what: str, text: str, column: int) -> UsageError:
    """Return the error about a place in an expression."""
    shown = text.strip()
    if len(shown) > 100:
        shown = shown[:100] + "..."
    return UsageError(f"{what} at column {column + 1} of expression {shown!r}")


def _ends_value(last: Token, token: Token) -> bool:
    return last.kind == "name" and last.end == token.column


def character(token: str) -> int | None:
    """Return the code that a character constant means."""
    codes = unescape(token[token.index("'") + 1 : -1])
    return codes[0] if codes is not None and len(codes) == 1 else None


def unescape(text: str) -> list[int] | None:
    """Return the codes of text with C's escapes, or None when there is an unknown one."""
    codes: list[int] = []
    for match in re.finditer(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]+)|(.))|([^\\])", text, re.DOTALL):
        octal, hexadecimal, letter, plain = match.groups()
        if octal:
            codes.append(int(octal, 8) & 255)
        elif hexadecimal:
            codes.append(int(hexadecimal, 16) & 255)
        elif letter:
            if letter not in _ESCAPES and letter not in "\\'\"?":
                return None
            codes.append(_ESCAPES.get(letter, ord(letter)))
        else:
            codes.append(ord(plain))
    return codes
