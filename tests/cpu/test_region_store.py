"""Regions on disk: whatever happens to the file or at the same time, what is read is what was written, or nothing."""

from __future__ import annotations

import dataclasses
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrdbg_core.cpu import build
from rrdbg_core.cpu.regions import store
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.cpu.regions.record import Record, decode_plan, encode_plan, seal, unseal
from rrdbg_core.cpu.regions.store import Store, current, files, tidy
from rrdbg_core.errors import RrdbgError

from tests.cpu.region_records import PROGRAM, SALT, VERSION, plan_at, record_at, sealed

words = st.integers(0, (1 << 64) - 1)
blocks = st.builds(Block, words, st.binary(max_size=40), st.lists(words, max_size=3).map(tuple))
plans = st.builds(
    Plan, st.lists(blocks, min_size=1, max_size=5).map(tuple), st.lists(words, min_size=1, max_size=3).map(tuple)
)


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(PROGRAM, version=VERSION, directory=tmp_path)


def again(kept: Store) -> Store:
    """Return the store as another process sees it."""
    return Store(PROGRAM, version=VERSION, directory=path_of(kept).parent)


def path_of(kept: Store) -> Path:
    assert kept._path is not None
    return kept._path


# ---- plans and records as bytes --------------------------------------------------------------------------------------
@given(plans)
def test_a_plan_comes_back(plan: Plan) -> None:
    assert decode_plan(encode_plan(plan)) == plan


def test_every_field_of_a_plan_is_kept() -> None:
    """Whoever adds a field here adds it to the encoding."""
    assert {field.name for field in dataclasses.fields(Plan)} == {"blocks", "entries"}
    assert {field.name for field in dataclasses.fields(Block)} == {"pc", "code", "targets", "careful"}


@given(plans, st.data())
def test_bytes_are_the_plan_that_they_are_made_from_or_none(plan: Plan, data: st.DataObject) -> None:
    encoded = bytearray(encode_plan(plan))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    cut = bytes(encoded[: data.draw(st.integers(0, len(encoded)))])
    for candidate in (bytes(encoded), cut, bytes(encoded) + b"\0"):
        try:
            decoded = decode_plan(candidate)
        except ValueError:
            continue
        assert encode_plan(decoded) == candidate


@pytest.mark.parametrize(
    "plan",
    [
        plan_at(1 << 64),
        plan_at(-1),
        plan_at(0, bytes(1 << 16)),
        Plan((Block(0, b"", tuple(range(1 << 15))),), (0,)),
        Plan(tuple(Block(pc, b"") for pc in range(500)), (0,)),
    ],
)
def test_what_is_no_plan_is_refused(plan: Plan) -> None:
    with pytest.raises(ValueError, match="plan"):
        encode_plan(plan)


@given(st.lists(plans, min_size=1, max_size=4), st.binary(max_size=60), st.binary(max_size=5))
def test_a_record_comes_back(some: list[Plan], code: bytes, before: bytes) -> None:
    record = Record(tuple(map(encode_plan, some)), code)
    data = before + seal(SALT, record)
    assert unseal(SALT, memoryview(data + b"more"), len(before)) == (record, len(data))


def test_a_record_of_another_program_or_version_is_none() -> None:
    data = memoryview(sealed(0x1000))
    assert unseal(SALT, data) is not None
    for salt in (b"", VERSION, SALT + b"!", b"!" + SALT[1:]):
        assert unseal(salt, data) is None


def test_a_record_with_any_bit_changed_is_none() -> None:
    data = sealed(0x1000, 0x2000)
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            assert unseal(SALT, memoryview(damaged)) is None, (at, bit)


def test_lengths_are_bounded_before_anything_is_made() -> None:
    data = bytearray(sealed(0x1000))
    data[4:8] = struct.pack("<I", 0xFFFFFFFF)
    assert unseal(SALT, memoryview(data)) is None
    for record in (record_at(0, size=9 << 20), Record((), b"x"), Record((b"",) * 300, b"x")):
        with pytest.raises(ValueError, match="record"):
            seal(SALT, record)


