"""Write a trace anew with something in it changed, all checksums valid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rrdbg_core.machine.events import Event
from rrdbg_core.trace.model import Ending, Snapshot
from rrdbg_core.trace.reader import Trace
from rrdbg_core.trace.writer import TraceWriter

Events = Callable[[list[Event]], Sequence[Event]]
Content = Callable[[int, np.ndarray, np.ndarray], None]


def rewrite(
    source: Path,
    target: Path,
    *,
    events: Events = lambda events: events,
    checks: Callable[[np.ndarray], np.ndarray] = lambda words: words,
    digest: Callable[[int, bytes], bytes] = lambda icount, digest: digest,
    snapshot: Callable[[int, Snapshot], Snapshot] = lambda number, snapshot: snapshot,
    pages: Content = lambda number, pages, content: None,
    end: int | None = None,
) -> Path:
    """Copy a trace.

    Args:
        source: The trace.
        target: The copy.
        events: Changes the journal.
        checks: Changes the check words.
        digest: Changes a digest.
        snapshot: Changes a snapshot.
        pages: Changes page content of a snapshot in place.
        end: Position that the copy promises, instead of ending where the trace ends.
    """
    with Trace.open(source) as trace, TraceWriter(target, trace.manifest, dict(trace.images)) as writer:
        journal = list(events(list(trace.events)))
        words = checks(trace.checks.copy())
        last = trace.end_icount if end is None else end
        places = sorted({*trace.digests, *trace.snapshot_icounts, *(epoch.stop for epoch in trace.epochs), last})
        done_events = done_words = 0
        before = np.zeros(len(trace.versions(0)), np.uint32)
        for place in (place for place in places if place <= last):
            count = sum(event.icount <= place for event in journal)
            writer.events(journal[done_events:count])
            done_events = count
            writer.checks(words[done_words : place // 65536])
            done_words = place // 65536
            for epoch in trace.epochs:
                if epoch.stop == place:
                    writer.index(epoch)
            if place in trace.digests:
                writer.digest(place, digest(place, trace.digests[place]))
            if place in trace.snapshot_icounts:
                number = trace.snapshot_icounts.index(place)
                versions = trace.versions(number)
                changed = np.flatnonzero(versions != before).astype(np.uint32)
                content = trace.load_pages(changed, versions[changed])
                pages(number, changed, content)
                writer.snapshot(snapshot(number, trace.snapshots[number]), changed, None, content)
                before = versions
        if end is None:
            assert trace.ending is not None
            writer.end(Ending(last, trace.ending.reason, trace.ending.exit_code, trace.ending.virtual_ns))
        else:
            writer.progress(last)
    return target
