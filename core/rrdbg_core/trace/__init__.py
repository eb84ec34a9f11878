"""The trace file: chunks, journal, snapshots, digests, index. docs/format.md describes every byte."""

from rrdbg_core.trace.contents import image_digest
from rrdbg_core.trace.frame import BadTrace
from rrdbg_core.trace.model import (
    BINS,
    CHECK_PERIOD,
    EPOCH,
    FORMAT_VERSION,
    Ending,
    EpochIndex,
    Manifest,
    ParentRef,
    Snapshot,
)
from rrdbg_core.trace.output import TraceFull
from rrdbg_core.trace.reader import ChunkInfo, Trace
from rrdbg_core.trace.writer import TraceWriter

__all__ = [
    "BINS",
    "CHECK_PERIOD",
    "EPOCH",
    "FORMAT_VERSION",
    "BadTrace",
    "ChunkInfo",
    "Ending",
    "EpochIndex",
    "Manifest",
    "ParentRef",
    "Snapshot",
    "Trace",
    "TraceFull",
    "TraceWriter",
    "image_digest",
]
