"""Which symbols hold where the session stands: names belong to address spaces.

- The images of the trace hold everywhere, and so do files with symbols that belong to where the machine has RAM or to
  the upper half of the addresses, where kernels live.
- Any other file is a program that a kernel loads. While the hart translates addresses, it holds in those address spaces
  in which pages of U mode hold its very code: whatever number the process has, and wherever it was loaded.
- A Linux kernel's own symbols (kallsyms) hold in the upper half; until it translates addresses, also where it was
  loaded. They are read out of the guest's memory the first time that a name or an address in it is unknown. Those of
  its modules are read like that where something is still unknown, and hold wherever the module is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import LEVELS, PHYSICAL, SPACE, read_virtual, translate
from rrdbg_core.frozen import Frozen

from rrdbg.session.engine import Engine
from rrdbg.session.kernel_modules import Module, modules_of, symbols_of
from rrdbg.session.user_code import Program, user_pages
from rrdbg.symbols.kallsyms import Kallsyms, find_kallsyms
from rrdbg.symbols.table import Part, SymbolTable

KERNEL = "the kernel's kallsyms"
"""What the kernel's own symbols are called in messages."""
_UPPER_HALF = 1 << 63
_KERNELS = range((1 << 64) - (1 << 31), 1 << 64)
"""Virtual addresses of a kernel's image, Documentation/arch/riscv/vm-layout.rst: it is linked to the first one."""
_IMAGE_ALIGN = 1 << 21
"""Where a kernel may be loaded, Documentation/arch/riscv/boot.rst, and moves itself to."""
_MAX_IMAGE = 64 << 20
"""Bytes of a kernel's image that does not say where it ends."""
_IMAGE_MAGIC_AT, _IMAGE_MAGIC = 48, b"RISCV\0\0\0"
"""In its header, Documentation/arch/riscv/boot-image-header.rst."""


class _Kernel(Frozen):
    """A kernel in the guest's memory."""

    tables: Kallsyms
    """Its symbols."""
    base: int
    """What they are relative to."""
    bias: int
    """How far its physical addresses are from those."""
    settled: bool
    """Whether it runs at its virtual addresses: then they do not change any more."""

    @cached_property
    def part(self) -> Part:
        """Its symbols."""
        return Part(KERNEL, b"", self.tables.rows(self.base))

    @cached_property
    def modules(self) -> int | None:
        """Address of the head of its list of modules, None: it has none."""
        found = self.part.rows.named("modules")
        return None if found is None else found.address

    def parts(self, *, linear: bool) -> list[Part]:
        """Return its symbols, with `linear` also where the image lies."""
        return [self.part, self.part.at(self.bias)] if linear else [self.part]


