"""The sections of an ELF image, unpacked when they are asked for."""

from __future__ import annotations

import struct
import zlib
from functools import cached_property

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.escape import harmless

MAX_BYTES = 1 << 32
"""Largest section that is unpacked."""

MAX_SECTIONS = 1 << 20
"""Sections of an image; firmware built with a section per function has thousands before it is linked."""

SHF_ALLOC = 1 << 1
SHF_EXECINSTR = 1 << 2
_SHF_COMPRESSED = 1 << 11
SHT_SYMTAB = 2
SHT_NOBITS = 8
_ELFCOMPRESS_ZLIB = 1
_ET_REL = 1
_HEADER = struct.Struct("<IIQQQQIIQQ")


class Section(Frozen):
    """A section header."""

    name: str
    """Its name."""
    type: int
    """SHT_*."""
    flags: int
    """SHF_*."""
    address: int
    """Where it lies in memory."""
    offset: int
    """Where it lies in the file."""
    size: int
    """Its bytes there."""
    link: int
    """Number of the section that it refers to."""


class Sections:
    """The sections of one ELF image. Anything that is not a 64-bit little-endian ELF has none."""

    def __init__(self, image: bytes) -> None:
        self.image = image
        """The image's bytes."""
        self.problem = ""
        """Why there are none, in half a sentence; empty when all is well."""
        self.headers: tuple[Section, ...] = ()
        """All sections by number."""
        if image[:4] != b"\x7fELF":
            self.problem = "it is not an ELF file"
        elif image[4:6] != b"\x02\x01" or len(image) < 64:
            self.problem = "it is not a 64-bit little-endian ELF file"
        else:
            try:
                self.headers = tuple(self._read_headers())
            except struct.error:
                self.problem = "its section headers are damaged"
        self._by_name: dict[str, Section] = {}
        for section in self.headers:
            self._by_name.setdefault(section.name, section)
        self._data: dict[str, bytes] = {}

    def _read_headers(self) -> list[Section]:
        image = self.image
        (start,) = struct.unpack_from("<Q", image, 40)
        size, count, names = struct.unpack_from("<HHH", image, 58)
        if start == 0:
            return []
        if size < _HEADER.size:
            raise struct.error
        first = _HEADER.unpack_from(image, start)
        count = count or first[5]  # more than the field can hold: section 0 says
        names = first[6] if names == 0xFFFF else names
        if count > MAX_SECTIONS or start + count * size > len(image):
            raise struct.error
        rows = [_HEADER.unpack_from(image, start + size * number) for number in range(count)]
        texts = rows[names][4] if names < count else len(image)

        def name(offset: int) -> str:
            end = image.find(b"\0", texts + offset, texts + offset + 1000)
            return harmless(image[texts + offset : max(end, 0)].decode("utf-8", "backslashreplace"))

        return [Section(name(row[0]), row[1], row[2], row[3], row[4], row[5], row[6]) for row in rows]

    @property
    def relocatable(self) -> bool:
        """Whether it is an object file, whose addresses are not those of memory."""
        return self.image[16:18] == b"\x01\0"

    def __contains__(self, name: str) -> bool:
        return name in self._by_name or f".z{name[1:]}" in self._by_name

    def find(self, name: str) -> Section | None:
        """Return a section's header."""
        return self._by_name.get(name)

    def get(self, name: str) -> bytes:
        """Return a section's bytes, empty when there is no such section.

        Raises:
            DwarfError: It cannot be unpacked.
        """
        data = self._data.get(name)
        if data is None:
            data = self._data[name] = self._read(name)
        return data

    def _read(self, name: str) -> bytes:
        section = self._by_name.get(name)
        if section is not None:
            return self.data(section)
        section = self._by_name.get(f".z{name[1:]}")
        if section is None:
            return b""
        data = self.data(section)
        if data[:4] != b"ZLIB" or len(data) < 12:
            raise DwarfError(f"section {section.name} is damaged")
        return _unpack(section.name, data[12:], int.from_bytes(data[4:12], "big"))

    def data(self, section: Section) -> bytes:
        """Return the bytes of a section. Raises DwarfError when it cannot be unpacked."""
        if section.type == SHT_NOBITS:
            return b""
        data = self.image[section.offset : section.offset + section.size]
        if not section.flags & _SHF_COMPRESSED:
            return data
        if len(data) < 24:
            raise DwarfError(f"section {section.name} is cut off")
        kind, _, size, _ = struct.unpack_from("<IIQQ", data)
        if kind != _ELFCOMPRESS_ZLIB:
            hint = "objcopy --decompress-debug-sections makes one that can be read"
            raise DwarfError(f"section {section.name} is not compressed with zlib; {hint}")
        return _unpack(section.name, data[24:], size)

    @cached_property
    def build_id(self) -> bytes:
        """The image's build-id; empty when it has none."""
        try:
            data = self.get(".note.gnu.build-id")
        except DwarfError:
            return b""
        if len(data) < 16 or data[12:16] != b"GNU\0":
            return b""
        return data[16 : 16 + int.from_bytes(data[4:8], "little")]

    @cached_property
    def debug_link(self) -> str:
        """The file that has what was stripped, as the image calls it; empty when it does not say."""
        try:
            name = self.get(".gnu_debuglink").partition(b"\0")[0]
        except DwarfError:
            return ""
        return harmless(name.decode("utf-8", "backslashreplace"))

    @cached_property
    def allocated(self) -> tuple[tuple[int, int], ...]:
        """The address ranges of what lies in memory."""
        return tuple((s.address, s.address + s.size) for s in self.headers if s.flags & SHF_ALLOC)

    @cached_property
    def executable(self) -> tuple[tuple[int, int], ...]:
        """The address ranges of code."""
        return tuple((s.address, s.address + s.size) for s in self.headers if s.flags & SHF_EXECINSTR)


def _unpack(name: str, data: bytes, size: int) -> bytes:
    if size > MAX_BYTES:
        raise DwarfError(f"section {name} claims {size} bytes")
    try:
        unpacked = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error as error:
        raise DwarfError(f"section {name} cannot be unpacked ({error})") from None
    if len(unpacked) != size:
        raise DwarfError(f"section {name} cannot be unpacked: it is cut off")
    return unpacked
