"""Which files a trace carries as sources: debug information may name any file of the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrdbg.cli import embedding
from rrdbg.cli.embedding import embedded_sources
from rrdbg.symbols.table import SymbolTable
from tests.guests.manifest import elf


def embedded(monkeypatch: pytest.MonkeyPatch, folder: Path, files: dict[str, bytes]) -> embedding.Embedded:
    """Return what is carried where debug information names these files, and one that is not there."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    named = dict.fromkeys([*files, "gone.c"], str(folder))
    monkeypatch.setattr(SymbolTable, "source_files", lambda table: named)
    return embedded_sources(elf("hello").read_bytes(), elf("hello"))


def test_only_source_files_are_carried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {"a.c": b"int a;\n", "b.h": b"", "passwd": b"root:x", "key.pem": b"secret", "binary.c": b"\x7fELF\0\0"}
    found = embedded(monkeypatch, tmp_path, files)
    assert [ref.name for ref in found.refs] == ["a.c", "b.h"]
    assert sorted(found.contents.values()) == [b"", b"int a;\n"]
    assert sorted(found.left_out) == ["binary.c", "key.pem", "passwd"]
    assert found.missing == ["gone.c"]
    assert "1 not found (gone.c)" in found.text()
    assert "3 left out" in found.text()


def test_what_is_too_much_is_left_out_the_largest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedding, "MAX_BYTES", 100)
    files = {"huge.c": b"h" * 90, "some.c": b"s" * 40, "more.c": b"m" * 60}
    found = embedded(monkeypatch, tmp_path, files)
    assert [ref.name for ref in found.refs] == ["more.c", "some.c"]
    assert found.left_out == ["huge.c"]
    assert sum(map(len, found.contents.values())) == 100
