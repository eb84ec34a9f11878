"""When devices want to act by themselves: their deadlines on the virtual clock, remembered between runs of the core.

Nothing here is state: the devices know their deadlines, and are asked anew whenever something has happened to them.
"""

from __future__ import annotations

from collections.abc import Iterable

from rrdbg_core.devices.contract import Device
from rrdbg_core.machine.outcome import Blame, DeviceBroken

NEVER_NS = 1 << 80
"""A deadline that does not come."""


class Timers:
    """The deadlines of all devices.

    Args:
        devices: In the order in which they act at the same deadline.
        apart: The one whose deadlines the kernel knows.
    """

    def __init__(self, devices: Iterable[Device], apart: Device) -> None:
        self._devices = [d for d in devices if type(d).next_deadline_ns is not Device.next_deadline_ns]
        self._numbers = {device: number for number, device in enumerate(self._devices)}
        self._deadlines = [NEVER_NS] * len(self._devices)
        self.next_ns = NEVER_NS
        """The first of them."""
        self.others_ns = NEVER_NS
        """The first of those that the kernel does not know."""
        self._apart = self._numbers[apart]

    def look(self) -> None:
        """Ask every device."""
        for number, device in enumerate(self._devices):
            due_ns = device.next_deadline_ns()
            self._deadlines[number] = NEVER_NS if due_ns is None else due_ns
        self._compare()

    def _compare(self) -> None:
        """See which comes first."""
        deadlines, apart = self._deadlines, self._apart
        self.others_ns = min(deadlines[:apart] + deadlines[apart + 1 :], default=NEVER_NS)
        self.next_ns = min(self.others_ns, deadlines[apart])

    def look_at(self, device: Device) -> bool:
        """Ask a device that something has happened to; return whether its deadline is another one now."""
        number = self._numbers.get(device)
        if number is None:
            return False
        due_ns = device.next_deadline_ns()
        if due_ns is None:
            due_ns = NEVER_NS
        if due_ns == self._deadlines[number]:
            return False
        self._deadlines[number] = due_ns
        self._compare()
        return True

    def serve(self, now_ns: int, icount: int) -> Device:
        """Let the device act whose deadline came first, of equal ones the first, and return it.

        Raises:
            DeviceBroken: It fails, or its deadline stays due.
        """
        number = self._deadlines.index(self.next_ns)
        device = self._devices[number]
        with Blame(device, "on_deadline", icount):
            device.on_deadline()
            self.look_at(device)
        if self._deadlines[number] <= now_ns:
            due_ns = self._deadlines[number]
            raise DeviceBroken(
                f"at icount {icount}: the deadline of device {device.name} at {due_ns} ns stays due after on_deadline",
                hint="next_deadline_ns has to move on or be None; see `rrdbg check-device`",
            )
        return device
