"""Fixed register probes of each device, and what QEMU 7.2 answers: known/NAME.txt, one result a line.

`python -m tests.devices.known` asks the QEMU that is installed and writes the answers anew.
"""

from __future__ import annotations

from pathlib import Path

from rrdbg_core.machine.config import DeviceRef, DriveRef

from tests.devices.probe import (
    CLINT,
    FINISHER,
    PLIC,
    RNG,
    RTC,
    UART,
    VIRTIO,
    Op,
    mip,
    on_qemu,
    on_rrdbg,
    read,
    wait,
    write,
)

FOLDER = Path(__file__).parent / "known"
CLAIM = PLIC + 0x200004
RNG_ON_QEMU = ("-device", "virtio-rng-device,bus=virtio-mmio-bus.0")
_NULL = "driver=null-co,read-zeroes=on,size=5243392"
ON_QEMU: dict[str, tuple[str, ...]] = {
    "rng": RNG_ON_QEMU,
    "blk": ("-blockdev", f"{_NULL},node-name=d", "-device", "virtio-blk-device,drive=d,bus=virtio-mmio-bus.0"),
    "rom": (
        *("-blockdev", f"{_NULL},node-name=d,read-only=on"),
        *("-device", "virtio-blk-device,drive=d,bus=virtio-mmio-bus.0"),
    ),
    "console": (
        *("-device", "virtio-serial-device,max_ports=1,emergency-write=off,bus=virtio-mmio-bus.0"),
        *("-chardev", "null,id=nowhere", "-device", "virtconsole,chardev=nowhere"),
    ),
}
"""What has to be on QEMU's board, by probe."""
HERE: dict[str, DeviceRef] = {
    "rng": RNG,
    "blk": DeviceRef(kind="virtio-blk", name="d", slot=0, drive=DriveRef(name="null", size_bytes=5_243_392)),
    "rom": DeviceRef(
        kind="virtio-blk", name="d", slot=0, drive=DriveRef(name="null", size_bytes=5_243_392, readonly=True)
    ),
    "console": DeviceRef(kind="virtio-console", name="c", slot=0),
}
"""And on ours."""


def _clint() -> list[Op]:
    compare, mtime = CLINT + 0x4000, CLINT + 0xBFF8
    return [
        # before anything is written the timer interrupt is pending
        *(mip(), read(CLINT, 4), read(compare, 8), read(compare, 4), read(compare + 4, 4), read(compare, 2)),
        *(read(CLINT, 8), read(CLINT + 4, 4), read(compare + 8, 8), read(CLINT + 0xC000, 4), read(CLINT + 0x8000, 8)),
        *(write(compare, 8, 1 << 60), mip(), write(compare, 4, 5), mip(), read(compare, 8)),
        *(write(CLINT, 4, 0xFF), mip(), read(CLINT, 4), write(CLINT, 4, 2), mip(), read(CLINT, 4)),
        *(write(CLINT, 1, 1), mip(), read(CLINT, 1), write(CLINT, 8, 1), mip(), write(CLINT + 4, 4, 1), mip()),
        *(write(mtime, 8, 0), mip(), write(mtime, 8, 1 << 62), mip(), write(mtime, 8, 5), mip()),
        *(write(mtime + 4, 4, 7), read(mtime + 4, 4), write(mtime, 4, 0), read(mtime + 4, 4), write(mtime + 4, 8, 0)),
        *(read(CLINT + 0xFFFC, 4), read(CLINT + 0x1_0000, 4), write(compare, 8, 0), wait(2000), mip()),
    ]


