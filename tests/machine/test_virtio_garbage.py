"""A guest that treats every register of every virtio device badly: no crash, no hang, and it replays."""

from __future__ import annotations

import random

import pytest
from rrdbg_core.machine.config import DeviceRef, DriveRef, MachineConfig
from rrdbg_core.machine.conformance import guest, targets
from rrdbg_core.machine.conformance.bench import pattern_block
from rrdbg_core.machine.conformance.run import check_device
from rrdbg_core.machine.conformance.traffic import Op, What
from rrdbg_core.machine.conformance.whole import Medium
from rrdbg_core.machine.events import Event
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import EventSource, ReplaySource
from rrdbg_core.replay.live import LiveSource

from tests.machine.boot import boot
from tests.machine.garbage import garbage_guest

DEVICES = (
    DeviceRef(kind="virtio-blk", name="disk", slot=0, drive=DriveRef(name="pattern", size_bytes=1 << 20)),
    DeviceRef(kind="virtio-blk", name="rom", slot=1, drive=DriveRef(name="odd", size_bytes=777, readonly=True)),
    DeviceRef(kind="virtio-console", name="console", slot=2),
    DeviceRef(kind="virtio-rng", name="rng", slot=3),
)
NAMES = {ref.name for ref in DEVICES}
LIMIT = 1 << 40
"""Steps that no guest here makes."""
SLOTS = [0x1000_1000 + 0x1000 * slot for slot in range(5)]
REGIONS = [
    *((slot, 0xFF) for slot in SLOTS),
    *((slot + 0x100, 0xFF) for slot in SLOTS),
    # what is notified, acknowledged and reset more than anything else
    *((slot + offset, 0) for slot in SLOTS for offset in (0x30, 0x44, 0x50, 0x50, 0x64, 0x70)),
]


def ops(count: int, seed: int) -> list[Op]:
    """Return what drivers do that set up queues and then have no idea of what to put into them."""
    rng = random.Random(seed)
    found: list[Op] = []
    indices: dict[int, int] = {}
    while len(found) < count:
        number = rng.randrange(len(DEVICES))
        slot, queue = 0x1000 * number, rng.randrange(2) if DEVICES[number].kind == "virtio-console" else 0
        base = 0x8008_0000 + 0x4000 * number + 0x2000 * queue
        match rng.randrange(16):
            case 0 | 14:
                features = rng.choice((0, 1 << 28, 1 << 29, 3 << 28))
                features = rng.getrandbits(32) if rng.random() < 0.1 else features
                found += [_write(slot + offset, value) for offset, value in _setup(features, base, queue)]
                indices[base] = 0
            case 1:
                offset = rng.choice((0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0x80, 0x90, 0xA0, 4 * rng.randrange(128)))
                if rng.random() < 0.2:
                    found.append(_write(slot + offset, rng.choice((0, 1, 8, 15, rng.getrandbits(32)))))
            case 2:
                found.append(Op(What.ADVANCE, value=rng.randrange(2_000_000)))
            case 3:
                found.append(Op(What.READ, slot + 4 * rng.randrange(128), 4))
            case 4 | 5:
                header = rng.choice((0, 0, 1, 1, 4, 8, 11, 13, rng.getrandbits(32)))
                found += [_store(base + 0x400, header), _store(base + 0x408, rng.choice((0, 8, rng.randrange(4096))))]
            case 6 | 7 | 8:
                first = rng.randrange(5)
                sizes = (16, rng.choice((512, 512, 4096, 3)), 1)
                writes = rng.choice((2, 2, 0, rng.randrange(5)))
                for n, (size, flags) in enumerate(zip(sizes, (1, 1 | writes, 2), strict=True)):
                    address = base + 0x400 * (n + 1) if rng.random() < 0.95 else rng.getrandbits(34)
                    after = first + n + 1 if rng.random() < 0.95 else rng.getrandbits(16)
                    found.append(_store(base + 16 * (first + n), address))
                    found.append(_store(base + 16 * (first + n) + 8, size | flags << 32 | after << 48))
                found += [_store(base + 0x104 + 2 * n, first, 2) for n in range(8)]
            case _:
                indices[base] = index = indices.get(base, 0) + 1
                index = rng.getrandbits(16) if rng.random() < 0.05 else index
                found += [_store(base + 0x102, index, 2), _write(slot + 0x50, queue)]
                # a sleep of 4 us each: enough for the request, mostly
                found += [Op(What.ADVANCE, value=2_000_000)] * rng.randrange(10)
    return found[:count]


