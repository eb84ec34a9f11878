"""Python's search for garbage, kept away from the keys.

A search of everything stops the interface for 30 to 80 ms, in the middle of whatever a key does, and finds next to
nothing: the screen and what it shows live as long as the interface does. So only young objects are searched at any
time. The others are searched while nobody types, and what was found to live is not looked at ever again.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

YOUNG = (2_000, 10, 1 << 30)
"""Thresholds of the collector: a search of young objects takes a millisecond or two, one of all is never due."""


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Do not search meanwhile, nor ever in what is there afterwards: modules stay, and there are many."""
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
        """Never look again at what there is now. Takes no time; for much that came at once and is going to stay."""
        gc.freeze()

    def tidy(self) -> None:
        """Search what came since the last time: the more that is, the longer it takes."""
        gc.collect()
        gc.freeze()