def _plic() -> list[Op]:
    """The PLIC with the UART, in loopback, as a source."""
    pending, enable, threshold = PLIC + 0x1000, PLIC + 0x2000, PLIC + 0x200000
    return [
        *(read(PLIC, 4), write(PLIC, 4, 7), read(PLIC, 4), write(PLIC + 40, 4, 0xFF), read(PLIC + 40, 4)),
        *(read(PLIC + 4 * 95, 4), write(PLIC + 4 * 95, 4, 5), read(PLIC + 4 * 95, 4)),
        *(write(enable, 4, 0xFFFF_FFFF), read(enable, 4), write(enable + 8, 4, 0xFFFF_FFFF), read(enable + 8, 4)),
        *(read(enable + 12, 4), write(enable + 0x80, 4, 0x10), read(enable + 0x80, 4), read(enable + 0x100, 4)),
        *(write(threshold, 4, 0xFF), read(threshold, 4), write(threshold, 4, 0), read(threshold + 0x1000, 4)),
        *(read(threshold + 0x2000, 4), *(read(pending + 4 * word, 4) for word in range(4))),
        *(write(pending, 4, 0xFFFF_FFFF), read(pending, 4), read(PLIC + 0x5F_FFFC, 4), read(PLIC + 0x60_0000, 4)),
        *(read(PLIC, 8), read(PLIC, 2), read(threshold, 1), write(threshold + 8, 4, 1)),
        # a byte in loopback: pending, claimed, completed while the line is still high
        *(write(UART + 4, 1, 0x10), write(UART + 1, 1, 1), read(pending, 4), mip()),
        *(write(UART, 1, 0x41), read(pending, 4), mip(), read(UART + 5, 1), read(CLAIM, 4), read(pending, 4), mip()),
        *(read(CLAIM, 4), write(CLAIM, 4, 10), read(pending, 4), mip(), read(CLAIM, 4), write(UART + 1, 1, 1)),
        *(read(pending, 4), read(UART, 1), read(pending, 4), mip()),
        # another byte while the source is claimed
        *(write(UART, 1, 0x42), read(CLAIM, 4), read(pending, 4), write(UART, 1, 0x43), read(pending, 4), mip()),
        *(write(CLAIM, 4, 10), read(pending, 4), mip(), read(UART, 1), read(UART + 5, 1), read(pending, 4), mip()),
        *(read(CLAIM, 4), write(UART, 1, 0x44), read(pending, 4), read(UART, 1), read(pending, 4), mip()),
        # completions of what is not claimed, not there, not enabled
        *(write(CLAIM, 4, 0), write(CLAIM, 4, 95), write(CLAIM, 4, 97), write(CLAIM, 4, 0xFFFF_FFFF)),
        *(write(UART, 1, 0x45), read(CLAIM, 4), write(enable, 4, 0), write(CLAIM, 4, 10), write(enable, 4, 0x400)),
        *(read(pending, 4), mip(), read(UART, 1), write(UART, 1, 0x46), read(pending, 4), mip(), read(CLAIM, 4)),
        *(write(threshold, 4, 7), mip(), write(threshold, 4, 0), mip(), read(CLAIM + 0x1000, 4), read(CLAIM, 4)),
    ]


def _uart() -> list[Op]:
    ops = [read(UART + offset, 1) for offset in range(8)]
    ops += [read(UART + 4, 2), read(UART + 4, 4), read(UART, 8), read(UART + 8, 1), write(UART + 8, 1, 1)]
    ops += [read(UART + 0xFF, 1), write(UART + 7, 1, 0xA5), read(UART + 7, 1)]
    ops += [write(UART + 4, 4, 0x1234_56FF), read(UART + 4, 4), read(UART + 6, 1)]
    for bit in range(4):
        ops += [write(UART + 4, 1, 0x10 | 1 << bit), read(UART + 6, 1)]
    ops += [write(UART + 4, 1, 0x10), write(UART + 3, 1, 0x83), read(UART, 1), read(UART + 1, 1)]
    ops += [write(UART, 1, 0x34), write(UART + 1, 1, 0x12), read(UART, 1), read(UART + 1, 1)]
    ops += [write(UART, 1, 12), write(UART + 1, 1, 0), write(UART + 3, 1, 3)]
    # loopback without FIFO: a byte, a second one, overrun
    ops += [write(UART, 1, 0x41), read(UART + 5, 1), read(UART + 2, 1), write(UART, 1, 0x42), read(UART + 5, 1)]
    ops += [read(UART + 5, 1), read(UART, 1), read(UART, 1), read(UART + 5, 1)]
    # interrupts: transmitter, and what identification takes back
    ops += [write(UART + 1, 1, 0xFF), read(UART + 1, 1), read(UART + 2, 1), read(UART + 2, 1), write(UART, 1, 0x43)]
    ops += [read(UART + 2, 1), read(UART, 1), read(UART + 2, 1), read(UART + 2, 1), write(UART + 1, 1, 2)]
    ops += [write(UART + 1, 1, 0), write(UART + 1, 1, 2), read(UART + 2, 1), read(UART + 2, 1)]
    ops += [write(UART + 1, 1, 2), read(UART + 2, 1)]
    # FIFO, trigger level 14, filled beyond its end and emptied
    ops += [write(UART + 2, 1, 0xC7), read(UART + 2, 1), read(UART + 2, 1), write(UART + 1, 1, 1)]
    for number in range(17):
        ops += [write(UART, 1, 0x60 + number), read(UART + 2, 1), read(UART + 5, 1)]
    ops += [write(UART, 1, 0x9A), write(UART + 1, 1, 5), read(UART + 2, 1), read(UART + 5, 1), read(UART + 2, 1)]
    for _ in range(18):
        ops += [read(UART, 1), read(UART + 2, 1), read(UART + 5, 1)]
    # receive timeout below the trigger level
    ops += [write(UART + 2, 1, 0x41), write(UART, 1, 0x31), read(UART + 2, 1), wait(3_000_000), read(UART + 2, 1)]
    ops += [write(UART, 1, 0x32), read(UART + 2, 1), read(UART, 1), read(UART + 2, 1), wait(3_000_000)]
    ops += [read(UART + 2, 1), read(UART, 1), read(UART + 2, 1)]
    # turning the FIFO on and off empties it
    ops += [write(UART, 1, 0x31), write(UART + 2, 1, 0), read(UART + 5, 1), read(UART, 1), read(UART + 2, 1)]
    ops += [write(UART, 1, 0x33), write(UART + 2, 1, 1), read(UART + 5, 1), read(UART, 1), read(UART + 2, 1)]
    ops += [write(UART + 2, 1, 0xC0), read(UART + 2, 1), write(UART + 2, 1, 0xFF), read(UART + 2, 1)]
    ops += [write(UART, 1, 0x77), write(UART + 2, 1, 3), read(UART + 5, 1), write(UART + 5, 1, 0xFF)]
    return [*ops, write(UART + 6, 1, 0xFF), read(UART + 5, 1), read(UART + 6, 1)]


