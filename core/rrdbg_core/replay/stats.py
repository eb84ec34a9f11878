"""What a recording or a replay did and what it cost: `RunStats`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.stats import Cost, Stats


class RunStats(Frozen):
    """A recording or a replay, from its start on."""

    machine: Stats
    """What the machine did."""
    snapshots: Cost
    """Snapshots: written into the trace, or, in a replay, kept in memory to come back to."""
    digests: Cost
    """Hashes of the whole state: written, or compared."""
    check_words: Cost
    """Check words, one for each 2^16 steps: written, or compared. The guest CPU makes them while it runs."""
    indices: Cost = Cost()
    """Indices of epochs that were written."""
    flushes: Cost = Cost()
    """Times that what was recorded went to the operating system."""
    written: Mapping[str, int] = field(default_factory=dict)
    """Bytes of the trace by kind of chunk, headers included."""
