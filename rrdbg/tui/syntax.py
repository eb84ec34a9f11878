"""Colours for source text: comments, strings, numbers and keywords of C, C++, Rust and assembly. Line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_C = """auto bool break case char class const constexpr continue default delete do double else enum extern false
float for goto if inline int long namespace new noexcept nullptr operator private protected public register
restrict return short signed sizeof static struct switch template this throw true try typedef typename union
unsigned using virtual void volatile while size_t ssize_t int8_t int16_t int32_t int64_t uint8_t uint16_t
uint32_t uint64_t uintptr_t intptr_t _Bool _Static_assert asm __asm__ __attribute__ NULL"""
_RUST = """as async await bool break char const continue crate dyn else enum extern f32 f64 false fn for i8 i16 i32 i64
isize if impl in let loop match mod move mut pub ref return self Self static str struct super trait true type u8 u16 u32
u64 usize unsafe use where while"""

_TOKEN = re.compile(
    r"""(?P<comment>//.*|/\*.*?(?:\*/|$))
    |(?P<string>"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)'|'\\[^']*')
    |(?P<directive>^\s*\#\s*[a-z]\w*)
    |(?P<number>\b\d[\w.]*)
    |(?P<word>[A-Za-z_]\w*)""",
    re.VERBOSE,
)
_ASSEMBLY = re.compile(
    r"""(?P<comment>//.*|\#.*|/\*.*?(?:\*/|$))
    |(?P<string>"(?:[^"\\]|\\.)*"?)
    |(?P<directive>(?<!\w)\.\w+)
    |(?P<number>\b\d[\w.]*)
    |(?P<word>(?!))""",
    re.VERBOSE,
)


class Highlighter:
    """Finds what to colour in the lines of one file."""

    def __init__(self, file: str, lines: Sequence[str]) -> None:
        self._lines = lines
        ending = file.rsplit(".", 1)[-1].lower() if "." in file else ""
        self._tokens = _ASSEMBLY if ending in ("s", "asm", "inc") else _TOKEN
        self._keywords = frozenset((_RUST if ending == "rs" else _C).split())
        self._inside = _comments(lines)

    def line(self, index: int) -> Iterator[tuple[str, str]]:
        """Yield a line in pieces: text, and what it is: "", comment, string, directive, number or keyword."""
        text = self._lines[index]
        start = 0
        if index in self._inside:
            end = text.find("*/")
            start = len(text) if end < 0 else end + 2
            yield text[:start], "comment"
        for match in self._tokens.finditer(text, start):
            if match.start() > start:
                yield text[start : match.start()], ""
            start = match.end()
            kind = match.lastgroup or ""
            if kind == "word":
                kind = "keyword" if match[0] in self._keywords else ""
            yield match[0], kind
        if start < len(text):
            yield text[start:], ""


def _comments(lines: Sequence[str]) -> frozenset[int]:
    """Return the lines that start inside a block comment."""
    inside = set()
    open_ = False
    for index, text in enumerate(lines):
        if open_:
            inside.add(index)
        elif "/*" not in text:
            continue
        start = 0
        while True:
            mark = "*/" if open_ else "/*"
            start = text.find(mark, start)
            if start < 0 or (not open_ and "//" in text[:start]):
                break
            start += 2
            open_ = not open_
    return frozenset(inside)