def _rtc() -> list[Op]:
    ops = [read(RTC + offset, 4) for offset in range(4, 0x28, 4)]
    ops += [read(RTC + 0x10, 1), read(RTC + 0x10, 2), read(RTC + 0x10, 8), write(RTC + 0x24, 4, 0)]
    ops += [write(RTC + 0x10, 8, 0x1_0000_0000), read(RTC + 0x10, 4)]
    ops += [write(RTC, 4, 5), write(RTC + 4, 4, 0x1234), read(RTC + 4, 4)]
    # an alarm that is over, and one far away
    ops += [write(RTC + 0xC, 4, 0x1233), read(RTC + 0xC, 4), read(RTC + 8, 4), write(RTC + 0x10, 4, 3)]
    ops += [read(RTC + 0x10, 4), write(RTC + 8, 4, 0x10), read(RTC + 0x18, 4), read(PLIC + 0x1000, 4)]
    ops += [write(RTC + 0x1C, 4, 0), read(PLIC + 0x1000, 4), write(RTC + 0xC, 4, 0x1235), write(RTC + 8, 4, 0x77)]
    ops += [read(RTC + 0x18, 4), read(RTC + 8, 4), read(RTC + 0xC, 4), read(RTC + 8, 8), write(RTC + 0x14, 4, 0)]
    return [*ops, read(RTC + 0x18, 4), write(RTC + 0x18, 4, 1), read(RTC + 0x18, 4), read(RTC + 0x20, 8)]


def _finisher() -> list[Op]:
    ops = [read(FINISHER, size) for size in (1, 2, 4, 8)]
    ops += [read(FINISHER + 4, 4), read(FINISHER + 0xFFC, 4), read(FINISHER + 0xFFE, 2), write(FINISHER, 4, 0x1234)]
    ops += [write(FINISHER + 4, 4, 0x5555), write(FINISHER, 1, 0x55), write(FINISHER, 8, 1)]
    return [*ops, write(FINISHER, 2, 0x123), read(FINISHER + 0x1000, 1)]


def _slot() -> list[Op]:
    """An empty virtio-mmio slot, at the last place."""
    slot = VIRTIO + 0x7000
    offsets = (0, 4, 8, 0xC, 0x10, 0x34, 0x70, 0xFC, 0x100, 0x1F8)
    ops = [read(slot + offset, size) for size in (1, 2, 4, 8) for offset in offsets if offset % size == 0]
    ops += [read(slot + 1, 1), read(slot + 2, 2), read(slot + 0x200, 4), write(slot + 0x70, 4, 1)]
    return [*ops, read(slot + 0x70, 4), write(slot + 0x30, 8, 1), write(slot, 1, 1)]


