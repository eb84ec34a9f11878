"""A guest that treats every register of every device badly neither crashes the machine nor hangs it."""

from __future__ import annotations

import pytest
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.replay.live import LiveSource

from tests.machine.boot import boot
from tests.machine.garbage import garbage_guest
from tests.machine.test_digest import DEVICES


def _run(accesses: int, seed: int) -> tuple[Machine, dict[str, int]]:
    machine = boot(garbage_guest(accesses=accesses, seed=seed), devices=DEVICES, seed=1)
    source = LiveSource(machine.config, warp=True)
    machine.source = source
    source.attach(machine.devices)
    touched: dict[str, int] = {}

    def count(access: object) -> None:
        name: str = access.device  # type: ignore[attr-defined]
        touched[name] = touched.get(name, 0) + 1

    machine.on_access = count
    assert machine.run(accesses * 400) is StopReason.EXIT
    assert machine.exit_code == 0
    return machine, touched


def test_garbage_for_every_register() -> None:
    machine, touched = _run(100_000, 0x1234_5678_9ABC_DEF1)
    assert {"finisher", "rtc", "clint", "plic", "uart", "rng", "virtio1", "good", "nothing"} <= set(touched)
    assert min(touched.values()) > 500
    # nothing in the state is wider than its field
    for device in machine.devices.values():
        device.state.dump()


def test_garbage_is_the_same_garbage_each_time() -> None:
    one, other = (_run(10_000, 77)[0] for _ in range(2))
    assert one.icount == other.icount
    assert one.digest() == other.digest()


@pytest.mark.slow
def test_a_million_accesses_of_garbage() -> None:
    _run(1_000_000, 0xFEDC_BA98_7654_3211)
