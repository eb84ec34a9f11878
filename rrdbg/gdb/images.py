"""What a trace carries for gdb: its images."""

from __future__ import annotations

from collections.abc import Mapping

from rrdbg_core.trace import Trace


def images_of(path: str) -> Mapping[str, bytes]:
    """Return the images of a trace by name, those of them that are whole.

    Raises:
        RrdbgError: The trace cannot be read.
    """
    with Trace.open(path) as trace:
        refs = trace.manifest.config.images
        return {ref.name: trace.images[ref.digest] for ref in refs if ref.digest in trace.images}
