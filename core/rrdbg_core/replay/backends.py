"""Which host back end answers which bottom half."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping

from rrdbg_core.devices.backend import Backend
from rrdbg_core.devices.contract import Device
from rrdbg_core.machine.config import MachineConfig

Registry = Mapping[tuple[str, str], Backend]
"""Back ends by device and bottom half; the device by its name in the machine or by its kind."""


def seeded_entropy(seed: int) -> Backend:
    """Return an entropy source that is a function of the seed and of the request's number."""

    def answer(number: int, request: bytes) -> bytes:
        (size,) = struct.unpack("<I", request)
        return hashlib.shake_128(b"rrdbg entropy" + struct.pack("<QQ", seed, number)).digest(size)

    return Backend(answer)


def host_entropy() -> Backend:
    """Return the host's entropy source."""
    return Backend(lambda number, request: os.urandom(struct.unpack("<I", request)[0]), live=True)


def soon() -> Backend:
    """Return what serves bottom halves that have no back end: they run a little later and get nothing."""
    return Backend(lambda number, request: b"")


class Backends:
    """All back ends of a recording. Those of the caller win over those of the devices' own classes.

    Args:
        config: Says of which kind each device is, and the seed.
        registry: Back ends of the caller's.
    """

    def __init__(self, config: MachineConfig, registry: Registry) -> None:
        self._kinds = {ref.name: ref.kind for ref in config.devices}
        entropy = host_entropy() if config.seed is None else seeded_entropy(config.seed)
        self._table = {("virtio-rng", "entropy"): entropy, **registry}
        self._own: dict[tuple[str, str], Backend] = {}
        self._soon = soon()

    def attach(self, devices: Mapping[str, Device]) -> dict[tuple[str, str], Backend]:
        """Learn which devices there are; return the back end of every bottom half, by device and name."""
        for device in devices.values():
            self._own.update({(device.name, name): backend for name, backend in type(device).backends.items()})
        keys = [(device.name, name) for device in devices.values() for name in device.bottom_halves]
        return {key: self.find(*key) for key in keys}

    def find(self, device: str, name: str) -> Backend:
        """Return the back end of a bottom half."""
        by_name, by_kind = (device, name), (self._kinds.get(device, ""), name)
        return self._table.get(by_name) or self._table.get(by_kind) or self._own.get(by_name) or self._soon
