"""Untrusted content: whatever stands behind a valid checksum, a reader says what is wrong and takes little memory."""

from __future__ import annotations

import errno
import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lz4.block
import numpy as np
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rrdbg_core.errors import ExitCode
from rrdbg_core.trace import EPOCH, BadTrace, Trace, varint

from tests.trace import crafted, synthetic
from tests.trace.crafted import Raw

MANIFEST, IMAGE, JOURNAL, SNAPSHOT, PAGES, DIGEST, CHECKS, PROGRESS, INDEX, END = range(1, 11)


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> list[Raw]:
    """The chunks of a trace that has every kind."""
    path = tmp_path_factory.mktemp("crafted") / "t.rrt"
    synthetic.build(path)
    return crafted.take_apart(path)


def test_taken_apart_and_put_together(tmp_path: Path, chunks: list[Raw]) -> None:
    crafted.write(tmp_path / "t.rrt", chunks)
    written = synthetic.build(tmp_path / "other.rrt")
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert synthetic.view(trace) == written.expected()
        assert not trace.damage


# ---- the file itself -------------------------------------------------------------------------------------------------
def _newer_file(path: Path) -> None:
    header = b"\x89RRT\r\n\x1a\n" + struct.pack("<HHI", 2, 0, 48) + crafted.FILE_ID

    path.write_bytes(header + struct.pack("<Q", xxhash.xxh3_64_intdigest(header)) + bytes(100))


@pytest.mark.parametrize(
    ("make", "message", "code"),
    [
        (lambda path: None, "there is no file", ExitCode.NOT_FOUND),
        (lambda path: path.mkdir(), "is a directory", ExitCode.BAD_TRACE),
        (lambda path: path.touch(), "is empty", ExitCode.BAD_TRACE),
        (lambda path: path.write_bytes(b"\x7fELF" + bytes(4000)), "not an rrdbg trace", ExitCode.BAD_TRACE),
        (lambda path: path.write_bytes(b"\x89RR"), "cut off inside its header", ExitCode.BAD_TRACE),
        (lambda path: path.write_bytes(b"\x89RRT\r\n\x1a\n" + bytes(90)), "header of .* damaged", ExitCode.BAD_TRACE),
        (lambda path: path.write_bytes(b"\x89RRT\n\x1a\n" + bytes(90)), "not an rrdbg trace", ExitCode.BAD_TRACE),
        (_newer_file, "format version 2; this rrdbg reads versions up to 1", ExitCode.BAD_TRACE),
        (lambda path: os.mkfifo(path), "not a regular file", ExitCode.BAD_TRACE),
        (lambda path: path.symlink_to(path), "cannot read", ExitCode.HOST_IO),
        (lambda path: crafted.write(path, []), "manifest, which comes first, is missing", ExitCode.BAD_TRACE),
    ],
)
def test_not_a_trace(tmp_path: Path, make: Callable[[Path], None], message: str, code: ExitCode) -> None:
    path = tmp_path / "t.rrt"
    make(path)
    with pytest.raises(BadTrace, match=message) as error:
        Trace.open(path)
    assert error.value.exit_code == code
    assert str(path) in error.value.message


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BadTrace, match=r"cannot read .*: Permission denied") as error:
        Trace.open(tmp_path / "t.rrt")
    assert error.value.exit_code == ExitCode.HOST_IO


# ---- the manifest ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"{}", "config"),
        (b'{"config": {"ram_bytes": 1e30}}', "config.ram_bytes"),
        (b'{"config": {"ram_bytes": 281474976710656}}', "config.ram_bytes"),
        (b'{"config": {}, "start_icount": -1}', "start_icount"),
        (b'{"config": {}, "start_icount": 99999999999999999999}', "start_icount"),
        (b'{"config": {}, "surprise": 1}', "surprise"),
    ],
)
def test_bad_manifest(tmp_path: Path, payload: bytes, message: str) -> None:
    crafted.write(tmp_path / "t.rrt", [Raw(MANIFEST, payload)])
    with pytest.raises(BadTrace, match=r"chunk 0 \(manifest, at offset 40\)") as error:
        Trace.open(tmp_path / "t.rrt")
    assert message in str(error.value)


