"""Find out where a verification went wrong.

If two re-executions differ, the first step after which they do is found by bisection, and the fields that differ are
named. If re-executions agree and only the recording differs, there is nothing to bisect with: the stretch between two
check words is named, with what came from outside in it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.events import Event
from rrdbg_core.machine.machine import Accesses
from rrdbg_core.machine.source import Divergence
from rrdbg_core.replay.capsule import Capsule, capture, release
from rrdbg_core.replay.checking import Diverged
from rrdbg_core.replay.differences import next_step, state_differences
from rrdbg_core.replay.pauses import Walker
from rrdbg_core.replay.plan import Pause, perform, run_on
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.trace.model import CHECK_PERIOD

SHOWN = 20
"""Device accesses and events that are named."""

Poll = Callable[[int], None]


class Finding(Frozen):
    """What went wrong where; see `VerifyReport`."""

    text: str
    """In words."""
    icount: int
    """Where to look."""
    kind: str
    """"recording" or "re-execution"."""
    stretch: tuple[int, int]
    """Positions before and behind."""


def executions_differ(
    straight: Replayer, walker: Walker, pause: Pause | None, start: int, until: int, trouble: str
) -> Finding:
    """Two re-executions were equal at `start`, where a pause was made, and differ at `until`.

    Args:
        straight: The straight one, at `until`.
        walker: The other one, behind the trouble.
        pause: What was done at `start`.
        start: Where they were equal.
        until: Where they differ.
        trouble: What the other one ran into, or "".
    """
    found = None if trouble else state_differences(straight.machine, _capture(straight), walker.capture())
    straight.seek(start)
    before = _capture(straight)
    poll = straight.poll

    def again(icount: int) -> Walker:
        return _repeat(straight, before, pause, icount, poll)

    doing = f" (pause at icount {start}: {pause.text})" if pause else ""
    first = _bisect(straight, again, start, until)
    if first is None:
        lines = [f"two re-executions differ somewhere between icount {start} and {until}{doing},"]
        lines += ["and another try does not show it again", *([trouble] if trouble else [])]
        lines += ["straight, with the pause:", *found] if found else []
        return Finding("\n".join(lines), start, "re-execution", (start, until))
    straight.seek(first)
    other = again(first)
    differences = state_differences(straight.machine, _capture(straight), other.capture())
    if first == start:
        lines = [f"the pause at icount {start} changes the guest ({pause.text if pause else 'none'})"]
        step = start
    else:
        step = first - 1
        straight.seek(step)
        lines = [f"two re-executions differ in step {step}{doing}", next_step(straight.machine)]
    lines += ["straight, with the pause:", *differences]
    return Finding("\n".join(lines), step, "re-execution", (step, first))


def _capture(replayer: Replayer) -> Capsule:
    return capture(replayer.machine, replayer.source)


def _repeat(straight: Replayer, before: Capsule, pause: Pause | None, icount: int, poll: Poll) -> Walker:
    """Make a pause again in a new machine and go on to a position, or as far as it goes."""
    walker = Walker(straight.trace)
    release(before, walker.machine, walker.source)
    with suppress(Divergence):  # where it then stands is a difference
        if pause is None:
            run_on(walker, icount, poll)
        else:
            perform(walker, pause, icount, poll)
    return walker


def _bisect(straight: Replayer, again: Callable[[int], Walker], lo: int, hi: int) -> int | None:
    """Return the first position lo <= p <= hi at which the executions differ, or None if they do not at `hi`."""

    def differs(icount: int) -> bool:
        straight.seek(icount)
        return again(icount).machine.digest() != straight.machine.digest()

    if not differs(hi):
        return None
    if differs(lo):
        return lo
    while hi - lo > 1:
        middle = (lo + hi) // 2
        if differs(middle):
            hi = middle
        else:
            lo = middle
    return hi


def recording_differs(straight: Replayer, error: Divergence) -> Finding:
    """A straight replay differs from the recording: see whether another one agrees with it."""
    if isinstance(error, Diverged):
        lo, hi = error.lo, error.hi
    else:
        hi = straight.icount
        lo = max(hi - 1 - (hi - 1) % CHECK_PERIOD, straight.start)
    message = error.message
    straight.seek(lo)
    before = _capture(straight)
    outside: list[str] = []
    one, two = (_through(straight, before, hi, lines) for lines in (outside, []))
    if one.machine.digest() != two.machine.digest():
        return _two_differ(straight, before, lo, hi, message)
    events = [_event_text(event) for event in straight.trace.events if lo <= event.icount <= hi]
    lines = [message, f"re-executions agree: what differs is the recording, between icount {lo} and {hi}"]
    lines += ["events in the journal there:", *_some(events)] if events else ["the journal has no event there"]
    lines += ["device accesses there:", *_some(outside)] if outside else ["no device is accessed there"]
    return Finding("\n".join(lines), lo, "recording", (lo, hi))


def _through(straight: Replayer, before: Capsule, hi: int, lines: list[str]) -> Walker:
    """Run a stretch in a new machine as far as it goes, and note what devices do."""
    walker = Walker(straight.trace)
    release(before, walker.machine, walker.source)
    walker.machine.on_access = lambda access: lines.append(_access_text(access))
    with suppress(Divergence):  # as far as it goes
        run_on(walker, hi, straight.poll)
    return walker


def _two_differ(straight: Replayer, before: Capsule, lo: int, hi: int, message: str) -> Finding:
    """Replay itself is not deterministic here."""

    def again(icount: int) -> Walker:
        return _repeat(straight, before, None, icount, straight.poll)

    while hi - lo > 1:
        middle = (lo + hi) // 2
        if again(middle).machine.digest() != again(middle).machine.digest():
            hi = middle
        else:
            lo = middle
    one, two = again(hi), again(hi)
    differences = state_differences(one.machine, one.capture(), two.capture())
    lines = [message, f"two plain re-executions differ in step {lo}", next_step(again(lo).machine), *differences]
    return Finding("\n".join(lines), lo, "re-execution", (lo, hi))


def _access_text(access: Accesses) -> str:
    return f"  step {access.icount}: {access.device}: {access.text}"


def _event_text(event: Event) -> str:
    payload = event.payload[:32].hex(" ") + (" ..." if len(event.payload) > 32 else "")
    name = f"{event.device}.{event.name}" if event.name else event.device
    return f"  icount {event.icount}: {event.kind.name} {name} [{payload}] warp {event.warp_ns} ns".replace("  [", " [")


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], f"  and {more} more"] if more > 0 else lines
