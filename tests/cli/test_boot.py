"""`rrdbg record --kernel`: what is loaded where, and how the hart starts."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode
from rrdbg_core.machine.base import program_of
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.devicetree import board_tree
from rrdbg_core.machine.fdt import Node, pack, unpack
from rrdbg_core.trace.reader import Trace

import rrdbg
from tests.cli.support import Cli
from tests.machine.elf import elf

RAM, MIB = 0x8000_0000, 1 << 20
KERNEL = RAM + 2 * MIB
SHUTDOWN = "li a7, 0x53525354; li a6, 0; li a0, 0; li a1, 0; ecall;"
PRINTS = "li a7, 1; li a0, 0x6b; ecall;"
KERNEL_CODE = assemble(PRINTS + SHUTDOWN)
FIRMWARE_CODE = assemble("li t0, 0x100000; li t1, 0x5555; sw t1, 0(t0); end: j end")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a kernel and a RAM disk, which is the working directory, too."""
    monkeypatch.chdir(tmp_path)
    Path("Image").write_bytes(KERNEL_CODE)
    Path("initrd").write_bytes(bytes(range(256)) * 100)
    Path("fw.bin").write_bytes(FIRMWARE_CODE)
    return tmp_path


def start(trace: str) -> tuple[dict[str, int], Node]:
    """Return registers at the first instruction, and the device tree that a1 points at."""
    with rrdbg.open(trace) as session:
        session.goto(0)
        names = ("pc", "a0", "a1", "a2")
        values = {name: int(session.evaluate(f"${name}")) for name in names}
        return values, unpack(session.read_memory(values["a1"], 16384).data)


def test_a_kernel_runs_in_s_mode(cli: Cli, folder: Path) -> None:
    done = cli("record", "--kernel", "Image", "--append", "root=/dev/vda quiet", "-q", "-o", "t.rrt")
    assert (done.code, done.out, done.err) == (0, b"k", "")
    values, tree = start("t.rrt")
    assert (values["pc"], values["a0"], values["a2"]) == (KERNEL, 0, 0)
    assert values["a1"] == RAM + 126 * MIB
    assert tree.children["chosen"].properties["bootargs"] == b"root=/dev/vda quiet\0"
    assert cli("replay", "t.rrt", "--batch").code == 0
    assert cli("verify", "t.rrt", "--pauses", "20").code == 0


def test_the_trace_is_named_after_the_kernel(cli: Cli, folder: Path) -> None:
    assert cli("record", "--kernel", "Image", "-q").code == 0
    assert (folder / "Image.rrt").exists()


@pytest.mark.parametrize("kind", ["gzip", "elf"])
def test_kernels_of_other_formats(kind: str, cli: Cli, folder: Path) -> None:
    content = gzip.compress(KERNEL_CODE) if kind == "gzip" else elf([(KERNEL, KERNEL_CODE, 4096)], entry=KERNEL)
    Path("kernel").write_bytes(content)
    assert cli("record", "--kernel", "kernel", "-q").out == b"k"


def test_an_elf_that_is_linked_at_virtual_addresses(cli: Cli, folder: Path) -> None:
    content = bytearray(elf([(KERNEL, bytes(8) + KERNEL_CODE, 4096)], entry=0xFFFF_FFFF_8000_0008))
    struct.pack_into("<Q", content, 64 + 16, 0xFFFF_FFFF_8000_0000)  # p_vaddr
    Path("vmlinux").write_bytes(content)
    assert cli("record", "--kernel", "vmlinux", "-q", "-o", "t.rrt").out == b"k"
    assert start("t.rrt")[0]["pc"] == KERNEL + 8


def test_a_ram_disk(cli: Cli, folder: Path) -> None:
    assert cli("record", "--kernel", "Image", "--initrd", "initrd", "-m", "64M", "-q", "-o", "t.rrt").code == 0
    _, tree = start("t.rrt")
    chosen = tree.children["chosen"].properties
    first, last = (struct.unpack(">Q", chosen[f"linux,initrd-{end}"])[0] for end in ("start", "end"))
    content = Path("initrd").read_bytes()
    assert (first, last - first) == (KERNEL + 32 * MIB, len(content))
    with rrdbg.open("t.rrt") as session:
        assert session.read_memory(first, len(content)).data == content


