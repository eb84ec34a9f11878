"""Conditions as machine code: a small function without side effects, which the kernel calls where something hits.

It is a reader of the same trees as cpu/condition.py. Nothing in it branches: every operation yields its value and,
where there may be none, a bit that says so; `select` has both from the arm that it takes. A load that must not happen
reads the first bytes of RAM instead. Where addresses are translated a load asks the page tables, in a function of its
own, which is a reader of the same tables as cpu/addresses.py.
"""

from __future__ import annotations

import ctypes
from typing import Any

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import DIVISIONS, SHIFTS, Condition
from rrdbg_core.cpu.emitter import Emitter
from rrdbg_core.isa.expr import MASK64, Ex

NO, HOLDS, UNJUDGED = 0, 1, 2
"""What the function returns."""
_PLACE = f"""
define internal i64 @place(ptr %c, i64 %address) {{
  %h = load ptr, ptr %c
  %priv_at = getelementptr i64, ptr %h, i64 {L.PRIV}
  %priv = load i64, ptr %priv_at
  %satp_at = getelementptr i64, ptr %h, i64 {L.SATP}
  %satp = load i64, ptr %satp_at
  %mode = lshr i64 %satp, 60
  %machine = icmp eq i64 %priv, {L.PRIV_M}
  %bare = icmp eq i64 %mode, 0
  %physical = or i1 %machine, %bare
  br i1 %physical, label %same, label %paged
same:
  ret i64 %address
paged:
  %mach_at = getelementptr ptr, ptr %c, i64 1
  %mach = load ptr, ptr %mach_at
  %ram_at = getelementptr ptr, ptr %c, i64 2
  %ram = load ptr, ptr %ram_at
  %base_at = getelementptr i64, ptr %mach, i64 {L.RAM_BASE}
  %base = load i64, ptr %base_at
  %pages_at = getelementptr i64, ptr %mach, i64 {L.RAM_PAGES}
  %pages = load i64, ptr %pages_at
  %size = shl i64 %pages, 12
  %root_page = and i64 %satp, {(1 << 44) - 1}
  %root = shl i64 %root_page, 12
  %levels = sub i64 %mode, 5
  %index_bits = mul i64 %levels, 9
  %unused = sub i64 52, %index_bits
  %up = shl i64 %address, %unused
  %down = ashr i64 %up, %unused
  %canonical = icmp eq i64 %down, %address
  br i1 %canonical, label %walk, label %nowhere
walk:
  %level = phi i64 [%levels, %paged], [%next, %pointer]
  %table = phi i64 [%root, %paged], [%start, %pointer]
  %ended = icmp eq i64 %level, 0
  br i1 %ended, label %nowhere, label %step
step:
  %next = sub i64 %level, 1
  %above = mul i64 %next, 9
  %shift = add i64 %above, 12
  %rest = lshr i64 %address, %shift
  %index = and i64 %rest, 511
  %byte = shl i64 %index, 3
  %at = add i64 %table, %byte
  %offset = sub i64 %at, %base
  %in_ram = icmp ult i64 %offset, %size
  br i1 %in_ram, label %look, label %nowhere
look:
  %pte_at = getelementptr i8, ptr %ram, i64 %offset
  %pte = load i64, ptr %pte_at
  %valid = and i64 %pte, 1
  %invalid = icmp eq i64 %valid, 0
  %rw = and i64 %pte, 6
  %w_alone = icmp eq i64 %rw, 4
  %high = lshr i64 %pte, 54
  %reserved = icmp ne i64 %high, 0
  %bad = or i1 %invalid, %w_alone
  %worse = or i1 %bad, %reserved
  %page_field = lshr i64 %pte, 10
  %page = and i64 %page_field, {(1 << 44) - 1}
  %start = shl i64 %page, 12
  br i1 %worse, label %nowhere, label %sound
sound:
  %rx = and i64 %pte, 10
  %leaf = icmp ne i64 %rx, 0
  br i1 %leaf, label %mapped, label %pointer
pointer:
  %uad = and i64 %pte, 208
  %strange = icmp ne i64 %uad, 0
  br i1 %strange, label %nowhere, label %walk
mapped:
  %span = shl i64 1, %shift
  %inside = sub i64 %span, 1
  %odd = and i64 %start, %inside
  %aligned = icmp eq i64 %odd, 0
  %low = and i64 %address, %inside
  %place = or i64 %start, %low
  %found = select i1 %aligned, i64 %place, i64 -1
  ret i64 %found
nowhere:
  ret i64 -1
}}
"""
"""Returns where a virtual address lies, or something that is no place in RAM."""
_HART, _MACH, _RAM = 0, 1, 2  # in the table of pointers, see native/names.py