def _write(offset: int, value: int) -> Op:
    return Op(What.WRITE, offset, 4, value)


def _store(address: int, value: int, size: int = 8) -> Op:
    return Op(What.STORE, address, size, value)


def _setup(features: int, base: int, queue: int) -> list[tuple[int, int]]:
    return [
        *((0x70, 0), (0x70, 3), (0x24, 0), (0x20, features), (0x24, 1), (0x20, 1), (0x70, 11)),
        *((0x30, queue), (0x38, 8), (0x80, base), (0x84, 0), (0x90, base + 0x100), (0x94, 0)),
        *((0xA0, base + 0x200), (0xA4, 0), (0x44, 1), (0x70, 15)),
    ]


def boot_with(image: bytes, source: EventSource | None = None) -> Machine:
    return boot(image, devices=DEVICES, source=source, seed=1, ram_bytes=guest.RAM_BYTES)


def record(image: bytes) -> tuple[Machine, list[Event], dict[str, int]]:
    machine = boot_with(image)
    source = LiveSource(machine.config, warp=True, media=dict.fromkeys(("disk", "rom"), pattern_block))
    machine.source = source
    source.attach(machine.devices)
    events: list[Event] = []
    machine.on_event = events.append
    touched: dict[str, int] = {}

    def count(access: object) -> None:
        name: str = access.device  # type: ignore[attr-defined]
        touched[name] = touched.get(name, 0) + 1

    machine.on_access = count
    assert machine.run(LIMIT) is StopReason.EXIT
    assert machine.exit_code == 0
    for device in machine.devices.values():
        device.state.dump()  # nothing is wider than its field
    return machine, events, touched


def check(image: bytes) -> tuple[Machine, dict[str, int]]:
    recorded, events, touched = record(image)
    replayed = boot_with(image, ReplaySource(events, 1 << 60, cut=False, store=Medium()))
    assert replayed.run(LIMIT) is StopReason.EXIT
    assert replayed.icount == recorded.icount
    assert replayed.differences(replayed.save(), recorded.save()) == []
    assert replayed.digest() == recorded.digest()
    return recorded, touched


def test_garbage_for_every_register_of_every_virtio_device() -> None:
    _, touched = check(garbage_guest(accesses=100_000, regions=REGIONS))
    assert min(touched[name] for name in NAMES) > 10_000


def test_garbage_for_live_queues() -> None:
    written = []
    for seed in range(6):
        machine, _ = check(guest.image(targets.find("virtio-blk"), ops(6000, seed)))
        written.append(machine.devices["disk"].state.written)  # type: ignore[attr-defined]
    assert any(written)  # it does not all end before the disk has been reached


@pytest.mark.slow
def test_a_million_accesses_of_garbage() -> None:
    check(garbage_guest(accesses=1_000_000, seed=0xFEDC_BA98_7654_3211, regions=REGIONS))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_much_garbage_for_live_queues(seed: int) -> None:
    check(guest.image(targets.find("virtio-blk"), ops(19_000, seed)))


@pytest.mark.parametrize("spec", ["virtio-blk", "virtio-console"])
def test_the_devices_keep_the_contract(spec: str) -> None:
    report = check_device(spec, seed=5, steps=1500)
    assert report.ok, [result for result in report.results if not result.ok]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spec", ["virtio-blk", "virtio-console"])
def test_the_devices_keep_the_contract_for_long(spec: str, seed: int) -> None:
    report = check_device(spec, seed=seed, steps=20_000)
    assert report.ok, [result for result in report.results if not result.ok]


def test_a_machine_with_all_of_them_is_described() -> None:
    config = MachineConfig(devices=DEVICES)
    assert MachineConfig.from_json(config.to_json()) == config
