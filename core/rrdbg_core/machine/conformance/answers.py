"""Answers of host back ends, each asked for once: what comes from the host must be the same in every run of a check."""

from __future__ import annotations

import random
from collections.abc import Mapping

from rrdbg_core.devices.contract import Device
from rrdbg_core.machine.conformance import spies


class Answers:
    """Answers by bottom half, number and content of the request.

    Args:
        known: Answers that another process had, as `to_json` returns them. Without it, back ends are asked.
    """

    def __init__(self, known: Mapping[str, str | None] | None = None) -> None:
        self._known: dict[str, bytes | None] = {}
        self._asks = known is None
        for key, text in (known or {}).items():
            self._known[key] = None if text is None else bytes.fromhex(text)

    def get(self, kind: type[Device], name: str, number: int, request: bytes, seed: int) -> bytes | None:
        """Return the payload for a bottom half; None if its back end answers by itself later.

        Args:
            kind: Class of the device.
            name: The bottom half.
            number: Number of the request.
            request: Its content.
            seed: Where there is no back end, nobody said what a payload looks like: it is drawn from this.
        """
        backend = kind.backends.get(name)
        if backend is None:
            rng = random.Random(seed)
            return rng.randbytes(rng.choice((0, rng.randrange(64))))
        key = f"{name} {number} {request.hex()}"
        if key not in self._known:
            if not self._asks:
                return b""
            with spies.blind():
                self._known[key] = backend.answer(number, request)
        return self._known[key]

    def to_json(self) -> dict[str, str | None]:
        """Return all answers as plain data."""
        return {key: None if data is None else data.hex() for key, data in self._known.items()}
