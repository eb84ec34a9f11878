"""Expressions over what an ELF file holds, without a machine: what gdb in batch mode sees of it."""

from __future__ import annotations

import io
from pathlib import Path

from elftools.elf.elffile import ELFFile

from rrdbg.session.expression import parse
from rrdbg.session.expression_scene import FrameScene, Notebook, World
from rrdbg.session.printing import Options, Printer
from rrdbg.session.printing_types import ptype_text, whatis_text
from rrdbg.symbols.table import SymbolTable
from rrdbg.symbols.unwind import Code, Frame


class Static:
    """An ELF file as a home of expressions."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        elf = ELFFile(io.BytesIO(data))
        self.symbols = SymbolTable([data])
        self.options = Options()
        self._segments = [
            (part["p_vaddr"], part.data() + bytes(part["p_memsz"] - part["p_filesz"]))
            for part in elf.iter_segments()
            if part["p_type"] == "PT_LOAD"
        ]
        self._world = World(self.symbols, lambda name: None, lambda: None, Notebook())
        code = Code(lambda address: None, lambda address: None, self.read)
        self._frame = Frame(code, elf["e_entry"], (0,) * 32)

    def read(self, address: int, length: int) -> bytes:
        """Read what the file puts into memory."""
        for start, data in self._segments:
            if start <= address < start + len(data):
                return bytes(data[address - start : address - start + length])
        return b""

    def name_of(self, address: int) -> str:
        """Return an address by name."""
        symbol = self.symbols.around(address)
        if symbol is None:
            return ""
        name = symbol.name.removesuffix(".0")
        return f"{name}+{address - symbol.address}" if address > symbol.address else name

    def scene(self, *, innermost: bool = False) -> FrameScene:
        """Return the scene at the file's entry."""
        return FrameScene(self._world, lambda: self._frame)

    def printed(self, text: str, letter: str = "") -> str:
        """Return what `output/LETTER` says."""
        scene = self.scene()
        printer = Printer(self.options, self.name_of, letter, scene.static_member, self.read)
        return printer.top(parse(text).compute(scene))

    def whatis(self, text: str) -> str:
        """Return what `whatis` says."""
        expression, scene = parse(text), self.scene()
        return f"type = {whatis_text(expression.type_in(scene), named=expression.is_type(scene))}"

    def ptype(self, text: str) -> str:
        """Return what `ptype` says."""
        return f"type = {ptype_text(parse(text).type_in(self.scene()))}"
