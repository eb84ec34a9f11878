"""Functions, inlined calls and blocks by address, and the variables in them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from functools import lru_cache
from typing import Any

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.context import Loaded, Resolver, UnitContext
from rrdbg.symbols.dwarf.data import forgiving
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.functions import Node, entry_of
from rrdbg.symbols.dwarf.image import ImageDebug
from rrdbg.symbols.dwarf.names import holder, linkage_name, plain_name, qualified_name
from rrdbg.symbols.dwarf.tailcalls import TailCalls
from rrdbg.symbols.dwarf.units import Unit
from rrdbg.symbols.dwarf.variables import declared_in, globals_of, value_holder
from rrdbg.symbols.places import ADDRESSES
from rrdbg.symbols.rows import NamedRows
from rrdbg.symbols.scopes import Block, DebugVariable, Scope


class DebugScopes:
    """The part of debug information that is found by address.

    Args:
        images: The images, each with how far from its own addresses it was loaded, and its symbols.
    """

    def __init__(self, images: Sequence[tuple[ImageDebug, int, NamedRows | None]] = ()) -> None:
        self._images = [Loaded(image, bias) for image, bias, _ in images]
        self._symbols = [symbols for _, _, symbols in images]
        self._resolver = Resolver(self._find)
        self._jumps = lru_cache(maxsize=4096)(TailCalls(self._find, self._resolver, self._address_of).between)
        self._find_cached = lru_cache(maxsize=4096)(self._search)
        self._contexts: dict[tuple[int, int], UnitContext] = {}
        self._completions: dict[tuple[int, int], dict[int, Die]] = {}
        self._scopes: dict[tuple[int, int], Scope] = {}
        self._declarations: dict[tuple[int, int], Sequence[Die]] = {}
        self._answers: dict[Hashable, Any] = {}

    def problems(self) -> Sequence[str]:
        """Return what was found to be missing or damaged so far, half a sentence per image; empty where all is well."""
        return [loaded.debug.problem for loaded in self._images]

    # places

    def _find(self, pc: int) -> tuple[Loaded, Unit, Node] | None:
        return self._find_cached(pc)

    def _search(self, pc: int) -> tuple[Loaded, Unit, Node] | None:
        for loaded in self._images:
            if (found := loaded.node(pc)) is not None:
                return loaded, *found
        return None

    def _unit(self, pc: int | None) -> tuple[Loaded, Unit] | None:
        if pc is not None:
            for loaded in self._images:
                if pc >= loaded.bias and (unit := loaded.debug.unit_at(pc - loaded.bias)) is not None:
                    return loaded, unit
        return None

    def _context(self, loaded: Loaded, unit: Unit) -> UnitContext:
        key = id(unit.dwarf), unit.offset
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts[key] = UnitContext(loaded, unit, self._resolver)
        return found

    @forgiving(())
    def tail_calls(self, return_pc: int, pc: int) -> tuple[int, ...]:
        """Return the tail calls made between the call that returns to an address and the function around another one.

        They are the addresses behind the jumps, in their order; only those that are certain.
        """
        start = self._function_start(pc)
        return () if start is None else self._jumps(return_pc, start)

    def _function_start(self, pc: int) -> int | None:
        found = self._find(pc)
        if found is not None:
            return entry_of(found[2]) + found[0].bias
        for loaded, symbols in zip(self._images, self._symbols, strict=True):
            symbol = symbols.around(pc - loaded.bias) if symbols is not None and pc >= loaded.bias else None
            if symbol is not None:
                return symbol.address + loaded.bias
        return None

    def _address_of(self, name: str) -> int | None:
        for loaded, symbols in zip(self._images, self._symbols, strict=True):
            symbol = symbols.named(name) if symbols is not None else None
            if symbol is not None:
                return symbol.address + loaded.bias
        return None

    @forgiving(())
    def scopes(self, pc: int) -> tuple[Scope, ...]:
        """Return the scopes around an address, innermost first: inlined calls, and the function they ended up in."""
        found = self._find(pc)
        if found is None:
            return ()
        loaded, _, node = found
        path = node.path(pc - loaded.bias)
        return tuple(self._scope(loaded, part) for part in reversed(path) if part.is_scope)

    def _scope(self, loaded: Loaded, node: Node) -> Scope:
        key = id(node.die.unit.dwarf), node.die.offset
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = self._new_scope(loaded, node)
        return found

    def _new_scope(self, loaded: Loaded, node: Node) -> Scope:
        die, bias = node.die, loaded.bias
        inline = die.tag == D.TAG_INLINED_SUBROUTINE
        debug = loaded.debug
        declared = holder(die, D.AT_DECL_LINE)
        outer = holder(die, D.AT_EXTERNAL)
        return Scope(
            "inline" if inline else "function",
            qualified_name(die),
            linkage_name(die),
            entry_of(node) + bias,
            tuple((lo + bias, hi + bias) for lo, hi in node.ranges),
            debug.file(declared, D.AT_DECL_FILE) if declared else "",
            declared.number_of(D.AT_DECL_LINE) if declared else 0,
            debug.file(die, D.AT_CALL_FILE) if inline else "",
            die.number_of(D.AT_CALL_LINE) if inline else 0,
            die.number_of(D.AT_CALL_COLUMN) if inline else 0,
            outer is not None and outer.flag(D.AT_EXTERNAL),
            (id(die.unit.dwarf), die.offset),
            b"" if inline else die.block(D.AT_FRAME_BASE) or b"",
            lambda: debug.types.function(die),
            (loaded, node),
        )

    def blocks(self, scope: Scope, pc: int) -> tuple[Block, ...]:
        """Return the lexical blocks of a scope around an address, innermost first; the last one is its body."""
        nodes = self._nodes(scope, pc)
        bias = scope.die[0].bias if scope.die else 0
        return tuple(
            Block(tuple((lo + bias, hi + bias) for lo, hi in node.ranges), depth, node)
            for depth, node in reversed(list(enumerate(nodes)))
        )

    @staticmethod
    def _nodes(scope: Scope, pc: int) -> list[Node]:
        """Return a scope's body and blocks around an address, outermost first."""
        if scope.die is None:
            return []
        loaded, node = scope.die
        found: list[Node] = []
        for part in node.path(pc - loaded.bias):
            if part.is_scope and part is not node:
                break
            found.append(part)
        return found

    # variables

    def arguments(self, scope: Scope, pc: int) -> tuple[DebugVariable, ...]:
        """Return the arguments of a scope in their order."""
        if scope.die is None:
            return ()
        loaded, node = scope.die
        return tuple(
            self._variable(loaded, die, "arg", 0) for die in self._declared(node) if die.tag == D.TAG_FORMAL_PARAMETER
        )

    def _declared(self, node: Node) -> Sequence[Die]:
        key = id(node.die.unit.dwarf), node.die.offset
        found = self._declarations.get(key)
        if found is None:
            found = self._declarations[key] = self._read_declared(node)
        return found

    @staticmethod
    @forgiving(())
    def _read_declared(node: Node) -> Sequence[Die]:
        return declared_in(node)

    def locals(self, scope: Scope, pc: int) -> tuple[DebugVariable, ...]:
        """Return the variables of a scope that are visible at an address: innermost block first, each in its order.

        Variables that live in the function for ever are among them, with the kind "static".
        """
        found: list[DebugVariable] = []
        seen: set[str] = set()
        for depth, node in reversed(list(enumerate(self._nodes(scope, pc)))):
            here = [die for die in self._declared(node) if die.tag != D.TAG_FORMAL_PARAMETER]
            found += [self._variable(scope.die[0], die, "", depth, seen) for die in here]
            seen.update(variable.name for variable in found)
        return tuple(found)

    def _variable(
        self, loaded: Loaded, die: Die, kind: str, depth: int, shadowing: Collection[str] = (), name: str = ""
    ) -> DebugVariable:
        declared = holder(die, D.AT_DECL_LINE)
        name = name or plain_name(die)
        return DebugVariable(
            name,
            kind or ("static" if self._is_static(die) else "local"),
            loaded.debug.file(declared, D.AT_DECL_FILE) if declared else "",
            declared.number_of(D.AT_DECL_LINE) if declared else 0,
            linkage_name(die),
            depth,
            name in shadowing,
            (artificial := holder(die, D.AT_ARTIFICIAL)) is not None and artificial.flag(D.AT_ARTIFICIAL),
            (id(die.unit.dwarf), die.offset),
            lambda: loaded.debug.types.type_of(die),
            (loaded, die),
        )

    @staticmethod
    def _is_static(die: Die) -> bool:
        owner = value_holder(die)
        expression = owner.block(D.AT_LOCATION) if owner else None
        return bool(expression) and expression is not None and expression[0] in ADDRESSES

    @forgiving(())
    def statics(self, pc: int) -> tuple[DebugVariable, ...]:
        """Return the variables of the unit around an address that other units do not see."""
        found = self._unit(pc)
        if found is None:
            return ()
        loaded, unit = found
        rows = []
        for die in globals_of(unit):
            outer = holder(die, D.AT_EXTERNAL)
            if (outer is None or not outer.flag(D.AT_EXTERNAL)) and (name := qualified_name(die)):
                rows.append(self._variable(loaded, die, "static", 0, (), name))
        return tuple(rows)