# ---- one process -----------------------------------------------------------------------------------------------------
def test_what_is_added_is_there_for_the_next(kept: Store) -> None:
    assert kept.load() == []
    for pc in range(5):
        assert kept.add(sealed(pc, pc + 100))
    assert again(kept).load() == [record_at(pc, pc + 100) for pc in range(5)]
    assert path_of(kept).stat().st_mode & 0o777 == 0o600
    for other in (Store(b"another", version=VERSION, directory=path_of(kept).parent),):
        assert other.load() == []
    assert Store(PROGRAM, version=b"another version!", directory=path_of(kept).parent).load() == []


def test_a_plan_is_kept_once(kept: Store) -> None:
    assert kept.add(sealed(1, 2))
    size = path_of(kept).stat().st_size
    other = again(kept)
    for one in (kept, other, kept):
        assert one.add(sealed(2, 1))
        assert one.add(sealed(1))
    assert path_of(kept).stat().st_size == size
    assert kept.add(sealed(2, 3))
    assert len(again(kept).load()) == 2


def test_a_plan_is_found(kept: Store) -> None:
    for pc in range(4):
        kept.add(sealed(pc, pc + 100))
    other = again(kept)
    assert other.find(encode_plan(plan_at(2))) is None  # not read yet
    other.load()
    for pc in range(4):
        for plan in (plan_at(pc), plan_at(pc + 100)):
            assert other.find(encode_plan(plan)) == record_at(pc, pc + 100)
    assert other.find(encode_plan(plan_at(50))) is None
    path_of(kept).write_bytes(bytes(path_of(kept).stat().st_size))
    assert other.find(encode_plan(plan_at(2))) is None
    path_of(kept).unlink()
    assert other.find(encode_plan(plan_at(2))) is None


def test_only_whole_records_of_this_program_are_added(kept: Store) -> None:
    for data in (b"", b"something else", sealed(1)[:-1], sealed(1) + b"\0", seal(VERSION, record_at(1))):
        assert not kept.add(data)
    assert not path_of(kept).exists()


def test_without_a_program_nothing_is_kept(tmp_path: Path) -> None:
    nothing = Store(b"", version=VERSION, directory=tmp_path)
    assert not nothing.add(seal(nothing.salt, record_at(1)))
    assert nothing.load() == []
    assert list(tmp_path.iterdir()) == []


# ---- damage ----------------------------------------------------------------------------------------------------------
def check_damaged(kept: Store, data: bytes) -> int:
    """Check that a damaged file of three records is read up to the damage, and goes on from there."""
    path = path_of(kept)
    path.write_bytes(data)
    records = again(kept).load()
    assert records == [record_at(pc) for pc in range(3)][: len(records)]
    adder = again(kept)
    assert adder.add(sealed(7))
    assert again(kept).load() == [*records, record_at(7)]
    assert adder.find(encode_plan(plan_at(7))) == record_at(7)
    return len(records)


def test_a_file_with_any_byte_changed(kept: Store) -> None:
    data = b"".join(sealed(pc) for pc in range(3))
    read = set()
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        read.add(check_damaged(kept, bytes(damaged)))
    assert read == {0, 1, 2}


def test_a_file_cut_anywhere(kept: Store) -> None:
    data = b"".join(sealed(pc) for pc in range(3))
    assert {check_damaged(kept, data[:at]) for at in range(len(data) + 1)} == {0, 1, 2, 3}


