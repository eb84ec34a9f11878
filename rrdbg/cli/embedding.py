"""`record --embed-sources`: the source files that an image's debug information names, for the trace to carry."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from rrdbg_core.trace.contents import image_digest
from rrdbg_core.trace.model import SourceRef

from rrdbg.cli.terminal import count, size

MAX_BYTES = 64 << 20
"""Bytes of all files together. What is beyond is left out, smaller files first in."""
_SUFFIXES = (
    "c h s S sx asm cc cpp cxx c++ hh hpp hxx h++ inc inl ipp tcc def rs zig d go adb ads f f90 swift nim m mm y l ld "
    "dts dtsi"
)
SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split(" "))
"""What names of source files end with. Debug information may name any file: others are not put into a trace."""


@dataclass(slots=True)
class Embedded:
    """Source files to be carried."""

    refs: list[SourceRef] = field(default_factory=list)
    """Their names and digests."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """Content by digest."""
    missing: list[str] = field(default_factory=list)
    """Files that were not found."""
    left_out: list[str] = field(default_factory=list)
    """Files that were too much, or are no source files by their names."""

    def text(self) -> str:
        """Return a sentence about them."""
        total = sum(map(len, self.contents.values()))
        parts = [f"sources: {count(len(self.refs))} file{'s' * (len(self.refs) != 1)}, {size(total)}"]
        if self.missing:
            parts.append(f"{count(len(self.missing))} not found ({_some(self.missing)})")
        if self.left_out:
            parts.append(f"{count(len(self.left_out))} left out ({_some(self.left_out)}), at most {size(MAX_BYTES)}")
        return "; ".join(parts)


def embedded_sources(image: bytes, path: Path, folder: Path | None = None) -> Embedded:
    """Return the source files of an image, looked for where the debug information says, beside it and here.

    Args:
        image: The image's content.
        path: Its file.
        folder: The folder to look in instead of these; the compiler's own headers are then left alone.
    """
    from rrdbg.symbols.sources import Sources
    from rrdbg.symbols.table import SymbolTable

    table = SymbolTable([image], [path.name])
    # <built-in> and the like are no files
    files = {name: place for name, place in table.source_files().items() if not name.startswith("<")}
    if folder is not None:
        files = {name: place for name, place in files.items() if not os.path.isabs(os.path.join(place, name))}
    beside = (str(path.resolve().parent), os.getcwd()) if folder is None else (str(folder),)
    sources = Sources(lambda: files, None, beside)
    found: dict[str, bytes] = {}
    result = Embedded()
    for name in sorted(files):
        content = sources.content(name)
        if os.path.splitext(name)[1] not in SUFFIXES or (content is not None and b"\0" in content[1]):
            result.left_out.append(name)
        elif content is None:
            result.missing.append(name)
        else:
            found[name] = content[1]
    total = 0
    for name, data in sorted(found.items(), key=lambda item: (len(item[1]), item[0])):
        total += len(data)
        if total > MAX_BYTES:
            result.left_out.append(name)
            continue
        digest = image_digest(data)
        result.contents[digest] = data
        result.refs.append(SourceRef(name=name, digest=digest))
    result.refs.sort(key=lambda ref: ref.name)
    return result


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
