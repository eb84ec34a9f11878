"""virtio-mmio transport, version 2 (virtio 1.2 section 4.2), with split virtqueues (section 2.7).

Base class of the virtio devices; alone it is an empty slot (device ID 0). QEMU's `virt` has eight such slots. Matches
hw/virtio/virtio-mmio.c and virtio.c with `-global virtio-mmio.force-legacy=false`. Left out: the legacy interface
(version 1), shared memory regions, packed queues, queue reset, queue notification data.

A driver that gets its rings wrong is told so (NEEDS_RESET, a configuration change interrupt) and not served before it
resets the device.

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
from collections.abc import Iterable, Iterator
from typing import ClassVar

from rrdbg_core.devices.contract import BusFault, Device, DeviceState, Numbers, array, field, flag
from rrdbg_core.frozen import Frozen

MAGIC, VERSION, VENDOR = 0x74726976, 2, 0x554D4551
QUEUE_MAX = 1024
QUEUES = 4
F_VERSION_1 = 1 << 32
F_INDIRECT_DESC, F_EVENT_IDX = 1 << 28, 1 << 29
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
    """The transport; with no device behind it, an empty slot.

    `chains`, `take` and `complete` serve the queues. A device that takes a chain now and completes it later keeps its
    head, and walks it again with `walk`.
    """

    State = VirtioState
    state: VirtioState
    mmio_size = 0x200
    device_id: ClassVar[int] = 0
    """Device type (virtio 1.2 section 5); 0 for an empty slot."""
    features: ClassVar[int] = F_INDIRECT_DESC | F_EVENT_IDX
    """Features offered, beside VERSION_1."""
    lenient: ClassVar[bool] = False
    """Serves a driver that does not wait for FEATURES_OK, or has readable buffers behind writable ones: as the entropy
    device of machine virt-1 does, whose traces must replay."""
    queue_count: ClassVar[int] = 0
    """Queues that the device has."""

    # ---- for the device behind the transport -------------------------------------------------------------------------
    def notified(self, queue: int) -> None:
        """Look at a queue: the driver may have made buffers available."""

    def read_config(self, offset: int, size: int) -> int:
        """Read the device's configuration space; beyond its end all bits are set."""
        return (1 << 8 * size) - 1

    def offered(self) -> int:
        """Return the features offered, beside VERSION_1."""
        return self.features

    def negotiated(self, feature: int) -> bool:
        """Return whether the driver took a feature."""
        return bool(self.state.driver_features[0] & feature)

    def chains(self, queue: int) -> Iterator[Chain]:
        """Take the chains that are available, one at a time. A broken ring ends the device's service."""
        while (chain := self.take(queue)) is not None:
            yield chain

    def take(self, queue: int) -> Chain | None:
        """Take the next chain that is available. If there is none, the driver will notify when there is."""
        with _Rings(self, queue):
            return self._take(queue) if self._live(queue) else None
        return None

    def peek(self, queue: int) -> Chain | None:
        """Return the next chain that is available, and leave it there."""
        last = self.state.last_avail[queue]
        chain = self.take(queue)
        if chain is not None:
            self.state.last_avail[queue] = last
        return chain

    def walk(self, queue: int, head: int) -> Chain | None:
        """Return a chain that was taken before, as its descriptors are now.

        None if they make no sense any more, or the driver has switched the queue off.
        """
        if not self._live(queue):
            return None
        with _Rings(self, queue):
            return Chain(head, tuple(self._buffers(queue, head, self.state.queue_num[queue])))
        return None

    def gather(self, buffers: Iterable[Buffer]) -> bytes:
        """Return what buffers of the driver's hold.

        Raises:
            QueueBroken: One of them lies outside RAM.
        """
        try:
            return b"".join([self.board.dma_read(b.address, b.size) for b in buffers if b.size])
        except BusFault:
            raise QueueBroken("a buffer lies outside RAM") from None

    def scatter(self, buffers: Iterable[Buffer], data: bytes) -> None:
        """Fill buffers of the driver's, as far as the data goes.

        Raises:
            QueueBroken: One of them lies outside RAM. Those before it are filled.
        """
        place = 0
        for buffer in buffers:
            part = data[place : place + buffer.size]
            if part:
                try:
                    self.board.dma_write(buffer.address, part)
                except BusFault:
                    raise QueueBroken("a buffer lies outside RAM") from None
            place += len(part)

    def complete(self, queue: int, head: int, written: int) -> None:
        """Put a chain into the used ring and interrupt the driver."""
        state, board = self.state, self.board
        try:
            if not self._live(queue):
                return
            used, index, num = state.queue_used[queue], state.used_index[queue], state.queue_num[queue]
            board.dma_write(used + 4 + 8 * (index % num), struct.pack("<II", head, written))
            state.used_index[queue] = index + 1
            board.dma_write(used + 2, struct.pack("<H", state.used_index[queue]))
            avail = state.queue_avail[queue]
            if self.negotiated(F_EVENT_IDX):
                # section 2.7.7.2; for one entry at a time, the general comparison comes down to this
                wanted = board.dma_read(avail + 4 + 2 * num, 2) == struct.pack("<H", index)
            else:
                (flags,) = struct.unpack("<H", board.dma_read(avail, 2))
                wanted = not flags & AVAIL_NO_INTERRUPT
        except BusFault:
            self.broken(f"queue {queue}: the used ring lies outside RAM")
            return
        if wanted:
            state.interrupts |= INT_USED
            board.update_irq(self)

    def _live(self, queue: int) -> bool:
        state = self.state
        needed = STATUS_DRIVER_OK if self.lenient else STATUS_DRIVER_OK | STATUS_FEATURES_OK
        ok = state.status & needed == needed and not state.broken
        return bool(ok and state.queue_ready[queue] and state.queue_num[queue])

    def _take(self, queue: int) -> Chain | None:
        state, board = self.state, self.board
        num, avail = state.queue_num[queue], state.queue_avail[queue]
        (index,) = struct.unpack("<H", board.dma_read(avail + 2, 2))
        last = state.last_avail[queue]
        waiting = index - last & 0xFFFF
        if not waiting:
            if self.negotiated(F_EVENT_IDX):
                # section 2.7.10.2: notify about the next one
                board.dma_write(state.queue_used[queue] + 4 + 8 * num, struct.pack("<H", last))
            return None
        if waiting > num:
            raise QueueBroken(f"{waiting} chains wait in a ring of {num}")
        (head,) = struct.unpack("<H", board.dma_read(avail + 4 + 2 * (last % num), 2))
        state.last_avail[queue] = last + 1
        return Chain(head, tuple(self._buffers(queue, head, num)))

    def _buffers(self, queue: int, head: int, num: int) -> Iterator[Buffer]:
        """Yield the buffers of a chain, never more than a queue may have entries."""
        table, entries = self.state.queue_desc[queue], num
        index, indirect, writable = head, False, False
        for _ in range(QUEUE_MAX):
            if index >= entries:
                raise QueueBroken(f"descriptor {index} of {entries}")
            address, size, flags, after = struct.unpack("<QIHH", self.board.dma_read(table + 16 * index, 16))
            if flags & DESC_INDIRECT:
                # section 2.7.5.3: the last one of a chain, and none within a table
                if not self.negotiated(F_INDIRECT_DESC):
                    raise QueueBroken("an indirect descriptor, which was not offered")
                if indirect or flags & DESC_NEXT:
                    raise QueueBroken("an indirect descriptor within a table, or with another one behind it")
                if not size or size % 16:
                    raise QueueBroken(f"a table of {size} bytes")
                table, entries, index, indirect = address, size // 16, 0, True
                continue
            if writable and not flags & DESC_WRITE and not self.lenient:
                raise QueueBroken("a buffer to read behind one to write")
            writable = bool(flags & DESC_WRITE)
            yield Buffer(address, size, writable)
            if not flags & DESC_NEXT:
                return
            index = after
        raise QueueBroken(f"the chain at {head} has a loop")

    def broken(self, text: str) -> None:
        """Say that the driver's rings or requests make no sense, and serve no more before a reset."""
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
                return (self.offered() | F_VERSION_1) >> 32 * state.device_features_sel & _M32
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
            case 0x020 if state.status & STATUS_FEATURES_OK and not self.lenient:
                self.board.guest_error(self, "features are taken already")
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
        if not self._agrees():
            status &= ~STATUS_FEATURES_OK
        starts = status & ~state.status & STATUS_DRIVER_OK
        state.status = status | (STATUS_NEEDS_RESET if state.broken else 0)
        if starts:
            # what was made available before counts, too
            for queue in range(self.queue_count):
                self.notified(queue)

    def _agrees(self) -> bool:
        """Return whether the device can do with the features that the driver took (section 2.2.2).

        A driver need not take VERSION_1: QEMU serves it without (xv6 takes the lower half of the features alone), and
        nothing is laid out otherwise on this transport.
        """
        return not self.state.driver_features[0] & ~(self.offered() | F_VERSION_1)

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


class _Rings:
    """Context in which rings are read: what makes no sense in them ends the device's service."""

    def __init__(self, device: VirtioMmio, queue: int) -> None:
        self._device, self._queue = device, queue

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, QueueBroken | BusFault):
            return False
        self._device.broken(f"queue {self._queue}: {str(error) or 'a ring lies outside RAM'}")
        return True


def _set_half(words: Numbers, index: int, high: int, value: int) -> None:
    """Replace the low or the high half of a number."""
    shift = 32 if high else 0
    words[index] = words[index] & ~(_M32 << shift) | value << shift