def test_image_is_not_what_it_is_called(tmp_path: Path, chunks: list[Raw]) -> None:
    image = replace(chunks[1], payload=chunks[1].payload[:-1] + b"!")
    crafted.write(tmp_path / "t.rrt", [chunks[0], image, *chunks[2:]])
    with Trace.open(tmp_path / "t.rrt") as trace, pytest.raises(BadTrace, match=r"chunk 1 \(image"):
        trace.images[synthetic.image_digest(synthetic.IMAGE)]


def test_start_without_a_snapshot(tmp_path: Path) -> None:
    manifest = json.dumps({"config": {"ram_bytes": 65536}, "start_icount": 5000}).encode()
    crafted.write(tmp_path / "t.rrt", [Raw(MANIFEST, manifest, 5000, 5000), Raw(PROGRESS, bytes(8), 6000, 6000)])
    with pytest.raises(BadTrace, match="snapshot that it starts from is not there"):
        Trace.open(tmp_path / "t.rrt")


# ---- chunks found while opening: the trace ends in front of them -----------------------------------------------------
def _v(*numbers: int) -> bytes:
    return varint.encode(np.array(numbers, np.uint64))


def _pack(first: int, entries: int, zeros: int, groups: int, directory: bytes, rest: bytes = b"") -> bytes:
    packed = lz4.block.compress(directory, store_size=False)
    return struct.pack("<6I", first, entries, zeros, groups, len(packed), len(directory)) + packed + rest


_ONE = (1).to_bytes(8, "little")
_LINE = bytes(64)

BAD_CHUNKS = {
    "a kind nobody knows": (Raw(77, b"x"), "newer"),
    "a version nobody knows": (Raw(PROGRESS, bytes(8), version=1), "newer"),
    "a flag nobody knows": (Raw(PROGRESS, bytes(8), flags=4), "newer"),
    "a second segment": (Raw(PROGRESS, bytes(8), segment=1), "newer"),
    "first behind last": (Raw(PROGRESS, bytes(8), 5, 4), "positions 5 to 4"),
    "beyond every position": (Raw(PROGRESS, bytes(8), 1 << 63, 1 << 63), "positions"),
    "lengths differ": (Raw(PROGRESS, bytes(8), raw=9), "8 bytes where the header says 9"),
    "no LZ4": (Raw(PROGRESS, b"\xff" * 30, flags=1, raw=100), "LZ4"),
    "LZ4 of nothing": (Raw(PROGRESS, b"", flags=1, raw=8), "LZ4"),
    "LZ4 of no length": (Raw(PROGRESS, b"\x00", flags=1, raw=0), "8 bytes wanted"),
    "LZ4 too short": (Raw(PROGRESS, lz4.block.compress(bytes(8), store_size=False), flags=1, raw=20), "LZ4"),
    "LZ4 too long": (Raw(PROGRESS, lz4.block.compress(bytes(80), store_size=False), flags=1, raw=8), "LZ4"),
    "a second manifest": (Raw(MANIFEST, b"{}"), "second manifest"),
    "short progress": (Raw(PROGRESS, bytes(7)), "8 bytes wanted where 7"),
    "long progress": (Raw(PROGRESS, bytes(9)), "1 bytes too many"),
    "progress of lost events": (Raw(PROGRESS, _ONE), "1 events come before it, 0 are there"),
    "progress of a stretch": (Raw(PROGRESS, bytes(8), 5, 6), "before what came before"),
    "short image": (Raw(IMAGE, bytes(31)), "32 bytes wanted"),
    "image beyond its size": (Raw(IMAGE, bytes(16) + struct.pack("<QQ", 4, 1) + b"1234"), "4 bytes at 1"),
    "huge image": (Raw(IMAGE, bytes(16) + struct.pack("<QQ", 1 << 63, 0)), "image of"),
    "image without its start": (Raw(IMAGE, bytes(16) + struct.pack("<QQ", 40, 1) + b"1"), "next part"),
    "event behind a promise": (Raw(SNAPSHOT, struct.pack("<QIH", 1, 0, 0), 4, 4), "event behind it"),
    "empty journal": (Raw(JOURNAL, b""), "1 bytes wanted"),
    "journal of no events": (Raw(JOURNAL, _v(0)), "0 events"),
    "journal of many events": (Raw(JOURNAL, _v(1 << 40)), "events"),
    "checks of another place": (Raw(CHECKS, _ONE, 131072, 131072), "next check words"),
    "no checks": (Raw(CHECKS, b"", 65536, 65536), "next check words"),
    "half a check": (Raw(CHECKS, bytes(9), 65536, 65536), "too many"),
    "short digest": (Raw(DIGEST, bytes(20)), "24 bytes wanted"),
    "digest of lost events": (Raw(DIGEST, _ONE + bytes(16)), "1 events come before it"),
    "short snapshot": (Raw(SNAPSHOT, bytes(5)), "14 bytes wanted"),
    "snapshot of lost pages": (Raw(SNAPSHOT, struct.pack("<QIH", 0, 3, 0)), "pages or events"),
    "snapshot of lost events": (Raw(SNAPSHOT, struct.pack("<QIH", 3, 0, 0)), "pages or events"),
    "short end": (Raw(END, bytes(3)), "bytes wanted"),
    "end with a name that is no text": (Raw(END, bytes(25) + b"\x02\xff\xfe"), "UTF-8"),
    "short pack": (Raw(PAGES, bytes(20)), "24 bytes wanted"),
    "pack of many pages": (Raw(PAGES, struct.pack("<6I", 1, 1 << 30, 0, 1, 0, 100)), "claims"),
    "pack with a huge directory": (Raw(PAGES, struct.pack("<6I", 1, 1, 0, 1, 0, 1 << 31)), "claims"),
    "pack version 0": (Raw(PAGES, _pack(0, 0, 1, 0, _v(3))), "claims"),
    "pack of a lost pack": (Raw(PAGES, _pack(2, 0, 1, 0, _v(3))), "page version 1 is missing"),
}


