"""Names for addresses: symbols and source lines of all images of a trace, read when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TypeVar

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.cfi import CallFrames, Row
from rrdbg.symbols.debuginfo import DebugInfo
from rrdbg.symbols.dwarf.image import ImageDebug
from rrdbg.symbols.dwarf.sections import SHF_ALLOC, Sections
from rrdbg.symbols.elf import ElfSymbols
from rrdbg.symbols.escape import harmless
from rrdbg.symbols.lines import Line, LineTable
from rrdbg.symbols.namelist import NameList
from rrdbg.symbols.rows import NamedRows, Symbol

T = TypeVar("T")


class SymbolFile(Frozen):
    """A file whose symbols and debug information are used beside those of the images."""

    name: str
    """Its name, for messages."""
    data: bytes
    """Its bytes."""
    address: int | None = None
    """Where its `.text` section was loaded, of a list of names where it begins; None: where it says itself."""

    @property
    def is_elf(self) -> bool:
        """Whether it is an ELF file, and no list of names."""
        return self.data[:4] == b"\x7fELF"


class SymbolTable:
    """The symbols of several images; the first image that knows an answer gives it.

    Args:
        images: The images of the trace.
        names: Their names, for messages.
        files: Files with symbols, which go before the images: for a stripped image, or for a program that the guest
            loaded itself.

    Example:
        >>> table = SymbolTable([open("kernel.elf", "rb").read()])
        >>> table.around(0x8000_0010)
        Symbol(name='main', address=2147483648, size=64, kind='function', linkage_name='')
    """

    def __init__(self, images: Sequence[bytes], names: Sequence[str] = (), files: Sequence[SymbolFile] = ()) -> None:
        self._images = images
        self._names = [*names, *("the image" for _ in images[len(names) :])]
        self._files = files
        self.missing: Callable[[int | str], SymbolTable | None] = lambda wanted: None
        """Asked for an address or name that nobody knows; returns a table that may know it."""
        self._elsewhere: Sequence[Part] = ()
        self._behind: Sequence[Part] = ()
        self._around_cached = lru_cache(maxsize=65536)(self._around)
        self.line = lru_cache(maxsize=65536)(self._line)
        # a condition asks for its symbols at each hit
        self._named_cached = lru_cache(maxsize=4096)(self._named)

    @cached_property
    def file_parts(self) -> Sequence[Part]:
        """The files, in their order."""
        return list(map(Part.of, self._files))

    @cached_property
    def _image_parts(self) -> Sequence[Part]:
        return [Part(name, image) for name, image in zip(self._names, self._images, strict=True)]

    @cached_property
    def _parts(self) -> Sequence[Part]:
        """Those that count."""
        return [*self.file_parts, *self._image_parts]

    def among(self, files: Sequence[Part], behind: Sequence[Part], elsewhere: Sequence[Part]) -> SymbolTable:
        """Return a table in which other parts count beside the images.

        Args:
            files: Those that go before the images.
            behind: Those that go behind them.
            elsewhere: Files whose names are found, but nothing by address.
        """
        table = SymbolTable(self._images, self._names, self._files)
        table.file_parts, table._image_parts = self.file_parts, self._image_parts
        table._parts = [*files, *self._image_parts, *behind]
        table._elsewhere, table._behind = elsewhere, behind
        table.missing = self.missing
        return table

    @cached_property
    def entry(self) -> int | None:
        """Where the first image that is an ELF file is entered."""
        heads = (image[:32] for image in self._images)
        return next((int.from_bytes(head[24:32], "little") for head in heads if head[:4] == b"\x7fELF"), None)

    def is_entry(self, symbol: Symbol) -> bool:
        """Return whether the image, or a file that counts here, is entered at a symbol."""
        entries = [part.entry for part in self._parts if part not in self._image_parts]
        return any(at is not None and self.around(at) == symbol for at in (self.entry, *entries))

    @cached_property
    def float_abi(self) -> int:
        """Bytes of the largest number that functions pass in f registers, as the first ELF image says; 0: none."""
        heads = (image[:52] for image in self._images)
        flags = next((int.from_bytes(head[48:52], "little") for head in heads if head[:4] == b"\x7fELF"), 0)
        return {2: 4, 4: 8}.get(flags & 6, 0)

    def frame_rules(self, address: int) -> Row | None:
        """Return the call frame information for an address."""
        return self._first(address, lambda part, inside: part.frames.row(inside))

    def frame_extent(self, address: int) -> tuple[int, int] | None:
        """Return the stretch of code around an address that has call frame information of its own."""
        for part in self._parts:
            if address >= part.bias and (found := part.frames.extent(address - part.bias)) is not None:
                return found[0] + part.bias, found[1] + part.bias
        return None

    @cached_property
    def debug(self) -> DebugInfo:
        """Functions, variables and types, read when first asked for."""
        return DebugInfo([(part.debug, part.bias, part.rows) for part in self._parts])

    def problems(self) -> list[str]:
        """Return what is missing in which image, a sentence each: stripped ones, damaged debug information.

        Where a kernel's own symbols count, nothing is missing in what is no ELF file.
        """
        ours = [*self.file_parts, *(part for part in self._image_parts if not self._behind or part.sections.headers)]
        parts = [part for part in ours if part.sections.image and not self._is_replaced(part)]
        found = [part.mismatch(self._image_parts) for part in self.file_parts]
        found += [f"{harmless(part.name)}: {part.rows.problem}{part.debug_link}" for part in parts if part.rows.problem]
        found += [f"{harmless(part.name)}: {part.lines.problem}" for part in parts if part.lines.problem]
        return [text for text in found if text]

    def _is_replaced(self, image: Part) -> bool:
        """Return whether a file has what an image lacks, so that nothing is missing."""
        files = self.file_parts
        if image in files:
            return False
        mine = image.sections.build_id
        return any(file.bias == 0 and (not mine or file.sections.build_id in (mine, b"")) for file in files)

    def _first(self, address: int, ask: Callable[[Part, int], T | None]) -> T | None:
        for part in self._parts:
            if address >= part.bias and (found := ask(part, address - part.bias)) is not None:
                return found
        return None

    def section(self, address: int) -> str:
        """Return the name of the section around an address; empty: there is none, or it has no name."""
        for part in self._parts:
            for row in part.sections.headers:
                if row.flags & SHF_ALLOC and row.address <= address - part.bias < row.address + row.size:
                    return row.name
        return ""

    def is_code(self, address: int) -> bool:
        """Return whether an address lies in a section of code."""
        return any(part.is_code(address) for part in self._parts)

    def around(self, address: int) -> Symbol | None:
        """Return the symbol that contains an address."""
        found = self._around_cached(address)
        if found is None and (other := self.missing(address)) is not None:
            return other._around_cached(address)
        return found

    def named(self, name: str) -> Symbol | None:
        """Return the symbol of a name."""
        found = self._named_cached(name)
        if found is None and (other := self.missing(name)) is not None:
            return other._named_cached(name)
        return found

    def knows(self, wanted: int | str) -> bool:
        """Return whether something here has an address, or a name."""
        cached = self._around_cached(wanted) if isinstance(wanted, int) else self._named_cached(wanted)
        return cached is not None

    def program_elsewhere(self, address: int) -> str:
        """Return the name of the file that would name an address if it counted here; empty: there is none."""
        return next((part.name for part in self._elsewhere if part.around(address) is not None), "")

    def counts(self, name: str) -> bool:
        """Return whether a file counts here, by its name."""
        return any(part.name == name for part in self._parts)

    def _around(self, address: int) -> Symbol | None:
        """Return the symbol that contains an address."""
        return next((found for part in self._parts if (found := part.around(address)) is not None), None)

    def _line(self, address: int) -> Line | None:
        """Return the source line of an address."""
        return self._first(address, lambda part, inside: part.moved_line(part.lines.at(inside)))

    def _named(self, name: str) -> Symbol | None:
        """Return the symbol of a name."""
        found = (part.moved(part.rows.named(name)) for part in (*self._parts, *self._elsewhere))
        return next((symbol for symbol in found if symbol is not None), None)

    def starting_with(self, prefix: str, limit: int) -> list[Symbol]:
        """Return up to `limit` symbols whose names start with `prefix`, by name."""
        found = {
            (symbol.name, symbol.address + part.bias): part.moved(symbol) or symbol
            for part in reversed((*self._parts, *self._elsewhere))
            for symbol in part.rows.starting_with(prefix, limit)
        }
        return sorted(found.values(), key=lambda symbol: symbol.name)[:limit]

    def lines_between(self, lo: int, hi: int) -> list[Line]:
        """Return the line table's rows of addresses lo <= a < hi, ascending."""
        for part in self._parts:
            if hi > part.bias and (rows := part.lines.between(max(lo - part.bias, 0), hi - part.bias)):
                return [part.moved_line(row) or row for row in rows]
        return []

    def line_addresses(self, file: str, line: int) -> list[int]:
        """Return where a source line was compiled to; empty when there is no such line."""
        return sorted({found + part.bias for part in self._parts for found in part.lines.addresses(file, line)})

    def source_files(self) -> dict[str, str]:
        """Return the source files that the line tables name, each with the directory it was compiled in."""
        return {name: folder for part in reversed(self._parts) for name, folder in part.lines.directories.items()}

    def lines_of(self, file: str) -> list[int]:
        """Return the numbers of a file's lines that have code, ascending; `file` is a whole name."""
        return sorted({line for part in self._parts for line in part.lines.numbers(file)})

    def knows_file(self, file: str) -> bool:
        """Return whether the line tables mention a source file."""
        return any(part.lines.knows(file) for part in self._parts)