def test_a_ram_disk_lies_behind_what_the_kernel_says_it_needs(cli: Cli, folder: Path) -> None:
    header = bytearray(assemble("j start; nop;" + ".dword 0;" * 7 + "start: " + PRINTS + SHUTDOWN))
    struct.pack_into("<Q", header, 16, 40 * MIB)
    header[56:60] = b"RSC\x05"
    Path("Image").write_bytes(bytes(header))
    assert cli("record", "--kernel", "Image", "--initrd", "initrd", "-m", "64M", "-q", "-o", "t.rrt").code == 0
    chosen = start("t.rrt")[1].children["chosen"].properties
    assert struct.unpack(">Q", chosen["linux,initrd-start"])[0] == KERNEL + 40 * MIB


def test_the_seed_decides_on_the_kernels_entropy(cli: Cli, folder: Path) -> None:
    seeds = []
    for options in (["--seed", "7"], ["--seed", "7"], ["--seed", "8"], [], []):
        assert cli("record", "--kernel", "Image", *options, "-q", "-f", "-o", "t.rrt").code == 0
        seeds.append(start("t.rrt")[1].children["chosen"].properties["rng-seed"])
    assert {len(seed) for seed in seeds} == {32}
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 4


def test_each_run_of_a_kernel_starts_with_the_regions_of_the_runs_before(cli: Cli, folder: Path) -> None:
    def program(*options: str) -> bytes:
        assert cli("record", "--kernel", "Image", *options, "-q", "-f", "-o", "t.rrt").code == 0
        with Trace.open("t.rrt") as trace:
            return program_of(trace.manifest.config)

    first = program()
    assert program() == program("--seed", "7") == program("--append", "quiet") == first
    with_disk = program("--initrd", "initrd")
    Path("Image").write_bytes(KERNEL_CODE + bytes(8))
    assert len({first, with_disk, program()}) == 3


def test_a_device_tree_of_the_users(cli: Cli, folder: Path) -> None:
    tree = board_tree(64 * MIB)
    tree.child("mine", {"compatible": "user,device"})
    Path("my.dtb").write_bytes(pack(tree))
    assert cli("record", "--kernel", "Image", "--dtb", "my.dtb", "--append", "x", "-q", "-o", "t.rrt").code == 0
    _, found = start("t.rrt")
    assert found.children["mine"].properties == {"compatible": b"user,device\0"}
    assert found.children["chosen"].properties["bootargs"] == b"x\0"


def test_firmware_is_told_where_to_go_on(cli: Cli, folder: Path) -> None:
    assert cli("record", "--bios", "fw.bin", "--kernel", "Image", "-q", "-o", "t.rrt").code == 0
    values, tree = start("t.rrt")
    assert values["pc"] == RAM
    assert tree.children["cpus"]
    with rrdbg.open("t.rrt") as session:
        session.goto(0)
        told = struct.unpack("<6Q", session.read_memory(values["a2"], 48).data)
        assert session.read_memory(KERNEL, len(KERNEL_CODE)).data == KERNEL_CODE
    assert told == (0x4942534F, 2, KERNEL, 1, 0, 0)


def test_firmware_alone(cli: Cli, folder: Path) -> None:
    assert cli("record", "--bios", "fw.bin", "-q", "-o", "t.rrt").code == 0


