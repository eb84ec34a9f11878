"""Blocks of media and objects in a trace: what goes in comes out, of any prefix; and chunks that make no sense."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.trace import BadTrace, Snapshot, Trace, TraceWriter
from rrdbg_core.trace.contents import image_digest
from rrdbg_core.trace.writer import MEDIUM_BLOCKS, OBJECT_BYTES

from rrdbg.cli.main import main
from tests.trace import crafted, synthetic
from tests.trace.crafted import Raw

BLOCKS, OBJECTS = 11, 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    synthetic.build_with_disk(tmp_path / "t.rrt")
    return tmp_path / "t.rrt"


def test_everything_comes_back(tmp_path: Path) -> None:
    written = synthetic.build_with_disk(tmp_path / "t.rrt")
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert synthetic.view(trace) == written.expected()
        assert (trace.damage, trace.end_icount) == ("", 4000)
        assert (trace.media["rng0"].blocks, trace.media["rng0"].unreadable) == (3, 1)
        assert trace.stored(b"x" * 16) is None


def test_each_prefix_holds_what_its_promises_cover(tmp_path: Path) -> None:
    written = synthetic.build_with_disk(tmp_path / "t.rrt")
    whole = (tmp_path / "t.rrt").read_bytes()
    sizes = [size for size, _ in written.stages]
    rng = random.Random(1)
    for size in {*sizes, *(size - 1 for size in sizes[1:]), *(rng.randrange(sizes[1], len(whole)) for _ in range(200))}:
        (tmp_path / "cut.rrt").write_bytes(whole[:size])
        expected = dict(written.at(size) or {})
        with Trace.open(tmp_path / "cut.rrt") as trace:
            seen = synthetic.view(trace)
            # what stands in front of a promise that is lost may be there already
            for kind in ("blocks", "objects"):
                assert expected.pop(kind).items() <= seen.pop(kind).items()
            assert seen == expected


def test_many_blocks_and_large_objects(tmp_path: Path) -> None:
    rng = random.Random(2)
    blocks = {number: rng.randbytes(4096) for number in rng.sample(range(1 << 40), 3 * MEDIUM_BLOCKS + 5)}
    objects = {name: name * 65536 for name in (rng.randbytes(16) for _ in range(5))}
    images = {image_digest(synthetic.IMAGE): synthetic.IMAGE}
    with TraceWriter(tmp_path / "t.rrt", synthetic.manifest(), images) as writer:
        for number, block in blocks.items():
            writer.block("rng0", number, block)
        state = {"hart0": np.array([1], np.uint64)}
        writer.snapshot(Snapshot(0, 0, state), (), None, np.zeros((0, 4096), np.uint8), objects)
        assert all(map(writer.holds, objects))
        size = writer.size
        writer.snapshot(Snapshot(1, 0, state), (), None, np.zeros((0, 4096), np.uint8), objects)
        assert writer.size < size + 200  # nothing twice
        assert not writer.holds(b"x" * 16)
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert {number: trace.block("rng0", number) for number in blocks} == blocks
        kinds = [chunk.kind for chunk in trace.chunks()]
        assert kinds.count("blocks") == 4
        assert kinds.count("objects") == 5 * 65536 * 16 // OBJECT_BYTES


def _blocks(device: str, numbers: list[int], lost: list[int], data: bytes) -> bytes:
    name = bytes([len(device)]) + device.encode()
    return name + bytes([len(numbers), *numbers, *lost]) + data


BAD = {
    "a block twice": (BLOCKS, _blocks("d", [1, 1], [1, 1], b""), "a block is there twice"),
    "a block of another chunk": (BLOCKS, _blocks("rng0", [7], [1], b""), "a block is there twice"),
    "neither nor": (BLOCKS, _blocks("d", [1], [2], bytes(4096)), "neither there nor unreadable"),
    "too short": (BLOCKS, _blocks("d", [1], [0], bytes(4095)), "4096 bytes wanted where 4095 are left"),
    "too long": (BLOCKS, _blocks("d", [1], [0], bytes(4097)), "1 bytes too many"),
    "too many blocks": (BLOCKS, b"\1d\xff\xff\xff\xff\x0f", "wanted where 0 bytes are left"),
    "too many objects": (OBJECTS, b"\xff\xff\xff\xff\x0f", "wanted where 0 are left"),
    "an object too short": (OBJECTS, b"\1" + bytes(16) + b"\x05" + bytes(4), "5 bytes wanted where 4 are left"),
    "an object too long": (OBJECTS, b"\1" + bytes(16) + b"\x05" + bytes(6), "1 bytes too many"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_chunk_ends_the_trace(tmp_path: Path, path: Path, name: str) -> None:
    kind, payload, message = BAD[name]
    chunks = crafted.take_apart(path)[:-1]
    crafted.write(tmp_path / "bad.rrt", [*chunks, Raw(kind, payload, 3000, 3000)])
    with Trace.open(tmp_path / "bad.rrt") as trace:
        assert message in trace.damage
        assert trace.end_icount == 3000


@pytest.mark.parametrize("encoded", [b"", b"\1", b"\1\0short", b"\0\0not what its name says"])
def test_an_object_that_is_another_one_is_told_when_it_is_asked_for(tmp_path: Path, path: Path, encoded: bytes) -> None:
    payload = b"\1" + b"n" * 16 + bytes([len(encoded)]) + encoded
    crafted.write(tmp_path / "bad.rrt", [*crafted.take_apart(path)[:-1], Raw(OBJECTS, payload, 3000, 3000)])
    with Trace.open(tmp_path / "bad.rrt") as trace:
        assert trace.damage == ""
        with pytest.raises(BadTrace, match="is another one"):
            trace.stored(b"n" * 16)


def test_dump_and_info(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", str(path)]) == 0
    listing = capfd.readouterr().out
    assert "2 blocks of rng0, 1 of them unreadable" in listing
    assert "2 objects" in listing
    assert main(["dump", str(path), "--json"]) == 0
    kinds = [json.loads(line)["kind"] for line in capfd.readouterr().out.splitlines()]
    for kind, text in (("blocks", '"data": null'), ("objects", b"leaf".hex())):
        assert main(["dump", str(path), str(kinds.index(kind)), "--json"]) == 0
        assert text in capfd.readouterr().out
    assert main(["info", str(path), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["media"] == {"rng0": {"blocks": 3, "unreadable": 1}}


def test_the_encoding_of_objects_is_what_the_document_says() -> None:
    parts = [bytes([n]) * 16 for n in range(3)]
    encoded = synthetic.Objects(lambda name: None)
    name = encoded.store(b"data", parts)
    assert encoded.encoded(name) == struct.pack("<H", 3) + b"".join(parts) + b"data"
    assert encoded.load(name).parts == tuple(parts)
    assert encoded.load(name).data == b"data"
