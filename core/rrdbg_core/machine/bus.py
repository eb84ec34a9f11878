"""What devices and the guest ask of the machine: accesses, interrupts, memory, bottom halves, output, and its end.

`Bus` is the `Board` of the device contract.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import xxhash

from rrdbg_core.cpu import layout as L
from rrdbg_core.devices import sbi, semihosting
from rrdbg_core.devices.contract import BusFault, Device, Stored
from rrdbg_core.isa.csr import SEI
from rrdbg_core.machine.base import EXIT_CODE, M64, OFF, RESET_WANTED, MachineBase
from rrdbg_core.machine.outcome import Accesses, blame
from rrdbg_core.machine.stats import TIMED_ONE_IN

if TYPE_CHECKING:
    from rrdbg_core.devices.clint import Clint
    from rrdbg_core.devices.plic import Plic

_HASH_MULTIPLIER = 0x9E3779B97F4A7C15
_BYTES = tuple(bytes((value,)) for value in range(256))


class Bus(MachineBase):
    """The machine as its devices and the guest see it."""

    # ---- accesses and interrupts -------------------------------------------------------------------------------------
    def _device_access(self) -> None:
        """Carry out the access that the kernel asks for."""
        mach = self._mach
        address, size, write = mach[L.MMIO_ADDR], mach[L.MMIO_SIZE], mach[L.MMIO_WRITE]
        number = bisect_right(self._starts, address) - 1
        start, extent, device, meter = self._bus[number]
        offset = address - start
        if number < 0 or offset + size > extent or size not in device.access_sizes:
            self.core.mmio_done(ok=False)
            self._meters.nothing += 1
            if self._on_access:
                self._tell_access("nothing", "faults")
            return
        count = meter.count = meter.count + 1
        began_ns = 0 if count % TIMED_ONE_IN != 1 else time.perf_counter_ns()
        try:
            if write:
                device.write(offset, size, mach[L.MMIO_VALUE])
                mach[L.MMIO_STATE] = 2
            else:
                value = device.read(offset, size) & (1 << 8 * size) - 1
                self._fold(address, value)
                mach[L.MMIO_VALUE] = value
                mach[L.MMIO_STATE] = 2
            if self._timers.look_at(device):
                self._attention = True
        except BusFault:
            self.core.mmio_done(ok=False)
            if self._on_access:
                self._tell_access(device.name, "faults")
            return
        except Exception as error:
            blame(device, "write" if write else "read", self.icount, error)
            raise
        if began_ns:
            meter.time(time.perf_counter_ns() - began_ns)
        if self._on_access:
            self._tell_access(device.name, f"value 0x{mach[L.MMIO_VALUE]:x}")

    def _tell_access(self, device: str, result: str) -> None:
        assert self._on_access is not None
        mach = self._mach
        kind = "write" if mach[L.MMIO_WRITE] else "read"
        text = f"{kind} of {mach[L.MMIO_SIZE]} bytes at 0x{mach[L.MMIO_ADDR]:x}, {result}"
        self._on_access(Accesses(self.icount, device, text))

    def _semihosting(self) -> None:
        """Carry out the call that the hart makes."""
        hart = self._hart
        began_ns = time.perf_counter_ns()
        self._answer(semihosting.call(self._hosted, hart[L.X + 10], hart[L.X + 11]))
        self._meters.semihosting.add(time.perf_counter_ns() - began_ns)

    def _sbi(self) -> None:
        """Carry out the call that the hart makes in S mode."""
        hart = self._hart
        began_ns = time.perf_counter_ns()
        self._answer(*sbi.call(self._firmware, hart[L.X + 17], hart[L.X + 16], hart[L.X + 10 : L.X + 16].tolist()))
        self._timers.look_at(self.uart)
        self._meters.sbi.add(time.perf_counter_ns() - began_ns)

    def _answer(self, *values: int) -> None:
        """Put what the host answers into a0 and a1, and let the hart go on."""
        for register, value in enumerate(values, 10):
            if self.on_answer:
                self.on_answer(register, value)
            self._hart[L.X + register] = value
        self._attention = True
        self.core.call_done()

    def _fold(self, *values: int) -> None:
        """Fold what came from outside the CPU into the running hash of the check words."""
        acc = self._mach[L.ACC]
        for value in values:
            acc = (acc ^ value) * _HASH_MULTIPLIER & M64
            acc ^= acc >> 29
        self._mach[L.ACC] = acc

    def update_irq(self, device: Device) -> None:
        """See `Board`."""
        irq = self._irq[device]
        if irq > 0:
            if device.irq_level():
                self.plic.raise_line(irq)
        elif irq < 0:
            # an interrupt controller: its own bits of mip
            old = self._hart[L.MIP]
            controller = cast("Clint | Plic", device)
            lines = controller.mip(0) & self._wired
            if controller.MIP_BITS & self._wired & SEI:
                self._hart[L.SEIP_LINE] = lines & SEI
            # software has a bit SEI of its own
            new = old & ~controller.MIP_BITS | lines | self._hart[L.SEIP]
            if new != old:
                self._hart[L.MIP] = new
                self._fold(self.icount, new)
        if device in self._consoles and device.can_receive() != self._rooms[self._consoles.index(device)]:
            self._attention = True  # the source does not know yet

    def dma_read(self, address: int, size: int) -> bytes:
        """See `Board`."""
        if not self.memory.contains(address, size):
            raise BusFault
        return self.memory.read(address, size)

    def dma_write(self, address: int, data: bytes) -> None:
        """See `Board`."""
        if not self.memory.contains(address, len(data)):
            raise BusFault
        self._store(address, data)
        self._fold(address, xxhash.xxh3_64_intdigest(data))

    def _store(self, address: int, data: bytes) -> None:
        """Write RAM on behalf of anything but the hart."""
        if self.on_store:
            self.on_store(address, data)
        self.core.write(address, data)

    # ---- objects and media ------------------------------------------------------------------------------------------
    def store(self, data: bytes, parts: Sequence[bytes] = ()) -> bytes:
        """See `Board`."""
        return self.objects.store(data, parts)

    def load(self, name: bytes) -> Stored:
        """See `Board`."""
        return self.objects.load(name)

    def medium(self, device: Device, number: int) -> bytes | None:
        """See `Board`."""
        return self.source.medium(device.name, number)

    # ---- bottom halves -----------------------------------------------------------------------------------------------
    def schedule_bh_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """See `Board`."""
        self._schedule(device, name, request, oneshot=False)

    def schedule_bh_oneshot_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """See `Board`."""
        self._schedule(device, name, request, oneshot=True)

    def _schedule(self, device: Device, name: str, request: bytes, *, oneshot: bool) -> None:
        if self._halves.schedule(device, name, oneshot=oneshot):
            self._attention = True
            self.source.scheduled(device.name, name, request, oneshot)

    # ---- what the guest says ---------------------------------------------------------------------------------------
    def console_out(self, device: Device, data: bytes) -> None:
        """See `Board`."""
        self.console_write(data)

    def console_write(self, data: bytes) -> None:
        """Print, whatever device it came from."""
        if not self._mach[L.UART_PRINTS]:
            self._attention = True  # whoever listens may act on it
        step = self.step
        self.source.console(step, data)
        if self.on_console:
            self.on_console(step, data)

    def _printed(self, steps: list[int], data: list[int]) -> None:
        """Hand on what the kernel printed by itself."""
        if on_console := self.on_console:
            for step, byte in zip(steps, data, strict=True):
                on_console(step, _BYTES[byte])

    def guest_error(self, device: Device, text: str) -> None:
        """See `Board`."""
        if self.on_guest_error:
            self.on_guest_error(self.icount, device.name, text)

    def power_off(self, exit_code: int) -> None:
        """See `Board`."""
        self._attention = True
        self.board[OFF] = 1
        self.board[EXIT_CODE] = exit_code & 0xFFFF

    def request_reset(self) -> None:
        """See `Board`."""
        self._attention = True
        self.board[RESET_WANTED] = 1
