"""virtio-mmio transport, version 2 (virtio 1.2 section 4.2), with split virtqueues (section 2.7).

Base class of the virtio devices; alone it is an empty slot (device ID 0). QEMU's `virt` has eight such slots. Matches
hw/virtio/virtio-mmio.c with `-global virtio-mmio.force-legacy=false`. Left out: the legacy interface (version 1),
shared memory regions, packed queues, indirect descriptors, event index, queue notification data.

    0x000  MagicValue       "virt"            0x050  QueueNotify
    0x004  Version          2                 0x060  InterruptStatus
    0x008  DeviceID                           0x064  InterruptACK
    0x00c  VendorID                           0x070  Status
    0x010  DeviceFeatures   0x014 Sel         0x080  QueueDescLow      0x084 High
    0x020  DriverFeatures   0x024 Sel         0x090  QueueDriverLow    0x094 High
    0x030  QueueSel                           0x0a0  QueueDeviceLow    0x0a4 High
    0x034  QueueNumMax                        0x0fc  ConfigGeneration
    0x038  QueueNum                           0x100  Config
    0x044  QueueReady
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import ClassVar

from rrdbg_core.devices.contract import BusFault, Device, DeviceState, Numbers, array, field, flag
from rrdbg_core.frozen import Frozen

MAGIC, VERSION, VENDOR = 0x74726976, 2, 0x554D4551
QUEUE_MAX = 1024
QUEUES = 4
F_VERSION_1 = 1 << 32
STATUS_DRIVER_OK, STATUS_FEATURES_OK, STATUS_NEEDS_RESET = 4, 8, 64
NO_REGION = 0xFFFF_FFFF  # length of a shared memory region that does not exist
INT_USED, INT_CONFIG = 1, 2
DESC_NEXT, DESC_WRITE, DESC_INDIRECT = 1, 2, 4
AVAIL_NO_INTERRUPT = 1
_M32 = 0xFFFF_FFFF


class VirtioState(DeviceState):
    """State of the transport and its queues."""

    status = field(8, "Device status")
    interrupts = field(2, "Interrupt status")
    driver_features = array(64, 1, "Features that the driver took")
    device_features_sel = flag("Half of the device's features that is read")
    driver_features_sel = flag("Half of the driver's features that is written")
    queue_sel = field(10, "Selected queue")
    queue_num = array(16, QUEUES, "Entries of each queue")
    queue_ready = array(1, QUEUES, "The queue is live")
    queue_desc = array(64, QUEUES, "Descriptor table")
    queue_avail = array(64, QUEUES, "Available ring")
    queue_used = array(64, QUEUES, "Used ring")
    last_avail = array(16, QUEUES, "Available entries that were taken")
    used_index = array(16, QUEUES, "Used entries that were written")
    broken = flag("The driver's rings made no sense: nothing is served before a reset")


class Buffer(Frozen):
    """One descriptor of a chain."""

    address: int
    """Guest physical address."""
    size: int
    """Bytes."""
    writable: bool
    """The device writes it; otherwise it reads."""


class Chain(Frozen):
    """A descriptor chain that the driver made available."""

    head: int
    """Index of its first descriptor."""
    buffers: tuple[Buffer, ...]
    """Its buffers in order."""


class QueueBroken(Exception):
    """The driver's rings make no sense."""


