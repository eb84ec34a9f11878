"""`rrdbg events`: the journal, one line per event."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.cli.host import say
from rrdbg.cli.info import say_damage
from rrdbg.cli.terminal import count, virtual
from rrdbg.symbols.escape import harmless

if TYPE_CHECKING:
    from rrdbg_core.machine.events import Event
    from rrdbg_core.trace import Trace

    from rrdbg.session.source import TraceSource

KINDS = ("uart_input", "bh", "bh_oneshot", "warp", "reset", "detach")
"""Kinds of events, as they are written here."""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "events",
        help="list the events of a trace",
        description="List the journal: everything that reached the guest from outside, with number, icount and "
        "virtual time. Positions are icounts, virtual times (2.5ms), shares (50%), start, end, @bookmark or #event.",
        **kwargs,
    )
    parser.add_argument("trace", help="a .rrt file")
    parser.add_argument("--from", dest="start", default="start", metavar="P", help="only events at or after P")
    parser.add_argument("--until", default="end", metavar="P", help="only events at or before P")
    parser.add_argument("--device", metavar="NAME", help="only events of this device")
    parser.add_argument("--kind", choices=KINDS, help="only events of this kind: " + ", ".join(KINDS), metavar="KIND")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    return parser


def run(args: argparse.Namespace) -> int:
    """List the events."""
    from rrdbg_core.trace import Trace

    with Trace.open(args.trace) as trace:
        source = _source(trace)
        start, until = _bounds(args, trace, source)
        _check_device(args.device, trace)
        show = _json if args.json else _text
        shown = 0
        for number, event in enumerate(trace.events):
            if event.icount > until:
                break
            if event.icount < start or args.device not in (None, event.device):
                continue
            if args.kind not in (None, event.kind.name.lower()):
                continue
            virtual_ns = (event.icount << trace.manifest.config.shift) + event.warp_ns
            print(show(number, event, virtual_ns))
            shown += 1
        if not shown and not args.json:
            say(f"rrdbg: {'no such events' if trace.events else 'no events: nothing reached the guest from outside'}")
        return say_damage(trace)


def _source(trace: Trace) -> TraceSource:
    from rrdbg.session.source import TraceSource

    def no_info() -> Any:
        raise AssertionError

    return TraceSource(str(trace.path), trace.manifest.config.shift, trace.events, no_info)


def _bounds(args: argparse.Namespace, trace: Trace, source: TraceSource) -> tuple[int, int]:
    """Return the first and the last icount wanted. A relative end counts from the start, a relative start from 0."""
    from rrdbg.session.positions import resolve

    start = resolve(args.start, _Track(trace, source, trace.start_icount))
    return start, resolve(args.until, _Track(trace, source, start))


def _check_device(name: str | None, trace: Trace) -> None:
    """A device that has no event is not an error if the board has it."""
    if name is None or any(event.device == name for event in trace.events):
        return
    known = ["uart", *(device.name for device in trace.manifest.config.devices)]
    if name not in known:
        raise RrdbgError(
            f"no device {name!r} has events in {trace.path}",
            hint=f"the trace has {', '.join(map(harmless, known))}",
            exit_code=ExitCode.NOT_FOUND,
        )


def position_in(trace: Trace, text: str) -> int:
    """Return the position in a trace that a text means; relative ones count from its start.

    Raises:
        UsageError: It means none.
        NotFound: There is no such bookmark or event.
    """
    from rrdbg.session.positions import resolve

    return resolve(text, _Track(trace, _source(trace), trace.start_icount))


class _Track:
    """What positions refer to, without a guest: virtual times from the events alone."""

    def __init__(self, trace: Trace, source: TraceSource, icount: int) -> None:
        self.icount = icount
        self.end = trace.end_icount
        self._trace = trace
        self.virtual_at: Callable[[int], int] = source.virtual_at
        self._source = source

    def at_virtual(self, ns: int) -> int:
        """Return the first position at or after a virtual time; a time behind the end is the end."""
        return min(self._source.at_virtual(ns), self.end)

    def bookmark_at(self, name: str) -> int | None:
        """Return where a bookmark is."""
        from rrdbg.session.userdata import UserData

        mark = UserData(str(self._trace.path)).find(name)
        return mark.icount if mark else None

    def event_at(self, number: int) -> int | None:
        """Return where an event applies."""
        events = self._trace.events
        return events[number].icount if number < len(events) else None


def _json(number: int, event: Event, virtual_ns: int) -> str:
    from rrdbg_core.trace.describe import event_values

    return json.dumps({"number": number, "virtual_ns": virtual_ns} | event_values(event))


def _text(number: int, event: Event, virtual_ns: int) -> str:
    from rrdbg.session.source import event_text

    return f"#{number:<6} {count(event.icount):>16}  {virtual(virtual_ns):>10}  {event_text(event)}"