def _rng() -> list[Op]:
    """The entropy device in the first slot; the features that QEMU offers beside VERSION_1 are its own."""
    offsets = (0, 4, 8, 0xC, 0x34, 0x44, 0x60, 0x70, 0xFC, 0x100, 0x104, 0x1F8)
    ops = [read(VIRTIO + offset, size) for size in (1, 2, 4, 8) for offset in offsets if offset % size == 0]
    ops += [write(VIRTIO + 0x14, 4, 5), read(VIRTIO + 0x14, 4), write(VIRTIO + 0x24, 4, 1), write(VIRTIO + 0x20, 4, 1)]
    ops += [
        write(VIRTIO + 0x70, 4, 1),
        read(VIRTIO + 0x70, 4),
        write(VIRTIO + 0x70, 4, 3),
        write(VIRTIO + 0x70, 4, 0xB),
    ]
    ops += [read(VIRTIO + 0x70, 4), write(VIRTIO + 0x30, 4, 1), read(VIRTIO + 0x34, 4), write(VIRTIO + 0x30, 4, 0)]
    ops += [read(VIRTIO + 0x34, 4), write(VIRTIO + 0x38, 4, 4), write(VIRTIO + 0x44, 4, 1), read(VIRTIO + 0x44, 4)]
    ops += [write(VIRTIO + 0x44, 4, 0), read(VIRTIO + 0x44, 4), write(VIRTIO + 0x64, 4, 3), read(VIRTIO + 0x60, 4)]
    ops += [write(VIRTIO + 0x70, 4, 0), read(VIRTIO + 0x70, 4), read(VIRTIO + 0x44, 4)]
    return [*ops, *(read(VIRTIO + offset, 4) for offset in (0xB0, 0xB4, 0xB8, 0xA0, 0x20, 0x28, 0x40))]


def _virtio(queues: int, config: int) -> list[Op]:
    """A device in the first slot with so many queues and so many bytes of configuration."""
    ops = [read(VIRTIO + offset, 4) for offset in (0, 4, 8, 0xC, 0x44, 0x60, 0x70, 0xFC)]
    ops += [read(VIRTIO + 0x100 + at, size) for size in (1, 2, 4) for at in range(0, config + 8, size)]
    for queue in range(queues):
        ops += [write(VIRTIO + 0x30, 4, queue), read(VIRTIO + 0x34, 4), read(VIRTIO + 0x44, 4)]
    # VERSION_1 and what the rings can: both offer it
    ops += [write(VIRTIO + 0x70, 4, 1), write(VIRTIO + 0x70, 4, 3), write(VIRTIO + 0x24, 4, 1)]
    ops += [write(VIRTIO + 0x20, 4, 1), write(VIRTIO + 0x24, 4, 0), write(VIRTIO + 0x20, 4, 3 << 28)]
    ops += [write(VIRTIO + 0x70, 4, 11), read(VIRTIO + 0x70, 4), write(VIRTIO + 0x30, 4, 0)]
    ops += [write(VIRTIO + 0x38, 4, 8), write(VIRTIO + 0x44, 4, 1), read(VIRTIO + 0x44, 4)]
    return [*ops, write(VIRTIO + 0x70, 4, 0), read(VIRTIO + 0x70, 4), read(VIRTIO + 0x44, 4)]


PROBES: dict[str, list[Op]] = {
    "clint": _clint(),
    "plic": _plic(),
    "uart": _uart(),
    "rtc": _rtc(),
    "finisher": _finisher(),
    "slot": _slot(),
    "rng": _rng(),
    "blk": _virtio(1, 60),
    "rom": _virtio(1, 60),
    "console": _virtio(2, 8),
}
"""The probes by device."""


def answers(name: str) -> list[int]:
    """Return what QEMU answered."""
    return [int(line.partition("#")[0], 16) for line in (FOLDER / f"{name}.txt").read_text().splitlines()]


def ask_qemu(name: str) -> list[int]:
    """Return what QEMU answers now."""
    return on_qemu(PROBES[name], *ON_QEMU.get(name, ()))


def ask_rrdbg(name: str) -> list[int]:
    """Return what we answer."""
    return on_rrdbg(PROBES[name], *([HERE[name]] if name in HERE else []))


def main() -> None:
    """Write all answers."""
    FOLDER.mkdir(exist_ok=True)
    for name, ops in PROBES.items():
        rows = zip(ops, ask_qemu(name), strict=True)
        (FOLDER / f"{name}.txt").write_text("".join(f"{value:016x}  # {op}\n" for op, value in rows))


if __name__ == "__main__":
    main()
