"""Types, as gdb has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdbg.symbols.debuginfo import DebugInfo
from rrdbg.symbols.table import SymbolTable
from rrdbg.symbols.types import (
    CHAR,
    INT,
    VOID,
    ArrayType,
    EnumType,
    FunctionType,
    Member,
    PointerType,
    QualifiedType,
    StructType,
    Type,
    TypedefType,
    UnknownType,
    declare,
    qualified,
    strip,
    unqualified,
)

from .compilers import LEVELS, SOURCES, ask_gdb, compiled

BUILDS = [
    *product(LEVELS, ("-gdwarf-4", "-gdwarf-5")),
    ("-O0", "-gdwarf-2 -gstrict-dwarf"),
    ("-O2", "-gdwarf-3 -gstrict-dwarf"),
    ("-O0", "-gdwarf-4 -fdebug-types-section"),
    ("-Os", "-gdwarf-5 -fdebug-types-section"),
    ("-O2", "-gdwarf-5 -gdwarf64"),
    ("-O0", "-gdwarf-5 -flto"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("types")


def build(folder: Path, level: str, flags: str) -> tuple[Path, DebugInfo]:
    path = compiled(folder, ["types.c", "elsewhere.c"], level, *flags.split())
    return path, SymbolTable([path.read_bytes()]).debug


def global_names() -> list[str]:
    """Return the names of the globals that types.c defines."""
    text = (SOURCES / "types.c").read_text()
    part = text[text.index("int an_int") : text.index("int old_style(a, b)")]
    part = re.sub(r"\{[^}]*\}", "", part)
    names = set(re.findall(r"([a-z_]\w*)\s*(?:\[[^]]*\]|\)\([^)]*\)|\)\[[^]]*\]|\))*\s*(?:=[^,;]*)?[,;]", part))
    return sorted(names - {"vector", "name_t", "old_style"})


@pytest.mark.oracle
@pytest.mark.parametrize(("level", "flags"), BUILDS)
def test_types_of_variables(folder: Path, level: str, flags: str) -> None:
    path, debug = build(folder, level, flags)
    names = global_names()
    assert len(names) > 60
    answers = ask_gdb(path, [f"{verb} {name}" for name in names for verb in ("whatis", "output sizeof", "ptype")])
    for name, told, size, expanded in zip(names, answers[::3], answers[1::3], answers[2::3], strict=True):
        variable = debug.global_variable(name)
        assert variable is not None, name
        assert f"type = {declare(variable.type)}" == told, name
        if "zero" not in name and "elsewhere" not in name:
            assert str(variable.type.size) == size, name
        target = behind_typedefs(variable.type)
        if "{" not in expanded and name != "cvptr":  # gdb's ptype forgets the const of `const void *`
            assert f"type = {declare(target)}" == expanded, name


def behind_typedefs(kind: Type) -> Type:
    """Return the type with its own typedefs resolved, qualifiers kept, as `ptype` shows it."""
    if isinstance(kind, TypedefType):
        return behind_typedefs(kind.target)
    if isinstance(kind, QualifiedType):
        return qualified(behind_typedefs(kind.target), *kind.qualifiers)
    return kind


ROW = r"/\*\s*(?:(\d+)(?::\s*(\d+))?\s*\|)?\s*(\d+)\s*\*/\s+(.*);$"
STRUCTURES = ("struct node", "union number", "struct bits", "struct packed", "struct outer", "struct inner",
              "struct empty", "struct aligned", "struct elsewhere")  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize(("level", "flags"), BUILDS)
def test_members_and_their_offsets(folder: Path, level: str, flags: str) -> None:
    path, debug = build(folder, level, flags)
    answers = ask_gdb(path, [f"{verb} {name}" for name in STRUCTURES for verb in ("ptype", "ptype/o")])
    for name, told, offsets in zip(STRUCTURES, answers[::2], answers[1::2], strict=True):
        kind = debug.type_named(name)
        assert isinstance(kind, StructType), name
        assert "\n".join(written(kind, 0)) == told.removeprefix("type = "), name
        rows = [re.match(ROW, line) for line in offsets.splitlines()]
        told_rows = [(row[4], int(row[1]) if row[1] else None, row[2], int(row[3])) for row in rows if row]
        assert list(placed(kind)) == told_rows, name
        total = re.search(r"total size \(bytes\):\s+(\d+)", offsets.splitlines()[-2])
        assert total is not None
        assert int(total[1]) == kind.size


def written(kind: StructType, depth: int) -> Iterator[str]:
    """Yield a structure as `ptype` writes it."""
    space = "    " * depth
    yield f"{kind.kind} {kind.name} {{" if kind.name else f"{kind.kind} {{"
    if not kind.members:
        yield f"{space}    <no data fields>"
    for member in kind.members:
        yield from indented(member, depth + 1)
    yield f"{space}}}"


def indented(member: Member, depth: int) -> Iterator[str]:
    space = "    " * depth
    inner = strip(member.type)
    if isinstance(inner, StructType) and not inner.name:
        first, *rest = written(inner, depth)
        yield space + first
        yield from rest[:-1]
        yield f"{rest[-1]} {member.name};" if member.name else f"{rest[-1]};"
        return
    bits = f" : {member.bit_size}" if member.bit_size is not None else ""
    yield f"{space}{declare(member.type, member.name)}{bits};"


def placed(kind: StructType, base: int = 0) -> Iterator[tuple[str, int | None, str | None, int]]:
    """Yield members as `ptype/o` places them: text, offset (not in unions), bit, size."""
    for member in kind.members:
        inner = strip(member.type)
        if isinstance(inner, StructType) and "[" not in declare(member.type):
            yield from placed(inner, base + member.offset)
            continue
        bits = f" : {member.bit_size}" if member.bit_size is not None else ""
        bit = str(member.bit_offset % 8) if member.bit_offset is not None else None
        offset = None if kind.kind == "union" else base + member.offset
        yield f"{declare(member.type, member.name)}{bits}", offset, bit, member.type.size


@pytest.mark.parametrize("flags", ["-gdwarf-4", "-gdwarf-5"])
def test_a_type_that_one_unit_declares_is_completed_from_another(folder: Path, flags: str) -> None:
    _, debug = build(folder, "-O0", flags)
    pointer = debug.global_variable("pointer_elsewhere")
    assert pointer is not None
    assert isinstance(pointer.type, PointerType)
    target = pointer.type.target
    assert isinstance(target, StructType)
    assert [member.name for member in target.members] == ["a", "next", "b"]
    assert (target.size, target.incomplete) == (40, False)
    hidden = debug.global_variable("pointer_incomplete")
    assert hidden is not None
    assert isinstance(hidden.type, PointerType)
    assert isinstance(hidden.type.target, StructType)
    assert (hidden.type.target.size, hidden.type.target.incomplete) == (0, True)


def test_enumerations(folder: Path) -> None:
    _, debug = build(folder, "-O0", "-gdwarf-5")
    kind = debug.type_named("enum colour")
    assert isinstance(kind, EnumType)
    assert kind.enumerators == (("RED", 0), ("GREEN", 5), ("BLUE", 6), ("NEGATIVE", -3))
    assert (kind.signed, kind.size, kind.scoped) == (True, 4, False)
    assert debug.enumerator("GREEN") == (kind, 5)
    assert debug.enumerator("LARGE") == (debug.type_named("enum wide"), 1 << 32)
    assert debug.enumerator("MAUVE") is None


def test_names_of_types(folder: Path) -> None:
    _, debug = build(folder, "-O0", "-gdwarf-5")
    for text in ("int", "unsigned long", "long unsigned int", "size_type", "struct node", "node_t", "union number"):
        assert debug.type_named(text) is not None, text
    for text in ("node", "struct nosuch", "nosuch", "", "struct", "union node", "enum node", "an_int"):
        assert debug.type_named(text) is None, text
    found = debug.type_named("long unsigned int")
    assert found is not None
    assert declare(found) == "unsigned long"


bases = st.sampled_from(
    [INT, CHAR, VOID, StructType("struct", "s"), TypedefType("t", INT), EnumType("e", 4, False, ())]
)


def more(kinds: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    objects = kinds.filter(lambda kind: not isinstance(kind, FunctionType))
    elements = objects.filter(lambda kind: strip(kind) != VOID)
    results = objects.filter(lambda kind: not isinstance(strip(kind), ArrayType | FunctionType))
    return st.one_of(
        st.builds(PointerType, kinds),
        st.builds(ArrayType, elements, st.integers(1, 9)),
        st.builds(qualified, objects, st.sampled_from(["const", "volatile"])),
        st.builds(FunctionType, results, st.lists(elements, max_size=3).map(tuple), st.just(False)),
    )


@given(st.recursive(bases, more, max_leaves=8))
def test_declarations_are_read_back_by_a_parser(kind: Type) -> None:
    """What `declare` writes means the type that it was given, says a parser that reads inside out."""
    assert parse(declare(kind, "name")) == normal(kind)
    # and without a name it is the same text without the name
    assert re.sub(r"\s+", "", declare(kind)) == re.sub(r"\s+", "", declare(kind, "name").replace("name", "", 1))


def normal(kind: Type) -> str:
    """Return a type in words, outermost first."""
    if isinstance(kind, PointerType):
        return f"pointer to {normal(kind.target)}"
    if isinstance(kind, ArrayType):
        return f"array {kind.count} of {normal(kind.element)}"
    if isinstance(kind, FunctionType):
        inner = ", ".join(normal(parameter) for parameter in kind.parameters)
        return f"function ({inner}) returning {normal(kind.result)}"
    if isinstance(kind, QualifiedType):
        return f"{' '.join(sorted(kind.qualifiers))} {normal(kind.target)}"
    return declare(kind)


def parse(text: str) -> str:
    """Return a C declaration in words (the cdecl algorithm of Kernighan and Ritchie)."""
    tokens = re.findall(r"[A-Za-z_]\w*|\d+|[*()\[\],]", text)
    words, rest = parse_from(tokens)
    assert not rest, rest
    return words


def parse_from(tokens: list[str]) -> tuple[str, list[str]]:
    specifiers: list[str] = []
    qualifiers: list[str] = []
    while tokens and re.match(r"[A-Za-z_]", tokens[0]) and tokens[0] != "name":
        (qualifiers if tokens[0] in ("const", "volatile") else specifiers).append(tokens[0])
        tokens = tokens[1:]
    base = " ".join(specifiers)
    if qualifiers:
        base = f"{' '.join(sorted(qualifiers))} {base}"
    prefix, tokens = declarator(tokens)
    return prefix + base, tokens


def declarator(tokens: list[str]) -> tuple[str, list[str]]:
    pointers = ""
    while tokens and tokens[0] == "*":
        tokens = tokens[1:]
        marks = []
        while tokens and tokens[0] in ("const", "volatile"):
            marks.append(tokens[0])
            tokens = tokens[1:]
        pointers = (f"{' '.join(sorted(marks))} " if marks else "") + "pointer to " + pointers
    inner = ""
    if len(tokens) > 1 and tokens[0] == "(" and tokens[1] in ("*", "(", "name", "["):
        inner, tokens = declarator(tokens[1:])
        assert tokens[0] == ")"
        tokens = tokens[1:]
    elif tokens and tokens[0] == "name":
        tokens = tokens[1:]
    suffix = ""
    while tokens and tokens[0] in "([":
        if tokens[0] == "[":
            suffix += f"array {tokens[1]} of "
            assert tokens[2] == "]"
            tokens = tokens[3:]
            continue
        tokens = tokens[1:]
        parameters: list[str] = []
        while tokens[0] != ")":
            words, tokens = parse_from(tokens)
            parameters.append(words)
            if tokens[0] == ",":
                tokens = tokens[1:]
        tokens = tokens[1:]
        suffix += f"function ({', '.join(item for item in parameters if item != 'void')}) returning "
    return inner + suffix + pointers, tokens


def test_types_without_an_end_are_cut_off() -> None:
    kind: Type = INT
    for _ in range(500):
        kind = PointerType(kind)
    assert "..." in declare(kind)
    assert declare(UnknownType("it is damaged"), "x") == "<unknown type> x"
    assert unqualified(qualified(qualified(INT, "const"), "volatile")) == INT


def test_pointers_to_arrays_and_functions_of_constant_pointers() -> None:
    """As gdb spaces them."""
    text = qualified(PointerType(qualified(CHAR, "const")), "const")
    assert declare(PointerType(ArrayType(text, 8)), "p") == "const char * const (*p)[8]"
    assert declare(PointerType(FunctionType(text, (INT,)))) == "const char * const(*)(int)"
    assert declare(ArrayType(text, 8)) == "const char * const[8]"
    assert declare(PointerType(text, "&")) == "const char * const&"
