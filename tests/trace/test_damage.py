"""A trace that is cut or flipped anywhere reads back as the prefix that is whole, and says what was lost."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from rrdbg_core.trace import BadTrace, Trace
from rrdbg_core.trace.frame import FILE_HEADER_BYTES

from tests.trace import synthetic


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, synthetic.Synthetic, list[int]]:
    """Content of a trace, what each prefix holds, and where its chunks begin and the last one ends."""
    path = tmp_path_factory.mktemp("whole") / "t.rrt"
    written = synthetic.build(path)
    with Trace.open(path) as trace:
        edges = [chunk.offset for chunk in trace.chunks()]
    return path.read_bytes(), written, [*edges, path.stat().st_size]


def _check(path: Path, written: synthetic.Synthetic, edges: list[int], intact: int) -> str:
    """Check that a file of which the first `intact` bytes are right reads back as those; return what it says."""
    expected = written.at(intact)
    if expected is None:
        with pytest.raises(BadTrace) as error:
            Trace.open(path)
        return str(error.value)
    with Trace.open(path) as trace:
        assert synthetic.view(trace) == expected
        kept = max(edge for edge in edges if edge <= intact)
        assert trace.size == kept
        if trace.damage:
            lost = path.stat().st_size - kept
            assert f"at offset {kept} " in trace.damage
            assert f"the last {lost} bytes" in trace.damage
            assert trace.damage.endswith(f"replays up to icount {trace.end_icount}")
        else:
            assert path.stat().st_size == kept
        return trace.damage


def test_cut_at_every_byte(tmp_path: Path, whole: tuple[bytes, synthetic.Synthetic, list[int]]) -> None:
    data, written, edges = whole
    path = tmp_path / "cut.rrt"
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        said = _check(path, written, edges, size)
        assert (said == "") == (size in edges and written.at(size) is not None)
    assert len(data) < 6000  # or this takes too long


def _flip(tmp_path: Path, whole: tuple[bytes, synthetic.Synthetic, list[int]], bits: list[list[int]]) -> None:
    data, written, edges = whole
    path = tmp_path / "flip.rrt"
    path.write_bytes(data)
    with path.open("r+b", buffering=0) as file:
        for offset, which in enumerate(bits):
            for bit in which:
                file.seek(offset)
                file.write(bytes([data[offset] ^ 1 << bit]))
                said = _check(path, written, edges, offset)
                assert said, f"bit {bit} of byte {offset} is wrong, and nothing is said"
                if offset >= FILE_HEADER_BYTES:
                    assert re.search(r"\bdamaged\b|cut off|not all there|newer", said)
            file.seek(offset)
            file.write(data[offset : offset + 1])


def test_a_flipped_bit_in_every_byte(tmp_path: Path, whole: tuple[bytes, synthetic.Synthetic, list[int]]) -> None:
    choice = random.Random(3)
    _flip(tmp_path, whole, [[choice.randrange(8)] for _ in whole[0]])


@pytest.mark.slow
def test_every_flipped_bit(tmp_path: Path, whole: tuple[bytes, synthetic.Synthetic, list[int]]) -> None:
    _flip(tmp_path, whole, [list(range(8)) for _ in whole[0]])


def test_chunks_of_another_file_or_place_do_not_count(
    tmp_path: Path, whole: tuple[bytes, synthetic.Synthetic, list[int]]
) -> None:
    """What a file system leaves behind a cut: chunks of an older trace, or of this one at another place."""
    data, written, edges = whole
    other = tmp_path / "other.rrt"
    synthetic.build(other)
    assert other.stat().st_size == len(data)
    path = tmp_path / "mixed.rrt"
    for edge in edges[3:-1]:
        path.write_bytes(data[:edge] + other.read_bytes()[edge:])
        assert "checksum" in _check(path, written, edges, edge)
    # the same chunk twice, and a chunk left out
    for before, edge, after in zip(edges[3:-2], edges[4:-1], edges[5:], strict=True):
        path.write_bytes(data[:edge] + data[before:edge] + data[edge:])
        assert "checksum" in _check(path, written, edges, edge)
        path.write_bytes(data[:edge] + data[after:])
        assert edge == edges[-2] or "checksum" in _check(path, written, edges, edge)


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"x", b"RRTC" + bytes(60)])
def test_something_behind_the_end(
    tmp_path: Path, whole: tuple[bytes, synthetic.Synthetic, list[int]], tail: bytes
) -> None:
    data, written, _ = whole
    path = tmp_path / "tail.rrt"
    path.write_bytes(data + tail)
    with Trace.open(path) as trace:
        assert synthetic.view(trace) == written.expected()
        assert f"the last {len(tail)} bytes of the file are lost" in trace.damage
