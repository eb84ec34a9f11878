"""The deterministic machine: hart, board and virtual clock, driven by events.

Position n is the state after every event, timer and warp at icount n and before step n; `run(n)` goes there. Between
steps the order is fixed: virtual timers that are due, then one event of the source, then timers again, and so on; last,
an idle machine warps its virtual clock. The order is the same in record and in replay, so that an event's place is its
icount and its rank alone.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import xxhash

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.devices import semihosting
from rrdbg_core.devices.clint import TICK_NS, Clint
from rrdbg_core.devices.contract import BusFault, Device
from rrdbg_core.devices.htif import Htif
from rrdbg_core.devices.plic import Plic
from rrdbg_core.devices.uart import Uart
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine import loader
from rrdbg_core.machine.config import MACHINE_VERSION, MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.halves import Halves
from rrdbg_core.machine.hosted import Hosted
from rrdbg_core.machine.outcome import Accesses, Blame, DeviceBroken, StopReason, blame
from rrdbg_core.machine.source import Divergence, EventSource, Idle, Now
from rrdbg_core.machine.state import Parts
from rrdbg_core.machine.stats import TIMED_ONE_IN, Meters, Stats
from rrdbg_core.machine.timers import NEVER_NS, Timers
from rrdbg_core.machine.virt import HTIF, Mapping, populate

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]
    MachineState = dict[str, Words]

__all__ = ["Accesses", "DeviceBroken", "Divergence", "Machine", "StopReason"]

SLICE = 1 << 21
"""Steps between looks at the source and at interruption, about 10 ms of host time."""
ACCESSES = 1 << 11
"""Device accesses between such looks, about as long."""
JUMPS = 1 << 12
"""Warps of an idle machine between looks at interruption."""
HTIF_GRACE_STEPS = 64
"""How long a half-written HTIF command waits for its other half."""
_M64 = (1 << 64) - 1
_HASH_MULTIPLIER = 0x9E3779B97F4A7C15

_BYTES = tuple(bytes((value,)) for value in range(256))
_OF_A_DEVICE = (EventKind.UART_INPUT, EventKind.BH, EventKind.BH_ONESHOT)

# words of the board's own state
_OFF, _EXIT_CODE, _RESETS, _RESET_WANTED = range(4)
_BOARD_NAMES = ("off", "exit_code", "resets", "reset_wanted")

# what `_irq` says of the interrupt controllers themselves
_CONTROLLER = -1


class Machine:
    """One computer.

    Args:
        config: What it is made of.
        images: Content of the images by digest.
        source: Where events come from.
        core: A guest CPU to use; a new one by default.
        progress: Told when the CPU has to be compiled.

    Raises:
        RrdbgError: It cannot be built; the text says why.
    """

    def __init__(
        self,
        config: MachineConfig,
        images: dict[str, bytes],
        source: EventSource,
        *,
        core: Core | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        if config.machine != MACHINE_VERSION:
            raise RrdbgError(
                f"the trace was made on machine {config.machine!r}, this rrdbg has {MACHINE_VERSION!r}",
                hint="use the version of rrdbg that recorded it",
                exit_code=ExitCode.BAD_TRACE,
            )
        self.config = config
        self.source = source
        self._programs = [
            (ref, loader.load(ref.kind, images[ref.digest], ref.name, ref.load_address)) for ref in config.images
        ]
        self.map: list[Mapping] = populate(config, self)
        program = xxhash.xxh3_128_digest("".join(ref.digest for ref in config.images).encode())
        self.core = Core(config.ram_bytes, program=program, progress=progress) if core is None else core
        self.memory = self.core.memory
        self.core.mach[L.SHIFT] = config.shift
        self.core.mach[L.SEMIHOSTING] = int(config.semihosting)
        # a memoryview hands out plain integers, three times as fast as an array does
        self._mach: memoryview[int] = memoryview(self.core.mach)  # type: ignore[arg-type]
        self._hart: memoryview[int] = memoryview(self.core.hart)  # type: ignore[arg-type]
        self._shift = config.shift
        self.board: Words = np.zeros(len(_BOARD_NAMES), np.uint64)
        self._board: memoryview[int] = memoryview(self.board)  # type: ignore[arg-type]
        self.on_console: Callable[[int, bytes], None] | None = None
        """Called with the step in which the guest prints, see `step`, and bytes.

        In time for what comes between steps, but not at once, if nothing `listens` and the kernel prints by itself.
        """
        self.listens = False
        """Whether `on_console` has to be called while the machine stands in the step, to stop it there for example."""
        self.on_event: Callable[[Event], None] | None = None
        """Called with each event once it is applied."""
        self.on_guest_error: Callable[[int, str, str], None] | None = None
        """Called with icount, device and text when the guest misuses a device."""
        self._on_access: Callable[[Accesses], None] | None = None
        self.on_store: Callable[[int, bytes], None] | None = None
        """Called with address and bytes before anything but the hart writes RAM."""
        self.on_answer: Callable[[int], None] | None = None
        """Called with what the host is about to put into a0, the answer to a semihosting call."""
        self.on_reset: Callable[[], None] | None = None
        """Called before the machine is reset."""
        self._serving = False  # a step waits for a device or for the host
        self._attention = False  # between two steps there is more to do than to go on
        self._stop_wanted = False
        self._set_up_devices()
        self.parts = Parts(self.core, self.board, _BOARD_NAMES, self.halves, self._halves.names(), self.devices)
        """The state, part by part."""
        self._hosted = Hosted(self)
        self._power_on()

    def _set_up_devices(self) -> None:
        """Lay the states of all devices side by side, and note who does what."""
        devices = [mapping.device for mapping in self.map]
        self._htif = self._find_htif()
        if self._htif is not None:
            devices.append(self._htif)
        self.devices: dict[str, Device] = {device.name: device for device in devices}
        self.device_words: Words = np.zeros(sum(device.state.size for device in devices), np.uint64)
        offset = 0
        for device in devices:
            device.bind(self.device_words[offset : offset + device.state.size])
            offset += device.state.size
        self.clint = next(device for device in devices if isinstance(device, Clint))
        self.plic = next(device for device in devices if isinstance(device, Plic))
        self.uart = next(device for device in devices if isinstance(device, Uart))
        self._starts = [mapping.address for mapping in self.map]
        self._irq = dict.fromkeys(devices, 0) | {mapping.device: mapping.irq for mapping in self.map}
        self._irq[self.clint] = self._irq[self.plic] = _CONTROLLER
        self.core.on_output = self._printed
        self._lend()
        self._consoles = [d for d in devices if type(d).can_receive is not Device.can_receive]
        self._rooms = [-1] * len(self._consoles)  # what the source knows
        self._meters = Meters([device.name for device in devices])
        self._metered = dict(zip(devices, self._meters.devices, strict=True))
        self._bus = [(m.address, m.size, m.device, self._metered[m.device].accesses) for m in self.map]
        self._timers = Timers(devices, self.clint)
        self._halves = Halves(devices)
        self.halves = self._halves.words

    def _find_htif(self) -> Htif | None:
        """Return the HTIF, where an ELF has the symbol tohost, and watch it."""
        symbols = next((p.symbols for _, p in self._programs if "tohost" in p.symbols), {})
        tohost, fromhost = symbols.get("tohost"), symbols.get("fromhost")
        if tohost is None or not self.memory.contains(tohost, 8):
            return None
        if fromhost is not None and not self.memory.contains(fromhost, 8):
            fromhost = None
        self.core.track([(tohost, 8)])
        return Htif(HTIF, self, tohost, fromhost, HTIF_GRACE_STEPS << self._shift)

    @property
    def on_access(self) -> Callable[[Accesses], None] | None:
        """Called with each device access; for divergence reports."""
        return self._on_access

    @on_access.setter
    def on_access(self, call: Callable[[Accesses], None] | None) -> None:
        self._on_access = call
        self._lend()

    def _lend(self) -> None:
        """Let the kernel do what it can of CLINT and UART by itself, unless somebody wants to see each access."""
        at = dict.fromkeys((self.clint, self.uart), 0)
        if self._on_access is None:
            at = {mapping.device: mapping.address for mapping in self.map}
        self.core.lend(self.clint.state.words, at[self.clint], self.uart.state.words, at[self.uart])

    # ---- power-on and reset ------------------------------------------------------------------------------------------
    def _load(self) -> None:
        """Put the images into RAM and the hart at the first instruction."""
        entry = self.config.entry
        if entry is None:
            entry = loader.entry([program for _, program in self._programs])
        for ref, program in self._programs:
            for address, data in loader.pieces(program, ref.name, self.memory.size):
                self._store(address, data)
        if entry & 1 or not self.memory.contains(entry, 2):
            raise loader.BadImage(f"the first instruction, 0x{entry:x}, does not lie in RAM")
        hart = self.core.hart
        hart[L.PC] = entry
        hart[L.X + 10] = hart[L.MHARTID]  # a0, as QEMU's reset vector leaves it

    def _power_on(self) -> None:
        """Put devices, RAM and the hart where a run starts."""
        for device in self.devices.values():
            with Blame(device, "reset", self.icount):
                device.reset()
        self._load()
        for device in self.devices.values():
            self.update_irq(device)
        self._timers.look()

    def reset(self) -> None:
        """Reset hart and devices and load the images again; other RAM stays, icount and virtual time go on."""
        if self.on_reset:
            self.on_reset()
        self.core.reset()
        self.halves[:] = 0
        self.source.reset()
        self.board[_RESET_WANTED] = 0
        self.board[_RESETS] += np.uint64(1)
        self._power_on()

    # ---- clocks ------------------------------------------------------------------------------------------------------
    @property
    def icount(self) -> int:
        """Steps since power-on."""
        return self._mach[L.ICOUNT]

    @property
    def step(self) -> int:
        """The step that what happens now belongs to: between two steps, the one before (-1 at the very start)."""
        return self.icount - (0 if self._serving else 1)

    @property
    def warp_ns(self) -> int:
        """Virtual time that was skipped while idle."""
        return self._mach[L.WARP_NS]

    def virtual_ns(self) -> int:
        """Return the virtual clock in ns."""
        mach = self._mach
        return (mach[L.ICOUNT] << self._shift) + mach[L.WARP_NS]

    def rtc_ns(self) -> int:
        """Return the guest's wall clock in ns since 1970."""
        return self.config.rtc_base_ns + self.virtual_ns()

    def mtime(self) -> int:
        """See `Board`."""
        return self.virtual_ns() // TICK_NS + self._mach[L.TIME_OFFSET] & _M64

    def set_mtime(self, ticks: int) -> None:
        """See `Board`."""
        self._mach[L.TIME_OFFSET] = ticks - self.virtual_ns() // TICK_NS & _M64

    # ---- running -----------------------------------------------------------------------------------------------------
    @property
    def ended(self) -> bool:
        """True once the guest has ended the run."""
        return bool(self.board[_OFF])

    @property
    def exit_code(self) -> int | None:
        """The guest's exit code, once it has ended the run."""
        return int(self.board[_EXIT_CODE]) if self.ended else None

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
            if passes >= ACCESSES or now - asked >= SLICE:
                if interrupt is not None and interrupt():
                    return StopReason.INTERRUPTED
                asked, passes = now, 0
            due = mach[L.DUE] = self._due(now)
            mach[L.UART_PRINTS] = int(not (self.listens or source.listens()))
            mach[L.IDLE_UNTIL] = source.idle_until() if self._timers.others_ns == NEVER_NS else 0
            stop = self._run_slice(min(until, now + SLICE, due))
            if stop is not None:
                return stop

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
            if board[_OFF]:
                return StopReason.EXIT
            if board[_RESET_WANTED]:
                self.reset()
            icount, warp_ns = mach[L.ICOUNT], mach[L.WARP_NS]
            now_ns = (icount << self._shift) + warp_ns
            if self._timers.next_ns <= now_ns:
                began_ns = time.perf_counter_ns()
                served = self._timers.serve(now_ns, icount)
                self._metered[served].deadlines.add(time.perf_counter_ns() - began_ns)
                continue
            for number, device in enumerate(self._consoles):
                room = device.can_receive()
                if room != self._rooms[number]:
                    self._rooms[number] = room
                    source.room(device.name, room)
            deadline_ns = self._timers.next_ns if self._timers.next_ns < NEVER_NS else None
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

    def schedule_bh_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """See `Board`."""
        self._schedule(device, name, request, oneshot=False)

    def schedule_bh_oneshot_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """See `Board`."""
        self._schedule(device, name, request, oneshot=True)

    def _schedule(self, device: Device, name: str, request: bytes, *, oneshot: bool) -> None:
        if self._halves.schedule(device, name, oneshot=oneshot):
            self._attention = True
            self.source.scheduled(device.name, name, request, oneshot)

    # ---- bus and interrupts ------------------------------------------------------------------------------------------
    def _device_access(self) -> None:
        """Carry out the access that the kernel asks for."""
        mach = self._mach
        address, size, write = mach[L.MMIO_ADDR], mach[L.MMIO_SIZE], mach[L.MMIO_WRITE]
        number = bisect_right(self._starts, address) - 1
        start, extent, device, meter = self._bus[number]
        offset = address - start
        if number < 0 or offset + size > extent or size not in device.access_sizes:
            self.core.mmio_done(ok=False)
            self._meters.nothing += 1
            if self._on_access:
                self._tell_access("nothing", "faults")
            return
        count = meter.count = meter.count + 1
        began_ns = 0 if count % TIMED_ONE_IN != 1 else time.perf_counter_ns()
        try:
            if write:
                device.write(offset, size, mach[L.MMIO_VALUE])
                mach[L.MMIO_STATE] = 2
            else:
                value = device.read(offset, size) & (1 << 8 * size) - 1
                self._fold(address, value)
                mach[L.MMIO_VALUE] = value
                mach[L.MMIO_STATE] = 2
            if self._timers.look_at(device):
                self._attention = True
        except BusFault:
            self.core.mmio_done(ok=False)
            if self._on_access:
                self._tell_access(device.name, "faults")
            return
        except Exception as error:
            blame(device, "write" if write else "read", self.icount, error)
            raise
        if began_ns:
            meter.time(time.perf_counter_ns() - began_ns)
        if self._on_access:
            self._tell_access(device.name, f"value 0x{mach[L.MMIO_VALUE]:x}")

    def _tell_access(self, device: str, result: str) -> None:
        assert self._on_access is not None
        mach = self._mach
        kind = "write" if mach[L.MMIO_WRITE] else "read"
        text = f"{kind} of {mach[L.MMIO_SIZE]} bytes at 0x{mach[L.MMIO_ADDR]:x}, {result}"
        self._on_access(Accesses(self.icount, device, text))

    def _semihosting(self) -> None:
        """Carry out the call that the hart makes."""
        hart = self._hart
        began_ns = time.perf_counter_ns()
        answer = semihosting.call(self._hosted, hart[L.X + 10], hart[L.X + 11])
        if self.on_answer:
            self.on_answer(answer)
        hart[L.X + 10] = answer
        self._attention = True
        self.core.semihosting_done()
        self._meters.semihosting.add(time.perf_counter_ns() - began_ns)

    def _fold(self, *values: int) -> None:
        """Fold what came from outside the CPU into the running hash of the check words."""
        acc = self._mach[L.ACC]
        for value in values:
            acc = (acc ^ value) * _HASH_MULTIPLIER & _M64
            acc ^= acc >> 29
        self._mach[L.ACC] = acc

    def update_irq(self, device: Device) -> None:
        """See `Board`."""
        irq = self._irq[device]
        if irq > 0:
            if device.irq_level():
                self.plic.raise_line(irq)
        elif irq < 0:
            # an interrupt controller: its own bits of mip
            old = self._hart[L.MIP]
            controller = cast("Clint | Plic", device)
            new = old & ~controller.MIP_BITS | controller.mip(0)
            if new != old:
                self._hart[L.MIP] = new
                self._fold(self.icount, new)
        if device in self._consoles:
            self._attention = True

    def dma_read(self, address: int, size: int) -> bytes:
        """See `Board`."""
        if not self.memory.contains(address, size):
            raise BusFault
        return self.memory.read(address, size)

    def dma_write(self, address: int, data: bytes) -> None:
        """See `Board`."""
        if not self.memory.contains(address, len(data)):
            raise BusFault
        self._store(address, data)
        self._fold(address, xxhash.xxh3_64_intdigest(data))

    def _store(self, address: int, data: bytes) -> None:
        """Write RAM on behalf of anything but the hart."""
        if self.on_store:
            self.on_store(address, data)
        self.core.write(address, data)

    # ---- what the guest says -----------------------------------------------------------------------------------------
    def console_out(self, device: Device, data: bytes) -> None:
        """See `Board`."""
        self.console_write(data)

    def console_write(self, data: bytes) -> None:
        """Print, whatever device it came from."""
        self._attention = True
        step = self.step
        self.source.console(step, data)
        if self.on_console:
            self.on_console(step, data)

    def _printed(self, steps: list[int], data: list[int]) -> None:
        """Hand on what the kernel printed by itself."""
        if on_console := self.on_console:
            for step, byte in zip(steps, data, strict=True):
                on_console(step, _BYTES[byte])

    def guest_error(self, device: Device, text: str) -> None:
        """See `Board`."""
        if self.on_guest_error:
            self.on_guest_error(self.icount, device.name, text)

    def power_off(self, exit_code: int) -> None:
        """See `Board`."""
        self._attention = True
        self.board[_OFF] = 1
        self.board[_EXIT_CODE] = exit_code & 0xFFFF

    def request_reset(self) -> None:
        """See `Board`."""
        self._attention = True
        self.board[_RESET_WANTED] = 1

    # ---- state -------------------------------------------------------------------------------------------------------
    def save(self) -> MachineState:
        """Return a copy of all state but RAM."""
        return self.parts.save()

    def restore(self, state: MachineState, *, order: Sequence[str] | None = None) -> None:
        """Put back a saved state, part by part, in any order: no part looks at another.

        Raises:
            RrdbgError: The state is not of this machine.
        """
        self.parts.restore(state, order)
        self._serving = False
        mach = self._mach
        mach[L.MMIO_STATE] = mach[L.SEMIHOSTED] = mach[L.TRACKED_HIT] = mach[L.HIT_INDEX] = mach[L.SKIP_BREAK] = 0
        mach[L.OUTPUT_ROWS] = 0
        self.core.flush_tlb()

    def differences(self, a: MachineState, b: MachineState) -> list[str]:
        """Return the fields in which two saved states differ, one line each."""
        return self.parts.differences(a, b)

    def shuffled(self, seed: int) -> list[str]:
        """Return the parts of the state in an order drawn from `seed`."""
        return self.parts.shuffled(seed)

    def stats(self) -> Stats:
        """Return what the machine has done since it was built, and what it cost the host."""
        return self._meters.stats(self.core)

    @property
    def device_accesses(self) -> int:
        """Accesses to devices, and calls of the host, that the kernel was left for since the machine was built.

        A function of the steps made, and of what listens. Accesses that the kernel serves cost as much as some tens of
        steps, and are not among them.
        """
        return self._meters.accesses

    def digest(self) -> bytes:
        """Return the 128-bit root hash of RAM and of every state word."""
        return self.parts.digest()


_WANTS = (Exit.MMIO_READ, Exit.MMIO_WRITE, Exit.SEMIHOST)
"""Exits that want something done before the step can complete."""
