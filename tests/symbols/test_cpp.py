"""C++ and Rust: names, types, functions."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdbg.symbols.debuginfo import DebugInfo
from rrdbg.symbols.demangle import answers_to, demangle, last_identifier, without_parameters
from rrdbg.symbols.elf import ElfSymbols
from rrdbg.symbols.table import SymbolTable
from rrdbg.symbols.types import EnumType, MemberPointerType, PointerType, StructType, declare, strip

from .compilers import ask_gdb, compiled
from .test_scopes import check_scopes

BUILDS = list(product(("-O0", "-O2"), ("-gdwarf-4", "-gdwarf-5")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cpp")


def build(folder: Path, level: str, flags: str) -> tuple[Path, SymbolTable]:
    path = compiled(folder, ["classes.cpp"], level, *flags.split())
    return path, SymbolTable([path.read_bytes()])


_PLAIN = "numbers shapes colour plain member_pointer reference rvalue truth wide c16 c32 diamond sink"
VARIABLES = f"{_PLAIN} ns::variable ns::Base::count".split(" ")


@pytest.mark.oracle
@pytest.mark.parametrize(("level", "flags"), BUILDS)
def test_types_of_variables(folder: Path, level: str, flags: str) -> None:
    path, table = build(folder, level, flags)
    debug = table.debug
    answers = ask_gdb(path, ["set language c++", *(f"whatis {name}" for name in VARIABLES)])[1:]
    for name, told in zip(VARIABLES, answers, strict=True):
        variable = debug.global_variable(name)
        assert variable is not None, name
        assert f"type = {declare(variable.type)}" == told
    inner = debug.global_variable("method_pointer")
    assert inner is not None
    assert isinstance(inner.type, MemberPointerType)
    assert inner.type.size == 16


@pytest.mark.oracle
@pytest.mark.parametrize(("level", "flags"), BUILDS)
def test_what_is_visible_at_every_statement(folder: Path, level: str, flags: str) -> None:
    path, _ = build(folder, level, flags)
    assert check_scopes(path) > 40


def test_classes(folder: Path) -> None:
    _, table = build(folder, "-O0", "-gdwarf-5")
    kind = table.debug.type_named("ns::Shape")
    assert isinstance(kind, StructType)
    assert [(m.name, m.offset, m.bit_size, m.is_base, m.access) for m in kind.members] == [
        ("", 0, None, True, "public"), ("", 16, None, True, "protected"), ("width", 24, None, False, "protected"),
        ("height", 28, 5, False, "private"), ("label", 32, None, False, "private"),
    ]  # fmt: skip
    methods = {method.name: method for method in kind.methods if not method.artificial}
    assert declare(methods["area"].type, "area") == "int area(void)"
    assert (methods["area"].is_virtual, methods["make"].is_static, methods["ref"].is_static) == (True, True, False)
    assert declare(methods["ref"].type, "ref") == "int &ref(void)"
    base = table.debug.type_named("ns::Base")
    assert isinstance(base, StructType)
    assert [(m.name, m.is_static, m.artificial) for m in base.members] == [
        ("_vptr.Base", False, True), ("tag", False, False), ("count", True, False),
    ]  # fmt: skip
    diamond = table.debug.type_named("Diamond")
    assert isinstance(diamond, StructType)
    assert [(m.is_base, m.is_virtual, bool(m.expression)) for m in diamond.members[:2]] == [
        (True, False, False), (True, True, True),
    ]  # fmt: skip
    colour = table.debug.type_named("ns::Colour")
    assert isinstance(colour, EnumType)
    assert (colour.scoped, colour.size, colour.enumerators) == (True, 1, (("Red", 0), ("Green", 7)))
    assert table.debug.enumerator("ns::Colour::Green") == (colour, 7)
    assert table.debug.enumerator("Green") is None
    plain = table.debug.enumerator("ns::Two")
    assert plain is not None
    assert plain[1] == 2
    # a name without its namespace, when there is only one
    assert table.debug.type_named("Shape") == kind


@pytest.mark.parametrize(("level", "flags"), BUILDS)
def test_functions_by_every_name(folder: Path, level: str, flags: str) -> None:
    _, table = build(folder, level, flags)
    debug = table.debug
    raw = {symbol.linkage_name or symbol.name: symbol for symbol in table.starting_with("", 1000)}
    area = raw["_ZNK2ns5Shape4areaEv"]
    assert area.name == "ns::Shape::area() const"
    for name in (
        "_ZNK2ns5Shape4areaEv",
        "ns::Shape::area() const",
        "ns::Shape::area()",
        "ns::Shape::area",
        "Shape::area",
    ):
        assert [scope.low_pc for scope in debug.function_named(name)] == [area.address], name
        found = table.named(name)
        assert found is not None
        assert found.address == area.address
    (scope,) = debug.function_named("ns::Shape::area")
    assert (scope.name, scope.linkage_name) == ("ns::Shape::area", "_ZNK2ns5Shape4areaEv")
    assert declare(scope.type) == "int (const ns::Shape * const)"
    overloads = {scope.low_pc for scope in debug.function_named("ns::overloaded")}
    assert overloads == {symbol.address for name, symbol in raw.items() if "overloaded" in name}
    one = raw["_ZN2ns10overloadedEd"].address
    assert [scope.low_pc for scope in debug.function_named("ns::overloaded(double)")] == [one]
    secret = debug.function_named("ns::(anonymous namespace)::secret") or debug.inlined_calls("secret")
    assert {scope.name for scope in secret} == {"ns::(anonymous namespace)::secret"}
    assert debug.function_named("ns::nosuch") == ()
    assert debug.function_named("area(") == ()


def test_this_and_locals(folder: Path) -> None:
    _, table = build(folder, "-O0", "-gdwarf-5")
    debug = table.debug
    (scope,) = debug.function_named("ns::Shape::area")
    (this,) = debug.arguments(scope, scope.low_pc)
    assert (this.name, this.artificial, declare(this.type)) == ("this", True, "const ns::Shape * const")
    (use,) = debug.function_named("use")
    inside = next(pc for pc in range(use.low_pc, use.ranges[-1][1], 2) if len(debug.locals(use, pc)) > 2)
    assert [variable.name for variable in debug.locals(use, inside)] == ["local", "i", "total"]
    shape = debug.arguments(use, use.low_pc)[0]
    assert isinstance(shape.type, PointerType)
    assert (shape.type.kind, declare(shape.type)) == ("&", "ns::Shape &")


_NAMES = (
    "_Z3useRN2ns5ShapeENS_5ArrayIiLi4EEE _ZNK2ns5ArrayIiLi4EE3getEi _ZN2ns5Shape6scaledIdEET_S2_ _ZN2nsL6secretEi "
    "_ZN12_GLOBAL__N_16secretEi _ZN2ns5ArrayIiLi4EEixEi _ZdlPvm _ZNSt6vectorIiSaIiEE9push_backERKi _ZN1AC2Ev "
    "_ZN1AD0Ev _ZNK1AcvbEv _ZN1AplERKS_ _Z1fPFivE _Z1fM1AFivE _Z1fILi3EEvv _Z4mainv _ZTV4Base _ZTI4Base _ZGVZ1fvE1x "
    "_ZZ1fvE1x _Z1fDn _Z1fO1A _Z1fIJidEEvDpT_ _ZUlvE_ _Znwm _ZN1A3fooB5cxx11Ev "
    "_Z41__static_initialization_and_destruction_0ii _RNCNvC7example4main0 _RNvXC7exampleNtB2_3FooNtB2_3Bar3baz "
    "main memcpy _start .Lfoo _Z _ZN _R"
)
NAMES = _NAMES.split(" ")


@pytest.mark.oracle
def test_names_as_cxxfilt_has_them(folder: Path) -> None:
    tool = shutil.which("riscv64-unknown-elf-c++filt")
    if tool is None:
        pytest.skip("riscv64-unknown-elf-c++filt is not installed (Debian: binutils-riscv64-unknown-elf)")
    path, _ = build(folder, "-O0", "-gdwarf-5")
    from rrdbg.symbols.dwarf.sections import Sections

    strings = Sections(path.read_bytes()).get(".strtab").split(b"\0")
    names = [*NAMES] + [text.decode() for text in strings if text.startswith(b"_Z")]
    told = subprocess.run([tool], input="\n".join(names), text=True, capture_output=True, check=True).stdout.split("\n")
    wrong = []
    for name, expected in zip(names, told, strict=False):
        # crates' hashes are noise, and the types of constants are shown by LLVM's only
        found = demangle(name)
        if expected == name or "[" in expected:
            continue
        if found.replace(" >", ">") != expected.replace(" >", ">"):
            wrong.append((name, found, expected))
    assert not wrong


def test_names_of_rust() -> None:
    assert demangle("_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE") == "core::fmt::Formatter::write_str"
    assert demangle("_RNvCs4fqI2P2rA04_7example4main") == "example::main"
    assert demangle("_RNCNvC7example4main0") == "example::main::{closure#0}"
    legacy = "_ZN71_$LT$core..ops..range..Range$LT$Idx$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE"
    assert demangle(legacy) == "<core::ops::range::Range<Idx> as core::fmt::Debug>::fmt"


@pytest.mark.parametrize(
    ("name", "plain", "last"),
    [
        ("main", "main", "main"),
        ("ns::f(int)", "ns::f", "f"),
        ("int ns::f<int>(int)", "ns::f<int>", "f"),
        ("ns::A::area() const", "ns::A::area", "area"),
        ("(anonymous namespace)::f(int, char (*)[3])", "(anonymous namespace)::f", "f"),
        ("A::operator()(int) const", "A::operator()", "operator"),
        ("A::operator<(A const&)", "A::operator<", "operator"),
        ("A::operator bool() const", "A::operator bool", "bool"),
        ("operator new(unsigned long)", "operator new", "new"),
        ("std::vector<int, std::allocator<int> >::push_back(int const&)",
         "std::vector<int, std::allocator<int> >::push_back", "std"),
        ("foo::bar() (.part.0)", "foo::bar", "bar"),
        ("f(void (*)(int))", "f", "f"),
        ("A::f() &&", "A::f", "f"),
        ("<core::Range<Idx> as core::fmt::Debug>::fmt", "<core::Range<Idx> as core::fmt::Debug>::fmt", None),
    ],
)  # fmt: skip
def test_names_without_parameters(name: str, plain: str, last: str | None) -> None:
    assert without_parameters(name) == plain
    assert answers_to(name, name)
    assert answers_to(name, plain)
    if last is not None:
        assert last in name
        assert last_identifier(name) in name


def test_names_that_would_take_all_memory() -> None:
    bomb = "_Z1f1pIiiE" + "".join(f"S_IS{digit}_S{digit}_E" for digit in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert len(demangle(bomb)) < 100_000
    assert len(demangle("_Z1f" + "P" * 50_000 + "i")) < 200_000


@given(st.text("_ZRN0123456789SIECPKLiEvabcT$.", max_size=40), st.sampled_from(["_Z", "_ZN", "_R", "_RNv", ""]))
@settings(max_examples=300)
def test_any_text_is_a_name(text: str, start: str) -> None:
    name = start + text
    found = demangle(name)
    assert found.isprintable() or found == name
    without_parameters(found)
    last_identifier(name)
    assert demangle(name) == found


RUST = """
pub enum Shape { Circle(f64), Rect { w: u32, h: u32 }, Nothing }
pub struct List<T> { value: T, next: Option<Box<List<T>>> }
pub static COUNTER: u32 = 7;
#[inline(never)] pub fn area(shape: &Shape) -> f64 {
    match shape { Shape::Circle(r) => r * 3.0, Shape::Rect { w, h } => (*w + *h) as f64, Shape::Nothing => 0.0 }
}
#[inline(never)] pub fn length(list: &List<i32>) -> u32 { let mut n = 0; let mut at = Some(list);
    while let Some(item) = at { n += 1 + (item.value == 0) as u32; at = item.next.as_deref(); } n }
