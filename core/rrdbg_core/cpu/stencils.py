"""Machine code with holes, out of the instruction table: what the kernel puts blocks together from.

An op's stencil is what its handler does (cpu/dispatch.py), compiled once, when the kernel is; what a handler reads out
of its slot is a hole there, and what it would dispatch to stands right behind it. To translate a block is to copy the
stencils of its instructions one after the other, and to fill in the holes: copy-and-patch (Xu and Kjolstad, OOPSLA
2021). native/blocks.py does that. To LLVM the holes are addresses of symbols, and its relocations say where they are.

In a block ip stays the address of the first slot, and n is less than it says by the steps of the block, all but the
first: see `_enter`. w is anything. What must know better is a way out, see `_way_out`.
"""

from __future__ import annotations

import platform
import re
import struct
import sys
from collections.abc import Iterator

import llvmlite.binding as llvm

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.dispatch import emit_op
from rrdbg_core.cpu.handler import (
    ARGS,
    ARRIVALS,
    BESIDE,
    END,
    ENTER,
    FLOAT_PATHS,
    LEAVE_LOOP,
    MISSES,
    OUT,
    REFETCH,
    ROWS,
    TO_NOBODY,
    WAY_OUT,
    Handler,
)
from rrdbg_core.cpu.ops import BLOCK_OP, OPS, Op, is_copied
from rrdbg_core.isa.expr import Branch, Helper, Jump, Load, SetRd

HOLES = (
    *("rd", "rs1", "rs2", "frd", "fs1", "fs2", "fs3"),  # bytes from h to a register
    *("imm", "slot"),  # the immediate; all of the slot
    *("here", "behind", "target"),  # bytes from ip to slots: this one, the next one, where a jump leads
    *("left", "way"),  # steps of the block behind this one; what the handler `block_out` wants to know
    "continue",  # the next stencil
)
FIRST_WAY = 16
"""From here on a hole is a way out of the block, and says which function of the table of handlers is next."""
ABSOLUTE_32, ABSOLUTE_64, RELATIVE, ABSOLUTE_8 = range(4)
"""How a hole is filled: with 32, 64 or 8 bits of a value, or with the distance to a place in the block."""
ENDS, NEAR = 1 << 40, 1 << 41
"""Flags of an op: it jumps; and that within its page."""
_SHIFTS = {(8, False): "rd", (16, False): "rs1", (24, False): "rs2"}
_SHIFTS |= {(8, True): "frd", (16, True): "fs1", (24, True): "fs2", (59, True): "fs3"}
_RELOCATIONS = {1: ABSOLUTE_64, 2: RELATIVE, 4: RELATIVE, 10: ABSOLUTE_32, 11: ABSOLUTE_32}
"""Of x86-64: R_X86_64_64, _PC32, _PLT32, _32 and _32S."""


