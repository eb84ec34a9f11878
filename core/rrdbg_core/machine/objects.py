"""Objects: parts of the guest's state of any size, which never change and are named by their content.

The state of a device is a few words. What is larger, the contents of a disk for example, is a tree of objects, and the
word that counts is the name of its root: saving it, hashing it, and putting it back cost nothing, whatever hangs on it.
An object may be dropped when no state that somebody may go back to leads to it.

Encoded: u16 number of parts, 16 bytes for each one's name, data. The name is the BLAKE2b hash of that, 128 bits: no
guest finds two blocks with one name.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence

from rrdbg_core.devices.contract import NAME_BYTES, Device, Reference, Stored, Words
from rrdbg_core.errors import ExitCode, RrdbgError

_COUNT = struct.Struct("<H")
PARTS_OFFSET = _COUNT.size
"""Where in an encoded object the names of its parts begin."""
MAX_PARTS = (1 << 16) - 1
KEPT_BYTES = 16 << 20
"""Memory for objects that were found elsewhere."""
MIN_SWEEP_BYTES = 16 << 20
"""Memory below which nobody looks for objects that are not needed any more."""


class BadObject(RrdbgError):
    """An object is missing, or is not what its user expects: what a trace holds may be wrong."""

    exit_code = ExitCode.BAD_TRACE


def encode(data: bytes, parts: Sequence[bytes]) -> bytes:
    """Encode an object."""
    return b"".join((_COUNT.pack(len(parts)), *parts, data))


def parts_of(encoded: bytes) -> list[bytes]:
    """Return the names of the objects that an encoded one is made of."""
    (count,) = _COUNT.unpack_from(encoded)
    ends = range(_COUNT.size + NAME_BYTES, _COUNT.size + NAME_BYTES * (count + 1), NAME_BYTES)
    return [encoded[end - NAME_BYTES : end] for end in ends]


def name_of(encoded: bytes) -> bytes:
    """Return the name of an encoded object."""
    return hashlib.blake2b(encoded, digest_size=NAME_BYTES).digest()


def is_encoded(data: bytes) -> bool:
    """Return whether some bytes are an encoded object."""
    return len(data) >= _COUNT.size and len(data) >= _COUNT.size + NAME_BYTES * _COUNT.unpack_from(data)[0]


def roots(state: Mapping[str, Words], devices: Mapping[str, Device]) -> list[bytes]:
    """Return the names of the objects that a saved state refers to."""
    found = []
    for name, device in devices.items():
        for field in device.state.fields.values():
            if isinstance(field, Reference):
                found.append(field.name_in(state[f"device.{name}"]))
    return [name for name in found if name]


class Objects:
    """The objects of a machine.

    Args:
        elsewhere: Returns an encoded object that is not here, from the trace for example, or None.
    """

    def __init__(self, elsewhere: Callable[[bytes], bytes | None]) -> None:
        self._elsewhere = elsewhere
        self._here: dict[bytes, bytes] = {}
        self._found: dict[bytes, bytes] = {}
        self._found_bytes = 0
        self._sweep_at = MIN_SWEEP_BYTES
        self.bytes = 0
        """Memory that they take."""

    def store(self, data: bytes, parts: Sequence[bytes] = ()) -> bytes:
        """Make an object and return its name."""
        encoded = encode(data, parts)
        name = name_of(encoded)
        self._put(name, encoded)
        return name

    def _put(self, name: bytes, encoded: bytes) -> None:
        if name not in self._here:
            self._here[name] = encoded
            self.bytes += len(encoded)

    def load(self, name: bytes) -> Stored:
        """Return an object.

        Raises:
            BadObject: There is none of that name.
        """
        encoded = self.encoded(name)
        parts = parts_of(encoded)
        return Stored(encoded[_COUNT.size + NAME_BYTES * len(parts) :], tuple(parts))

    def encoded(self, name: bytes) -> bytes:
        """Return an encoded object.

        Raises:
            BadObject: There is none of that name.
        """
        encoded = self._here.get(name) or self._found.get(name)
        if encoded is None:
            encoded = self._elsewhere(name)
            if encoded is None:
                raise BadObject(f"the state refers to an object {name.hex()} that the trace lacks")
            if self._found_bytes > KEPT_BYTES:
                self._found.clear()
                self._found_bytes = 0
            self._found[name] = encoded
            self._found_bytes += len(encoded)
        return encoded

    def add(self, objects: Mapping[bytes, bytes]) -> None:
        """Take in encoded objects from another machine."""
        for name, encoded in objects.items():
            self._put(name, encoded)

    def reach(self, names: Iterable[bytes], known: Callable[[bytes], bool] = lambda name: False) -> dict[bytes, bytes]:
        """Return all objects, encoded, that some names lead to.

        Args:
            names: The names.
            known: Says what to leave out, with all that it leads to.

        Raises:
            BadObject: One of them is nowhere.
        """
        found: dict[bytes, bytes] = {}
        left = list(names)
        while left:
            name = left.pop()
            if name not in found and not known(name):
                encoded = found[name] = self.encoded(name)
                left += parts_of(encoded)
        return found

    def reach_here(self, names: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the objects that some names lead to and that are nowhere else."""
        return self.reach(names, lambda name: name not in self._here)

    def sweep(self, needed: Callable[[], Iterable[bytes]], *, at_once: bool = False) -> None:
        """Drop what is not needed any more, if there may be much of it.

        Args:
            needed: Returns the names of all objects that a state may still refer to. What they lead to stays, but for
                what is elsewhere with all that it leads to.
            at_once: Look whatever there may be.
        """
        if self.bytes < self._sweep_at and not at_once:
            return
        self._here = self.reach_here(needed())
        self.bytes = sum(map(len, self._here.values()))
        self._sweep_at = max(2 * self.bytes, MIN_SWEEP_BYTES)
