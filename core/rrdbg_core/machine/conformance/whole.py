"""The checks of a device in a whole machine: recorded, replayed, paused and moved to another machine."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rrdbg_core.devices.contract import Device
from rrdbg_core.errors import RrdbgError
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.conformance import guest
from rrdbg_core.machine.conformance.bench import pattern_block
from rrdbg_core.machine.conformance.checks import Case, Problem
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.objects import roots
from rrdbg_core.machine.source import FOREVER, EventSource, Idle, Now, ReplaySource

GRID = 4096
"""Steps between digests."""
STEPS_AN_OP = 200
PAUSES = 6


@dataclass(slots=True)
class _Pending:
    device: str
    name: str
    request: bytes
    oneshot: bool
    due: int


class Host:
    """A live source that is a function of its seed: answers bottom halves, types, all at random moments.

    Args:
        case: The device under check, whose back ends answer, and the seed.
    """

    def __init__(self, case: Case) -> None:
        self._target = case.target
        self._answers = case.answers
        self._rng = random.Random(case.seed)
        self._pending: list[_Pending] = []
        self._numbers: dict[str, int] = {}
        self._icount = 0
        self._room = 0
        self._next_input = self._rng.randrange(2000)
        self._types = self._target.kind.can_receive is not Device.can_receive
        self._inputs = 50
        self._ends = False
        self._told = (-1, 0)  # icount and warp that the journal knows

    def next_icount(self) -> int:
        """See `EventSource`."""
        dues = [entry.due for entry in self._pending]
        if self._types and self._room and self._inputs:
            dues.append(self._next_input)
        return max(min(dues, default=FOREVER), self._icount + 1)

    def take(self, now: Now) -> Event | None:
        """See `EventSource`."""
        if self._icount != now.icount:
            self._icount, self._told = now.icount, (now.icount, now.warp_ns)
        for entry in self._pending:
            if entry.due <= now.icount or now.idle:
                self._pending.remove(entry)
                payload = self._answer(entry)
                if payload is None:
                    return self.take(now)
                kind = EventKind.BH_ONESHOT if entry.oneshot else EventKind.BH
                return Event(now.icount, kind, entry.device, entry.name, payload, now.warp_ns)
        if self._ends:
            self._ends, self._told = False, (now.icount, now.warp_ns)
            return Event(now.icount, EventKind.WARP, "", "", b"", now.warp_ns)
        if self._types and self._room and self._inputs and now.icount >= self._next_input:
            self._next_input = now.icount + self._rng.randrange(3000)
            self._inputs -= 1
            data = self._rng.randbytes(self._rng.randint(1, self._room))
            return Event(now.icount, EventKind.UART_INPUT, self._target.name, "", data, now.warp_ns)
        return None

    def _answer(self, entry: _Pending) -> bytes | None:
        number = self._numbers.get(entry.name, 0)
        self._numbers[entry.name] = number + 1
        return self._answers.get(self._target.kind, entry.name, number, entry.request, self._rng.getrandbits(32))

    def idle(self, now: Now) -> str:
        """See `EventSource`."""
        if now.deadline_ns is not None:
            return Idle.JUMP
        # how far time has come before the end is for the journal to know
        self._ends = self._told != (now.icount, now.warp_ns)
        return Idle.EVENT if self._ends else Idle.END

    def listens(self) -> bool:
        """See `EventSource`."""
        return False

    def idle_until(self) -> int:
        """See `EventSource`."""
        return 0

    def room(self, device: str, size: int) -> None:
        """See `EventSource`."""
        if device == self._target.name:
            self._room = size

    def scheduled(self, device: str, name: str, request: bytes, oneshot: bool) -> None:
        """See `EventSource`."""
        due = self._icount + 1 + self._rng.randrange(500)
        self._pending.append(_Pending(device, name, request, oneshot, due))

    def console(self, step: int, data: bytes) -> None:
        """See `EventSource`."""

    def reset(self) -> None:
        """See `EventSource`."""
        self._pending.clear()

    def medium(self, device: str, number: int) -> bytes | None:
        """See `EventSource`."""
        return pattern_block(number)

    def stored(self, name: bytes) -> bytes | None:
        """See `EventSource`."""
        return None


class Medium:
    """What a recording would hold beside events: a medium."""

    def block(self, device: str, number: int) -> bytes | None:
        """See `Store`."""
        return pattern_block(number)

    def stored(self, name: bytes) -> bytes | None:
        """See `Store`."""
        return None


@dataclass(slots=True)
class Run:
    """What a machine did."""

    events: list[Event] = field(default_factory=list)
    """The journal."""
    console: bytearray = field(default_factory=bytearray)
    """Output."""
    digests: dict[int, bytes] = field(default_factory=dict)
    """Digests by icount."""
    states: dict[int, dict[str, npt.NDArray[np.uint64]]] = field(default_factory=dict)
    """States at the same places."""
    end: int = 0
    """Where it ended."""


def _config(case: Case) -> tuple[MachineConfig, dict[str, bytes]]:
    ref = ImageRef(kind="raw", digest="guest", name="check-device")
    config = MachineConfig(ram_bytes=guest.RAM_BYTES, images=(ref,), devices=case.target.added)
    return config, {"guest": guest.image(case.target, case.ops)}


def _machine(case: Case, source: EventSource, run: Run) -> Machine:
    config, images = _config(case)
    machine = Machine(config, images, source)
    machine.on_event = run.events.append
    machine.on_console = lambda step, data: run.console.extend(data)
    return machine


def _drive(case: Case, machine: Machine, run: Run, limit: int, pauses: frozenset[int] = frozenset()) -> Machine:
    """Run to the end or to `limit`; digests on the grid; at each pause a new machine goes on."""
    stops = sorted({*range(0, limit + 1, GRID), *pauses, limit})
    for icount in stops:
        reason = machine.run(icount)
        if reason is not StopReason.LIMIT or icount % GRID == 0 or icount == limit:
            run.digests[machine.icount] = machine.digest()
            run.states[machine.icount] = machine.save()
        run.end = machine.icount
        if reason is not StopReason.LIMIT:
            break
        if icount in pauses:
            machine = _moved(case, machine, run, icount)
    return machine


def _moved(case: Case, old: Machine, run: Run, seed: int) -> Machine:
    """Return a new machine in the same state, restored in shuffled order."""
    assert isinstance(old.source, ReplaySource)
    source = ReplaySource(old.source.events, old.source.end_icount, store=Medium())
    source.seek(old.source.position)
    machine = _machine(case, source, run)
    everything = np.arange(machine.memory.pages)
    machine.core.load_pages(everything, old.memory.rows()[everything])
    state = old.save()
    machine.objects.add(old.objects.reach(roots(state, old.devices)))
    machine.restore(state, order=machine.shuffled(seed))
    return machine


def _record(case: Case) -> Run:
    run = Run()
    machine = _machine(case, Host(case), run)
    _drive(case, machine, run, STEPS_AN_OP * len(case.ops))
    return run


def _differs(case: Case, machine: Machine, one: Run, other: Run, what: str) -> Problem:
    for icount, digest in one.digests.items():
        if other.digests.get(icount) == digest:
            continue
        if icount not in other.states:
            return f"{what} ends at icount {other.end}, not at {one.end}"
        fields = machine.differences(one.states[icount], other.states[icount])
        return f"{what} differs at icount {icount}: {'; '.join(fields[:3]) or 'in RAM'}"
    if one.console != other.console:
        return f"{what} prints something else"
    return None


def record_replay(case: Case) -> Problem:
    """A recording replays."""
    try:
        recorded = _record(case)
        replayed = Run()
        machine = _machine(case, ReplaySource(recorded.events, recorded.end, store=Medium()), replayed)
        _drive(case, machine, replayed, recorded.end)
    except RrdbgError as error:
        return error.message
    return _differs(case, machine, recorded, replayed, "the replay")


def pauses(case: Case) -> Problem:
    """A replay that is saved, and restored into new machines in shuffled order, is the same."""
    try:
        recorded = _record(case)
        rng = random.Random(case.seed)
        places = frozenset(rng.randint(0, max(recorded.end - 1, 0)) for _ in range(PAUSES))
        replayed = Run()
        machine = _machine(case, ReplaySource(recorded.events, recorded.end, store=Medium()), replayed)
        machine = _drive(case, machine, replayed, recorded.end, places)
    except RrdbgError as error:
        return error.message
    return _differs(case, machine, recorded, replayed, f"the replay with {len(places)} pauses")