BAD_PACKS = {
    "page beyond RAM": (_pack(1, 1, 0, 1, _v(16) + b"\0" + _ONE + _v(1, 64), _LINE), "page lies beyond"),
    "page wraps round": (
        _pack(1, 2, 0, 1, _v(3, (1 << 64) - 1) + b"\0" + _ONE * 2 + _v(2, 128), _LINE * 2),
        "page lies beyond",
    ),
    "page zero and not": (
        _pack(1, 1, 1, 1, _v(3) + _v(3) + b"\0" + _ONE + _v(1, 64), _LINE),
        "both all zero and not",
    ),
    "delta to nothing": (_pack(1, 1, 0, 1, _v(3) + b"\1" + _ONE + _v(1, 64), _LINE), "not there"),
    "groups of nothing": (_pack(1, 1, 0, 1, _v(3) + b"\0" + _ONE + _v(0, 64), _LINE), "groups"),
    "groups too large": (_pack(1, 1, 0, 1, _v(3) + b"\0" + _ONE + _v(1 << 63, 64), _LINE), "groups"),
    "groups beyond the chunk": (_pack(1, 1, 0, 1, _v(3) + b"\0" + _ONE + _v(1, 65), _LINE), "groups"),
    "entries without a group": (_pack(1, 1, 0, 0, _v(3) + b"\0" + _ONE), "groups"),
    "directory too long": (_pack(1, 0, 1, 0, _v(3, 4)), "too many"),
}
"""Packs of which the head is right: what else is wrong is found when their pages are asked for."""


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunk_ends_the_trace(tmp_path: Path, chunks: list[Raw], name: str) -> None:
    bad, message = BAD_CHUNKS[name]
    before = [Raw(JOURNAL, _event(), 5, 5)] if name == "event behind a promise" else []
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], *before, bad, *chunks[2:]])
    with Trace.open(tmp_path / "t.rrt") as trace:
        for _ in range(2):  # looking again changes nothing
            assert message in trace.damage
            assert not trace.refresh()
        assert trace.damage.startswith(f"chunk {2 + len(before)} ")
        assert trace.damage.endswith("replays up to icount 0")
        assert (trace.end_icount, list(trace.events), list(trace.snapshots)) == (0, [], [])


def _with_snapshot(path: Path, chunks: list[Raw], packs: list[bytes]) -> None:
    versions = sum(struct.unpack_from("<II", pack)[1] for pack in packs)
    snapshot = Raw(SNAPSHOT, struct.pack("<QIH", 0, versions, 0), 7, 7)
    crafted.write(path, [*chunks[:2], *(Raw(PAGES, pack) for pack in packs), snapshot])