class VirtioMmio(Device):
    """The transport; with no device behind it, an empty slot."""

    State = VirtioState
    state: VirtioState
    mmio_size = 0x200
    device_id: ClassVar[int] = 0
    """Device type (virtio 1.2 section 5); 0 for an empty slot."""
    features: ClassVar[int] = 0
    """Features offered, beside VERSION_1."""
    queue_count: ClassVar[int] = 0
    """Queues that the device has."""

    # ---- for the device behind the transport -------------------------------------------------------------------------
    def notified(self, queue: int) -> None:
        """Look at a queue: the driver may have made buffers available."""

    def read_config(self, offset: int, size: int) -> int:
        """Read the device's configuration space; beyond its end all bits are set."""
        return (1 << 8 * size) - 1

    def chains(self, queue: int) -> Iterator[Chain]:
        """Take the chains that are available, one at a time. A broken ring ends the device's service."""
        try:
            while self._live(queue):
                chain = self._take(queue)
                if chain is None:
                    return
                yield chain
        except (QueueBroken, BusFault) as error:
            self._broken(f"queue {queue}: {str(error) or 'a ring lies outside RAM'}")

    def complete(self, queue: int, head: int, written: int) -> None:
        """Put a chain into the used ring and interrupt the driver."""
        state = self.state
        try:
            if not self._live(queue):
                return
            used, index, num = state.queue_used[queue], state.used_index[queue], state.queue_num[queue]
            self.board.dma_write(used + 4 + 8 * (index % num), struct.pack("<II", head, written))
            state.used_index[queue] = index + 1
            self.board.dma_write(used + 2, struct.pack("<H", state.used_index[queue]))
            (flags,) = struct.unpack("<H", self.board.dma_read(state.queue_avail[queue], 2))
        except BusFault:
            self._broken(f"queue {queue}: the used ring lies outside RAM")
            return
        if not flags & AVAIL_NO_INTERRUPT:
            state.interrupts |= INT_USED
            self.board.update_irq(self)

    def _live(self, queue: int) -> bool:
        state = self.state
        ok = state.status & STATUS_DRIVER_OK and not state.broken
        return bool(ok and state.queue_ready[queue] and state.queue_num[queue])

    def _take(self, queue: int) -> Chain | None:
        state, board = self.state, self.board
        num, avail = state.queue_num[queue], state.queue_avail[queue]
        (index,) = struct.unpack("<H", board.dma_read(avail + 2, 2))
        last = state.last_avail[queue]
        waiting = index - last & 0xFFFF
        if not waiting:
            return None
        if waiting > num:
            raise QueueBroken(f"{waiting} chains wait in a ring of {num}")
        (head,) = struct.unpack("<H", board.dma_read(avail + 4 + 2 * (last % num), 2))
        state.last_avail[queue] = last + 1
        return Chain(head, tuple(self._buffers(queue, head, num)))

    def _buffers(self, queue: int, head: int, num: int) -> Iterator[Buffer]:
        table = self.state.queue_desc[queue]
        index = head
        for _ in range(num):
            if index >= num:
                raise QueueBroken(f"descriptor {index} of {num}")
            address, size, flags, after = struct.unpack("<QIHH", self.board.dma_read(table + 16 * index, 16))
            if flags & DESC_INDIRECT:
                raise QueueBroken("an indirect descriptor, which was not offered")
            yield Buffer(address, size, bool(flags & DESC_WRITE))
            if not flags & DESC_NEXT:
                return
            index = after
        raise QueueBroken(f"the chain at {head} has a loop")

    def _broken(self, text: str) -> None:
        self.board.guest_error(self, text)
        self.state.broken = 1
        self.state.status |= STATUS_NEEDS_RESET
        self.state.interrupts |= INT_CONFIG
        self.board.update_irq(self)

    # ---- registers ---------------------------------------------------------------------------------------------------
    def irq_level(self) -> bool:
        return self.state.interrupts != 0

    def read(self, offset: int, size: int) -> int:
        if size == 8:
            return self.read(offset, 4) | self.read(offset + 4, 4) << 32
        if not self.device_id:
            return {0x000: MAGIC, 0x004: VERSION, 0x00C: VENDOR}.get(offset, 0)
        if offset >= 0x100:
            return self.read_config(offset - 0x100, size)
        if size != 4:
            self.board.guest_error(self, f"read of {size} bytes at 0x{offset:x}")
            return 0
        state = self.state
        match offset:
            case 0x000:
                return MAGIC
            case 0x004:
                return VERSION
            case 0x008:
                return self.device_id
            case 0x00C:
                return VENDOR
            case 0x010:
                return (self.features | F_VERSION_1) >> 32 * state.device_features_sel & _M32
            case 0x034:
                return QUEUE_MAX if state.queue_sel < self.queue_count else 0
            case 0x044:
                return state.queue_ready[state.queue_sel] if state.queue_sel < self.queue_count else 0
            case 0x060:
                return state.interrupts
            case 0x070:
                return state.status
            case 0x0B0 | 0x0B4:
                return NO_REGION
            case 0x0FC:
                return 0
        self.board.guest_error(self, f"read at 0x{offset:x}: nothing there")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if size == 8:
            self.write(offset, 4, value & _M32)
            self.write(offset + 4, 4, value >> 32)
            return
        if not self.device_id:
            return
        if size != 4 or offset >= 0x100:
            self.board.guest_error(self, f"write of {size} bytes at 0x{offset:x}")
            return
        state = self.state
        match offset:
            case 0x014:
                state.device_features_sel = int(value != 0)
            case 0x020:
                _set_half(state.driver_features, 0, state.driver_features_sel, value)
            case 0x024:
                state.driver_features_sel = int(value != 0)
            case 0x030:
                if value < QUEUE_MAX:
                    state.queue_sel = value
            case 0x050:
                if value < self.queue_count:
                    self.notified(value)
            case 0x064:
                state.interrupts &= ~value
                self.board.update_irq(self)
            case 0x070:
                self._set_status(value & 0xFF)
            case _ if state.queue_sel < self.queue_count:
                self._write_queue(state.queue_sel, offset, value)
            case _:
                self.board.guest_error(self, f"write at 0x{offset:x}: nothing there")

    def _set_status(self, status: int) -> None:
        state = self.state
        if status == 0:
            self.reset()
            self.board.update_irq(self)
            return
        if state.driver_features[0] & ~(self.features | F_VERSION_1):
            status &= ~STATUS_FEATURES_OK
        starts = status & ~state.status & STATUS_DRIVER_OK
        state.status = status | (STATUS_NEEDS_RESET if state.broken else 0)
        if starts:
            # what was made available before counts, too
            for queue in range(self.queue_count):
                self.notified(queue)

    def _write_queue(self, queue: int, offset: int, value: int) -> None:
        state = self.state
        match offset:
            case 0x038:
                if 0 < value <= QUEUE_MAX and value & (value - 1) == 0:
                    state.queue_num[queue] = value
                else:
                    self.board.guest_error(self, f"queue {queue}: {value} entries")
            case 0x044:
                state.queue_ready[queue] = int(value != 0)
                if not value:
                    state.last_avail[queue] = state.used_index[queue] = 0
            case 0x080 | 0x084:
                _set_half(state.queue_desc, queue, offset & 4, value)
            case 0x090 | 0x094:
                _set_half(state.queue_avail, queue, offset & 4, value)
            case 0x0A0 | 0x0A4:
                _set_half(state.queue_used, queue, offset & 4, value)
            case _:
                self.board.guest_error(self, f"write at 0x{offset:x}: nothing there")


def _set_half(words: Numbers, index: int, high: int, value: int) -> None:
    """Replace the low or the high half of a number."""
    shift = 32 if high else 0
    words[index] = words[index] & ~(_M32 << shift) | value << shift
