"""The board `virt`: which device sits where, as on QEMU's machine of that name.

0x0010_0000  test finisher          0x0c00_0000  PLIC
0x0010_1000  goldfish RTC, irq 11   0x1000_0000  NS16550A UART, irq 10
0x0200_0000  CLINT                  0x1000_1000  eight virtio-mmio slots, irq 1 to 8
0x8000_0000  RAM
"""

from __future__ import annotations

from itertools import pairwise

from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.devices.clint import Clint
from rrdbg_core.devices.contract import Board, Device
from rrdbg_core.devices.finisher import Finisher
from rrdbg_core.devices.goldfish_rtc import GoldfishRtc
from rrdbg_core.devices.plic import SOURCES, Plic
from rrdbg_core.devices.uart import Uart
from rrdbg_core.devices.user import load_user_device
from rrdbg_core.devices.virtio_blk import SECTOR_BYTES, Medium, VirtioBlk
from rrdbg_core.devices.virtio_console import VirtioConsole
from rrdbg_core.devices.virtio_mmio import VirtioMmio
from rrdbg_core.devices.virtio_rng import VirtioRng
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.config import DeviceRef, MachineConfig

FINISHER, RTC, CLINT, PLIC, UART, VIRTIO = 0x10_0000, 0x10_1000, 0x200_0000, 0xC00_0000, 0x1000_0000, 0x1000_1000
VIRTIO_SLOTS, VIRTIO_STRIDE = 8, 0x1000
UART_IRQ, RTC_IRQ = 10, 11

HTIF = "htif"
"""Name of the interface that an ELF with the symbol tohost brings along."""
_USAGE = ExitCode.USAGE

VIRTIO_DEVICES: dict[str, type[VirtioMmio]] = {
    "virtio-blk": VirtioBlk,
    "virtio-console": VirtioConsole,
    "virtio-rng": VirtioRng,
}
"""Devices for the virtio-mmio slots, by the name given to `--device`."""


class Mapping(Frozen):
    """A device on the bus."""

    address: int
    """First register."""
    size: int
    """Bytes."""
    device: Device
    """The device."""
    irq: int
    """PLIC source; 0 for none."""


def populate(config: MachineConfig, board: Board) -> list[Mapping]:
    """Return the devices of the board, in order of their addresses."""
    slots = _slots(config)
    rows: list[tuple[int, Device, int]] = [
        (FINISHER, Finisher("finisher", board), 0),
        (RTC, GoldfishRtc("rtc", board), RTC_IRQ),
        (CLINT, Clint("clint", board), 0),
        (PLIC, Plic("plic", board), 0),
        (UART, Uart("uart", board), UART_IRQ),
    ]
    for slot in range(VIRTIO_SLOTS):
        ref = slots.get(slot)
        device = _virtio(ref, board) if ref else VirtioMmio(f"virtio{slot}", board)
        rows.append((VIRTIO + slot * VIRTIO_STRIDE, device, 1 + slot))
    for ref in config.devices:
        if ref.slot is None:
            if ref.address is None:
                raise RrdbgError(f"device {ref.name} has no address", hint=f"{ref.kind}@0x40000000", exit_code=_USAGE)
            rows.append((ref.address, load_user_device(ref.kind, ref.name, board, ref.source), ref.irq or 0))
    mappings = sorted((Mapping(a, d.mmio_size, d, irq) for a, d, irq in rows), key=lambda m: m.address)
    for below, above in pairwise(mappings):
        if below.address + below.size > above.address:
            raise RrdbgError(
                f"devices {below.device.name} and {above.device.name} overlap at 0x{above.address:x}",
                exit_code=ExitCode.USAGE,
            )
    _check(config, mappings)
    return mappings


def _virtio(ref: DeviceRef, board: Board) -> VirtioMmio:
    """Return a new device for a virtio-mmio slot."""
    kind = VIRTIO_DEVICES[ref.kind]
    if not issubclass(kind, VirtioBlk):
        return kind(ref.name, board)
    if ref.drive is None:
        raise RrdbgError(f"device {ref.name} has no drive", hint="--drive file=IMAGE", exit_code=_USAGE)
    sectors = -(-ref.drive.size_bytes // SECTOR_BYTES)
    return kind(ref.name, board, Medium(sectors, ref.drive.readonly, ref.drive.serial))


def _slots(config: MachineConfig) -> dict[int, DeviceRef]:
    """Return the virtio devices by slot."""
    slots: dict[int, DeviceRef] = {}
    for ref in config.devices:
        if ref.slot is None:
            continue
        if ref.kind not in VIRTIO_DEVICES:
            raise RrdbgError(
                f"device {ref.name}: no virtio device is called {ref.kind!r}",
                hint=", ".join(VIRTIO_DEVICES),
                exit_code=ExitCode.NOT_FOUND,
            )
        if ref.slot in slots or not 0 <= ref.slot < VIRTIO_SLOTS:
            raise RrdbgError(f"device {ref.name}: virtio-mmio slot {ref.slot} is not free", exit_code=_USAGE)
        slots[ref.slot] = ref
    return slots


def _check(config: MachineConfig, mappings: list[Mapping]) -> None:
    """See that devices can be told apart, and can be reached."""
    names = [HTIF]
    for mapping in mappings:
        name = mapping.device.name
        if name in names:
            raise RrdbgError(f"two devices are called {name!r}", hint="name=... tells them apart", exit_code=_USAGE)
        names.append(name)
        if not 0 <= mapping.irq < SOURCES:
            raise RrdbgError(f"device {name}: the PLIC has no source {mapping.irq}", exit_code=_USAGE)
        if mapping.address < RAM_BASE + config.ram_bytes and mapping.address + mapping.size > RAM_BASE:
            raise RrdbgError(
                f"device {name} at 0x{mapping.address:x} lies in RAM, which no access would leave for it",
                hint="0x40000000 to 0x7fffffff is free",
                exit_code=_USAGE,
            )