@pytest.mark.parametrize("name", BAD_PACKS)
def test_bad_pack_is_told_when_its_pages_are_asked_for(tmp_path: Path, chunks: list[Raw], name: str) -> None:
    bad, message = BAD_PACKS[name]
    _with_snapshot(tmp_path / "t.rrt", chunks, [bad])
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert (trace.damage, trace.end_icount) == ("", 7)
        for _ in range(2):  # asking again changes nothing
            with pytest.raises(BadTrace, match=r"chunk 2 \(pages, at offset") as error:
                trace.versions(0)
            assert message in error.value.message
        if struct.unpack_from("<II", bad)[1]:
            with pytest.raises(BadTrace, match=r"chunk 2 \(pages, at offset"):
                trace.load_pages([3], [1])


def test_a_pack_before_a_bad_one_is_good(tmp_path: Path, chunks: list[Raw]) -> None:
    good = _pack(1, 1, 0, 1, _v(3) + b"\0" + _ONE + _v(1, 64), b"x" * 64)
    bad = _pack(2, 1, 0, 1, _v(5) + b"\1" + _ONE + _v(1, 64), _LINE)
    snapshots = [Raw(SNAPSHOT, struct.pack("<QIH", 0, count, 0), 6 + count, 6 + count) for count in (1, 2)]
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], Raw(PAGES, good), snapshots[0], Raw(PAGES, bad), snapshots[1]])
    with Trace.open(tmp_path / "t.rrt") as trace:
        with pytest.raises(BadTrace, match=r"chunk 4 \(pages, at offset .* not there"):
            trace.versions(1)
        assert np.flatnonzero(trace.versions(0)).tolist() == [3]
        assert trace.load_pages([3], [1])[0, :64].tobytes() == b"x" * 64


def test_a_pack_is_not_compressed_once_more(tmp_path: Path, chunks: list[Raw]) -> None:
    pack = _pack(1, 1, 0, 1, _v(3) + b"\0" + _ONE + _v(1, 64), _LINE)
    packed = Raw(PAGES, lz4.block.compress(pack, store_size=False), flags=1, raw=len(pack))
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], packed])
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert "chunk 2 (pages) at offset" in trace.damage
        assert "compressed" in trace.damage


def test_a_chain_of_deltas_has_an_end(tmp_path: Path, chunks: list[Raw]) -> None:
    packs = [_pack(1, 1, 0, 1, _v(3) + b"\0" + _ONE + _v(1, 64), _LINE)]
    packs += [_pack(k, 1, 0, 1, _v(3) + b"\1" + _ONE + _v(1, 64), _LINE) for k in range(2, 10)]
    _with_snapshot(tmp_path / "t.rrt", chunks, packs)
    with (
        Trace.open(tmp_path / "t.rrt") as trace,
        pytest.raises(BadTrace, match=r"chunk 10 \(pages, at offset .* more than 8 versions"),
    ):
        trace.versions(0)


def test_optional_chunks_are_skipped(tmp_path: Path, chunks: list[Raw]) -> None:
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], Raw(77, b"what is this", flags=2), *chunks[2:]])
    written = synthetic.build(tmp_path / "other.rrt")
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert synthetic.view(trace) == written.expected()
        assert not trace.damage


# ---- content that is looked at later ---------------------------------------------------------------------------------
def _event(
    *, kinds: int = 1, kind: int = 1, tag: int = 0, warp: int = 0, size: int = 1, payload: bytes = b"x"
) -> bytes:
    return _v(1, kinds) + bytes([kind, 1]) + b"u\0" + _v(tag, 0, warp, size) + payload


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (_event(kind=99), "no event of kind 99"),
        (_event(kinds=0), "0 types"),
        (_event(kinds=5000), "5000 types"),
        (_event(tag=1), "type that is not there"),
        (_event(warp=1), "virtual time is negative"),
        (_event(size=2), "payloads"),
        (_event(size=1 << 63), "payloads"),
        (_event(payload=b"xy"), "payloads"),
        (_v(1, 1) + b"\x01\x01\xff\x00" + _v(0, 0, 0, 0), "UTF-8"),
        (_v(1, 1) + b"\x01\xc8abc", "200 bytes wanted"),
        (_v(2, 1) + b"\x01\x00\x00" + _v(0, 0) + _v(0, 7) + _v(0, 0, 0, 0), "lies beyond"),
        (_v(1000), "1 bytes wanted"),
    ],
)
def test_bad_events(tmp_path: Path, chunks: list[Raw], payload: bytes, message: str) -> None:
    count = int(varint.decode(np.frombuffer(payload, np.uint8), 0, 1)[0][0])
    progress = Raw(PROGRESS, struct.pack("<Q", count), 9, 9)
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], Raw(JOURNAL, payload, 5, 5), progress])
    with Trace.open(tmp_path / "t.rrt") as trace, pytest.raises(BadTrace, match=message) as error:
        list(trace.events)
    assert "chunk 2 (journal, at offset" in str(error.value)


