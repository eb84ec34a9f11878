"""Names for addresses: symbols and source lines of all images of a trace, read when first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

from rrdbg.symbols.cfi import CallFrames, Row
from rrdbg.symbols.debuginfo import DebugInfo
from rrdbg.symbols.dwarf.image import ImageDebug
from rrdbg.symbols.elf import ElfSymbols, Symbol
from rrdbg.symbols.escape import harmless
from rrdbg.symbols.lines import Line, LineTable


class SymbolTable:
    """The symbols of several images; the first image that knows an answer gives it.

    Example:
        >>> table = SymbolTable([open("kernel.elf", "rb").read()])
        >>> table.around(0x8000_0010)
        Symbol(name='main', address=2147483648, size=64, kind='function')
    """

    def __init__(self, images: Sequence[bytes], names: Sequence[str] = ()) -> None:
        self._images = images
        self._names = [*names, *("the image" for _ in images[len(names) :])]
        self.around = lru_cache(maxsize=65536)(self._around)
        self.line = lru_cache(maxsize=65536)(self._line)
        # a condition asks for its symbols at each hit
        self.named = lru_cache(maxsize=4096)(self._named)

    @cached_property
    def _elfs(self) -> list[ElfSymbols]:
        return [ElfSymbols(debug.sections) for debug in self._debugs]

    @cached_property
    def _lines(self) -> list[LineTable]:
        return [LineTable(debug) for debug in self._debugs]

    @cached_property
    def _frames(self) -> list[CallFrames]:
        return [CallFrames(image) for image in self._images]

    @cached_property
    def entry(self) -> int | None:
        """Where the first image that is an ELF file is entered."""
        heads = (image[:32] for image in self._images)
        return next((int.from_bytes(head[24:32], "little") for head in heads if head[:4] == b"\x7fELF"), None)

    def frame_rules(self, address: int) -> Row | None:
        """Return the call frame information for an address."""
        return next((row for frames in self._frames if (row := frames.row(address)) is not None), None)

    def frame_extent(self, address: int) -> tuple[int, int] | None:
        """Return the stretch of code around an address that has call frame information of its own."""
        return next((found for frames in self._frames if (found := frames.extent(address)) is not None), None)

    @cached_property
    def debug(self) -> DebugInfo:
        """Functions, variables and types, read when first asked for."""
        return DebugInfo([(debug, 0, elf) for debug, elf in zip(self._debugs, self._elfs, strict=True)])

    @cached_property
    def _debugs(self) -> list[ImageDebug]:
        return [ImageDebug(image) for image in self._images]

    def problems(self) -> list[str]:
        """Return what is missing in which image, a sentence each: stripped ones, damaged debug information."""
        tables: list[Sequence[ElfSymbols | LineTable]] = [self._elfs, self._lines]
        return [
            f"{harmless(name)}: {table.problem}"
            for rows in tables
            for name, table in zip(self._names, rows, strict=True)
            if table.problem
        ]

    def _around(self, address: int) -> Symbol | None:
        """Return the symbol that contains an address."""
        return next((found for elf in self._elfs if (found := elf.around(address)) is not None), None)

    def _line(self, address: int) -> Line | None:
        """Return the source line of an address."""
        return next((found for lines in self._lines if (found := lines.at(address)) is not None), None)

    def _named(self, name: str) -> Symbol | None:
        """Return the symbol of a name."""
        return next((found for elf in self._elfs if (found := elf.named(name)) is not None), None)

    def starting_with(self, prefix: str, limit: int) -> list[Symbol]:
        """Return up to `limit` symbols whose names start with `prefix`, by name."""
        found = [symbol for elf in self._elfs for symbol in elf.starting_with(prefix, limit)]
        return sorted(found, key=lambda symbol: symbol.name)[:limit]

    def lines_between(self, lo: int, hi: int) -> list[Line]:
        """Return the line table's rows of addresses lo <= a < hi."""
        return [line for lines in self._lines for line in lines.between(lo, hi)]

    def line_addresses(self, file: str, line: int) -> list[int]:
        """Return where a source line was compiled to; empty when there is no such line."""
        return [address for lines in self._lines for address in lines.addresses(file, line)]

    def source_files(self) -> dict[str, str]:
        """Return the source files that the line tables name, each with the directory it was compiled in."""
        return {name: folder for lines in reversed(self._lines) for name, folder in lines.directories.items()}

    def lines_of(self, file: str) -> list[int]:
        """Return the numbers of a file's lines that have code, ascending; `file` is a whole name."""
        return sorted({line for lines in self._lines for line in lines.numbers(file)})

    def knows_file(self, file: str) -> bool:
        """Return whether the line tables mention a source file."""
        return any(lines.knows(file) for lines in self._lines)
