"""Every built-in device answers register by register as QEMU 7.2 does."""

from __future__ import annotations

import random
import shutil

import pytest

from tests.devices import known
from tests.devices.probe import (
    CLINT,
    PLIC,
    RNG,
    RTC,
    UART,
    VIRTIO,
    Op,
    differences,
    mip,
    on_qemu,
    on_rrdbg,
    read,
    write,
)

needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-riscv64") is None, reason="qemu-system-riscv64 is not installed: nothing to compare with"
)


@pytest.mark.parametrize("name", known.PROBES)
def test_registers_are_what_they_are_on_qemu(name: str) -> None:
    assert not differences(known.PROBES[name], known.ask_rrdbg(name), known.answers(name))


@pytest.mark.oracle
@needs_qemu
@pytest.mark.parametrize("name", known.PROBES)
def test_qemu_still_answers_so(name: str) -> None:
    assert not differences(known.PROBES[name], known.answers(name), known.ask_qemu(name))


def _value(rng: random.Random, size: int) -> int:
    value = rng.choice((0, 1, 2, 3, 7, 0x0F, 0x80, 0xFF, rng.getrandbits(8), rng.getrandbits(8 * size)))
    return value & (1 << 8 * size) - 1


def _uart_and_plic(rng: random.Random) -> Op:
    """The UART in loopback most of the time, and the PLIC that it interrupts."""
    match rng.randrange(8):
        case 0:
            return mip()
        case 1:
            return rng.choice((read(PLIC + 0x200004, 4), read(PLIC + 0x1000, 4), write(PLIC + 0x200004, 4, 10)))
        case 2:
            enable, priority = rng.choice((0, 0x400, 0x400)), rng.randrange(8)
            context = rng.choice((0, 0, 0, 1))
            return rng.choice(
                (
                    *(write(PLIC + 0x2000 + 0x80 * context, 4, enable), write(PLIC + 40, 4, priority)),
                    *(write(PLIC + 0x200000 + 0x1000 * context, 4, rng.choice((0, 0, 3))),),
                    *(read(PLIC + 0x201004, 4), write(PLIC + 0x201004, 4, 10)),
                )
            )
        case 3:
            return write(UART + 4, 1, 0x10 | rng.getrandbits(4))
        case 4:
            # without DLAB most of the time, and never out of loopback: the output would be in the way
            return write(UART + 3, 1, rng.choice((3, 3, 3, 0x83, rng.getrandbits(7))))
        case 5:
            return write(UART, 1, rng.getrandbits(8))
        case 6:
            return write(UART + rng.choice((1, 2, 7)), 1, _value(rng, 1))
        case _:
            return read(UART + rng.randrange(8), 1)


def _clint(rng: random.Random) -> Op:
    """Far from the present only: the two clocks differ a little."""
    compare, mtime = CLINT + 0x4000, CLINT + 0xBFF8
    far = rng.choice((0, 1 << 63, rng.getrandbits(24) << 40))
    match rng.randrange(7):
        case 0:
            return mip()
        case 1:
            return write(compare, 8, far)
        case 2:
            return write(compare + 4, 4, far >> 32)
        case 3:
            return write(rng.choice((CLINT, CLINT + 4)), 4, _value(rng, 4))
        case 4:
            return write(mtime, 8, far & ~0xFFFF_FFFF)
        case 5:
            size = rng.choice((1, 2, 4, 8))
            return read(CLINT + rng.choice((0, 4, 0x3FF8, 0x4008, 0x7FF8, 0xBFF0, 0xC000)), size)
        case _:
            return read(rng.choice((compare, compare + 4, mtime + 4)), 4)


def _rtc(rng: random.Random) -> Op:
    """Alarms that are over or far away."""
    match rng.randrange(6):
        case 0:
            return write(RTC + 0x0C, 4, rng.choice((0, 0x7000_0000)))
        case 1:
            return write(RTC + 0x08, 4, rng.getrandbits(32))
        case 2:
            return write(RTC + rng.choice((0x10, 0x14, 0x1C, 0x18, 0x20)), 4, rng.getrandbits(32))
        case 3:
            return read(PLIC + 0x1000, 4)
        case _:
            return read(RTC + rng.choice((8, 0xC, 0x10, 0x14, 0x18, 0x1C, 0x20)), 4)


def _virtio(rng: random.Random) -> Op:
    """The transport, without a queue that is live: QEMU's offers are its own, its device comes later."""
    size = rng.choice((1, 2, 4, 4, 4, 8))
    names = (0x14, 0x24, 0x30, 0x38, 0x44, 0x64, 0x70, 0x80, 0x94)
    if rng.random() < 0.4:
        offset = rng.choice(names)
        # QEMU lets queues be ready that do not exist
        values = {0x70: (0, 1, 3), 0x30: (0,)}.get(offset, (0, 1, 3, 4, 8))
        return write(VIRTIO + offset, 4, rng.choice(values))
    offset = rng.choice((*names, 0, 4, 8, 0xC, 0x34, 0x40, 0x60, 0xA0, 0xFC, 0x100, 0x180)) & -size
    return read(VIRTIO + (offset if offset != 0x10 else 0), size)


TRAFFIC = {"uart_and_plic": _uart_and_plic, "clint": _clint, "rtc": _rtc, "virtio": _virtio}


def _start(name: str) -> list[Op]:
    if name == "uart_and_plic":
        return [write(UART + 4, 1, 0x10), write(PLIC + 40, 4, 1), write(PLIC + 0x2000, 4, 0x400)]
    if name == "rtc":
        return [write(RTC + 4, 4, 0x1000_0000), write(RTC, 4, 0)]
    return []


def _compare(name: str, seed: int, count: int) -> None:
    rng = random.Random(seed)
    ops = [*_start(name), *(TRAFFIC[name](rng) for _ in range(count))]
    virtio = name == "virtio"
    here = on_rrdbg(ops, *((RNG,) if virtio else ()))
    there = on_qemu(ops, *(known.RNG_ON_QEMU if virtio else ()))
    assert not differences(ops, here, there), f"seed {seed}"


@pytest.mark.oracle
@needs_qemu
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", TRAFFIC)
def test_random_accesses_give_what_they_give_on_qemu(name: str, seed: int) -> None:
    _compare(name, seed, 2000)


@pytest.mark.slow
@pytest.mark.oracle
@needs_qemu
@pytest.mark.parametrize("name", TRAFFIC)
def test_many_random_accesses_give_what_they_give_on_qemu(name: str) -> None:
    for seed in range(100, 140):
        _compare(name, seed, 5000)
