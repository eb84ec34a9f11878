"""Places in the program by name: where `break` stops and where a function begins for somebody who reads its source.

What gdb's `skip_prologue_sal` does, without what other processors need.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.inspect import Inspect
from rrdbg.session.printing_numbers import address_text
from rrdbg.session.program import LineSpan
from rrdbg.symbols.lines import Line
from rrdbg.symbols.scopes import Scope

_FILE_LINE = re.compile(r"(.+\.\w+):(\d+)")
_FILE_FUNCTION = re.compile(r"(.+\.\w+):([A-Za-z_]\w*)")
_LINE = re.compile(r"[+-]?\d{1,7}")
_NAME = re.compile(r"[A-Za-z_~][\w:~<>, *&]*(?:\(.*\))?")


class Locations(Inspect):
    """The part of a session that resolves places in code."""

    def _current_line(self) -> tuple[str, int]:
        """Return file and line of the selected frame; raises NotFound where there is none."""
        line = self._symbols.line(self.pc)
        if line is None:
            raise NotFound("no source line belongs to the current position", hint="give FILE:LINE, or *ADDRESS")
        return line.file, line.line

    def _code_addresses(self, location: str | int) -> tuple[int, ...]:
        """Return the addresses of a place as `break` takes it, ascending.

        A place is an address, `FILE:LINE`, `LINE` in the current file, `+N` or `-N` lines from here, `FUNCTION`,
        `FILE:FUNCTION`, or `*EXPRESSION`. A function means what comes behind its prologue, but not after `*`.

        Raises:
            NotFound: There is no such line, function or symbol.
            UsageError: It makes no sense.
        """
        if not isinstance(location, str):
            return (_even(location),)
        text = location.strip()
        if text.startswith("*"):
            return (_even(self.evaluate(text[1:].strip())),)
        if match := _FILE_LINE.fullmatch(text):
            return self._line_addresses(match[1], int(match[2]))
        if _LINE.fullmatch(text) and (text[0] in "+-" or self._symbols.line(self.pc) is not None):
            file, line = self._current_line()
            return self._line_addresses(file, line + int(text) if text[0] in "+-" else int(text))
        if (match := _FILE_FUNCTION.fullmatch(text)) and (found := self._function_addresses(match[2], match[1])):
            return found
        if _NAME.fullmatch(text) and (found := self._function_addresses(text)):
            return found
        address = self.evaluate(text)
        if text.isidentifier() and not self._symbols.is_code(address):  # a variable, and what it holds
            raise NotFound(f"function {text!r} is not defined", hint=f"*{text} is the address that it holds")
        return (_even(address),)

    def line_spans(self, location: str = "") -> Sequence[LineSpan]:
        """Return the code of the source line that a place means, as `info line` takes it, ascending."""
        self._check_open()
        text = location.strip()
        asked, starts = self._line_starts_at(text) if text else (0, (self.pc,))
        spans = []
        for start in starts:
            line = self._symbols.line(start)
            if line is None:
                raise NotFound(
                    f"no line number information for address {address_text(start, lambda at: self.locate(at).text)}",
                    hint="; ".join(self._symbols.problems()) or "the program was built without -g there",
                )
            if asked and asked == line.line and self._goes_on(line):
                continue
            if asked in (0, line.line):
                spans.append(LineSpan(line.file, line.line, line.address, line.stop))
            else:  # a line without code: where the next one that has some begins
                spans.append(LineSpan(line.file, asked, start, start))
        return tuple(dict.fromkeys(spans))

    def _goes_on(self, line: Line) -> bool:
        """Return whether a row continues the line of the row in front of it, as where a block begins in the middle."""
        before = self._symbols.line(line.address - 1)
        return before is not None and (before.file, before.line, before.stop) == (line.file, line.line, line.address)

    def _line_starts_at(self, text: str) -> tuple[int, tuple[int, ...]]:
        """Return the line of a place, 0 if it does not name one, and the addresses, without skipping prologues."""
        if match := _FILE_LINE.fullmatch(text):
            return int(match[2]), self._line_starts(match[1], int(match[2]))
        if _LINE.fullmatch(text) and (text[0] in "+-" or self._symbols.line(self.pc) is not None):
            file, line = self._current_line()
            line = line + int(text) if text[0] in "+-" else int(text)
            return line, self._line_starts(file, line)
        file, name = match.groups() if (match := _FILE_FUNCTION.fullmatch(text)) else ("", text)
        if _NAME.fullmatch(name) and (scopes := self._functions(name, file)):
            return 0, tuple(sorted({scope.low_pc for scope in scopes}))
        return 0, self._code_addresses(text)

    def _functions(self, name: str, file: str) -> list[Scope]:
        """Return a function in all its copies, inlined ones included."""
        debug = self._symbols.debug
        return [
            scope
            for scope in (*debug.function_named(name), *debug.inlined_calls(name))
            if not file or _same_file(scope.file, file)
        ]

    def _function_addresses(self, name: str, file: str = "") -> tuple[int, ...]:
        """Return where a function's body begins, in all its copies, inlined ones included; empty: no such function."""
        if scopes := self._functions(name, file):
            return tuple(sorted({self._body_of(scope) for scope in scopes}))
        symbol = self._symbols.named(name)
        if symbol is None or symbol.kind == "object" or file:
            return ()
        return (self._body(symbol.address, symbol.address + symbol.size),)

    def _body_of(self, scope: Scope) -> int:
        if scope.kind == "inline":
            return scope.low_pc
        if self._symbols.debug.locations_valid(scope.low_pc):
            return scope.low_pc  # the compiler says where variables are from the first instruction on
        stop = next((hi for lo, hi in scope.ranges if lo <= scope.low_pc < hi), scope.low_pc)
        return self._body(scope.low_pc, stop)

    def _body(self, start: int, stop: int) -> int:
        """Return the first address behind a function's prologue, as gdb finds it: where its second line begins."""
        first = self._symbols.line(start)
        if first is None or self._symbols.debug.language(start) == "asm" or _is_assembly(first.file):
            return start
        at = self._after_prologue(first, start, stop)
        line = self._symbols.line(at)
        # in the middle of a line: on to the next one
        return line.stop if line is not None and line.address != at and line.stop < stop else at

    def _after_prologue(self, first: Line, start: int, stop: int) -> int:
        if first.repeated and first.address == start:
            return start  # two lines at one address: the first one is a prologue of no instructions
        if first.stop >= stop:
            return start  # one line is the whole function
        line = first
        while line.stop < stop:
            following = self._symbols.line(line.stop)
            # a prologue ends where the line goes on; back to an earlier line the compiler has moved code into it
            if following is None or following.line >= line.line or following.file != line.file:
                break
            if any(scope.kind == "inline" for scope in self._symbols.debug.scopes(line.stop)):
                break
            line = following
        return line.stop if line.stop < stop else line.address

    def _line_addresses(self, file: str, line: int) -> tuple[int, ...]:
        """Return where a source line begins, in all its copies; where it begins a function, behind the prologue."""
        return tuple(sorted({self._behind_prologue(address) for address in self._line_starts(file, line)}))

    def _line_starts(self, file: str, line: int) -> tuple[int, ...]:
        """Return where a source line begins, in all its copies and in each block that it reaches into, ascending."""
        found = self._symbols.line_addresses(file, line)
        if not found:
            known = self._symbols.knows_file(file)
            raise NotFound(
                f"no code at line {line} of {file}" if known else f"no source file {file!r} in the trace's images",
                hint="; ".join(self._symbols.problems()) or "`info line` shows the file and line of an address",
            )
        first: dict[Hashable, int] = {}
        for address in sorted(found):
            first.setdefault(self._block_around(address), address)  # as in gdb
        return tuple(sorted(first.values()))

    def _block_around(self, address: int) -> Hashable:
        scopes = self._symbols.debug.scopes(address)
        if not scopes:
            return address
        blocks = self._symbols.debug.blocks(scopes[0], address)
        return scopes[0].key, scopes[0].ranges, blocks[0].ranges if blocks else ()

    def _behind_prologue(self, address: int) -> int:
        """Return an address; where it lies in a function's prologue, the one behind it."""
        scopes = self._symbols.debug.scopes(address)
        if scopes and len(scopes) > 1:
            return address
        symbol = self._symbols.around(address)
        if scopes:
            start, body = scopes[0].low_pc, self._body_of(scopes[0])
        elif symbol is not None and symbol.size:
            start, body = symbol.address, self._body(symbol.address, symbol.address + symbol.size)
        else:
            return address
        return body if start <= address < body else address


def _even(address: int) -> int:
    if address & 1 or not 0 <= address < 1 << 64:
        raise UsageError(f"no instruction can start at {address:#x}", hint="instructions start at even addresses")
    return address


def _same_file(name: str, file: str) -> bool:
    return name == file or name.endswith("/" + file)


def _is_assembly(file: str) -> bool:
    return file.endswith((".S", ".s", ".sx", ".asm"))
