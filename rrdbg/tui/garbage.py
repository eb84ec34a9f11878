"""Python's search for garbage, kept away from the keys.

A search of everything stops the interface for 30 to 80 ms, in the middle of whatever a key does, and finds next to
nothing: the screen and what it shows live as long as the interface does. So only young objects are searched at any
time, and everything while nobody types, if much has come since the last time.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

YOUNG = (2_000, 10, 1 << 30)
"""Thresholds of the collector: a search of young objects takes a millisecond or two, one of all is never due."""


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Do not search meanwhile, nor soon in what is there afterwards: modules stay, and there are many."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Collector:
    """Searches when it is told to, while it is used as a context manager."""

    def __enter__(self) -> Collector:
        self._before = gc.get_threshold()
        gc.set_threshold(*YOUNG)
        return self

    def __exit__(self, *_: object) -> None:
        gc.set_threshold(*self._before)

    def keep(self) -> None:
        """Leave out what there is now until `tidy`. Takes no time; for much that came at once and is going to stay."""
        gc.freeze()

    @property
    def due(self) -> bool:
        """Whether some thousands of objects have come, and stayed at first, since everything was searched."""
        return gc.get_count()[2] > 0

    def tidy(self) -> None:
        """Search everything: what lived the last time may have become garbage, a screen that was closed for one."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()