class SymbolsHere:
    """The symbols of a session.

    Args:
        engine: The guest.
        table: The symbols of images and files.
        ram: Returns the RAM: its first address, and bytes.
        work: Brackets what takes long, given what it is.
    """

    def __init__(
        self,
        engine: Engine,
        table: SymbolTable,
        ram: Callable[[], tuple[int, int]],
        work: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._engine = engine
        self._all = table
        self._ram_span = ram
        self._work = work
        self._kernel: _Kernel | None = None
        self._modules: dict[tuple[int, bytes], Module] = {}
        self._modules_read_at = -1  # position at which the list of modules was read last
        self._sought: set[bool] = set()  # whether a kernel was looked for before and after it translates addresses
        self._views: dict[Hashable, SymbolTable] = {}
        self._at: tuple[int, int] | None = None
        self._now = table
        table.missing = self._missing

    def table(self) -> SymbolTable:
        """Return the symbols that hold where the guest stands."""
        if self._kernel is None and not self._programs:
            return self._all
        at = self._engine.icount, self._space
        if at != self._at:
            self._at, self._now = at, self._view(at[1])
        return self._now

    @property
    def has_programs(self) -> bool:
        """Whether some of the files are programs, which hold in some address spaces only."""
        return bool(self._programs)

    @property
    def _space(self) -> int:
        """The address space that satp chooses, whatever mode the hart is in."""
        satp = int(self._engine.hart[L.SATP])
        return satp & SPACE if satp >> 60 in LEVELS else PHYSICAL

    def _read(self, address: int, length: int) -> bytes:
        return self._engine.read(address, length, True)

    # programs

    @cached_property
    def _programs(self) -> dict[int, Program]:
        """The files that are programs of U mode, by their number."""
        if not self._all.file_parts:
            return {}
        start, size = self._ram_span()
        found = {}
        for number, part in enumerate(self._all.file_parts):
            program = Program(part)
            if program.code and not any(
                start <= address < start + size or address >= _UPPER_HALF for address, _ in program.code
            ):
                found[number] = program
        return found

    def _view(self, space: int) -> SymbolTable:
        kernel = self._kernel
        if kernel is not None and not kernel.settled and space != PHYSICAL:
            kernel = self._kernel = self._placed(kernel.tables, space) or kernel
        linear = kernel is not None and space == PHYSICAL
        biases = {} if space == PHYSICAL else self._biases(space)
        modules = [module for module in self._modules.values() if space != PHYSICAL and module.is_loaded(self._mapped)]
        key = (*biases.items(), kernel and kernel.base, linear, *(module.place for module in modules))
        if key not in self._views:
            files: list[Part] = []
            elsewhere: list[Part] = []
            for number, part in enumerate(self._all.file_parts):
                bias = biases.get(number, part.bias)
                (files if bias is not None else elsewhere).append(part if bias in (None, part.bias) else part.at(bias))
            behind = kernel.parts(linear=linear) if kernel is not None else []
            behind += [module.part for module in modules]
            self._views[key] = self._all.among(files, behind, elsewhere)
        return self._views[key]

    def _biases(self, space: int) -> dict[int, int | None]:
        """Return for each program how far it was loaded from its own addresses, None: it is not in this space."""
        pages = None
        found: dict[int, int | None] = {}
        for number, program in self._programs.items():
            found[number] = program.still_at(space, self._read)
            if found[number] is None:
                pages = user_pages(space, self._read) if pages is None else pages
                found[number] = program.find(space, pages, self._read)
        return found

    # the kernel

    def _missing(self, wanted: int | str) -> SymbolTable | None:
        """Look for a kernel in memory if it may know an address or name; return a table that has its symbols."""
        space = self._space
        is_paged = space != PHYSICAL
        if self._kernel is not None:
            return self._with_modules(wanted) if is_paged else None
        if is_paged in self._sought or not self._engine.mach[L.SUPERVISOR]:
            return None
        if isinstance(wanted, int) and not self._may_be_in_kernel(wanted, is_paged=is_paged):
            return None
        with self._work("looking for the kernel's symbols"):
            self._kernel = self._find(space)
        self._sought.add(is_paged)
        self._at = None
        if self._kernel is None:
            return None
        table = self.table()
        if is_paged and not table.knows(wanted):
            return self._with_modules(wanted)
        return table

    def _with_modules(self, wanted: int | str) -> SymbolTable | None:
        """Return a table with the symbols of modules that are loaded and were not known; None: there are none."""
        kernel, here = self._kernel, self._engine.icount
        if kernel is None or here == self._modules_read_at or (isinstance(wanted, int) and wanted < _UPPER_HALF):
            return None
        self._modules_read_at = here
        known = len(self._modules)
        for place, name in modules_of(kernel.modules, self._mapped) if kernel.modules is not None else ():
            if (place, name) not in self._modules and (rows := symbols_of(place, self._mapped)) is not None:
                shown = name.rstrip(b"\0").decode("ascii")
                self._modules[place, name] = Module(place, name, Part(f"module {shown}", b"", rows))
        if len(self._modules) == known:
            return None
        self._at = None
        return self.table()

    def _mapped(self, address: int, length: int) -> bytes:
        return read_virtual(self._space, address, length, self._read)

    def _may_be_in_kernel(self, address: int, *, is_paged: bool) -> bool:
        if is_paged:
            return address >= _UPPER_HALF
        start, size = self._ram_span()
        return int(self._engine.hart[L.PRIV]) == L.PRIV_S and start <= address < start + size

    def _find(self, space: int) -> _Kernel | None:
        start, size = self._ram_span()
        for tables in find_kallsyms(self._read, start, size, lambda: self._engine.poll(self._engine.icount)):
            if (kernel := self._placed(tables, space)) is not None:
                return kernel
        return None

    def _placed(self, tables: Kallsyms, space: int) -> _Kernel | None:
        """Return the kernel that tables are part of, None: they are a copy of those of no kernel that runs.

        Where addresses are translated, the first one of the image has to lead to it. Else it has its header.
        """
        for base in self._bases(tables, space):
            bias = self._bias(tables, base, space)
            if bias is not None:
                return _Kernel(tables, base, bias, settled=space != PHYSICAL)
        return None

    def _bases(self, tables: Kallsyms, space: int) -> Iterable[int]:
        """Return what the symbols may be relative to: what the tables say, or where page tables may lead to them."""
        if not tables.is_placed:
            base = int.from_bytes(self._read(tables.base_place, 8), "little")
            return (base,) if base >= _UPPER_HALF else ()
        bases = range(_KERNELS.start + tables.base_place % _IMAGE_ALIGN, _KERNELS.stop, _IMAGE_ALIGN)
        return bases[:1] if space == PHYSICAL else bases

    def _bias(self, tables: Kallsyms, base: int, space: int) -> int | None:
        """Return how far physical addresses of the image with the tables are from virtual ones; None: it is not there.

        Args:
            tables: They have to be part of the image.
            base: What they are relative to.
            space: The address space.
        """
        first = base + (tables.start or 0)
        size = _MAX_IMAGE if tables.end is None else base + tables.end - first
        places: Sequence[int | None]
        if space != PHYSICAL:
            places = (translate(space, first, self._read),)
        else:
            nearest = tables.place - tables.place % _IMAGE_ALIGN
            places = [
                at + first % _IMAGE_ALIGN
                for at in range(nearest, max(nearest - size, 0), -_IMAGE_ALIGN)
                if self._read(at + _IMAGE_MAGIC_AT, len(_IMAGE_MAGIC)) == _IMAGE_MAGIC
            ]
        for place in places:
            if place is not None and place <= tables.place < place + size:
                bias = place - first
                if not tables.is_placed or base + bias == tables.base_place:
                    return bias
        return None
