"""rrdbg: record one run of a RISC-V computer, and walk it in both directions.

Example:
    >>> import rrdbg
    >>> with rrdbg.open("run.rrt") as session:
    ...     session.goto("end")
    ...     session.add_watch("heap_head")
    ...     print(session.reverse_continue().text)

Everything that `rrdbg.session.api` names is here too: `rrdbg.Session`, `rrdbg.Stop`, `rrdbg.NotFound` and so on. It is
imported when it is first asked for: importing rrdbg costs next to nothing.
"""

from __future__ import annotations

from rrdbg_core import __version__

TYPE_CHECKING = False  # typing is imported later, as everything is: a Ctrl-C during an import here would be a traceback
if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from rrdbg_core.errors import ExitCode, RrdbgError

    from rrdbg.session.api import (
        Bookmark,
        Cancelled,
        ConsoleChunk,
        ConsoleOutput,
        DisasmLine,
        EventRow,
        Lane,
        Location,
        MemoryAccess,
        MemoryBlock,
        Note,
        NotFound,
        Point,
        PointKind,
        Position,
        Progress,
        ProgressCallback,
        RegisterValue,
        Session,
        StepRow,
        Stop,
        StopReason,
        SymbolInfo,
        Timeline,
        TraceInfo,
        Unreadable,
        UsageError,
        Value,
        VerifyResult,
        When,
    )

__all__ = [
    "Bookmark",
    "Cancelled",
    "ConsoleChunk",
    "ConsoleOutput",
    "DisasmLine",
    "EventRow",
    "ExitCode",
    "Lane",
    "Location",
    "MemoryAccess",
    "MemoryBlock",
    "NotFound",
    "Note",
    "Point",
    "PointKind",
    "Position",
    "Progress",
    "ProgressCallback",
    "RegisterValue",
    "RrdbgError",
    "Session",
    "StepRow",
    "Stop",
    "StopReason",
    "SymbolInfo",
    "Timeline",
    "TraceInfo",
    "Unreadable",
    "UsageError",
    "Value",
    "VerifyResult",
    "When",
    "__version__",
    "open",
]


def open(
    path: str | PathLike[str],
    progress: ProgressCallback | None = None,
    *,
    symbols: Sequence[str | PathLike[str]] = (),
    trust_devices: bool = False,
) -> Session:
    """Open a trace and stand at its start.

    Args:
        path: A `.rrt` file; one that is still being recorded will do.
        progress: Called by long calls some ten times a second; also while the guest CPU is compiled, the first time.
        symbols: ELF files with symbols and debug information, for stripped images and for programs that the guest
            loaded itself; they go before the trace's images. `FILE@ADDRESS`: its `.text` section was loaded there. A
            list of names as nm prints them, such as System.map, will do for a kernel.
        trust_devices: Run the programs of devices that traces carry, from now on in this process: only for traces from
            people whose programs you would run.

    Raises:
        RrdbgError: The trace or a file with symbols cannot be read; says why and what to do.
    """
    from rrdbg.session.session import open_session

    if trust_devices:
        from rrdbg_core.devices.user import trust

        trust()
    return open_session(path, progress, symbols=symbols)


def __getattr__(name: str) -> object:
    if name in __all__:
        from rrdbg_core import errors

        from rrdbg.session import api

        return getattr(errors if hasattr(errors, name) else api, name)
    raise AttributeError(f"module 'rrdbg' has no attribute {name!r}")
