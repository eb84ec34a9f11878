"""Disks in a trace: it needs no image, holds what was read and written, and goes back to any moment of it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rrdbg_core.devices.blocktree import BLOCK_BYTES
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.config import DeviceRef, DriveRef, ImageRef, MachineConfig
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import Divergence
from rrdbg_core.replay.capsule import capture, decode, encode, release, source_of
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.media import HostImage
from rrdbg_core.replay.recorder import Recording, record
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace import Trace
from rrdbg_core.trace.contents import image_digest

from tests.guests.manifest import elf

SIZE = 150_000
"""Of an image; not a multiple of anything."""
LAST = SIZE // BLOCK_BYTES
"""Its last block."""
RAM_BYTES = 1 << 20


def image(seed: int = 1, size: int = SIZE) -> bytes:
    return random.Random(seed).randbytes(size)


def reads(data: bytes, lost: tuple[int, ...] = ()) -> Callable[[int], bytes | None]:
    def read(number: int) -> bytes | None:
        block = data[BLOCK_BYTES * number : BLOCK_BYTES * (number + 1)].ljust(BLOCK_BYTES, b"\0")
        return None if number in lost else block

    return read


def parts(size: int = SIZE, **drive: Any) -> tuple[MachineConfig, dict[str, bytes]]:
    content = elf("tiny/disk").read_bytes()
    ref = DriveRef(name="disk.img", size_bytes=size, **drive)
    config = MachineConfig(
        isa="rv64gc",
        ram_bytes=RAM_BYTES,
        images=(ImageRef(kind="elf", digest=image_digest(content), name="disk.elf"),),
        devices=(DeviceRef(kind="virtio-blk", name="disk", slot=3, drive=ref),),
    )
    return config, {image_digest(content): content}


def run(path: Path, read: Callable[[int], bytes | None], **drive: Any) -> tuple[Recording, bytes]:
    config, images = parts(**drive)
    out = bytearray()
    source = LiveSource(config, media={"disk": read})
    result = record(config, images, source, path, force=True, on_console=lambda step, data: out.extend(data))
    return result, bytes(out)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disks") / "t.rrt"
    result, out = run(path, reads(image()))
    assert result.ending.exit_code == 0
    assert b"random writes: 0 wrong" in out
    return path


def test_a_trace_replays_without_the_image(tmp_path: Path) -> None:
    """Deleted or changed behind the recording's back: what was read is in the trace, and only that."""
    disk = tmp_path / "disk.img"
    disk.write_bytes(image())
    host = HostImage(disk)
    _, out = run(tmp_path / "t.rrt", host.read)
    host.close()
    assert disk.read_bytes() == image()  # never written
    disk.unlink()
    with Trace.open(tmp_path / "t.rrt") as trace:
        report = verify(trace, pauses=12, seed=1, fresh_processes=1)
        assert report.ok, report.text
        replayer = Replayer(trace)
        assert b"".join(data for _, data in replayer.console(0, replayer.end)) == out
        assert trace.media["disk"].blocks == -(-SIZE // BLOCK_BYTES)
        assert trace.block("disk", 3) == image()[3 * BLOCK_BYTES : 4 * BLOCK_BYTES]
        assert trace.block("disk", LAST) == image()[LAST * BLOCK_BYTES :].ljust(BLOCK_BYTES, b"\0")
        with pytest.raises(KeyError):
            trace.block("disk", LAST + 1)


def test_the_same_disk_gives_the_same_trace(tmp_path: Path, path: Path) -> None:
    run(tmp_path / "again.rrt", reads(image()))
    with Trace.open(path) as one, Trace.open(tmp_path / "again.rrt") as two:
        assert (one.checks == two.checks).all()
        assert one.digests == two.digests
        assert list(one.events) == list(two.events) == []
        assert [s.state["device.disk"].tolist() for s in one.snapshots] == [
            s.state["device.disk"].tolist() for s in two.snapshots
        ]


def test_a_block_is_asked_for_once_however_the_image_changes(tmp_path: Path) -> None:
    asked: list[int] = []

    def read(number: int) -> bytes | None:
        asked.append(number)
        return reads(image(seed=len(asked)))(number)

    _, out = run(tmp_path / "t.rrt", read)
    assert b"random writes: 0 wrong" in out
    assert sorted(asked) == list(range(-(-SIZE // BLOCK_BYTES)))
    with Trace.open(tmp_path / "t.rrt") as trace:
        report = verify(trace, pauses=6, seed=2, fresh_processes=0)
        assert report.ok, report.text


def test_what_the_host_cannot_read_is_an_error_of_the_guest_s_and_stays_one(tmp_path: Path) -> None:
    once: list[int] = []

    def read(number: int) -> bytes | None:
        """Fail at two places the first time; there must be no second one."""
        assert number not in once
        once.append(number)
        return reads(image(), lost=(2, 30))(number)

    _, out = run(tmp_path / "t.rrt", read)
    assert b", 2 requests failed" in out
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert trace.media["disk"].unreadable == 2
        assert trace.block("disk", 30) is None
        report = verify(trace, pauses=6, seed=3, fresh_processes=0)
        assert report.ok, report.text


def test_a_file_that_was_cut_meanwhile_cannot_be_read(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(image())
    host = HostImage(disk)
    with disk.open("r+b") as file:
        file.truncate(10_000)
    assert host.read(0) == image()[:BLOCK_BYTES]
    assert host.read(2) is None
    assert host.read(LAST) is None
    _, out = run(tmp_path / "t.rrt", host.read)
    assert b"disk of 293 sectors" in out
    assert b" 0 requests failed" not in out
    host.close()
    assert host.read(0) is None


def test_any_moment_comes_back(path: Path) -> None:
    """Backwards and forwards, with few rungs and with many: the same digest each time."""
    with Trace.open(path) as trace:
        straight = Replayer(trace)
        rng = random.Random(5)
        places = sorted(rng.randrange(straight.end) for _ in range(25))
        expected = {}
        for place in places:
            straight.advance(place)
            expected[place] = straight.machine.digest()
        for budget in (1 << 16, 192 << 20):
            replayer = Replayer(trace, ladder_bytes=budget)
            for place in rng.sample(places, len(places)):
                replayer.seek(place)
                assert replayer.machine.digest() == expected[place]


def test_snapshots_hold_what_was_written(tmp_path: Path) -> None:
    """Going to the end starts at a snapshot behind most writes: what they wrote comes out of the file."""
    size = 1 << 20
    run(tmp_path / "t.rrt", reads(image(size=size)), size=size)
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert len(trace.snapshots) == 2
        assert 100_000 < trace.size_by_kind["objects"] < 1_500_000
        replayer = Replayer(trace)
        replayer.seek(replayer.end)
        assert replayer.machine.digest() == trace.digests[replayer.end]
        root = replayer.machine.devices["disk"].state.written  # type: ignore[attr-defined]
        fresh, whole = replayer.machine.objects.reach_here([root]), replayer.machine.objects.reach([root])
        assert len(fresh) < 8 < 60 < len(whole)
        report = verify(trace)
        assert report.ok, report.text
        assert report.snapshots == 2


def test_rungs_keep_the_objects_they_need(path: Path) -> None:
    with Trace.open(path) as trace:
        replayer = Replayer(trace, ladder_bytes=1 << 20)
        replayer.advance(replayer.end)
        objects = replayer.machine.objects
        objects.sweep(replayer._ladder._needed, at_once=True)
        for rung in replayer._ladder.positions(0, replayer.end):
            replayer.seek(rung)
            root = replayer.machine.devices["disk"].state.written  # type: ignore[attr-defined]
            assert root == b"" or objects.reach([root])


def test_a_state_goes_into_another_machine_with_what_hangs_on_it(path: Path) -> None:
    with Trace.open(path) as trace:
        replayer = Replayer(trace)
        replayer.seek(replayer.end // 2)
        capsule = decode(encode(capture(replayer.machine, replayer.source)))
        assert capsule.objects
        source = source_of(trace)
        machine = Machine(trace.manifest.config, dict(trace.images), source)
        release(capsule, machine, source, order=machine.shuffled(4))
        assert machine.digest() == replayer.machine.digest()
        machine.run(replayer.end)
        replayer.seek(replayer.end)
        assert machine.digest() == replayer.machine.digest()


def test_what_was_not_read_cannot_be_replayed(tmp_path: Path, path: Path) -> None:
    """A guest that reads something else than it did is found out."""
    with Trace.open(path) as trace:
        source = source_of(trace)
        with pytest.raises(Divergence, match=f"reads block {LAST + 1} of disk"):
            source.medium("disk", LAST + 1)
        with pytest.raises(Divergence, match="reads block 1 of other"):
            source.medium("other", 1)


def test_a_trace_with_disks_grows_and_may_be_torn(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    rng = random.Random(7)
    for _ in range(12):
        (tmp_path / "cut.rrt").write_bytes(whole[: rng.randrange(len(whole) // 2, len(whole))])
        with Trace.open(tmp_path / "cut.rrt") as trace:
            replayer = Replayer(trace)
            replayer.advance(replayer.end)


def test_a_device_without_a_medium_is_told(tmp_path: Path) -> None:
    config, images = parts()
    with pytest.raises(RrdbgError, match="has no medium"):
        record(config, images, LiveSource(config), tmp_path / "t.rrt")
    bare = DeviceRef(kind="virtio-blk", name="disk", slot=3)
    with pytest.raises(RrdbgError, match="device disk has no drive") as caught:
        Machine(MachineConfig(devices=(bare,)), {}, LiveSource(config))
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("size", [512, 4096, 4097, 1 << 20])
def test_images_of_any_size(tmp_path: Path, size: int) -> None:
    result, out = run(tmp_path / "t.rrt", reads(image(size=size)), size=size)
    assert result.ending.exit_code == 0
    assert f"disk of {-(-size // 512)} sectors".encode() in out
    assert b", 0 requests failed" in out


def test_a_large_image_is_not_read(tmp_path: Path) -> None:
    """Nothing but what the guest asks for: a disk of 100 GiB that is one hole."""
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(100 << 30)
    if shutil.disk_usage(tmp_path).free < disk.stat().st_blocks * 512:  # pragma: no cover
        pytest.fail("the file system makes no holes")
    host = HostImage(disk)
    result, out = run(tmp_path / "t.rrt", host.read, size=host.size_bytes, readonly=True)
    host.close()
    assert b"disk of 209715200 sectors, read-only" in out
    assert result.trace_bytes < 200_000
