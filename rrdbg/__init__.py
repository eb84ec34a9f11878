"""rrdbg: record one run of a RISC-V computer, and walk it in both directions.

Example:
    >>> import rrdbg
    >>> with rrdbg.open("run.rrt") as session:
    ...     session.goto("end")
    ...     session.add_watch("heap_head")
    ...     print(session.reverse_continue().text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdbg_core import __version__

if TYPE_CHECKING:
    from os import PathLike

    from rrdbg.session.api import ProgressCallback, Session

__all__ = ["__version__", "open"]


def open(path: str | PathLike[str], progress: ProgressCallback | None = None) -> Session:
    """Open a trace and stand at its start.

    Args:
        path: A `.rrt` file; one that is still being recorded will do.
        progress: Called by long calls some ten times a second; also while the guest CPU is compiled, the first time.

    Raises:
        RrdbgError: The trace cannot be read; says why and what to do.
    """
    from rrdbg.session.session import open_session

    return open_session(path, progress)