def test_the_good_event(tmp_path: Path, chunks: list[Raw]) -> None:
    """The one that the bad ones above differ from."""
    progress = Raw(PROGRESS, _ONE, 9, 9)
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], Raw(JOURNAL, _event(), 5, 5), progress])
    with Trace.open(tmp_path / "t.rrt") as trace:
        (event,) = trace.events
        assert (event.icount, event.device, event.payload, event.warp_ns) == (5, "u", b"x", 0)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (struct.pack("<QIH", 0, 0, 60_000), "60000 parts"),
        (struct.pack("<QIH", 0, 0, 1) + b"\x01a" + struct.pack("<I", 1 << 31), "bytes wanted"),
        (struct.pack("<QIH", 0, 0, 2) + (b"\x01a" + bytes(4)) * 2, "twice"),
        (struct.pack("<QIH", 0, 0, 0) + b"x", "too many"),
        (struct.pack("<QIH", 0, 0, 1) + b"\x01\xff" + bytes(4), "UTF-8"),
    ],
)
def test_bad_snapshot(tmp_path: Path, chunks: list[Raw], payload: bytes, message: str) -> None:
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], Raw(SNAPSHOT, payload)])
    with Trace.open(tmp_path / "t.rrt") as trace, pytest.raises(BadTrace, match=message) as error:
        list(trace.snapshots)
    assert "chunk 2 (snapshot, at offset" in str(error.value)


_BINS = bytes(64)


@pytest.mark.parametrize(
    ("payload", "last", "message"),
    [
        (b"", 100, "64 numbers"),
        (_v(1 << 40, *[1] * 63) + _BINS + bytes(4), 100, "more traps"),
        (_BINS * 2 + _v(1 << 30), 100, "numbers wanted"),
        (_BINS * 2 + _v(1, 16) + bytes(11), 100, "page lies beyond"),
        (_BINS * 2 + bytes(3) + _v(1 << 62), 100, "pieces"),
        (_BINS * 2 + bytes(3) + _v(1, 101, 0), 100, "outside the epoch"),
        (_BINS * 2 + bytes(3) + _v(2, 60, 60, 0, 0), 100, "outside the epoch"),
        (_BINS * 2 + bytes(3) + _v(1, 5, 9), 100, "outside the epoch"),
        (_BINS * 2 + bytes(4), EPOCH + 1, "two epochs"),
        (_BINS * 2 + bytes(5), 100, "too many"),
        (_BINS * 2 + bytes(2) + _v(1, 3) + bytes(1) + bytes(7), 100, "7 are left"),
        (_BINS * 2 + bytes(2) + _v(1, 3) + bytes(1) + b"\3" + bytes(7) + b"\1\0\0\0" * 1, 100, "4 are left"),
        (_BINS * 2 + bytes(2) + _v(1, 3) + bytes(1) + b"\3" + bytes(7) + b"\1\0\0\0" + bytes(4), 100, "no instruction"),
        (_BINS * 2 + bytes(2) + _v(1, 3) + bytes(1) + bytes(9), 100, "too many"),
    ],
)
def test_bad_index(tmp_path: Path, chunks: list[Raw], payload: bytes, last: int, message: str) -> None:
    progress = Raw(PROGRESS, bytes(8), 2 * EPOCH, 2 * EPOCH)
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], Raw(INDEX, payload, 0, last), progress])
    with Trace.open(tmp_path / "t.rrt") as trace, pytest.raises(BadTrace, match=message) as error:
        list(trace.epochs)
    assert "chunk 2 (index, at offset" in str(error.value)


def test_bad_group_of_pages(tmp_path: Path, chunks: list[Raw]) -> None:
    pack = _pack(1, 1, 0, 1, _v(3) + b"\0" + _ONE + _v(1, 20), b"\xff" * 20)
    crafted.write(tmp_path / "t.rrt", [*chunks[:2], Raw(PAGES, pack), Raw(SNAPSHOT, struct.pack("<QIH", 0, 1, 0))])
    with Trace.open(tmp_path / "t.rrt") as trace:
        versions = trace.versions(0)
        with pytest.raises(BadTrace, match=r"chunk 2 \(pages, at offset .*LZ4"):
            trace.load_pages(np.array([3]), versions[3:4])


