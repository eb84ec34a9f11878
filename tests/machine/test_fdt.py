"""Device trees: what is packed is read back, and the board's tree says what QEMU's says."""

from __future__ import annotations

import contextlib
import random
import shutil
import struct
import subprocess

import pytest
from rrdbg_core.machine import virt
from rrdbg_core.machine.devicetree import EXTENSIONS, board_tree
from rrdbg_core.machine.fdt import BadTree, Node, cells, pack, unpack

RAM_BYTES = 256 << 20
QEMU = shutil.which("qemu-system-riscv64")


def plain(node: Node) -> tuple[dict[str, bytes], dict[str, object]]:
    """Return a node as dictionaries."""
    return node.properties, {name: plain(child) for name, child in node.children.items()}


def random_tree(rng: random.Random, depth: int = 4) -> Node:
    """Return a tree of anything."""
    node = Node({f"p{rng.randrange(9)}": rng.randbytes(rng.randrange(9)) for _ in range(rng.randrange(4))})
    for _ in range(rng.randrange(4) if depth else 0):
        node.children[f"n@{rng.randrange(1 << 40):x}"] = random_tree(rng, depth - 1)
    return node


@pytest.mark.parametrize("seed", range(50))
def test_what_is_packed_is_read_back(seed: int) -> None:
    tree = random_tree(random.Random(seed))
    assert plain(unpack(pack(tree))) == plain(tree)


def test_values() -> None:
    node = Node({"a": None, "b": 7, "c": "text", "d": ("x", "yz"), "e": cells(1 << 33), "f": b"\0\1"})
    assert list(node.properties.values()) == [b"", b"\0\0\0\7", b"text\0", b"x\0yz\0", b"\0\0\0\2\0\0\0\0", b"\0\1"]


def test_damage_is_told() -> None:
    blob = pack(board_tree(RAM_BYTES))
    for size in range(0, len(blob), 7):
        with pytest.raises(BadTree):
            unpack(blob[:size])
    rng = random.Random(1)
    for _ in range(300):
        damaged = bytearray(blob)
        damaged[rng.randrange(len(blob))] ^= 1 << rng.randrange(8)
        with contextlib.suppress(BadTree):
            unpack(bytes(damaged))
    loop = bytearray(blob)
    loop[8:12] = struct.pack(">I", len(blob))
    with pytest.raises(BadTree):
        unpack(bytes(loop))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Node:
    assert QEMU, "qemu-system-riscv64 is not installed (apt-get install qemu-system-misc)"
    path = tmp_path_factory.mktemp("dtb") / "virt.dtb"
    command = [QEMU, "-M", f"virt,dumpdtb={path}", "-m", str(RAM_BYTES >> 20), "-bios", "none", "-nographic"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return unpack(path.read_bytes())


def test_qemus_tree_survives(theirs: Node) -> None:
    assert plain(unpack(pack(theirs))) == plain(theirs)


def numbers(value: bytes) -> list[int]:
    """Return 32-bit cells."""
    return list(struct.unpack(f">{len(value) // 4}I", value))


@pytest.mark.parametrize(
    "name",
    [f"serial@{virt.UART:x}", f"rtc@{virt.RTC:x}", f"test@{virt.FINISHER:x}", f"clint@{virt.CLINT:x}"]
    + [f"plic@{virt.PLIC:x}"]
    + [f"virtio_mmio@{virt.VIRTIO + virt.VIRTIO_STRIDE * slot:x}" for slot in range(8)],
)
def test_devices_are_where_qemus_are(name: str, theirs: Node) -> None:
    ours = board_tree(RAM_BYTES).children["soc"].children[name].properties
    soc = theirs.children["soc"]
    node = soc.children[name] if name in soc.children else theirs.children[name]
    assert ours["reg"] == node.properties["reg"]
    assert ours.get("interrupts") == node.properties.get("interrupts")
    assert ours["compatible"] == node.properties["compatible"]
    lines = [numbers(tree.get("interrupts-extended", b""))[1::2] for tree in (ours, node.properties)]
    assert lines[0] == lines[1]


def test_memory_and_hart(theirs: Node) -> None:
    ours = board_tree(RAM_BYTES)
    (memory,) = (name for name in ours.children if name.startswith("memory"))
    assert ours.children[memory].properties == theirs.children[memory].properties
    cpus, qemus = ours.children["cpus"], theirs.children["cpus"]
    assert cpus.properties == qemus.properties
    hart, qemus_hart = cpus.children["cpu@0"], qemus.children["cpu@0"]
    for name in ("device_type", "reg", "compatible", "status"):
        assert hart.properties[name] == qemus_hart.properties[name]
    assert ours.properties["compatible"] == theirs.properties["compatible"]


def test_the_hart_says_what_it_has() -> None:
    hart = board_tree(RAM_BYTES).children["cpus"].children["cpu@0"].properties
    assert hart["riscv,isa"] == b"rv64imafdc_zicntr_zicsr_zifencei_zba_zbb_zbs_sstc_svadu\0"
    assert hart["riscv,isa-extensions"].split(b"\0")[:-1] == [e.encode() for e in EXTENSIONS]