@settings(max_examples=50)
@given(data=st.binary(max_size=200))
def test_a_file_of_anything(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    kept = Store(PROGRAM, version=VERSION, directory=tmp_path_factory.mktemp("store"))
    assert check_damaged(kept, data) == 0


def test_a_writer_notices_what_happens_between_its_writes(kept: Store) -> None:
    """Damage before and behind where it stopped, another file in its place, none at all, a longer one."""
    path = path_of(kept)
    kept.add(sealed(0))
    kept.add(sealed(1))
    whole = path.read_bytes()
    path.write_bytes(whole + b"torn")
    assert kept.add(sealed(2))
    assert again(kept).load() == [record_at(0), record_at(1), record_at(2)]
    path.write_bytes(whole[:-10])
    assert kept.add(sealed(3))
    assert again(kept).load() == [record_at(0), record_at(3)]
    path.unlink()
    assert kept.add(sealed(4))
    assert again(kept).load() == [record_at(4)]
    fresh = path.with_name("fresh")
    fresh.write_bytes(b"".join(sealed(pc, size=77) for pc in range(10, 20)))
    fresh.chmod(0o600)
    fresh.replace(path)
    assert kept.add(sealed(5))
    assert again(kept).load() == [*(record_at(pc, size=77) for pc in range(10, 20)), record_at(5)]


def test_a_writer_notices_that_the_file_was_written_anew(kept: Store) -> None:
    """As another writer does that makes room: what was known is elsewhere now, or is not there."""
    for pc in range(3):
        kept.add(sealed(pc))
    path_of(kept).write_bytes(b"".join(sealed(pc) for pc in (10, 11, 12)))
    assert kept.find(encode_plan(plan_at(1))) is None
    path_of(kept).write_bytes(b"".join(sealed(pc, size=300) for pc in (20, 21, 22)))
    assert kept.find(encode_plan(plan_at(1))) is None
    assert kept.add(sealed(3))
    assert again(kept).load() == [*(record_at(pc, size=300) for pc in (20, 21, 22)), record_at(3)]


# ---- whose files -----------------------------------------------------------------------------------------------------
posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners and modes on this system")


@posix
def test_a_file_that_others_can_write_is_not_read(kept: Store) -> None:
    kept.add(sealed(1))
    path_of(kept).chmod(0o622)
    assert again(kept).load() == []
    assert not again(kept).add(sealed(2))


@posix
def test_a_file_of_somebody_else_is_not_read(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.add(sealed(1))
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    assert again(kept).load() == []


@posix
def test_a_link_or_a_pipe_is_not_followed(kept: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(sealed(1))
    path_of(kept).symlink_to(target)
    assert kept.load() == []
    assert not kept.add(sealed(2))
    assert target.read_bytes() == sealed(1)
    path_of(kept).unlink()
    path_of(kept).mkdir()
    assert kept.load() == []
    assert not kept.add(sealed(2))


@posix
def test_a_pipe_does_not_stop_anybody(kept: Store) -> None:
    os.mkfifo(path_of(kept), 0o600)
    assert kept.load() == []
    assert not kept.add(sealed(2))


@posix
def test_a_directory_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRDBG_CACHE", str(tmp_path))
    assert Store(PROGRAM, version=VERSION).add(sealed(1))
    assert (tmp_path / "regions").stat().st_mode & 0o777 == 0o700
    (tmp_path / "regions").chmod(0o770)
    assert Store(PROGRAM, version=VERSION).load() == []
    assert not Store(PROGRAM, version=VERSION).add(sealed(1))
    with pytest.raises(RrdbgError, match="can be written by others"):
        build.cache_directory("regions")


# ---- nothing can be written ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("after", range(0, 108, 7))
def test_a_disk_that_gets_full(kept: Store, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    kept.add(sealed(1))
    write, room = os.write, [after]

    def full(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = write(file, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", full)
    assert not kept.add(sealed(2))
    assert path_of(kept).read_bytes() == sealed(1)
    monkeypatch.undo()
    assert kept.add(sealed(2))
    assert again(kept).load() == [record_at(1), record_at(2)]


@pytest.mark.parametrize("name", ["open", "ftruncate", "lseek", "write"])
def test_a_file_system_that_can_only_be_read(kept: Store, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    kept.add(sealed(1))
    real = getattr(os, name)

    def refuse(*args: Any) -> Any:
        if name != "open" or args[1] & os.O_RDWR:
            raise OSError(30, "Read-only file system")
        return real(*args)

    monkeypatch.setattr(os, name, refuse)
    other = again(kept)
    assert other.load() == ([] if name == "lseek" else [record_at(1)])
    assert not other.add(sealed(2))
    monkeypatch.undo()
    assert again(kept).load() == [record_at(1)]


def test_a_limit_of_file_size(kept: Store) -> None:
    """As the system itself tells it."""
    pytest.importorskip("resource")
    code = (
        f"{IMPORTS}import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "kept = Store(PROGRAM, version=VERSION, directory=Path(sys.argv[1]))\n"
        "print([kept.add(sealed(pc, size=300)) for pc in range(4)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path_of(kept).parent)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[True, True, False, False]\n"
    assert kept.load() == [record_at(0, size=300), record_at(1, size=300)]
    assert path_of(kept).stat().st_size == 2 * len(sealed(0, size=300))


def test_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RRDBG_CACHE", str(tmp_path / "file"))
    assert Store(PROGRAM, version=VERSION).load() == []
    assert not Store(PROGRAM, version=VERSION).add(sealed(1))


# ---- several processes -----------------------------------------------------------------------------------------------
IMPORTS = """
import os, signal, sys
from pathlib import Path
from rrdbg_core.cpu.regions.store import Store
from tests.cpu.region_records import *
"""
ADD = f"""{IMPORTS}
kept = Store(PROGRAM, version=VERSION, directory=Path(sys.argv[1]))
first = int(sys.argv[2])
sys.stdin.read(1)
print(sum(kept.add(sealed(pc, size=3000)) for pc in [*range(first, first + 60), *range(40)]))
"""


def test_several_writers_and_readers(kept: Store) -> None:
    """All start at once; nothing is lost, doubled or mixed, and readers only ever see whole records."""
    command = [sys.executable, "-c", ADD, str(path_of(kept).parent)]
    writers = [
        subprocess.Popen([*command, str(1000 * (n + 1))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("!")
        writer.stdin.flush()
    while any(writer.poll() is None for writer in writers):
        for record in again(kept).load():
            pc = decode_plan(record.plans[0]).entries[0]
            assert record == record_at(pc, size=3000)
    for writer in writers:
        assert writer.communicate()[0] == "100\n"
    pcs = [decode_plan(record.plans[0]).entries[0] for record in kept.load()]
    wanted = [*range(40), *(1000 * n + i for n in range(1, 5) for i in range(60))]
    assert sorted(pcs) == wanted


@pytest.mark.parametrize("after", range(1, 108, 13))
def test_a_writer_killed_in_the_middle(kept: Store, after: int) -> None:
    code = (
        f"{IMPORTS}kept = Store(PROGRAM, version=VERSION, directory=Path(sys.argv[1]))\n"
        "assert kept.add(sealed(1))\n"
        "write = os.write\n"
        f"os.write = lambda file, data: write(file, data[:{after}]) and os.kill(os.getpid(), signal.SIGKILL)\n"
        "kept.add(sealed(2))"
    )
    if after > 1:  # once with a process, then the same without
        path_of(kept).write_bytes(sealed(1) + sealed(2)[:after])
    else:
        done = subprocess.run([sys.executable, "-c", code, str(path_of(kept).parent)], check=False)
        assert done.returncode == -9
    path_of(kept).chmod(0o600)
    assert path_of(kept).stat().st_size == len(sealed(1)) + after
    assert again(kept).load() == [record_at(1)]
    assert kept.add(sealed(3))  # its lock went with it
    assert again(kept).load() == [record_at(1), record_at(3)]


def test_somebody_who_keeps_the_lock_is_not_waited_for(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(store, "_LOCK_TRIES", 2)
    kept.add(sealed(1))
    with path_of(kept).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not kept.add(sealed(2))
        assert again(kept).load() == [record_at(1)]
    assert kept.add(sealed(2))


# ---- size ------------------------------------------------------------------------------------------------------------
def test_a_full_file_keeps_the_newest(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one = len(sealed(0))
    monkeypatch.setattr(store, "PROGRAM_BYTES", 10 * one)
    for pc in range(35):
        assert kept.add(sealed(pc))
        assert path_of(kept).stat().st_size <= 10 * one
        records = again(kept).load()
        assert records == [record_at(n) for n in range(pc + 1 - len(records), pc + 1)]
        assert len(records) > min(pc, 5)
    assert kept.find(encode_plan(plan_at(34))) == record_at(34)
    assert kept.find(encode_plan(plan_at(1))) is None


def test_a_full_file_drops_what_is_superseded_first(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PROGRAM_BYTES", 10 * len(sealed(0)))
    kept.add(sealed(100))
    kept.add(sealed(101))
    for n in range(20):  # each with the same entry, and with more behind it
        plan = Plan((Block(7, b"\x13\0\0\0"), Block(200 + n, b"")), (7,))
        assert kept.add(seal(SALT, Record((encode_plan(plan),), bytes([n]))))
    records = again(kept).load()
    assert records[:2] == [record_at(100), record_at(101)]
    assert records[-1].code == b"\x13"


def test_a_record_larger_than_a_file(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.add(sealed(1))
    monkeypatch.setattr(store, "PROGRAM_BYTES", 200)
    kept.add(sealed(2, size=5000))
    assert path_of(kept).stat().st_size <= 200


def a_file(directory: Path, version: bytes, name: str, size: int, age_s: float) -> Path:
    path = directory / f"{version.hex()}-{name}.regions"
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_the_least_recently_used_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "TOTAL_BYTES", 1000)
    monkeypatch.setattr(store, "_ROOM_BYTES", 250)
    paths = [a_file(tmp_path, VERSION, f"{n}", 200, 100 - n) for n in range(5)]
    (tmp_path / "something else").write_bytes(bytes(5000))
    tidy(tmp_path, VERSION, paths[0])
    assert all(path.exists() for path in paths)
    paths.append(a_file(tmp_path, VERSION, "5", 1, 0))
    tidy(tmp_path, VERSION, paths[0])
    assert [path.exists() for path in paths] == [True, False, False, True, True, True]
    assert (tmp_path / "something else").exists()


def test_reading_is_use(tmp_path: Path) -> None:
    one, other = (Store(name, version=VERSION, directory=tmp_path) for name in (b"1", b"2"))
    for kept in (one, other):
        kept.add(seal(kept.salt, record_at(1)))
        os.utime(path_of(kept), (1000, 1000))
    one.load()
    assert [file.path for file in files(tmp_path, VERSION)] == [path_of(other), path_of(one)]


def test_files_of_other_versions_go_when_they_are_old(tmp_path: Path) -> None:
    day = 24 * 3600
    mine = a_file(tmp_path, VERSION, "1", 10, 100 * day)
    young = a_file(tmp_path, b"another version!", "1", 10, 2 * day)
    old = a_file(tmp_path, b"another version!", "2", 10, 15 * day)
    tidy(tmp_path, VERSION, mine)
    assert [path.exists() for path in (mine, young, old)] == [True, True, False]
    assert [(file.current, file.size) for file in files(tmp_path, VERSION)] == [(True, 10), (False, 10)]


def test_a_new_program_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "TOTAL_BYTES", 1000)
    monkeypatch.setattr(store, "_ROOM_BYTES", 250)
    old = a_file(tmp_path, VERSION, "1", 999, 50)
    assert Store(PROGRAM, version=VERSION, directory=tmp_path).add(sealed(1))
    assert not old.exists()


# ---- which are still entered -----------------------------------------------------------------------------------------
def entered_at(*entries: int, code: bytes = b"") -> Sequence[Plan]:
    return [Plan(tuple(Block(pc, code) for pc in (*entries, 99)), entries)]


@pytest.mark.parametrize(
    ("batches", "kept"),
    [
        ([], []),
        ([entered_at(1), entered_at(2)], [0, 1]),
        ([entered_at(1), entered_at(1)], [1]),
        ([entered_at(1, 2), entered_at(1)], [0, 1]),
        ([entered_at(1, 2), entered_at(1), entered_at(2)], [1, 2]),
        ([entered_at(1), entered_at(1, code=b"\1\0")], [0, 1]),
        ([[*entered_at(1), *entered_at(3)], entered_at(1)], [0, 1]),
        ([entered_at(1), entered_at(2), entered_at(1, 2), entered_at(3)], [2, 3]),
        ([entered_at(1), entered_at(1), entered_at(99)], [1, 2]),
    ],
)
def test_a_plan_takes_over_from_older_ones(batches: list[Sequence[Plan]], kept: list[int]) -> None:
    assert current(batches) == kept


# ---- the version -----------------------------------------------------------------------------------------------------
@pytest.fixture
def _fresh_key() -> Iterator[None]:
    yield
    store.key.cache_clear()


@pytest.mark.usefixtures("_fresh_key")
def test_the_version_changes_with_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    core = Path(build.__file__).parent.parent
    paths = [*(core / "isa").glob("*.py"), *(core / "cpu").glob("*.py"), *(core / "cpu" / "native").glob("*.py")]
    paths += (core / "cpu" / "regions").glob("*.py")
    assert len(paths) > 40
    read = Path.read_bytes
    keys = set()
    for edited in [None, *paths]:
        monkeypatch.setattr(Path, "read_bytes", lambda path, edited=edited: read(path) + b"\n" * (path == edited))
        store.key.cache_clear()
        keys.add(store.key())
    assert len(keys) == len(paths) + 1