fn main() {
    let list = List { value: 1, next: Some(Box::new(List { value: 2, next: None })) };
    std::process::exit((area(&Shape::Rect { w: 1, h: 2 }) as i32) + length(&list) as i32 + COUNTER as i32);
}
"""


@pytest.fixture(scope="module")
def rust(tmp_path_factory: pytest.TempPathFactory) -> DebugInfo:
    tool = shutil.which("rustc")
    if tool is None:
        pytest.skip("rustc is not installed (https://rustup.rs)")
    folder = tmp_path_factory.mktemp("rust")
    (folder / "shapes.rs").write_text(RUST)
    # the host's own code will do: nothing is executed
    subprocess.run([tool, "-g", "-A", "warnings", "shapes.rs", "-o", "shapes"], cwd=folder, check=True)
    image = (folder / "shapes").read_bytes()
    if ElfSymbols(image).problem:
        pytest.skip("rustc does not write ELF files here")
    return SymbolTable([image]).debug


@pytest.mark.oracle
def test_rust(rust: DebugInfo) -> None:
    (scope,) = rust.function_named("shapes::area")
    assert scope.name == "shapes::area"
    assert rust.language(scope.low_pc) == "rust"
    (shape,) = rust.arguments(scope, scope.ranges[0][1] - 1)
    assert isinstance(shape.type, PointerType)
    kind = strip(shape.type.target)
    assert isinstance(kind, StructType)
    assert (kind.name, kind.size, declare(kind)) == ("shapes::Shape", 16, "shapes::Shape")
    part = kind.variant_part
    assert part is not None
    assert part.discriminant is not None
    names = [variant.members[0].name for variant in part.variants]
    assert names == ["Circle", "Rect", "Nothing"]
    chosen = part.chosen(1)
    assert chosen is not None
    rect = strip(chosen.members[0].type)
    assert isinstance(rect, StructType)
    assert {member.name: declare(member.type) for member in rect.members} == {"w": "u32", "h": "u32"}
    (length,) = rust.function_named("length")
    (argument,) = rust.arguments(length, length.ranges[0][1] - 1)
    assert isinstance(argument.type, PointerType)
    item = strip(argument.type.target)
    assert isinstance(item, StructType)
    assert {member.name for member in item.members} == {"value", "next"}