class Stencil(Handler):
    """The text of one stencil.

    Args:
        name: Of its function.
        ends: Whether nothing follows it in a block.
        to_nobody: Whether rd is x0.
    """

    def __init__(self, name: str, *, ends: bool = False, to_nobody: bool = False) -> None:
        super().__init__(name, "optsize", linkage="dso_local", args=ARGS.replace("%w", "%given"))
        self._ends, self._to_nobody = ends, to_nobody
        self.do(f"%w = add i64 {self.hole('slot')}, 0")

    @staticmethod
    def hole(name: str) -> str:
        """Return the value of a hole."""
        return f"ptrtoint (ptr @hole_{name} to i64)"

    def _at(self, base: str, hole: str) -> str:
        return self.let(f"getelementptr i8, ptr {base}, i64 {self.hole(hole)}")

    def register(self, shift: int) -> str:
        """Return a pointer to the register that the slot names at bit `shift`."""
        return self._at("%h", _SHIFTS[shift, False])

    def float_register(self, shift: int) -> str:
        """Return a pointer to the f register that the slot names at bit `shift`."""
        return self._at("%h", _SHIFTS[shift, True])

    def operand(self, name: str) -> str:
        """Return the value of an operand."""
        return self.hole("imm") if name == "imm" else super().operand(name)

    def set_rd(self, value: str) -> None:
        """Write the destination register."""
        if not self._to_nobody:
            super().set_rd(value)

    def pc(self, ip: str) -> str:
        """Return the address of the instruction whose slot is at `ip`."""
        return super().pc(self._at("%ip", "here") if ip == "%ip" else ip)

    def behind(self, length: int) -> str:
        """Return the address of the next slot."""
        return self._at("%ip", "behind")

    def near(self) -> str:
        """Return the address of the slot that a jump within the page leads to."""
        return self._at("%ip", "target")

    def next(self, ip: str, pcb: str = "%pcb", n: str = "%n") -> None:
        """Go on with the next instruction of the block; if there is none, with the slot at `ip`."""
        if self._ends:
            super().next(ip, pcb, n)
        else:
            super().tail("@hole_continue", "%ip", n, "%given")

    def dispatch(self, slot: str, ip: str = "%ip", n: str = "%n", pcb: str = "%pcb", first: int = 0) -> None:
        """Go on with a slot that has been loaded: most likely a block begins there."""
        block, other = self.fresh("block"), self.fresh("other")
        is_block = self.let(f"icmp eq i64 {self.let(f'and i64 {slot}, 255')}, {BLOCK_OP}")
        self.do(f"br i1 {is_block}, label %{block}, label %{other}, !prof !1")
        self.label(block)
        self.tail(self.code_of(slot), ip, n, slot, pcb)
        self.label(other)
        super().dispatch(slot, ip, n, pcb, ARRIVALS)

    def tail(self, function: str, ip: str, n: str, w: str, pcb: str = "%pcb") -> None:
        """End in a call of a function of the kernel, which can be found by way of the table of handlers alone."""
        place = {"@leave": LEAVE_LOOP, "@refetch": REFETCH, "@block_out": WAY_OUT}.get(function)
        if function.startswith("%"):
            super().tail(function, ip, n, w, pcb)
        elif place is None:
            kind, _, number = function[1:].partition("_")
            out = MISSES + int(number) if kind == "miss" else MISSES + FLOAT_PATHS.index(function[1:])
            self.leave(out)
        else:
            entry = self.let(f"getelementptr ptr, ptr %ops, i64 {place}")
            super().tail(self.let(f"load ptr, ptr {entry}"), ip, n, w, pcb)

    def leave(self, place: int, n: str = "%n") -> None:
        """End in a way out of the block, to a function in the table of handlers."""
        super().tail(f"@out_{place}", "%ip", n, "%given")


def _enter() -> str:
    """Return what a block begins with: it is entered only if all of its steps can be made."""
    f = Stencil(f"s_{ENTER}")
    f.count(L.BLOCK_STEPS, f.let(f"add i64 {f.hole('left')}, 1"))
    both = f.let(f"call {{i64, i1}} @llvm.usub.with.overflow.i64(i64 %n, i64 {f.hole('left')})")
    few, left = f.let(f"extractvalue {{i64, i1}} {both}, 1"), f.let(f"extractvalue {{i64, i1}} {both}, 0")
    f.do(f"br i1 {few}, label %beside, label %enter, !prof !0")
    f.label("enter")
    f.next("", n=left)
    f.label("beside")
    f.leave(BESIDE, left)
    return f.text()


def _end() -> str:
    """Return what a block ends with whose last instruction does not jump."""
    f = Stencil(f"s_{END}", ends=True)
    f.next(f.behind(0))
    return f.text()


def _way_out() -> str:
    """Return the way from an instruction in the middle to what its handler would go on with: `block_out` finds it."""
    f = Stencil(f"s_{OUT}")
    f.tail("@block_out", "%ip", "%n", f.hole("way"))
    return f.text()


def _stencil(op: Op, *, to_nobody: bool = False) -> str:
    """Return what an op does."""
    f = Stencil(f"s_{op.number + to_nobody * TO_NOBODY}", ends=_jumps(op), to_nobody=to_nobody)
    emit_op(f, op)
    return f.text()


