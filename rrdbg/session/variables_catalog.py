"""Lists of the program's functions, variables and types, and of what is visible at a place in the code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rrdbg.session.api import ProgramSymbol
from rrdbg.session.difference import Differences
from rrdbg.session.errors import UsageError
from rrdbg.symbols.catalog import all_functions, all_types, all_variables
from rrdbg.symbols.escape import harmless
from rrdbg.symbols.places import BehindCfa, BehindRegister, Constant, Fixed, InRegister
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
            text = f"Symbol {variable.name} is {self._place_text(variable, pc)}, length {variable.type.size}."
            yield _row("scope", variable.name, text, variable.file, variable.line)

    def _place_text(self, variable: DebugVariable, pc: int) -> str:
        match self._symbols.debug.place(variable, pc):
            case Fixed(address):
                return f"static storage at address {address:#x}"
            case InRegister(number):
                return f"a variable in ${_register(number)}"
            case BehindRegister(number, offset):
                return f"a variable at ${_register(number)}{offset:+d}"
            case BehindCfa(offset):
                return f"a variable at frame base {offset:+d}"
            case Constant(data):
                return f"constant {int.from_bytes(data, 'little')}"
        return "a variable whose place is computed, or that was optimized out here"


def _register(number: int) -> str:
    from rrdbg_core.isa.registers import ABI

    return ABI[number] if 0 <= number < 32 else f"f{number - 32}"


def _row(kind: str, name: str, text: str, file: str, line: int, address: int | None = None) -> ProgramSymbol:
    return ProgramSymbol(kind, harmless(name), harmless(text), harmless(file), line, address)
