"""Every bit of guest state tells in the digest, and comes back with a restore in any order."""

from __future__ import annotations

import random

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.digest import PlainDigester
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.devices.user import read_source
from rrdbg_core.errors import RrdbgError
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.state import Parts

from tests.devices import broken
from tests.machine.boot import boot
from tests.machine.garbage import garbage_guest

DEVICES = (
    DeviceRef(kind="virtio-rng", name="rng", slot=0),
    DeviceRef(
        kind="broken.py:Good", name="good", address=0x4000_0000, irq=40, source=read_source(f"{broken.__file__}:Good")
    ),
)


def _machine(icount: int = 20_000) -> Machine:
    """Return a machine with every kind of device, in a state that has seen something."""
    machine = boot(garbage_guest(accesses=1 << 30), devices=DEVICES, semihosting=False, isa="rv64gc")
    machine.run(icount)
    return machine


def test_the_state_has_a_place_for_every_device_and_word() -> None:
    machine = _machine(0)
    with_state = {f"device.{name}" for name, device in machine.devices.items() if device.state.size}
    assert set(machine.save()) == {"hart0", "mach", "board", "bottom_halves", *with_state}
    fields = list(machine.parts.fields())
    state = machine.save()
    assert len(fields) == sum(len(words) for words in state.values())
    for part, words in state.items():
        assert sorted(place for name, _, place in fields if name == part) == list(range(len(words)))
    names = [(part, name) for part, name, _ in fields]
    assert len(set(names)) == len(names)
    assert ("hart0", "x[31]") in names
    assert ("hart0", "f[31]") in names
    assert ("hart0", "fcsr") in names
    assert ("device.uart", "rx[15]") in names
    assert ("bottom_halves", "rng.entropy.plain") in names


@pytest.mark.parametrize("pages", [3, 64, 200, 2048 + 7])
def test_the_compiled_digest_is_what_the_definition_says(pages: int) -> None:
    """Pages, words and sizes at random; what was hashed once is not looked at again until it is written."""
    rng = random.Random(pages)
    core = Core(pages * PAGE_BYTES)
    whole, chosen = (np.frombuffer(rng.randbytes(8 * count), np.uint64).copy() for count in (900, 37))
    places = np.array(rng.sample(range(37), 20))
    parts = [("a", chosen, places), ("of all words", whole, None), ("none", whole[:0], None)]
    plain, compiled = PlainDigester(core.memory, parts), core.digester(parts)
    since, seen = 1, set()
    for _ in range(30):
        found = compiled(since)
        assert found == plain(since)
        assert found not in seen
        seen.add(found)
        since = core.new_generation()
        for _ in range(rng.choice((0, 1, 20))):
            core.write(RAM_BASE + rng.randrange(core.memory.size - 100), rng.randbytes(100))
        chosen[rng.choice(places)] ^= np.uint64(rng.getrandbits(64) | 1)
        whole[rng.randrange(len(whole))] ^= np.uint64(1 << rng.randrange(64))


def test_a_digest_starts_a_generation_unless_its_caller_has() -> None:
    machine = _machine()
    core = machine.core
    machine.digest()
    before = core.generation
    core.write(RAM_BASE + 0x5000, b"something else")
    core.new_generation()
    first = machine.digest(core.generation)
    assert core.generation == before + 1
    core.write(RAM_BASE + 0x5000, b"something more")
    assert machine.digest() != first


def test_one_bit_of_any_field_changes_the_digest() -> None:
    machine = _machine()
    before, state = machine.digest(), machine.save()
    rng = random.Random(1)
    seen = {before}
    for part, name, place in machine.parts.fields():
        # every bit of some fields, one bit of every word
        bits = range(64) if rng.random() < 0.1 else [rng.randrange(64)]
        for bit in bits:
            changed = {key: words.copy() for key, words in state.items()}
            changed[part][place] ^= np.uint64(1 << bit)
            machine.restore(changed)
            digest = machine.digest()
            assert digest not in seen, f"{part}.{name}, bit {bit}"
            seen.add(digest)
            old, new = int(state[part][place]), int(changed[part][place])
            assert machine.differences(state, changed) == [f"{part}.{name}: 0x{old:x}, 0x{new:x}"]
    machine.restore(state)
    assert machine.digest() == before
    assert len(seen) > 1000


def test_one_bit_of_ram_changes_the_digest() -> None:
    machine = _machine()
    before = machine.digest()
    rng = random.Random(2)
    seen = {before}
    places = [rng.randrange(machine.memory.size) for _ in range(300)]
    for place in [0, 4095, 4096, machine.memory.size - 1, *places]:
        old = machine.memory.read(RAM_BASE + place, 1)
        machine.core.write(RAM_BASE + place, bytes([old[0] ^ 1 << rng.randrange(8)]))
        digest = machine.digest()
        assert digest not in seen, hex(place)
        seen.add(digest)
        machine.core.write(RAM_BASE + place, old)
        assert machine.digest() == before


