"""Lists of the program's functions, variables and types, and of what is visible at a place in the code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rrdbg.session.api import ProgramSymbol
from rrdbg.session.difference import Differences
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.symbols.catalog import all_functions, all_types, all_variables
from rrdbg.symbols.escape import harmless
from rrdbg.symbols.places import Fixed
from rrdbg.symbols.scopes import DebugVariable
from rrdbg.symbols.types import BaseType, EnumType, StructType, TypedefType, declare

MAX_LISTED = 10_000
"""Rows of the longest list."""
KINDS = ("variable", "function", "type", "scope")


class Catalog(Differences):
    """The part of a session that lists what the program consists of."""

    def program_symbols(self, kind: str, pattern: str = "", limit: int = 1000) -> tuple[ProgramSymbol, ...]:
        """Return what the debug information describes."""
        self._check_open()
        if kind not in KINDS:
            raise UsageError(f"there is no list of {kind!r}", hint=", ".join(KINDS))
        if not 0 <= limit <= MAX_LISTED:
            raise UsageError(f"cannot list {limit:_} symbols", hint=f"at most {MAX_LISTED:_}")
        if kind == "scope":
            return tuple(self._visible(pattern))[:limit]
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise UsageError(f"{pattern!r} is no regular expression: {error}") from error
        rows = {"variable": self._all_variables, "function": self._all_functions, "type": self._all_types}[kind]()
        found = {row for row in rows if wanted.search(row.name)}
        return tuple(sorted(found, key=lambda row: (row.file, row.name, row.line)))[:limit]

    def _all_variables(self) -> Iterator[ProgramSymbol]:
        for variable in all_variables(self._symbols.debug):
            place = self._symbols.debug.place(variable, 0)
            static = "static " if variable.kind == "static" else ""
            text = f"{static}{declare(variable.type, variable.name)};"
            address = place.address if isinstance(place, Fixed) else None
            yield _row("variable", variable.name, text, variable.file, variable.line, address)

    def _all_functions(self) -> Iterator[ProgramSymbol]:
        for scope in all_functions(self._symbols.debug):
            static = "" if scope.external else "static "
            text = f"{static}{declare(scope.type, scope.name)};"
            yield _row("function", scope.name, text, scope.file, scope.line, scope.low_pc)

    def _all_types(self) -> Iterator[ProgramSymbol]:
        for kind, file, line in all_types(self._symbols.debug):
            match kind:
                case TypedefType():
                    yield _row("type", kind.name, f"typedef {declare(kind.target, kind.name)};", file, line)
                case StructType() | EnumType():
                    yield _row("type", kind.name, f"{declare(kind)};", file, line)
                case BaseType():
                    yield _row("type", kind.name, kind.name, "", 0)

    def _visible(self, location: str) -> Iterator[ProgramSymbol]:
        """Yield the variables that are visible at a place, with where they are."""
        debug = self._symbols.debug
        pc = self._code_addresses(location)[0] if location.strip() else self._scene().state.pc
        scope = next(iter(debug.scopes(pc)), None)
        if scope is None:
            return
        for variable in (*debug.arguments(scope, pc), *debug.locals(scope, pc)):
            where = debug.place_text(variable, pc)
            where = f"in {where}" if where.startswith("static storage") else where
            length = "" if where == "optimized out" else f", length {variable.type.size}"
            text = f"Symbol {variable.name} is {where}{length}."
            yield _row("scope", variable.name, text, variable.file, variable.line)

    def whereabouts(self, name: str) -> str:
        """Return where a variable, function or symbol is, in gdb's words."""
        self._check_open()
        scene = self._scene()
        found = scene.meaning(name)
        if isinstance(found, DebugVariable):
            where = self._symbols.debug.place_text(found, scene.state.pc)
            where = "constant" if where.startswith("constant ") else where
        elif found is not None:
            where = f"a function at address {found.low_pc:#x}"
        elif self._symbols.debug.enumerator(name, scene.state.pc) is not None:
            where = "constant"
        elif (symbol := self._symbols.named(name)) is not None:
            where = f"at {symbol.address:#x} in a file compiled without debugging"
        elif isinstance(scene.type_named(name), TypedefType):
            where = "a typedef"
        else:
            self._named(name)  # says what is lacking
            raise NotFound(f"no symbol {name!r} in current context")
        return f'Symbol "{harmless(name)}" is {_lines(where)}.'

    def section(self, address: int) -> str:
        """Return the name of the images' section around an address."""
        self._check_open()
        return self._symbols.section(address)


def _lines(text: str) -> str:
    return "\n".join(map(harmless, text.split("\n")))


def _row(kind: str, name: str, text: str, file: str, line: int, address: int | None = None) -> ProgramSymbol:
    return ProgramSymbol(kind, harmless(name), _lines(text), harmless(file), line, address)
