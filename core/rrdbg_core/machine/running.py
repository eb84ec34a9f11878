"""The run loop: stretches of the core, and between two steps what is due there, in a fixed order."""

from __future__ import annotations

import time
from collections.abc import Callable

import xxhash

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Exit
from rrdbg_core.isa.csr import STI
from rrdbg_core.machine.base import OFF, RESET_WANTED
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.outcome import Blame, StopReason
from rrdbg_core.machine.power import Power
from rrdbg_core.machine.source import Divergence, Idle, Now
from rrdbg_core.machine.timers import NEVER_NS

FIRST_SLICE, SLICE = 1 << 21, 1 << 24
"""Steps between looks at the source and at interruption: of the first stretch, and at most."""
SLICE_NS = 4_000_000
"""Host time between such looks that stretches grow to. Each costs some ten microseconds, and the slowest guest code
takes ten milliseconds for `FIRST_SLICE`."""
ACCESSES = 1 << 11
"""Device accesses between such looks, about as long."""
JUMPS = 1 << 12
"""Warps of an idle machine between looks at interruption."""
_OF_A_DEVICE = (EventKind.UART_INPUT, EventKind.BH, EventKind.BH_ONESHOT)
_WANTS = (Exit.MMIO_READ, Exit.MMIO_WRITE, Exit.SEMIHOST, Exit.SBI)
"""Exits that want something done before the step can complete."""