# ---- fuzzing ---------------------------------------------------------------------------------------------------------
def _survives(path: Path) -> None:
    """Only a `BadTrace` that names the place, or none, whatever is asked."""
    error = None
    try:
        with Trace.open(path) as trace:
            crafted.ask_everything(trace)
    except BadTrace as caught:
        error = caught
    assert error is None or str(path) in str(error)


def _mutate(data: bytes, random_: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(random_.choice((1, 1, 1, 2, 5))):
        place = random_.randrange(len(result) + 1)
        match random_.randrange(5):
            case 0 if result:
                result[place % len(result)] = random_.choice((0, 1, 0x7F, 0x80, 0xFF, random_.randrange(256)))
            case 1 if result:
                result[place % len(result)] ^= 1 << random_.randrange(8)
            case 2:
                del result[place : place + random_.choice((1, 4, 8, 100))]
            case 3:
                result[place:place] = random_.randbytes(random_.choice((1, 4, 8)))
            case 4:
                result[place : place + 8] = random_.choice((b"\xff" * 8, bytes(8), b"\x80" * 12, b"\xff\xff\xff\x7f"))
    return bytes(result)


def _fuzz(path: Path, chunks: list[Raw], seed: int, rounds: int) -> None:
    random_ = random.Random(seed)
    for _ in range(rounds):
        mutated = list(chunks)
        number = random_.randrange(len(chunks))
        old = mutated[number]
        match random_.randrange(8):
            case 0:
                mutated[number] = replace(old, kind=random_.randrange(12))
            case 1:
                mutated[number] = replace(old, flags=random_.randrange(4), raw=random_.choice((0, 8, 1000, 1 << 25)))
            case 2:
                mutated[number] = replace(old, first=random_.choice((0, 1, old.last, old.first + 65536)))
            case 3:
                del mutated[number]
            case _:
                mutated[number] = replace(old, payload=_mutate(old.payload, random_))
        crafted.write(path, mutated)
        _survives(path)


def test_fuzz_content(tmp_path: Path, chunks: list[Raw]) -> None:
    _fuzz(tmp_path / "t.rrt", chunks, 1, 600)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_fuzz_content_for_long(tmp_path: Path, chunks: list[Raw], seed: int) -> None:
    _fuzz(tmp_path / "t.rrt", chunks, seed, 10_000)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.booleans())
def test_random_bytes(tmp_path: Path, data: bytes, good_header: bool) -> None:
    path = tmp_path / "t.rrt"
    crafted.write(path, [])
    path.write_bytes((path.read_bytes() if good_header else b"\x89RRT\r\n\x1a\n") + data)
    with pytest.raises(BadTrace):
        Trace.open(path)


def test_huge_claims_take_little_memory(tmp_path: Path, chunks: list[Raw]) -> None:
    """Headers that claim gigabytes, and blocks that would unpack to much: within 200 MB of address space."""
    bomb = lz4.block.compress(bytes(32 << 20), store_size=False)
    claims = [
        Raw(PROGRESS, b"x" * 40, flags=1, raw=(1 << 32) - 1),
        Raw(PROGRESS, b"x" * 40, flags=1, raw=32 << 20),
        Raw(SNAPSHOT, bomb, flags=1, raw=32 << 20),
        Raw(JOURNAL, bomb, flags=1, raw=32 << 20),
        Raw(PAGES, struct.pack("<6I", 1, 4096, 4096, 4096, 1 << 31, 131072) + bomb),
        Raw(77, bomb, flags=3, raw=32 << 20),
    ]
    paths = []
    for number, claim in enumerate(claims):
        paths.append(str(tmp_path / f"{number}.rrt"))
        crafted.write(Path(paths[-1]), [*chunks[:2], *[claim] * 20])
    huge = json.dumps({"config": {"ram_bytes": 64 << 30}}).encode()
    paths.append(str(tmp_path / "ram.rrt"))
    crafted.write(Path(paths[-1]), [Raw(MANIFEST, huge), *[Raw(PROGRESS, bytes(8))] * 3])
    program = """
import sys, resource
from rrdbg_core.trace import BadTrace, Trace
from tests.trace import crafted
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        with Trace.open(path) as trace:
            crafted.ask_everything(trace)
    except BadTrace:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, *paths], capture_output=True, text=True, cwd=root, check=True, timeout=120
    )
    assert int(done.stdout) < 200 << 10  # KiB
