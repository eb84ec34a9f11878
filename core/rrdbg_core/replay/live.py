"""The events of a live run: console input, completions of host back ends, resets, and what to do while idle.

A source made of a script or of bytes and a seed acts at icounts that are a function of the guest alone. Live back ends
(a user, the host's entropy) act when they do; then an idle machine waits in host time. A position that the machine has
left once never gets another event: what comes later comes at a later icount.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import lz4.block

from rrdbg_core.devices.contract import Device
from rrdbg_core.devices.virtio_console import VirtioConsole
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.source import FOREVER, Idle, Now
from rrdbg_core.replay.backends import Registry
from rrdbg_core.replay.console_input import ConsoleInput
from rrdbg_core.replay.hostclock import TICK_S, HostClock
from rrdbg_core.replay.requests import Requests

CONSOLE = "uart"
"""Device that takes console input, unless there is a virtio console in use."""
BATCH = 8
"""Bytes of room in a FIFO that input waits for, if there is that much of it: an event for each byte that the guest
reads would make a long journal."""
PATIENCE_NS = 1_000_000
"""Virtual time after which less room will do."""


class LiveSource:
    """An `EventSource` for recording.

    Args:
        config: The machine's.
        console: Where console input comes from.
        backends: Host back ends that win over the devices' own.
        warp: Never wait in host time while the guest is idle.
        clock: The host time in which an idle guest waits.
        media: What is in devices that take a medium, by their names: from a block's number to its 4096 bytes, or None
            if it cannot be read. Asked once for each block.
    """

    def __init__(
        self,
        config: MachineConfig,
        console: ConsoleInput | None = None,
        *,
        backends: Registry | None = None,
        warp: bool = False,
        clock: HostClock | None = None,
        media: Mapping[str, Callable[[int], bytes | None]] | None = None,
    ) -> None:
        self.clock = HostClock() if clock is None else clock
        """Host time without pauses."""
        self.console_input = ConsoleInput() if console is None else console
        self.stop: Callable[[], bool] = lambda: False
        """Asked while the machine is idle, at least every `TICK_S`; True ends the run. May do work of its own."""
        self.until_ns: int | None = None
        """Virtual time at which the run ends."""
        self.on_until: Callable[[], None] = lambda: None
        """Called when it has come and the machine is not idle; an idle one is stopped."""
        self.on_block: Callable[[str, int, bytes | None], None] = lambda device, number, block: None
        """Called with each block of a medium that is read for the first time."""
        self._media = media or {}
        self._blocks: dict[tuple[str, int], bytes | None] = {}  # compressed: a medium may change later, a run may not
        self._warp = warp
        self._shift = config.shift
        self._changed = threading.Condition()
        self._requests = Requests(config, backends or {}, self._wake)
        self._reset_wanted = False
        self._was_live = self.console_input.live
        # what the machine told
        self._rooms: dict[str, int] = {}
        self._consoles = [CONSOLE]  # those that take input, the preferred one first
        self._fifo = False
        self._input_ns = 0  # when input went in last
        self._settled = -1  # icount that gets no more events
        # nothing happens before this icount, unless something stirs or the clock warps
        self._next_icount = 0
        self._stirred = True
        self._calm_warp_ns = 0
        self._ready: Event | None = None
        self._stopping = False
        # the idle period: icount, host clock and virtual time at its start
        self._idle_icount = -1
        self._idle_began = 0.0
        self._idle_ns = 0
        self._told_warp = (-1, 0)  # icount, and how much of the warp there the journal knows
        self.console_input.on_change = self._wake

    def attach(self, devices: Mapping[str, Device]) -> None:
        """Learn which devices the machine has, and start their back ends."""
        self._requests.attach(devices)
        added = [name for name, device in devices.items() if isinstance(device, VirtioConsole)]
        self._consoles = [*added, CONSOLE]

    # ---- from other threads ------------------------------------------------------------------------------------------
    def _wake(self) -> None:
        self._stirred = True
        with self._changed:
            self._changed.notify_all()

    def nudge(self) -> None:
        """Have `stop` asked soon if the machine is idle. Any thread may call."""
        with self._changed:
            self._changed.notify_all()

    def request_reset(self) -> None:
        """Reset the guest as soon as may be. Any thread may call."""
        self._reset_wanted = True
        self._wake()

    def untold_warp(self, icount: int, warp_ns: int) -> Event | None:
        """Return the event that tells how far virtual time has come, if a recording ends here and the journal lacks it.

        Where a recording is cut, replay does not jump by itself.
        """
        if self._told_warp == (icount, warp_ns) or self._told_warp[0] != icount:
            return None
        return Event(icount, EventKind.WARP, "", "", b"", warp_ns)

    def is_settled(self, icount: int) -> bool:
        """Return whether nothing more happens at a position at which the machine has stopped; not while it is idle."""
        return self._settled == icount

    # ---- EventSource -------------------------------------------------------------------------------------------------
    def next_icount(self) -> int:
        return self._next_icount

    def take(self, now: Now) -> Event | None:
        icount = now.icount
        if icount == self._settled:
            return None
        if not self._stirred and icount < self._next_icount and now.warp_ns == self._calm_warp_ns and not now.idle:
            self._settled = icount
            return None
        return self._look(now)

    def _look(self, now: Now) -> Event | None:
        """See what happens at this moment, and if nothing does, when something will."""
        self._stirred = False
        if self._told_warp[0] != now.icount:
            self._told_warp = now.icount, now.warp_ns
        event, self._ready = self._ready, None
        if event is None:
            event = self._due(now)
        if event is not None:
            self._stirred = True
            self._told_warp = event.icount, event.warp_ns
        elif not now.idle:
            self._settled = now.icount
            self._next_icount, self._calm_warp_ns = self._later(now), now.warp_ns
            if self.until_ns is not None and now.virtual_ns >= self.until_ns:
                self.on_until()
        return event

    def listens(self) -> bool:
        return self.console_input.listens

    def idle_until(self) -> int:
        expects = not self.console_input.done or self._was_live or not self._requests.empty
        return 0 if expects or self.until_ns is not None or self._reset_wanted or self._stopping else FOREVER

    def room(self, device: str, size: int) -> None:
        if device in self._consoles:
            self._stirred = True
            self._rooms[device] = size
            if device == CONSOLE:
                self._fifo = self._fifo or size > 1

    def console(self, step: int, data: bytes) -> None:
        self._stirred = True
        self.console_input.printed(step, data)

    def reset(self) -> None:
        self._stirred = True
        self._fifo = False
        self._requests.reset()

    def scheduled(self, device: str, name: str, request: bytes, oneshot: bool) -> None:
        self._stirred = True
        self._requests.scheduled((device, name), request, oneshot)

    def medium(self, device: str, number: int) -> bytes | None:
        key = device, number
        if key in self._blocks:
            packed = self._blocks[key]
            return None if packed is None else lz4.block.decompress(packed)
        read = self._media.get(device)
        if read is None:
            raise RrdbgError(f"device {device} has no medium", hint="--drive file=IMAGE", exit_code=ExitCode.USAGE)
        block = read(number)
        self._blocks[key] = None if block is None else lz4.block.compress(block)
        self.on_block(device, number, block)
        return block

    def stored(self, name: bytes) -> bytes | None:
        return None

    @property
    def _console(self) -> str:
        """The device that takes input now: an added console once its driver has given it a buffer, or the UART."""
        return next((name for name in self._consoles if self._rooms.get(name)), CONSOLE)

    @property
    def _room(self) -> int:
        return self._rooms.get(self._console, 0)

    # ---- what happens now --------------------------------------------------------------------------------------------
    def _due(self, now: Now) -> Event | None:
        """Return the next event at this very moment."""
        if self._reset_wanted:
            self._reset_wanted = False
            return _event(now, EventKind.RESET, "")
        self._requests.advance(now.virtual_ns)
        return self._requests.take(now) or self._input(now)

    def _input(self, now: Now) -> Event | None:
        size = self._takes(now)
        if size:
            self._input_ns = now.virtual_ns
            return _event(now, EventKind.UART_INPUT, self._console, self.console_input.take(size, now))
        if self._detached(now):
            self._was_live = False
            return _event(now, EventKind.DETACH, CONSOLE)
        return None

    def _takes(self, now: Now) -> int:
        """Return how many bytes of input go in now."""
        offered = self.console_input.offer(now, self._room)
        wanted = min(offered, BATCH) if self._fifo and self._console == CONSOLE else 1
        if self._room < wanted and not now.idle and now.virtual_ns < self._input_ns + PATIENCE_NS:
            return 0
        return min(offered, self._room)

    def _detached(self, now: Now) -> bool:
        """Return whether a live console was closed and all of its input is in."""
        return self._was_live and not self.console_input.live and not self.console_input.offer(now, self._room)

    # ---- what happens later ------------------------------------------------------------------------------------------
    def _later_ns(self, now: Now) -> int | None:
        """Return the virtual time of the next event that only time brings, those of devices aside."""
        moments = [self._requests.next_ns()]
        if self._room:
            moments.append(self.console_input.wake(now).virtual_ns)
            if self.console_input.offer(now, self._room):
                moments.append(self._input_ns + PATIENCE_NS)
        # input may have come this very moment, long after its patience began
        return min((max(moment, now.virtual_ns) for moment in moments if moment is not None), default=None)

    def _later(self, now: Now) -> int:
        """Return the icount of the next event that only time brings."""
        icount = self.console_input.wake(now).icount
        for due_ns in (self._later_ns(now), self.until_ns):
            if due_ns is not None:
                icount = min(icount, now.icount + (-(-(due_ns - now.virtual_ns) >> self._shift)))
        return max(icount, now.icount + 1)

    # ---- idle --------------------------------------------------------------------------------------------------------
    def idle(self, now: Now) -> str:
        if self._idle_icount != now.icount:
            self._idle_icount, self._idle_began, self._idle_ns = now.icount, self.clock.seconds(), now.virtual_ns
        late = self.until_ns is not None and now.virtual_ns >= self.until_ns
        if self._stopping or late:
            return self._finish(now, Idle.STOP)
        while True:
            if self.stop():
                return self._finish(now, Idle.STOP)
            live = self._live  # first: what ends from here on presses, or is waited for
            if self._pressing(now):
                return self._give(now, self._due(now))
            due_ns, deadline_ns = self._later_ns(now), now.deadline_ns
            until_ns = self.until_ns if live or due_ns is not None or deadline_ns is not None else None
            goal_ns = min((moment for moment in (due_ns, deadline_ns, until_ns) if moment is not None), default=None)
            if live and not (self._warp and goal_ns is not None):
                reached = self._wait(now, goal_ns)
                if reached is None:
                    return self._finish(now, Idle.STOP)
                if reached is not now:
                    return self._give(reached, self._due(reached))
            if goal_ns is None:
                return self._finish(now, Idle.END)
            if goal_ns == deadline_ns:
                return Idle.JUMP
            later = _at(now, goal_ns)
            if goal_ns == until_ns:
                self._stopping = True
                return self._finish(later, Idle.STOP)
            event = self._due(later)
            if event is not None:
                return self._give(later, event)
            # an EXTERNAL timer ran and had nothing for the guest

    @property
    def _live(self) -> bool:
        return self.console_input.live or self._requests.live

    def _give(self, later: Now, event: Event | None) -> str:
        """Let the machine take what happens at a moment."""
        self._ready = event or _event(later, EventKind.WARP, "")
        return Idle.EVENT

    def _finish(self, now: Now, how: str) -> str:
        """End the run here; the journal must know how far virtual time has come."""
        if self._told_warp != (now.icount, now.warp_ns):
            return self._give(now, None)
        return how

    def _wait(self, now: Now, goal_ns: int | None) -> Now | None:
        """Wait in host time until the virtual time `goal_ns` is due, or something happens.

        Returns:
            `now` itself once the time has come; the moment at which something happened; None if the run shall end.
        """
        while True:
            here_ns = self._idle_ns + int((self.clock.seconds() - self._idle_began) * 1e9)
            if goal_ns is not None and here_ns >= goal_ns:
                return now
            moment = _at(now, max(here_ns, now.virtual_ns))
            if self._pressing(moment):
                return moment
            if self.stop():
                return None
            timeout = TICK_S if goal_ns is None else min(TICK_S, (goal_ns - here_ns) / 1e9)
            with self._changed:
                if not self._pressing(moment):
                    self._changed.wait(timeout)

    def _pressing(self, now: Now) -> bool:
        """Return whether `_due` has something, without taking it."""
        return bool(self._takes(now) or self._requests.pressing or self._reset_wanted or self._detached(now))


def _event(now: Now, kind: EventKind, device: str, payload: bytes = b"") -> Event:
    return Event(now.icount, kind, device, "", payload, now.warp_ns)


def _at(now: Now, virtual_ns: int) -> Now:
    """Return the same idle machine at a later virtual time."""
    return replace(now, virtual_ns=virtual_ns, warp_ns=now.warp_ns + virtual_ns - now.virtual_ns)