def test_no_firmware_starts_the_kernel_in_m_mode(cli: Cli, folder: Path) -> None:
    Path("bare.elf").write_bytes(elf([(RAM, FIRMWARE_CODE, 4096)]))
    assert cli("record", "--bios", "none", "--kernel", "bare.elf", "-q", "-o", "t.rrt").code == 0
    assert start("t.rrt")[0]["pc"] == RAM


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["fw.bin", "--kernel", "Image"], ExitCode.USAGE, ("exclude each other", "--bios")),
        (["--initrd", "initrd"], ExitCode.USAGE, ("--initrd needs a --kernel",)),
        (["--append", "x", "--bios", "fw.bin"], ExitCode.USAGE, ("--append needs a --kernel",)),
        (["--bios", "default"], ExitCode.USAGE, ("--bios default needs a --kernel",)),
        (["--kernel", "Image", "--load-address", "0x80000000"], ExitCode.USAGE, ("--load-address",)),
        (["--kernel", "Image", "--entry", "0x80000000"], ExitCode.USAGE, ("--entry",)),
        (["--kernel", "none.bin"], ExitCode.NOT_FOUND, ("none.bin",)),
        (["--kernel", "Image", "--initrd", "nothing"], ExitCode.NOT_FOUND, ("nothing",)),
        (["--kernel", "Image", "--initrd", "empty"], ExitCode.BAD_IMAGE, ("empty",)),
        (["--kernel", "empty"], ExitCode.BAD_IMAGE, ("empty",)),
        (["--kernel", "cut.gz"], ExitCode.BAD_IMAGE, ("cut.gz", "damaged")),
        (["--kernel", "zboot"], ExitCode.BAD_IMAGE, ("zboot", "Image")),
        (["--kernel", "arm"], ExitCode.BAD_IMAGE, ("arm", "a kernel for ARM64", "RISC-V")),
        (["--kernel", "x86"], ExitCode.BAD_IMAGE, ("x86", "a kernel for x86", "RISC-V")),
        (["--kernel", "much.gz"], ExitCode.BAD_IMAGE, ("much.gz", "larger than RAM", "--memory")),
        (["--kernel", "Image", "--dtb", "cut.dtb"], ExitCode.BAD_IMAGE, ("cut.dtb", "device tree", "cut off")),
        (["--kernel", "Image", "-m", "9" * 21], ExitCode.USAGE, ("--memory", "at most")),
        (["--kernel", "Image", "-m", "0"], ExitCode.BAD_IMAGE, ("--memory",)),
        (["--kernel", "Image", "--append", "\udcff"], ExitCode.USAGE, ("--append", "UTF-8")),
        (["--kernel", "Image", "--dtb", "initrd"], ExitCode.BAD_IMAGE, ("initrd", "device tree")),
        (["--kernel", "Image", "-m", "1M"], ExitCode.BAD_IMAGE, ("--memory",)),
        (["--kernel", "Image", "--initrd", "initrd", "-m", "2M"], ExitCode.BAD_IMAGE, ("--memory",)),
        (["--kernel", "Image", "--initrd", "initrd", "-m", "4M"], ExitCode.BAD_IMAGE, ("--memory",)),
        (["--kernel", "."], ExitCode.BAD_IMAGE, ("directory",)),
    ],
)
def test_wrong_options(options: list[str], code: ExitCode, words: tuple[str, ...], cli: Cli, folder: Path) -> None:
    Path("empty").write_bytes(b"")
    Path("cut.gz").write_bytes(gzip.compress(KERNEL_CODE * 50)[:40])
    Path("zboot").write_bytes(b"MZ\0\0zimg" + bytes(100))
    Path("arm").write_bytes(bytes(56) + b"ARM\x64" + bytes(100))
    Path("x86").write_bytes(bytes(0x202) + b"HdrS" + bytes(100))
    Path("much.gz").write_bytes(gzip.compress(bytes(129 * MIB), 1))
    Path("cut.dtb").write_bytes(pack(board_tree(128 * MIB))[:-900])
    cli("record", *options, "-o", "t.rrt").told(code, *words)
    assert not Path("t.rrt").exists()


@pytest.mark.parametrize("memory", ["8M", "128M", "4G"])
def test_an_image_finds_the_boards_tree_too(memory: str, cli: Cli, folder: Path) -> None:
    Path("bare.bin").write_bytes(FIRMWARE_CODE)
    size = {"8M": 8 * MIB, "128M": 128 * MIB, "4G": 4096 * MIB}[memory]
    assert cli("record", "bare.bin", "-m", memory, "-q", "-o", "t.rrt").code == 0
    values, tree = start("t.rrt")
    assert (values["pc"], values["a0"], values["a2"]) == (RAM, 0, 0)
    assert values["a1"] == min(RAM + size, 3072 * MIB) - 2 * MIB
    assert pack(tree) == pack(board_tree(size))
    assert cli("verify", "t.rrt", "--pauses", "5").code == 0


@pytest.mark.parametrize(("memory", "covered"), [("2M", 0), ("64K", 0), ("8M", 8 * MIB), ("8M", 6 * MIB + 1)])
def test_an_image_without_room_for_a_tree_gets_none(memory: str, covered: int, cli: Cli, folder: Path) -> None:
    Path("bare.elf").write_bytes(elf([(RAM, FIRMWARE_CODE, max(covered, len(FIRMWARE_CODE)))], entry=RAM))
    assert cli("record", "bare.elf", "-m", memory, "-q", "-o", "t.rrt").code == 0
    with rrdbg.open("t.rrt") as session:
        session.goto(0)
        assert int(session.evaluate("$a1")) == 0