class Running(Power):
    """The machine that runs."""

    _slice = FIRST_SLICE
    """Steps of the next stretch."""

    def run(self, until: int, *, interrupt: Callable[[], bool] | None = None) -> StopReason:
        """Run to position `until`, or until something stops the machine before that.

        Args:
            until: An icount. If it is not beyond the present one, only what is due here happens.
            interrupt: Asked about every 10 ms of host time; True stops the run between two steps.

        Raises:
            Divergence: The journal does not fit what the guest does.
            DeviceBroken: A device does what none may do.
        """
        meters, began_ns, began_cpu_ns = self._meters, time.perf_counter_ns(), time.thread_time_ns()
        try:
            return self._run(until, interrupt)
        finally:
            meters.host_ns += time.perf_counter_ns() - began_ns
            meters.cpu_ns += time.thread_time_ns() - began_cpu_ns

    def _run(self, until: int, interrupt: Callable[[], bool] | None) -> StopReason:
        # whatever happened to the state since the last run, nothing is remembered of it
        self._stop_wanted = False
        self._timers.look()
        self._rooms = [-1] * len(self._consoles)
        self._accesses = 0  # of the last slice
        mach, source = self._mach, self.source
        asked, passes = mach[L.ICOUNT], 0
        asked_ns = time.perf_counter_ns()
        while True:
            stop = self._settle(interrupt)
            if stop is not None:
                return stop
            now = mach[L.ICOUNT]
            if now >= until:
                return StopReason.LIMIT
            if self._stop_wanted:
                return StopReason.INTERRUPTED
            passes += 1 + self._accesses
            steps = min(self._slice, SLICE)
            if passes >= ACCESSES or now - asked >= steps:
                if interrupt is not None and interrupt():
                    return StopReason.INTERRUPTED
                now_ns = time.perf_counter_ns()
                self._fit(now - asked, now_ns - asked_ns)
                asked, asked_ns, passes = now, now_ns, 0
            due = mach[L.DUE] = self._due(now)
            mach[L.UART_PRINTS] = int(not (self.listens or source.listens()))
            mach[L.IDLE_UNTIL] = source.idle_until() if self._timers.others_ns == NEVER_NS else 0
            stop = self._run_slice(min(until, now + steps, due))
            if stop is not None:
                return stop

    def _fit(self, steps: int, ns: int) -> None:
        """Choose how long stretches are, by what the last one took."""
        if ns > 2 * SLICE_NS:
            self._slice = max(self._slice // 2, FIRST_SLICE)
        elif ns < SLICE_NS // 2 and steps >= self._slice:
            self._slice = min(self._slice * 2, SLICE)

    def stop_behind_step(self) -> None:
        """Let `run` come back at the next position: for those that the machine calls while it runs."""
        self._attention = self._stop_wanted = True

    def _due(self, now: int) -> int:
        """Return up to where nothing but the guest itself can happen."""
        asks = self.source.next_icount()
        if asks <= now:
            raise Divergence(f"at icount {now}: the journal has an event here that does not fit what the guest does")
        # the kernel sees to the CLINT's own deadline, and to those that the guest sets next
        due_ns = self._timers.others_ns if self._mach[L.CLINT_AT] else self._timers.next_ns
        if due_ns < NEVER_NS:
            # the first icount at which the virtual clock has reached the deadline
            return min(asks, -(-(due_ns - self.warp_ns) >> self._shift))
        return asks

    def _run_slice(self, limit: int) -> StopReason | None:
        """Run the core to `limit`, or until it is time to settle; serve what single steps want from the machine."""
        core = self.core
        accesses = ACCESSES
        reason = core.run(limit)
        while reason in _WANTS:
            self._serving = True
            if reason is Exit.SEMIHOST:
                self._semihosting()
            elif reason is Exit.SBI:
                self._sbi()
            else:
                self._device_access()
            self._serving = False
            accesses -= 1
            if self._attention or not accesses:
                self._mach[L.DUE] = self._mach[L.ICOUNT] + 1
                reason = core.run(self._mach[L.ICOUNT] + 1)
                break
            reason = core.run(limit)
        self._accesses = ACCESSES if reason is Exit.SERVED else ACCESSES - accesses
        if self._mach[L.TRACKED_HIT]:
            self._mach[L.TRACKED_HIT] = 0
            assert self._htif is not None
            began_ns = time.perf_counter_ns()
            self._htif.stored()
            self._timers.look_at(self._htif)
            self._metered[self._htif].accesses.add(time.perf_counter_ns() - began_ns)
        if reason is Exit.BREAK:
            return StopReason.BREAKPOINT
        if reason is Exit.WATCH:
            return StopReason.WATCHPOINT
        return None

    def _settle(self, interrupt: Callable[[], bool] | None) -> StopReason | None:
        """Do everything that is due at this icount; return a reason to stop, or None at a proper position."""
        mach, hart, board, source = self._mach, self._hart, self._board, self.source
        jumps = 0
        self._timers.look_at(self.clint)  # the kernel may have moved its deadline
        while True:
            self._attention = False
            if board[OFF]:
                return StopReason.EXIT
            if board[RESET_WANTED]:
                self.reset()
            icount, warp_ns = mach[L.ICOUNT], mach[L.WARP_NS]
            now_ns = (icount << self._shift) + warp_ns
            if self._timers.next_ns <= now_ns:
                began_ns = time.perf_counter_ns()
                served = self._timers.serve(now_ns, icount)
                self._metered[served].deadlines.add(time.perf_counter_ns() - began_ns)
                continue
            stimer_ns = hart[L.STIMER] - 1 if hart[L.STIMER] else NEVER_NS
            if stimer_ns <= now_ns:
                hart[L.STIMER] = 0
                hart[L.MIP] |= STI
                continue
            for number, device in enumerate(self._consoles):
                room = device.can_receive()
                if room != self._rooms[number]:
                    self._rooms[number] = room
                    source.room(device.name, room)
            next_ns = min(self._timers.next_ns, stimer_ns)
            deadline_ns = next_ns if next_ns < NEVER_NS else None
            idle = bool(hart[L.WFI]) and not hart[L.MIP] & hart[L.MIE]
            now = Now(icount, now_ns, warp_ns, idle, deadline_ns)
            event = source.take(now)
            if event is not None:
                self.apply(event)
                continue
            if not idle:
                return None
            match source.idle(now):
                case Idle.JUMP if deadline_ns is not None:
                    mach[L.WARP_NS] = warp_ns + deadline_ns - now_ns
                    jumps += 1
                    self._meters.warps += 1
                    if jumps % JUMPS == 0 and interrupt is not None and interrupt():
                        return StopReason.INTERRUPTED
                case Idle.EVENT:
                    continue
                case Idle.STOP:
                    return StopReason.INTERRUPTED
                case _:
                    return StopReason.IDLE

    # ---- events ------------------------------------------------------------------------------------------------------
    def apply(self, event: Event) -> None:
        """Apply one event at the present icount.

        Raises:
            Divergence: The event does not fit the machine's state.
            DeviceBroken: A device cannot take it.
        """
        where = f"at icount {event.icount}: the journal's {event.kind.name} event"
        device = self.devices.get(event.device)
        if device is None and (event.device or event.kind in _OF_A_DEVICE):
            raise Divergence(f"{where} names a device {event.device!r} that the machine does not have")
        self._mach[L.WARP_NS] = event.warp_ns
        self._meters.events += 1
        # place and content of every event tell in the next check word, even if the guest never looks at it
        text = f"{event.device}\0{event.name}\0".encode() + event.payload
        self._fold(self.icount, event.kind, event.warp_ns, xxhash.xxh3_64_intdigest(text))
        if event.kind is EventKind.RESET:
            self.reset()
        elif device is not None and event.kind in _OF_A_DEVICE:
            began_ns = time.perf_counter_ns()
            with Blame(device, f"an event {event.kind.name}", self.icount):
                if event.kind is EventKind.UART_INPUT:
                    device.receive(event.payload)
                else:
                    self._halves.complete(event, where)
                    device.bottom_half(event.name, event.payload)
                self._timers.look_at(device)
            self._metered[device].events.add(time.perf_counter_ns() - began_ns)
        if self.on_event:
            self.on_event(event)
