"""A frame of the guest as a scene for expressions: its names, its registers, and the user's own variables."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, MutableSequence
from dataclasses import dataclass, field
from functools import cached_property

from rrdbg_core.frozen import Frozen
from rrdbg_core.isa.registers import DWARF_NUMBERS, FLOAT_REGISTERS, REGISTERS

from rrdbg.session.ctypes_values import (
    CODE_POINTER,
    CODE_SYMBOL,
    DATA_SYMBOL,
    DOUBLE,
    REGISTER_POINTER,
    CValue,
    number,
)
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.numbers import TYPES, canonical
from rrdbg.symbols.debuginfo import DebugInfo
from rrdbg.symbols.location import Memory, Register
from rrdbg.symbols.scopes import DebugVariable
from rrdbg.symbols.scopes import Scope as Function
from rrdbg.symbols.table import SymbolTable
from rrdbg.symbols.types import (
    INT,
    LONG,
    UNSIGNED_LONG,
    VOID,
    BaseType,
    Encoding,
    StructType,
    Type,
)
from rrdbg.symbols.unwind import Frame

MAX_HISTORY = 10_000
"""Values shown that are remembered."""
MAX_FROZEN = 1 << 20
"""Bytes of the largest one."""
_LINES_TRIED = 50
_FRAMES_TRIED = 64
_RESERVED = ("_", "__", "_exitcode")
_ENCODINGS = {
    "char": Encoding.UNSIGNED_CHAR,
    "signed char": Encoding.SIGNED_CHAR,
    "unsigned char": Encoding.UNSIGNED_CHAR,
}
_REALS = {"float": 4, "double": 8, "long double": 16}


@dataclass(slots=True)
class Notebook:
    """What the user's expressions have left: values shown, and variables."""

    shown: MutableSequence[CValue] = field(default_factory=list)
    """The values shown, `$1` first."""
    variables: MutableMapping[str, CValue] = field(default_factory=dict)
    """Variables by name, without `$`."""

    def remember(self, value: CValue) -> int:
        """Keep a value that is shown, and return its number."""
        if len(self.shown) >= MAX_HISTORY:
            raise UsageError(
                f"{MAX_HISTORY:_} values are remembered already", hint="`output` shows without remembering"
            )
        self.shown.append(frozen(value))
        return len(self.shown)

    def past(self, name: str) -> CValue | None:
        """Return what `$`, `$$`, `$7` or `$$7` means; None for other names. Raises UsageError."""
        count = len(self.shown)
        text = name.lstrip("$")
        if (text and not text.isdecimal()) or len(name) - len(text) > 1:
            return None
        if len(text) > 9:
            raise UsageError(f"history has not yet reached ${name}")
        if name.startswith("$"):
            index = count - 1 - int(text or 1)
        elif text:
            index = int(text) - 1
        else:
            index = count - 1
        if count == 0 and not text:
            return number(INT, 0)
        if not 0 <= index < count:
            raise UsageError(f"history has not yet reached ${name}")
        return self.shown[index]


def frozen(value: CValue) -> CValue:
    """Return a value whose bytes stay as they are now."""
    if value.type.size <= MAX_FROZEN:
        _ = value.contents
    return value


class World(Frozen):
    """What scenes of one session share."""

    symbols: SymbolTable
    """The program."""
    register: Callable[[str], int | None]
    """Returns what is no general register: pc, CSRs, icount, priv, time_ns; None: there is none of that name."""
    exit_code: Callable[[], int | None]
    """Returns the guest's exit code, where it has exited."""
    notebook: Notebook
    """The user's own."""
    names: dict[tuple[str, int, object], DebugVariable | Function | None] = field(default_factory=dict)
    """What names were found to mean, by name, pc and scope."""