def _source() -> str:
    """Return all stencils as LLVM IR."""
    parts = [_enter(), _end(), _way_out()]
    for op in OPS:
        if is_copied(op):
            parts.append(_stencil(op))
            if _writes(op) and not _only_writes(op):
                parts.append(_stencil(op, to_nobody=True))
    for name in HOLES[:-1]:
        kind = 1 if name.startswith(("r", "f")) else 3 if name == "slot" else 2
        parts.append(f"@hole_{name} = external dso_local global i8, !absolute_symbol !{kind + 1}\n")
    outs = [BESIDE, *range(MISSES, MISSES + len(FLOAT_PATHS)), *(MISSES + op.number for op in OPS)]
    for name in ("hole_continue", *(f"out_{out}" for out in outs)):
        parts.append(f"declare dso_local preserve_nonecc i64 @{name}({ARGS})\n")
    parts.append(
        '!0 = !{!"branch_weights", i32 1, i32 4000}\n!1 = !{!"branch_weights", i32 4000, i32 1}\n'
        "!2 = !{i64 -128, i64 4096}\n!3 = !{i64 -2147483648, i64 2147483648}\n!4 = !{i64 -1, i64 -1}\n"
    )
    return "".join(parts)


def _writes(op: Op) -> bool:
    """Return whether an op has an rd that is an x register."""
    insn = op.insn
    computes = isinstance(insn.effect, Helper) and bool(insn.floats) and "rd" not in insn.floats
    return computes or isinstance(insn.effect, SetRd | Load | Jump)


def _only_writes(op: Op) -> bool:
    """Return whether all that an op does is to write to it."""
    return isinstance(op.insn.effect, SetRd) and not op.insn.floats


def _jumps(op: Op) -> bool:
    return isinstance(op.insn.effect, Branch | Jump)


def stencil_table() -> list[int]:
    """Return all stencils as words: for each row the place of what it has, or 0.

    There stand: bytes of code | relocations << 16 | halfwords of the instruction << 32, with its flags; the
    relocations, place in the code | kind << 16 | hole << 20 | addend << 32; the code.
    """
    words = [0] * ROWS
    if platform.machine().lower() not in ("x86_64", "amd64") or sys.platform in ("win32", "darwin"):
        return words
    kinds = {op.number + place: _kind(op) for op in OPS for place in (0, TO_NOBODY)}
    for number, code, holes in _compile():
        to_the_next = len(code) - 4 | RELATIVE << 16 | HOLES.index("continue") << 20
        if holes and holes[-1] & 0xFFFF_FFFF == to_the_next:
            code, holes = code[:-5], holes[:-1]  # the jump to what stands there anyway
        words[number] = len(words)
        words += [len(code) | len(holes) << 16 | kinds.get(number, 0), *holes]
        words += struct.unpack(f"<{(len(code) + 7) // 8}Q", code + bytes(-len(code) % 8))
    for op in OPS:
        if words[op.number] and _only_writes(op):
            words[TO_NOBODY + op.number] = len(words)
            words.append(_kind(op))  # no code
        elif not _writes(op):
            words[TO_NOBODY + op.number] = words[op.number]
    return words


def _kind(op: Op) -> int:
    """Return the halfwords and flags of an op, as the table has them."""
    return op.length // 2 << 32 | (ENDS if _jumps(op) else 0) | (NEAR if op.near else 0)


def _compile() -> Iterator[tuple[int, bytes, list[int]]]:
    """Return number, code, and relocations in ascending order, of each stencil."""
    llvm.initialize_native_asmparser()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        reloc="static",
        codemodel="small",
    )
    module = llvm.parse_assembly(_source())
    manager = llvm.create_new_module_pass_manager()
    manager.add_instruction_combine_pass()
    manager.add_simplify_cfg_pass()
    manager.run(module, llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options()))
    text = _MOVE.sub(r"movq\1", target.emit_assembly(module))
    modules = (target.emit_object(_assembled(text, place)) for place in (0, _STEP))
    for (number, code, holes), (_, other, _) in zip(*map(_functions, modules), strict=True):
        pairs = enumerate(zip(code, other, strict=True))
        near = [_near_hole(place, one) for place, (one, another) in pairs if one != another]
        yield number, code, sorted((*holes, *near), key=lambda hole: hole & 0xFFFF)