def test_swapping_two_pages_changes_the_digest() -> None:
    machine = _machine()
    machine.core.write(RAM_BASE + 0x90_000, b"one")
    machine.core.write(RAM_BASE + 0xA0_000, b"other")
    one = machine.digest()
    machine.core.write(RAM_BASE + 0x90_000, b"other")
    machine.core.write(RAM_BASE + 0xA0_000, b"one\0\0")
    assert machine.digest() != one


def test_stores_of_the_guest_are_seen_by_the_next_digest() -> None:
    machine = boot("la t0, data; li t1, 5; csrw mie, zero; store: sd t1, 0(t0); wfi; data: .dword 0")
    machine.run(4)
    before = machine.digest()
    state = machine.save()
    machine.run(10)
    machine.restore(state)
    assert machine.digest() != before  # RAM alone differs


def test_the_digest_does_not_depend_on_when_it_was_taken_before() -> None:
    often, once = _machine(0), _machine(0)
    for icount in range(0, 20_001, 500):
        often.run(icount)
        often.digest()
    once.run(20_000)
    assert often.digest() == once.digest()


def _ram_into(machine: Machine, other: Machine) -> None:
    pages = np.arange(machine.memory.pages)
    other.core.load_pages(pages, machine.memory.rows())


@pytest.mark.parametrize("seed", range(8))
def test_a_restore_in_any_order_into_a_new_machine_goes_on_the_same(seed: int) -> None:
    rng = random.Random(seed)
    straight = _machine(0)
    at = rng.randrange(30_000)
    straight.run(at)
    other = _machine(rng.randrange(5000))  # whatever it was before
    _ram_into(straight, other)
    other.restore(straight.save(), order=other.shuffled(seed))
    assert other.digest() == straight.digest()
    for machine in (straight, other):
        machine.run(at + 20_000)
    assert straight.differences(straight.save(), other.save()) == []
    assert other.digest() == straight.digest()


def test_a_state_of_another_machine_is_refused() -> None:
    machine = _machine(0)
    other = boot("end: j end")
    with pytest.raises(RrdbgError, match="another machine"):
        machine.restore(other.save())
    state = machine.save()
    state["device.uart"] = state["device.uart"][:-1]
    with pytest.raises(RrdbgError, match="another machine"):
        machine.restore(state)


class _Busybody(Parts):
    """A restore that breaks rule 7: each part updates its interrupt line as soon as it is back."""

    machine: Machine

    def restore(self, state: dict[str, np.ndarray], order: list[str] | None = None) -> None:  # type: ignore[override,type-arg]
        for name in order or list(state):
            part = self.save()
            part[name] = state[name]
            super().restore(part)
            if name.startswith("device."):
                self.machine.update_irq(self.machine.devices[name.removeprefix("device.")])


def test_a_restore_that_calls_others_would_be_found() -> None:
    machine = _machine()
    machine.uart.write(4, 1, 0x10)
    machine.uart.write(1, 1, 1)
    machine.uart.write(0, 1, 1)  # the line is high, and the source is claimed below
    machine.plic.state.pending.clear()
    state, digests = machine.save(), {True: set(), False: set()}
    for broken_restore in (False, True):
        if broken_restore:
            parts = object.__new__(_Busybody)
            parts.__dict__ = machine.parts.__dict__
            parts.machine = machine
            machine.parts = parts
        for seed in range(12):
            machine.restore(state, order=machine.shuffled(seed))
            digests[broken_restore].add(machine.digest())
    assert len(digests[False]) == 1
    assert len(digests[True]) > 1


def test_no_part_is_looked_at_while_another_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _machine()
    state = machine.save()

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a restore called somebody")

    for name in ("update_irq", "dma_read", "dma_write", "schedule_bh_event", "console_out", "virtual_ns", "power_off"):
        monkeypatch.setattr(machine, name, forbidden)
    for device in machine.devices.values():
        for name in ("read", "write", "reset", "irq_level", "next_deadline_ns", "on_deadline", "can_receive"):
            monkeypatch.setattr(device, name, forbidden)
    machine.restore(state, order=machine.shuffled(3))


def test_derived_words_are_no_state() -> None:
    machine = _machine()
    before = machine.digest()
    machine.core.drop_caches()
    machine.core.hart[L.XD] = 99
    machine.core.mach[L.HIT_OLD] = 99
    assert machine.digest() == before
