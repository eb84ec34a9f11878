"""`--drive`, and the devices that take one: spelled as QEMU's, and what is said about images that are none."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode
from rrdbg_core.trace import Trace

from rrdbg.cli.devices import added_devices
from rrdbg.cli.drives import BadDrive, split
from tests.cli.support import Cli, run
from tests.guests.manifest import elf

GUEST = elf("tiny/disk")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(random.Random(9).randbytes(40_000))
    return path


def test_a_drive_is_recorded_and_needed_no_more(tmp_path: Path, image: Path) -> None:
    trace = tmp_path / "t.rrt"
    before = image.read_bytes()
    done = run("record", GUEST, "-o", trace, "--drive", f"file={image}", "--quiet")
    assert done.code == 0, done.err
    assert b"disk of 79 sectors, writable\n" in done.out
    assert b"random writes: 0 wrong\n" in done.out
    assert image.read_bytes() == before
    image.unlink()
    walk = run("replay", trace, "-batch", "-ex", "goto 50%", "-ex", "reverse-stepi", "-ex", "goto end")
    assert walk.code == 0, walk.err
    assert run("verify", trace, "--pauses", "4").code == 0
    info = json.loads(run("info", trace, "--json").out)
    assert info["media"] == {"disk": {"blocks": 10, "unreadable": 0}}
    shown = run("info", trace).out.decode()
    assert "disk: virtio-blk in slot 0, disk.img of 39.1 KiB; 10 blocks of 4 KiB read" in shown


def test_qemu_s_spelling(tmp_path: Path, image: Path) -> None:
    devices = [
        "virtio-rng-device",
        "virtio-blk-device,drive=x0,bus=virtio-mmio-bus.5,serial=abc",
        "virtio-console-device",
    ]
    drives = [f"file={image},if=none,format=raw,id=x0,readonly=on", f"file={image},if=virtio,snapshot=on"]
    added = added_devices(devices, drives)
    assert [(ref.kind, ref.name, ref.slot) for ref in added.refs] == [
        ("virtio-rng", "virtio-rng", 0),
        ("virtio-blk", "x0", 5),
        ("virtio-console", "virtio-console", 1),
        ("virtio-blk", "disk", 2),
    ]
    drive = added.refs[1].drive
    assert drive is not None
    assert (drive.readonly, drive.serial, drive.size_bytes, drive.name) == (True, "abc", 40_000, "disk.img")
    assert set(added.media) == {"x0", "disk"}
    for host in added.media.values():
        host.close()


def test_a_comma_is_written_twice() -> None:
    assert split("--drive", "file=a,,b,id=c") == [("file", "a,b"), ("id", "c")]
    assert split("--drive", "id=c,file=a,,") == [("id", "c"), ("file", "a,")]
    with pytest.raises(BadDrive, match="key=value"):
        split("--drive", "file=a,readonly")


@pytest.mark.parametrize(
    ("drive", "code", "words"),
    [
        ("file={no}", ExitCode.NOT_FOUND, ["no such disk image"]),
        ("file={folder}", ExitCode.BAD_IMAGE, ["is a directory"]),
        ("file={empty}", ExitCode.BAD_IMAGE, ["is empty", "truncate"]),
        ("file=/dev/null", ExitCode.BAD_IMAGE, ["neither a file nor a block device"]),
        ("file={qcow}", ExitCode.USAGE, ["looks like qcow2", "qemu-img convert"]),
        ("file={image},format=qcow2", ExitCode.USAGE, ["format=qcow2", "qemu-img convert"]),
        ("file={image},if=scsi", ExitCode.USAGE, ["if=scsi", "virtio or none"]),
        ("file={image},if=none", ExitCode.USAGE, ["no device uses it", "virtio-blk-device"]),
        ("file={image},size=4", ExitCode.USAGE, ["no option 'size'"]),
        ("file={image},readonly=maybe", ExitCode.USAGE, ["neither on nor off"]),
        ("file={image},snapshot=off", ExitCode.USAGE, ["never written"]),
        ("file={image},serial=a_serial_number_of_21", ExitCode.USAGE, ["more than 20 bytes"]),
        ("id=x", ExitCode.USAGE, ["which image?"]),
        ("{image}", ExitCode.USAGE, ["key=value"]),
    ],
)
def test_drives_that_make_no_sense(
    cli: Cli, tmp_path: Path, image: Path, drive: str, code: ExitCode, words: list[str]
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "qcow").write_bytes(b"QFI\xfb" + bytes(5000))
    names = {name: tmp_path / name for name in ("no", "empty", "qcow")} | {"image": image, "folder": tmp_path}
    spec = drive.format(**names)
    cli("record", GUEST, "-o", tmp_path / "t.rrt", "--drive", spec).told(code, *words)
    assert not (tmp_path / "t.rrt").exists()


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("virtio-blk-device", ["which drive?", "--drive file=IMAGE,if=none,id=hd0"]),
        ("virtio-blk,drive=other", ["no drive is called 'other'"]),
        ("virtio-blk,drive=x,irq=4", ["no option 'irq'", "drive"]),
        ("virtio-blk,drive=x,slot=8", ["'8'", "0 to 0x7"]),
        ("virtio-blk,drive=x,serial=a_serial_number_of_21", ["more than 20 bytes"]),
        ("virtio-console,drive=x", ["no option 'drive'"]),
    ],
)
def test_devices_that_make_no_sense(cli: Cli, tmp_path: Path, image: Path, device: str, words: list[str]) -> None:
    options = ["--drive", f"file={image},if=none,id=x", "--device", device]
    cli("record", GUEST, "-o", tmp_path / "t.rrt", *options).told(ExitCode.USAGE, *words)


def test_two_drives_of_one_name(cli: Cli, tmp_path: Path, image: Path) -> None:
    drives = ["--drive", f"file={image},id=x", "--drive", f"file={image},id=x"]
    cli("record", GUEST, "-o", tmp_path / "t.rrt", *drives).told(ExitCode.USAGE, "two drives are called 'x'")


def test_raw_is_raw_if_the_user_says_so(tmp_path: Path) -> None:
    disk = tmp_path / "odd.img"
    disk.write_bytes(b"QFI\xfb" + bytes(5000))
    done = run("record", GUEST, "-o", tmp_path / "t.rrt", "--drive", f"file={disk},format=raw", "--quiet")
    assert done.code == 0
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert (trace.block("disk", 0) or b"")[:4] == b"QFI\xfb"