class FrameScene:
    """A frame as a scene."""

    def __init__(self, world: World, frame: Callable[[], Frame], inner: Function | None = None) -> None:
        """Make a scene.

        Args:
            world: The session's.
            frame: Returns the frame; called when something of it is needed.
            inner: The frame's function, where inlined calls further in are not its business.
        """
        self._world = world
        self._frame = frame
        self._inner = inner

    @cached_property
    def state(self) -> Frame:
        """The frame."""
        return self._frame()

    @property
    def debug(self) -> DebugInfo:
        """The program's debug information."""
        return self._world.symbols.debug

    @cached_property
    def truth_type(self) -> Type:
        """What comparisons yield: int, in C++ bool."""
        return builtin("bool") if self.debug.language(self.state.pc) == "c++" else INT

    # names

    def named(self, name: str) -> CValue:
        """Return a variable, function, enumerator or symbol."""
        found = self.meaning(name)
        if isinstance(found, DebugVariable):
            return self.variable(found)
        if isinstance(found, Function):
            return CValue(found.type, Memory(found.low_pc), self.state)
        return self._symbol_named(name)

    def _symbol_named(self, name: str) -> CValue:
        """Return an enumerator or symbol."""
        constant = self.debug.enumerator(name, self.state.pc)
        if constant is not None:
            return number(constant[0], constant[1])
        symbol = self._world.symbols.named(name)
        if symbol is not None:
            return number(DATA_SYMBOL if symbol.kind == "object" else CODE_SYMBOL, symbol.address)
        lacking = "" if self._world.symbols.starting_with("", 1) else "; ".join(self._world.symbols.problems())
        raise NotFound(
            f"no symbol {name!r} in the trace's images", hint=lacking or "`info symbols PREFIX` lists what there is"
        )

    def meaning(self, name: str) -> DebugVariable | Function | None:
        """Return the variable or function that a name means here; None: neither."""
        names = self._world.names
        key = (name, self.state.pc, self._inner.key if self._inner else None)
        if key not in names:
            if len(names) > 1 << 14:
                names.clear()
            names[key] = self._look_up(name)
        return names[key]

    def _look_up(self, name: str) -> DebugVariable | Function | None:
        pc = self.state.pc
        variable = self.debug.variable(name, pc, self._inner)
        if variable is not None:
            return variable
        functions = self.debug.function_named(name)
        if "::" not in name:  # a class has the name of its constructors
            functions = tuple(function for function in functions if not function.name.endswith(f"{name}::{name}"))
        return functions[0] if functions else None

    def variable(self, variable: DebugVariable) -> CValue:
        """Return a variable's value."""
        kind = self.debug.concrete(variable.type, self.state)
        return CValue(kind, self.debug.locate(variable, self.state), self.state)

    def qualified(self, scope: str, name: str) -> CValue:
        """Return a variable of a function or file; without a scope one that lies outside of functions."""
        debug = self.debug
        if not scope:
            return self._outside_of_functions(name)
        found = debug.global_variable(f"{scope}::{name}", self.state.pc) or self._variable_of_file(scope, name)
        if found is not None:
            return self.variable(found)
        functions = debug.function_named(scope)
        for function in functions:
            local = self._local_of(function, name)
            if local is not None:
                return local
        whole = debug.function_named(f"{scope}::{name}")
        if whole:
            return CValue(whole[0].type, Memory(whole[0].low_pc), self.state)
        constant = debug.enumerator(f"{scope}::{name}", self.state.pc)
        if constant is not None:
            return number(constant[0], constant[1])
        if self._world.symbols.knows_file(scope):
            return self._function_of_file(scope, name)
        where = f"function {scope!r}" if functions else "current context"
        raise NotFound(f"no symbol {name!r} in {where}" if functions else f"no symbol {scope!r} in {where}")

    def _outside_of_functions(self, name: str) -> CValue:
        found = self.debug.global_variable(name, self.state.pc)
        if found is not None:
            return self.variable(found)
        functions = self.debug.function_named(name)
        if functions:
            return CValue(functions[0].type, Memory(functions[0].low_pc), self.state)
        return self._symbol_named(name)

    def _local_of(self, function: Function, name: str) -> CValue | None:
        """Return a variable of a function: a static one, or one of the innermost frame that runs it."""
        debug = self.debug
        frame: Frame | None = self.state
        for _ in range(_FRAMES_TRIED):
            if frame is None:
                break
            if any(scope.key == function.key for scope in debug.scopes(frame.pc)):
                found = _of_name((*debug.locals(function, frame.pc), *debug.arguments(function, frame.pc)), name)
                if found is not None:
                    return CValue(debug.concrete(found.type, frame), debug.locate(found, frame), frame)
                break
            frame = frame.caller()
        # a block that the function's start is not in has statics too
        lines = self._world.symbols.lines_between(function.low_pc, max(hi for _, hi in function.ranges))
        for pc in (function.low_pc, *(row.address for row in lines[:_LINES_TRIED])):
            found = _of_name((*debug.locals(function, pc), *debug.arguments(function, pc)), name)
            if found is not None and found.kind == "static":
                return self.variable(found)
            if found is not None:
                raise NotFound(f"no frame is currently executing in block {function.name}")
        return None

    def _variable_of_file(self, file: str, name: str) -> DebugVariable | None:
        """Return a variable that a source file declares outside of functions."""
        symbols = self._world.symbols
        candidates: list[int | None] = [None]
        if symbols.knows_file(file):  # another file's variable may have the name: ask from inside of this one
            for line in symbols.lines_of(file)[:_LINES_TRIED]:
                candidates += symbols.line_addresses(file, line)[:1]
        for pc in reversed(candidates):
            found = self.debug.global_variable(name, pc)
            if found is not None and (found.file == file or found.file.endswith(f"/{file}")):
                return found
        return None

    def _function_of_file(self, file: str, name: str) -> CValue:
        for function in self.debug.function_named(name):
            if function.file == file or function.file.endswith("/" + file):
                return CValue(function.type, Memory(function.low_pc), self.state)
        raise NotFound(f"no symbol {name!r} in specified context", hint=f"{file} has no such variable or function")

    def static_member(self, kind: StructType, name: str) -> CValue | None:
        """Return a static data member of a class."""
        found = self.debug.global_variable(f"{kind.name}::{name}", self.state.pc) if kind.name else None
        return self.variable(found) if found is not None else None

    # types

    def is_type(self, name: str) -> bool:
        """Return whether a name is a type's and no variable's."""
        return self.meaning(name) is None and self.type_named(name) is not None

    def type_named(self, name: str) -> Type | None:
        """Return a type by its name."""
        words = canonical(name)
        if words == "void":
            return VOID
        if words in _REALS:
            return BaseType(words, _REALS[words], Encoding.FLOAT)
        if words is not None and words != "char" and words.split()[0] in ("signed", "unsigned", "short", "int", "long"):
            return builtin(words)
        found = self.debug.type_named(name, self.state.pc)
        if found is None and words is not None:
            return builtin(words)
        return found

    # registers and the user's own

    def dollar(self, name: str) -> CValue:
        """Return a register, a value shown before, or a variable of the user's."""
        notebook = self._world.notebook
        past = notebook.past(name)
        if past is not None:
            return past
        register = self._register(name)
        if register is not None:
            return register
        if name in notebook.variables:
            return notebook.variables[name]
        if name == "_exitcode":
            code = self._world.exit_code()
            if code is not None:
                return number(INT, code)
        if name in _RESERVED:
            return CValue(VOID)
        raise NotFound(
            f"unknown register ${name}", hint="`info registers all` lists them; `set $name = ...` sets one of your own"
        )

    def past(self, name: str) -> CValue | None:
        """Return a value shown before; None for names of other things."""
        return self._world.notebook.past(name)

    def register_type(self, name: str) -> Type | None:
        """Return a register's type, as gdb has it; None: there is no such register."""
        index = REGISTERS.get(name)
        if index in (2, 3, 4, 8):
            return REGISTER_POINTER
        if index == 1 or name == "pc":
            return CODE_POINTER
        if index is not None:
            return LONG
        if self._world.register(name) is None:
            return None
        if name in FLOAT_REGISTERS:
            return DOUBLE
        return INT if name == "priv" else UNSIGNED_LONG

    def _register(self, name: str) -> CValue | None:
        kind = self.register_type(name)
        if kind is None:
            return None
        index = DWARF_NUMBERS.get(name)
        if index is not None:
            return CValue(kind, Register(index), self.state) if index else number(kind, 0)
        if name == "pc":
            return number(kind, self.state.address)
        return number(kind, self._world.register(name) or 0)

    def assign(self, name: str, value: CValue) -> None:
        """Set a variable of the user's."""
        if name in ("", "$") or name.lstrip("$").isdecimal():
            raise UsageError(
                "values shown before cannot be changed", hint="`set $name = ...` sets a variable of your own"
            )
        if self._register(name) is not None:
            raise UsageError(f"the trace is read-only: ${name} cannot be changed", hint="choose another name")
        variables = self._world.notebook.variables
        if len(variables) >= MAX_HISTORY and name not in variables:
            raise UsageError(f"{MAX_HISTORY:_} variables are too many")
        if value.type.size > MAX_FROZEN:
            raise UsageError(f"a value of {value.type.size:_} bytes is too large to be kept")
        variables[name] = frozen(value)


def builtin(name: str) -> BaseType:
    """Return one of C's types, or u8 and the like, by its canonical name."""
    kind = TYPES[name]
    if name in ("bool", "_Bool"):
        return BaseType(name, 1, Encoding.BOOLEAN)
    encoding = Encoding.SIGNED if kind.signed else Encoding.UNSIGNED
    return BaseType(name, kind.size, _ENCODINGS.get(name, encoding))


def _of_name(variables: tuple[DebugVariable, ...], name: str) -> DebugVariable | None:
    return next((variable for variable in variables if variable.name == name), None)
