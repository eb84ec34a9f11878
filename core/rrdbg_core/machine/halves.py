"""Pending bottom halves: which devices wait for the host. Part of the machine's state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rrdbg_core.devices.contract import Device
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.source import Divergence

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]


class Halves:
    """The bottom halves of all devices.

    Shapes: words u64[2 * n]: for each bottom half, whether the plain one is pending, and how many oneshot ones are.
    """

    def __init__(self, devices: Iterable[Device]) -> None:
        self._keys = [(device.name, name) for device in devices for name in device.bottom_halves]
        self.words: Words = np.zeros(2 * len(self._keys), np.uint64)
        """The state."""

    def names(self) -> list[str]:
        """Return the names of all bottom halves, in order: "rng.entropy"."""
        return [".".join(key) for key in self._keys]

    def schedule(self, device: Device, name: str, *, oneshot: bool) -> bool:
        """Let one be pending; return False if that changes nothing: a plain one is pending already.

        Raises:
            ValueError: The device did not declare it.
        """
        if (device.name, name) not in self._keys:
            raise ValueError(f"{name!r} is not in bottom_halves")
        index = 2 * self._keys.index((device.name, name)) + int(oneshot)
        if self.words[index] and not oneshot:
            return False
        self.words[index] += np.uint64(1)
        return True

    def complete(self, event: Event, where: str) -> None:
        """Take one back that an event completes.

        Raises:
            Divergence: It is not pending. `where` begins the message.
        """
        key = (event.device, event.name)
        if key not in self._keys:
            raise Divergence(f"{where} names a bottom half {event.device}.{event.name} that does not exist")
        index = 2 * self._keys.index(key) + int(event.kind is EventKind.BH_ONESHOT)
        if not self.words[index]:
            raise Divergence(f"{where} completes {event.device}.{event.name}, which is not pending")
        self.words[index] -= np.uint64(1)
