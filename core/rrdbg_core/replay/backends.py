"""Host back ends of bottom halves: what does the work that a device asked the host for.

A back end answers a request with the payload of the completion. One that is a function of its arguments completes after
a fixed virtual latency, at an icount that is a function of the guest. One that needs the host runs in a thread and
completes whenever it is done. Either way the completion is journaled, and replay needs no back end at all.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rrdbg_core.machine.config import MachineConfig

LATENCY_NS = 20_000
"""How long a deterministic back end takes, on the virtual clock."""

Answer = Callable[[int, bytes], bytes]
"""From the request's number (from 0) and content to the payload."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What answers the requests of a bottom half."""

    answer: Answer
    """Does the work. If it is not live, it must be a function of its arguments alone."""
    live: bool = False
    """Whether it needs the host: it then runs in a thread, and takes as long as it takes."""
    latency_ns: int = LATENCY_NS
    """Virtual time until the completion, if it is not live."""


Registry = Mapping[tuple[str, str], Backend]
"""Back ends by device and bottom half; the device by its name in the machine or by its kind."""


def seeded_entropy(seed: int) -> Backend:
    """Return an entropy source that is a function of the seed and of the request's number."""

    def answer(number: int, request: bytes) -> bytes:
        (size,) = struct.unpack("<I", request)
        key = struct.pack("<QQ", seed, number)
        return hashlib.shake_128(b"rrdbg entropy" + key).digest(size)

    return Backend(answer)


def host_entropy() -> Backend:
    """Return the host's entropy source."""
    return Backend(lambda number, request: os.urandom(struct.unpack("<I", request)[0]), live=True)


def nothing() -> Backend:
    """Return the back end of bottom halves that only want to run later: no payload."""
    return Backend(lambda number, request: b"")


def standard(config: MachineConfig) -> dict[tuple[str, str], Backend]:
    """Return the back ends of the built-in devices."""
    entropy = host_entropy() if config.seed is None else seeded_entropy(config.seed)
    return {("virtio-rng", "entropy"): entropy}


class Registered:
    """Finds the back end of a bottom half.

    Args:
        config: Says of which kind each device is.
        registry: Back ends beside the standard ones; they win.
    """

    def __init__(self, config: MachineConfig, registry: Registry) -> None:
        self._kinds = {ref.name: ref.kind for ref in config.devices}
        self._table = {**standard(config), **registry}
        self._fallback = nothing()

    def find(self, device: str, name: str) -> Backend:
        """Return the back end for a bottom half of a device; by name first, then by kind."""
        for key in self._keys(device, name):
            if key in self._table:
                return self._table[key]
        return self._fallback

    def _keys(self, device: str, name: str) -> Iterator[tuple[str, str]]:
        yield device, name
        yield self._kinds.get(device, ""), name