_MOVE = re.compile(r"movabsq(\s+\$hole_(?!slot))")
"""LLVM takes eight bytes for an immediate of four, as it could be an address."""
_NEAR = re.compile(r"\bhole_(rd|rs1|rs2)(\+\d+)?\(%rdi\)")
"""Where a register is read or written: LLVM takes four bytes for how far from h that is. One will do, see `MIDDLE`."""
_PLACES, _STEP = {"rd": 16, "rs1": 32, "rs2": 48}, 64
"""Distances that stand for those of registers, and what is added to see where they are."""


def _assembled(text: str, step: int) -> llvm.ModuleRef:
    """Return a module of assembly text with a byte for each distance of a register: that of `_PLACES` and a step."""
    near = _NEAR.sub(lambda found: f"{_PLACES[found[1]] + int(found[2] or 0) + step}(%rdi)", text)
    quoted = near.replace("\\", "\\5C").replace('"', "\\22").replace("\n", "\\0A")
    return llvm.parse_assembly(f'module asm "{quoted}"')


def _near_hole(place: int, distance: int) -> int:
    """Return the hole that a distance stands for."""
    name, addend = {at // 16: name for name, at in _PLACES.items()}[distance // 16], distance % 16
    return place | ABSOLUTE_8 << 16 | HOLES.index(name) << 20 | addend << 32


_SYMTAB, _RELA = 2, 4
"""Types of sections."""


def _functions(elf: bytes) -> Iterator[tuple[int, bytes, list[int]]]:
    """Read an object file (ELF-64, chapters "Sections", "Symbol Table", "Relocation").

    A function that needs more than its own code, say constants that lie elsewhere, is left out.
    """
    (start,), (count,) = struct.unpack_from("<Q", elf, 40), struct.unpack_from("<H", elf, 60)
    sections = list(struct.iter_unpack("<IIQQQQIIQQ", elf[start : start + 64 * count]))
    places = [(at, size) for _, _, _, _, at, size, _, _, _, _ in sections]
    content = [elf[at : at + size] for at, size in places]
    (symbols,) = (number for number, section in enumerate(sections) if section[1] == _SYMTAB)
    strings = content[sections[symbols][6]]
    rows = list(struct.iter_unpack("<IBBHQQ", content[symbols]))
    names = [strings[row[0] : strings.index(b"\0", row[0])].decode() for row in rows]
    relocations: dict[int, list[tuple[int, int, int]]] = {}
    for number, section in enumerate(sections):
        if section[1] == _RELA:
            relocations[section[7]] = sorted(struct.iter_unpack("<QQq", content[number]))
    for name, (_, _, _, home, at, size) in zip(names, rows, strict=True):
        if not name.startswith("s_"):
            continue
        inside = [(place - at, what, addend) for place, what, addend in relocations[home] if at <= place < at + size]
        holes = [_hole(place, what & 0xFFFF_FFFF, names[what >> 32], addend) for place, what, addend in inside]
        if None not in holes:
            yield int(name[2:]), content[home][at : at + size], [hole for hole in holes if hole is not None]


def _hole(place: int, kind: int, name: str, addend: int) -> int | None:
    """Return a relocation as the table has it."""
    what, _, which = name.partition("_")
    if kind not in _RELOCATIONS or what not in ("hole", "out"):
        return None
    hole = HOLES.index(which) if what == "hole" else FIRST_WAY + int(which)
    return place | _RELOCATIONS[kind] << 16 | hole << 20 | (addend & 0xFFFF_FFFF) << 32