class Part:
    """One image, file or list of names, at the place where it was loaded.

    Args:
        name: Its name, for messages.
        data: An image or file; empty for a list of names.
        rows: Its symbols, None: the image or file has them.
        bias: How far from its own addresses it was loaded.
    """

    def __init__(self, name: str, data: bytes, rows: NamedRows | None = None, bias: int = 0) -> None:
        self.name = name
        self.sections = Sections(data)
        self.bias = bias
        if rows is not None:
            self.rows = rows

    @classmethod
    def of(cls, file: SymbolFile) -> Part:
        """Return the part that a file is."""
        if not file.is_elf:
            names = NameList(file.data)
            return cls(file.name, b"", names.rows, 0 if file.address is None else file.address - (names.start or 0))
        part = cls(file.name, file.data)
        text = part.sections.find(".text")
        if file.address is not None:
            part.bias = file.address - (text.address if text is not None else 0)
        return part

    def at(self, bias: int) -> Part:
        """Return the same, loaded elsewhere; what was read stays."""
        part = copy(self)
        part.bias = bias
        return part

    @property
    def entry(self) -> int | None:
        """Where it is entered, None: it does not say."""
        head = self.sections.image[24:32]
        return int.from_bytes(head, "little") + self.bias if self.sections.headers else None

    @cached_property
    def rows(self) -> NamedRows:
        return ElfSymbols(self.sections)

    def around(self, address: int) -> Symbol | None:
        """Return the symbol that contains an address."""
        return self.moved(self.rows.around(address - self.bias))

    def is_code(self, address: int) -> bool:
        """Return whether an address lies in code."""
        if any(lo <= address - self.bias < hi for lo, hi in self.sections.executable):
            return True
        found = None if self.sections.headers else self.around(address)
        return found is not None and found.kind == "function"

    @cached_property
    def debug(self) -> ImageDebug:
        return ImageDebug(self.sections)

    @cached_property
    def lines(self) -> LineTable:
        return LineTable(self.debug)

    @cached_property
    def frames(self) -> CallFrames:
        return CallFrames(self.sections)

    def moved(self, symbol: Symbol | None) -> Symbol | None:
        if symbol is None or not self.bias:
            return symbol
        return replace(symbol, address=symbol.address + self.bias)

    def moved_line(self, line: Line | None) -> Line | None:
        if line is None or not self.bias:
            return line
        return replace(line, address=line.address + self.bias, stop=line.stop + self.bias)

    @property
    def debug_link(self) -> str:
        """Where a stripped image says that its symbols are, as the end of a sentence."""
        name = self.sections.debug_link
        return f"; they are in {name} (--symbols)" if name else ""

    def mismatch(self, images: Iterable[Part]) -> str:
        """Return a sentence when a file seems to belong to another program than those of the trace."""
        mine = self.sections.build_id
        theirs = [image.sections.build_id for image in images]
        if self.bias or not mine or not all(theirs) or mine in theirs:
            return ""
        return f"{harmless(self.name)}: its build-id is that of no image of the trace: what it says may be wrong"