class _Code(Emitter):
    """The text of a condition's function."""

    def __init__(self, name: str) -> None:
        super().__init__(f"define i64 @{name}(ptr %c, i64 %pc, i64 %icount)")
        self._values: dict[Ex, tuple[str, str]] = {}
        self._hart, self._mach, self._ram = (self._pointer(index) for index in (_HART, _MACH, _RAM))

    def _pointer(self, index: int) -> str:
        return self.let(f"load ptr, ptr {self.let(f'getelementptr ptr, ptr %c, i64 {index}')}")

    def value(self, tree: Ex) -> tuple[str, str]:
        """Emit a tree; return its value, i64, and whether it has none, i1."""
        found = self._values.get(tree)
        if found is None:
            found = self._values[tree] = self._emit(tree)
        return found

    def _emit(self, tree: Ex) -> tuple[str, str]:
        match tree.op, tree.args:
            case "const", (int(number),):
                return str(number & MASK64), "false"
            case "hart", (int(offset),):
                return self._word(self._hart, offset), "false"
            case "mach", (int(offset),):
                return self._word(self._mach, offset), "false"
            case "pc" | "icount" as name, ():
                return f"%{name}", "false"
            case "load", (Ex() as address, int(size)):
                return self._load(address, size)
        args, lacks = zip(*(self.value(arg) for arg in tree.args if isinstance(arg, Ex)), strict=True)
        if tree.op == "select":
            taken = self.let(f"icmp ne i64 {args[0]}, 0")
            value = self.let(f"select i1 {taken}, i64 {args[1]}, i64 {args[2]}")
            arm = lacks[1] if lacks[1] == lacks[2] else self.let(f"select i1 {taken}, i1 {lacks[1]}, i1 {lacks[2]}")
            return value, self._either(lacks[0], arm)
        lack = "false"
        for part in lacks:
            lack = self._either(lack, part)
        operands = list(args)
        if tree.op in SHIFTS:
            operands[1] = self.let(f"and i64 {operands[1]}, 63")
        if tree.op in DIVISIONS:
            lack = self._either(lack, self.let(f"icmp eq i64 {operands[1]}, 0"))
        return self.operation(tree.op, operands), lack

    def _either(self, a: str, b: str) -> str:
        if a == b or b == "false":
            return a
        return b if a == "false" else self.let(f"or i1 {a}, {b}")

    def _word(self, base: str, offset: int) -> str:
        return self.let(f"load i64, ptr {self.let(f'getelementptr i64, ptr {base}, i64 {offset}')}")

    def _load(self, address: Ex, size: int) -> tuple[str, str]:
        where, lack = self.value(address)
        place = self.let(f"call i64 @place(ptr %c, i64 {where})")
        if size > 1:
            # two pages that are no neighbours in RAM are for whoever asks
            end = self.let(f"call i64 @place(ptr %c, i64 {self.let(f'add i64 {where}, {size - 1}')})")
            apart = self.let(f"icmp ne i64 {self.let(f'sub i64 {end}, {place}')}, {size - 1}")
            lack = self._either(lack, apart)
        offset = self.let(f"sub i64 {place}, {self._word(self._mach, L.RAM_BASE)}")
        last = self.let(f"sub i64 {self.let(f'shl i64 {self._word(self._mach, L.RAM_PAGES)}, 12')}, {size}")
        outside = self.let(f"icmp ugt i64 {offset}, {last}")
        lack = self._either(lack, outside)
        # what has no value may have any address
        inside = self.let(f"select i1 {outside}, i64 0, i64 {offset}")
        kind = f"i{8 * size}"
        value = self.let(f"load {kind}, ptr {self.let(f'getelementptr i8, ptr {self._ram}, i64 {inside}')}, align 1")
        return (self.let(f"zext {kind} {value} to i64") if size < 8 else value), lack

    def finish(self, tree: Ex) -> str:
        """Return the whole function."""
        value, lack = self.value(tree)
        holds = self.let(f"zext i1 {self.let(f'icmp ne i64 {value}, 0')} to i64")
        self.do(f"ret i64 {self.let(f'select i1 {lack}, i64 {UNJUDGED}, i64 {holds}')}")
        return self.text()


_CALL = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)


class _Compiler:
    """One LLVM engine for all conditions of the process."""

    def __init__(self) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self._llvm: Any = llvm
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, jit=True
        )
        self._engine: Any = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
        self.addresses: dict[Condition, int] = {}

    def compile(self, condition: Condition) -> int:
        """Return the address of a condition's function."""
        name = f"condition_{len(self.addresses)}"
        module = self._llvm.parse_assembly(_PLACE + _Code(name).finish(condition.tree))
        self._engine.add_module(module)
        self._engine.finalize_object()
        address: int = self._engine.get_function_address(name)
        self.addresses[condition] = address
        return address


_compiler: list[_Compiler] = []


def address_of(condition: Condition) -> int:
    """Return the address of a condition's function: u64 (table of pointers, pc, icount) to NO, HOLDS or UNJUDGED.

    It is compiled when it is first asked for, and stays.
    """
    if not _compiler:
        _compiler.append(_Compiler())
    found = _compiler[0].addresses.get(condition)
    return _compiler[0].compile(condition) if found is None else found


def call(condition: Condition, table: int, pc: int, icount: int) -> int:
    """Judge a condition by its machine code, given the address of the table of pointers."""
    verdict: int = _CALL(address_of(condition))(table, pc, icount)
    return verdict
