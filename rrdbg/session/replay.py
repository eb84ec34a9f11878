"""The session's engine over the replayer, and what it needs of the trace file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike

import numpy as np
import numpy.typing as npt
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import LINE_BYTES, PAGE_BYTES, RAM_BASE
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.search import Sought, windows
from rrdbg_core.trace import EPOCH, Trace

from rrdbg.session.api import Progress, ProgressCallback, TraceInfo, VerifyResult
from rrdbg.session.engine import Engine, Found, Targets, Words
from rrdbg.session.source import TraceSource
from rrdbg.session.symbol_files import read_symbol_files
from rrdbg.session.userdata import UserData
from rrdbg.symbols.table import SymbolFile, SymbolTable

Stretch = tuple[int, int]
Parts = tuple[Engine, TraceSource, SymbolTable, UserData]


class ReplayEngine:
    """`Engine` over a replayer."""

    def __init__(self, replayer: Replayer) -> None:
        self._replayer = replayer

    @property
    def poll(self) -> Callable[[int], None]:
        """Called with the current position while something runs."""
        return self._replayer.poll

    @poll.setter
    def poll(self, poll: Callable[[int], None]) -> None:
        self._replayer.poll = poll

    @property
    def home(self) -> int | None:
        """The position that the caller may want to come back to at once."""
        return self._replayer.home

    @home.setter
    def home(self, icount: int | None) -> None:
        self._replayer.home = icount

    @property
    def icount(self) -> int:
        """The current position."""
        return self._replayer.icount

    @property
    def end(self) -> int:
        """The last position."""
        return self._replayer.end

    @property
    def hart(self) -> Words:
        """State words of the selected hart."""
        return self._replayer.machine.core.hart

    @property
    def mach(self) -> Words:
        """State words of the machine."""
        return self._replayer.machine.core.mach

    def seek(self, icount: int) -> None:
        """Go to a position."""
        self._replayer.seek(icount)

    def run(self, limit: int, targets: Targets) -> Found | None:
        """Run forwards to the first hit, or to a position; epochs in which nothing can hit are skipped.

        The epoch at hand is run through in any case: what is near is found without asking the index.
        """
        replayer = self._replayer
        limit = min(limit, self.end)
        stop = self.icount - self.icount % EPOCH + EPOCH
        if limit <= stop or any(gated.ignore for gated in targets.gated):  # which hits are passed over must be counted
            return replayer.run(limit, targets)
        sought, breaks = Sought(targets.open(), paged=bool(self.mach[L.SUPERVISOR])), set(targets.open().breaks)
        found = replayer.run(stop, targets)
        while found is None:
            here = self.icount
            stretch = self._next_stretch(here, limit, sought)
            if stretch is None:
                replayer.seek(limit)
                break
            start, stop = stretch
            if start > here + 1:
                replayer.seek(start - 1)
            elif int(self.hart[L.PC]) in breaks:  # a run does not look at where it ends, nor at where it starts
                replayer.seek(here - 1)
            found = replayer.run(stop, targets)
        return found

    def _next_stretch(self, at: int, limit: int, sought: Sought) -> Stretch | None:
        """Return the first steps at <= n < limit that the index does not rule out, of one epoch at most."""
        trace = self._replayer.trace
        spans, epochs = trace.epoch_spans, trace.epochs
        for number in range(bisect_right(spans, at, key=lambda span: span[1]), len(spans)):
            start, stop = spans[number]
            if at >= limit:
                return None
            if at < start:
                return at, min(start, limit)
            self.poll(at)
            if sought.may_hit(epochs[number], at, min(stop, limit)):
                return at, min(stop, limit)
            at = stop
        return (at, limit) if at < limit else None

    def last_hit(self, lo: int, hi: int, targets: Targets) -> int | None:
        """Return the number of the last step in lo <= n < hi that hits."""
        return self._replayer.last_hit(lo, hi, targets)

    def executed(self, lo: int, hi: int, places: Sequence[int]) -> bool:
        """Run the steps lo <= n < hi and return whether an instruction at one of some physical places was started."""
        replayer = self._replayer
        core = replayer.machine.core
        for start, stop in windows(
            lo, hi, self.rungs(lo, hi)[1:], Targets(tuple(places)), replayer.trace.epochs, self.poll
        ):
            replayer.seek(start)
            core.take_run()
            replayer.advance(stop)
            if has_run(core.take_run(), places):
                return True
        return False

    @property
    def passed(self) -> Sequence[int]:
        """For each of the gated targets of the last `run` or `last_hit`, the hits that were passed over."""
        return self._replayer.passed

    def rungs(self, lo: int, hi: int) -> Sequence[int]:
        """Return positions lo <= p < hi that are quick to reach, ascending, the first one being lo."""
        return self._replayer.rungs(lo, hi)

    def log(self, lo: int, hi: int, sink: Callable[[Words], None]) -> None:
        """Run the steps lo <= n < hi and hand over their rows."""
        self._replayer.log(lo, hi, sink)

    def traps(self, lo: int, hi: int) -> Words:
        """Run the steps lo <= n < hi and return the traps they took."""
        return self._replayer.traps(lo, hi)

    def console(self, lo: int, hi: int) -> Sequence[tuple[int, bytes]]:
        """Run the steps lo <= n < hi and return what they printed."""
        return self._replayer.console(lo, hi)

    def read(self, address: int, length: int, physical: bool) -> bytes:
        """Read memory without side effects, as far as it can be read."""
        return self._replayer.read(address, length, physical)


def has_run(marks: tuple[npt.NDArray[np.uint32], Words, npt.NDArray[np.uint32]], places: Sequence[int]) -> bool:
    """Return whether marks, as `Core.take_run` hands them out, say that instructions were started at some places."""
    pages, lines, halves = marks
    for place in places:
        page, line, half = (place - RAM_BASE) // PAGE_BYTES, place % PAGE_BYTES // LINE_BYTES, place % LINE_BYTES // 2
        at = int(np.searchsorted(pages, page)) if place >= RAM_BASE else len(pages)
        if at == len(pages) or pages[at] != page or not int(lines[at]) >> line & 1:
            continue
        before = int(np.bitwise_count(lines[:at]).sum()) + (int(lines[at]) & (1 << line) - 1).bit_count()
        if int(halves[before]) >> half & 1:
            return True
    return False


def open_parts(path: str, progress: ProgressCallback | None, symbols: Sequence[str | PathLike[str]] = ()) -> Parts:
    """Return what a session over a trace file is made of.

    Args:
        path: The trace.
        progress: Told what takes long.
        symbols: Files with symbols, which go before the trace's images; `read_symbol_files` knows their form.

    Raises:
        RrdbgError: The trace cannot be read.
    """
    files = read_symbol_files(symbols)
    trace = Trace.open(path)
    try:
        tell = None if progress is None else lambda text: progress(Progress(text, 0, 0, 0.0, None))
        replayer = Replayer(trace, progress=tell)
    except BaseException:
        trace.close()
        raise
    return ReplayEngine(replayer), _source_of(replayer, path), symbols_of(trace, files), UserData(path)


def symbols_of(trace: Trace, files: Sequence[SymbolFile] = ()) -> SymbolTable:
    """Return the symbols of files and images, the first one first; read when first asked for."""
    config = trace.manifest.config
    refs = [ref for ref in config.images if ref.load_address is None or ref.load_address != config.device_tree]
    return SymbolTable([trace.images[ref.digest] for ref in refs], [ref.name for ref in refs], files)


def _source_of(replayer: Replayer, path: str) -> TraceSource:
    trace = replayer.trace
    source = TraceSource(
        path,
        trace.manifest.config.shift,
        trace.events,
        info=lambda: _info(replayer, source),
        epochs=lambda: trace.epochs,
        epoch_spans=lambda: trace.epoch_spans,
        verify=lambda pauses, seed, poll: _verify(trace, pauses, seed, poll),
        close=trace.close,
        carried={ref.name: partial(trace.images.__getitem__, ref.digest) for ref in trace.manifest.sources},
    )
    return source


def _info(replayer: Replayer, source: TraceSource) -> TraceInfo:
    trace = replayer.trace
    if replayer.refresh():
        source.events = trace.events
    config, ending = trace.manifest.config, trace.ending
    return TraceInfo(
        source.path,
        trace.end_icount,
        source.virtual_at(trace.end_icount),
        config.shift,
        config.machine,
        config.harts,
        RAM_BASE,
        config.ram_bytes,
        len(trace.events),
        tuple(trace.snapshot_icounts),
        ending is not None,
        _reason(trace),
        ending.exit_code if ending else None,
        trace.damage,
    )


_REASONS = {
    "idle": "the guest sleeps for ever",
    "until": "the recording was to end here",
    "interrupted": "the recording was interrupted",
    "timeout": "the recording's time was up",
    "max-size": "the trace reached its size limit",
}


def _reason(trace: Trace) -> str:
    ending = trace.ending
    if ending is None:
        return "the recording was not ended: it was killed, or still runs"
    if ending.exit_code is not None:
        return f"the guest exited with code {ending.exit_code}"
    return _REASONS.get(ending.reason, ending.reason)


def _verify(trace: Trace, pauses: int, seed: int, poll: Callable[[int], None]) -> VerifyResult:
    from rrdbg_core.replay.verify import verify

    report = verify(trace, pauses=pauses, seed=seed, progress=poll)
    return VerifyResult(report.ok, report.text, report.icount)
