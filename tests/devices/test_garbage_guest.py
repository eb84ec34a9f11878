"""A guest that accesses every register of every device at random: no crash, no hang, and it replays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rrdbg_core.machine.config import DeviceRef, DriveRef, ImageRef, MachineConfig
from rrdbg_core.machine.conformance.bench import pattern_block
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Until, record
from rrdbg_core.replay.script import ScriptInput, parse_script
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.contents import image_digest
from rrdbg_core.trace.reader import Trace

from tests.bench.kernels import scaled
from tests.guests.manifest import elf

DEVICES = (
    DeviceRef(kind="virtio-blk", name="disk", slot=0, drive=DriveRef(name="pattern", size_bytes=1 << 20)),
    DeviceRef(kind="virtio-console", name="console", slot=2),
    DeviceRef(kind="virtio-rng", name="rng", slot=3),
    DeviceRef(kind="virtio-blk", name="rom", slot=7, drive=DriveRef(name="rom", size_bytes=777, readonly=True)),
)
ROUNDS = 30_000
"""What the guest makes as it is."""
TYPED = "\n".join(f"after {50 * n} us: garbage" for n in range(1, 20))


def run(rounds: int, path: Path, pauses: int) -> None:
    image = scaled(elf("tiny/garbage").read_bytes(), rounds / ROUNDS)
    digest = image_digest(image)
    ref = ImageRef(kind="elf", digest=digest, name="garbage.elf")
    config = MachineConfig(ram_bytes=8 << 20, seed=7, isa="rv64gc", privilege="msu", images=(ref,), devices=DEVICES)
    console = ScriptInput(parse_script(TYPED))
    media = {ref.name: pattern_block for ref in DEVICES if ref.drive}
    source = LiveSource(config, console, warp=True, media=media)
    recording = record(config, {digest: image}, source, path, until=Until(icount=1000 * rounds + 1_000_000))
    assert recording.ending.exit_code == 0, recording.ending
    assert recording.guest_errors > rounds // 100
    with Trace.open(path) as trace:
        printed = b"".join(data for epoch in trace.epochs for _, data in epoch.console)
        found = re.search(rb"\n(\d+) accesses, (\d+) traps, (\d+) interrupts, ", printed)
        assert found is not None
        assert int(found[1]) == rounds
        assert int(found[2]) > int(found[3]) > rounds // 1000
        # the devices' work is in the journal: entropy at least
        assert trace.events
        report = verify(trace, pauses=pauses, seed=3, fresh_processes=0)
    assert report.ok, report.text
    assert report.moves >= pauses // 4


def test_random_accesses_to_all_registers(tmp_path: Path) -> None:
    run(30_000, tmp_path / "garbage.rrt", 40)


@pytest.mark.slow
def test_a_million_random_accesses_to_all_registers(tmp_path: Path) -> None:
    run(1_000_000, tmp_path / "garbage.rrt", 100)
