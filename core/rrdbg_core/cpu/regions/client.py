"""A running machine's side of compiled regions: hand over samples and pages, fetch regions.

Nothing here waits for anything, and nothing here fails, see `link`.
"""

from __future__ import annotations

import os
import subprocess
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

from rrdbg_core.cpu.regions import spare
from rrdbg_core.cpu.regions.link import COMMAND, Link, Result, Stats
from rrdbg_core.cpu.regions.plan import Plan
from rrdbg_core.cpu.regions.record import encode_plan
from rrdbg_core.cpu.regions.wire import PAGE_BYTES, Kind, pack_blobs, pack_words

SWITCH = "RRDBG_TIER2"
"""Environment variable; 0 runs every guest without compiled regions."""
SAMPLES_BYTES = 1 << 19
"""Longest message with samples; of more the last are sent."""
KEY_BYTES = 64
"""Most bytes that stand for a program."""
FORGOTTEN_AT_ONCE = 16
"""Plans of a message."""


def enabled() -> bool:
    """Return whether the environment lets guests run compiled regions."""
    return os.environ.get(SWITCH, "").strip().lower() not in ("0", "off", "no", "false")


def prepare(program: bytes = b"") -> None:
    """Get ready to compile for a guest that is about to run: a compiler that waits costs the guest nothing to start.

    Args:
        program: What stands for it among the regions on disk, if it begins with those, and there may be all that it
            needs: then nothing is done if there are any.
    """
    if enabled() and not (program and _kept(program)):
        spare.start()


def _kept(program: bytes) -> bool:
    from rrdbg_core.cpu.regions.store import Store  # not before a recording's compiler is on its way

    return Store(program[:KEY_BYTES]).exists()


class Client:
    """Regions for one machine. Methods return at once; they may be called from several threads."""

    def __init__(
        self,
        program: bytes = b"",
        *,
        store: bool = True,
        command: Sequence[str] = COMMAND,
        stderr: int = subprocess.DEVNULL,
        bell: Callable[[], object] | None = None,
    ) -> None:
        """Begin to read the program's regions from the disk. The compiler starts with the first samples.

        Args:
            program: What stands for the guest program among those on disk: a hash of its images, `KEY_BYTES` at most.
            store: False: neither read regions nor keep them. (They are never kept without `program`.)
            command: What starts the compiler.
            stderr: Descriptor of the file to which the compiler writes what goes wrong with it.
            bell: Called by another thread when there is something to take or to send. It should not lead to the client.
        """
        self._link = Link(program[:KEY_BYTES] if store else b"", tuple(command), stderr, bell)
        self._finalizer = weakref.finalize(self, self._link.abandon)
        self._link.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send_samples(self, samples: bytes) -> None:
        """Hand over pcs at which time is spent.

        Args:
            samples: u64 of each, in the host's order of bytes.
        """
        self._link.put_news(Kind.SAMPLES, samples[-SAMPLES_BYTES:])

    def send_misses(self, pcs: Sequence[int]) -> None:
        """Hand over the addresses of loads and stores for which regions are left often, see `Block.careful`."""
        self._link.put_news(Kind.MISSED, pack_words(pcs))

    def send_pages(self, pages: Mapping[int, bytes]) -> None:
        """Hand over pages of guest code, in answer to `wanted` or because they have changed.

        Args:
            pages: Address to content, 4096 bytes. One that cannot be had is left out.
        """
        for address, content in pages.items():
            if len(content) == PAGE_BYTES:
                self._link.put(Kind.PAGE, address.to_bytes(8, "little") + content, address)

    def forget(self, plans: Iterable[Plan], *, changed: bool = True) -> None:
        """Say that regions are not there any more.

        Args:
            plans: What they were made of.
            changed: Because their code has changed; False: they were evicted.
        """
        encoded = [encode_plan(plan) for plan in plans]
        for start in range(0, len(encoded), FORGOTTEN_AT_ONCE):
            blobs = pack_blobs(encoded[start : start + FORGOTTEN_AT_ONCE])
            self._link.put(Kind.FORGET, bytes([changed]) + blobs)

    def take(self) -> list[Result]:
        """Return the regions that have come since the last call."""
        return self._link.take()

    def wanted(self) -> list[int]:
        """Return the addresses of pages that the compiler has asked for since the last call."""
        return self._link.take_wanted()

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to take or to send, and return whether there is: for tests, not for guests."""
        return self._link.wait(timeout_s, lambda link: bool(link.results or link.wanted))

    def wait_stored(self, timeout_s: float) -> bool:
        """Wait until the regions on disk have been read; a few milliseconds."""
        return self._link.wait(timeout_s, lambda link: link.loaded)

    @property
    def stats(self) -> Stats:
        """What has been done so far."""
        return self._link.stats

    @property
    def ready(self) -> bool:
        """True if no compiler has to be started for the next samples."""
        return self._link.ready

    @property
    def given_up(self) -> bool:
        """True when there will be no new regions any more."""
        return self._link.given_up

    def close(self) -> None:
        """End the compiler, and wait for its end; what has come can still be taken."""
        self._finalizer.detach()
        self._link.close()
