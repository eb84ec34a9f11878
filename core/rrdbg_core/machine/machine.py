"""The deterministic machine: hart, board and virtual clock, driven by events.

Position n is the state after every event, timer and warp at icount n and before step n; `run(n)` goes there. Between
steps the order is fixed: virtual timers that are due, then one event of the source, then timers again, and so on; last,
an idle machine warps its virtual clock. The order is the same in record and in replay, so that an event's place is its
icount and its rank alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xxhash

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.devices import semihosting
from rrdbg_core.devices.clint import Clint
from rrdbg_core.devices.contract import BusFault, Device
from rrdbg_core.devices.plic import Plic
from rrdbg_core.devices.uart import Uart
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine import loader
from rrdbg_core.machine.config import MACHINE_VERSION, MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.source import Divergence, EventSource, Idle, Now
from rrdbg_core.machine.virt import Mapping, populate

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]
    MachineState = dict[str, Words]

SLICE = 1 << 21
"""Steps between looks at the source and at interruption, about 10 ms of host time."""
_M64 = (1 << 64) - 1
_HASH_MULTIPLIER = 0x9E3779B97F4A7C15

_OF_A_DEVICE = (EventKind.UART_INPUT, EventKind.BH, EventKind.BH_ONESHOT)

# words of the board's own state
_OFF, _EXIT_CODE, _RESETS, _RESET_WANTED = range(4)
_BOARD_WORDS = 4


class StopReason(Enum):
    """Why `Machine.run` came back."""

    LIMIT = "limit"
    """The icount asked for is reached."""
    BREAKPOINT = "breakpoint"
    """pc stands at a breakpoint."""
    WATCHPOINT = "watchpoint"
    """The last step hit a watch; `Core.hit` tells which."""
    EXIT = "exit"
    """The guest ended the run."""
    IDLE = "idle"
    """The guest sleeps for ever and no input is left."""
    INTERRUPTED = "interrupted"
    """The caller asked to stop, or the recording ends here."""


@dataclass(frozen=True, slots=True)
class Accesses:
    """What devices did in one step, for reports."""

    icount: int
    """The step."""
    device: str
    """Device."""
    text: str
    """What was read or written."""


class Machine:
    """One computer.

    Args:
        config: What it is made of.
        images: Content of the images by digest.
        source: Where events come from.
        core: A guest CPU to use; a new one by default.
        progress: Told when the CPU has to be compiled.
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
        self.core = Core(config.ram_bytes, progress=progress) if core is None else core
        self.memory = self.core.memory
        self._programs = [
            (ref, loader.load(ref.kind, images[ref.digest], ref.name, ref.load_address)) for ref in config.images
        ]
        self.core.mach[L.SHIFT] = config.shift
        self.core.mach[L.SEMIHOSTING] = int(config.semihosting)
        self.board: Words = np.zeros(_BOARD_WORDS, np.uint64)
        self.map: list[Mapping] = populate(config, self)
        self.devices: dict[str, Device] = {m.device.name: m.device for m in self.map}
        self._irq = {m.device.name: m.irq for m in self.map}
        self._timed = [m.device for m in self.map if type(m.device).next_deadline_ns is not Device.next_deadline_ns]
        self.clint, self.plic, self.uart = (self._the(kind) for kind in (Clint, Plic, Uart))
        self._halves = [(m.device.name, name) for m in self.map for name in m.device.bottom_halves]
        # pending bottom halves: for each, plain (0 or 1) and oneshot (a count)
        self.halves: Words = np.zeros(2 * len(self._halves), np.uint64)
        self._state_words = {owner: np.array(L.state_words(owner)) for owner in ("hart", "mach")}
        self._bind_devices()
        self.on_console: Callable[[int, bytes], None] | None = None
        """Called with the step in which the guest prints, see `step`, and bytes."""
        self.on_event: Callable[[Event], None] | None = None
        """Called with each event once it is applied."""
        self.on_guest_error: Callable[[int, str, str], None] | None = None
        """Called with icount, device and text when the guest misuses a device."""
        self.on_access: Callable[[Accesses], None] | None = None
        """Called with each device access; for divergence reports."""
        self.on_store: Callable[[int, bytes], None] | None = None
        """Called with address and bytes before anything but the hart writes RAM."""
        self._serving = False  # a step waits for a device or for the host
        self._hash_generation = 0
        self._page_hashes: npt.NDArray[np.uint8] = np.zeros((0, 16), np.uint8)
        self._hosted = _Host(self)
        self._track_htif()
        self._load()

    def _the(self, kind: type) -> Device:
        return next(m.device for m in self.map if isinstance(m.device, kind))

    def _bind_devices(self) -> None:
        """Lay the states of all devices side by side."""
        total = sum(device.state.size for device in self.devices.values())
        self.device_words: Words = np.zeros(total, np.uint64)
        offset = 0
        for device in self.devices.values():
            device.bind(self.device_words[offset : offset + device.state.size])
            offset += device.state.size

    # ---- power-on and reset ------------------------------------------------------------------------------------------
    def _load(self) -> None:
        """Put the images into RAM and the hart at the first instruction."""
        entry = self.config.entry
        for _, program in self._programs:
            for segment in program.segments:
                if not self.memory.contains(segment.address, segment.size):
                    raise loader.BadImage(
                        f"bytes 0x{segment.address:x} to 0x{segment.address + segment.size - 1:x} of the image lie "
                        f"outside RAM (0x80000000 to 0x{0x8000_0000 + self.memory.size - 1:x})",
                        hint="link the guest at 0x80000000, or give it more RAM with --memory",
                    )
                self._store(segment.address, segment.data.ljust(segment.size, b"\0"))
            entry = program.entry if entry is None else entry
        if entry is not None and (entry & 1 or not self.memory.contains(entry, 2)):
            raise loader.BadImage(f"the first instruction, 0x{entry:x}, does not lie in RAM")
        hart = self.core.hart
        hart[L.PC] = 0x8000_0000 if entry is None else entry
        hart[L.X + 10] = hart[L.MHARTID]  # a0, as QEMU's reset vector leaves it

    def _track_htif(self) -> None:
        """Watch tohost, where an ELF has it."""
        self._tohost = next((p.symbols["tohost"] for _, p in self._programs if "tohost" in p.symbols), None)
        if self._tohost is not None and self.memory.contains(self._tohost, 8):
            self.core.track([(self._tohost, 8)])

    def reset(self) -> None:
        """Reset hart and devices and load the images again; icount and virtual time go on."""
        self.core.reset()
        for device in self.devices.values():
            device.reset()
        self.halves[:] = 0
        self.source.reset()
        self.board[_RESET_WANTED] = 0
        self.board[_RESETS] += np.uint64(1)
        self._load()
        for device in self.devices.values():
            self.update_irq(device)

    # ---- clocks ------------------------------------------------------------------------------------------------------
    @property
    def icount(self) -> int:
        """Steps since power-on."""
        return int(self.core.mach[L.ICOUNT])

    @property
    def warp_ns(self) -> int:
        """Virtual time that was skipped while idle."""
        return int(self.core.mach[L.WARP_NS])

    def virtual_ns(self) -> int:
        """Return the virtual clock in ns."""
        mach = self.core.mach
        return (int(mach[L.ICOUNT]) << self.config.shift) + int(mach[L.WARP_NS])

    @property
    def step(self) -> int:
        """The step that what happens now belongs to: between two steps, the one before (-1 at the very start)."""
        return self.icount - (0 if self._serving else 1)

    def rtc_ns(self) -> int:
        """Return the guest's wall clock in ns since 1970."""
        return self.config.rtc_base_ns + self.virtual_ns()

    def _deadline(self) -> int | None:
        """Return the next virtual deadline in ns."""
        deadlines = [d for d in (device.next_deadline_ns() for device in self._timed) if d is not None]
        return min(deadlines) if deadlines else None

    def _icount_at(self, deadline_ns: int) -> int:
        """Return the first icount at which the virtual clock has reached a deadline."""
        shift = self.config.shift
        return -(-(deadline_ns - self.warp_ns) >> shift) if deadline_ns > self.warp_ns else 0

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
        """
        core = self.core
        while True:
            stop = self._settle()
            if stop is not None:
                return stop
            now = core.icount
            if now >= until:
                return StopReason.LIMIT
            if interrupt is not None and interrupt():
                return StopReason.INTERRUPTED
            stop = self._run_slice(min(until, self._limit(now)))
            if stop is not None:
                return stop

    def _limit(self, now: int) -> int:
        """Return up to where nothing but the guest itself can happen."""
        limit = min(now + SLICE, self.source.next_icount())
        deadline = self._deadline()
        if deadline is not None:
            limit = min(limit, self._icount_at(deadline))
        if limit <= now and self.source.next_icount() <= now:
            raise Divergence(f"at icount {now}: the journal has an event here that does not fit what the guest does")
        return max(limit, now + 1)

    def _run_slice(self, limit: int) -> StopReason | None:
        """Run the core; serve what single steps want from the machine. Position `limit` is left to `_settle`."""
        core = self.core
        reason = core.run(limit)
        while True:
            if reason in (Exit.MMIO_READ, Exit.MMIO_WRITE):
                self._serving = True
                self._device_access()
                self._serving = False
                # a device may have moved its deadline: complete this one step, then look again
                reason = core.run(core.icount + 1)
                if reason not in (Exit.MMIO_READ, Exit.MMIO_WRITE, Exit.SEMIHOST):
                    return self._stop(reason)
            elif reason == Exit.SEMIHOST:
                hart = core.hart
                self._serving = True
                hart[L.X + 10] = semihosting.call(self._hosted, int(hart[L.X + 10]), int(hart[L.X + 11]))
                self._serving = False
                core.semihosting_done()
                reason = core.run(core.icount + 1)
            else:
                return self._stop(reason)

    def _stop(self, reason: Exit) -> StopReason | None:
        if self.core.tracked_hit:
            self.core.mach[L.TRACKED_HIT] = 0
            self._htif()
        if reason == Exit.BREAK:
            return StopReason.BREAKPOINT
        if reason == Exit.WATCH:
            return StopReason.WATCHPOINT
        return None

    def _settle(self) -> StopReason | None:
        """Do everything that is due at this icount; return a reason to stop, or None at a proper position."""
        core, source = self.core, self.source
        while True:
            if self.board[_OFF]:
                return StopReason.EXIT
            if self.board[_RESET_WANTED]:
                self.reset()
            now = self._now()
            if now.deadline_ns is not None and now.deadline_ns <= now.virtual_ns:
                for device in self._timed:
                    deadline = device.next_deadline_ns()
                    if deadline is not None and deadline <= now.virtual_ns:
                        device.on_deadline()
                continue
            for device in (self.uart,):
                source.room(device.name, device.can_receive())
            event = source.take(now)
            if event is not None:
                self.apply(event)
                continue
            if not now.idle:
                return None
            match source.idle(now):
                case Idle.JUMP if now.deadline_ns is not None:
                    core.mach[L.WARP_NS] += np.uint64(now.deadline_ns - now.virtual_ns)
                case Idle.EVENT:
                    continue
                case Idle.STOP:
                    return StopReason.INTERRUPTED
                case _:
                    return StopReason.IDLE

    def _now(self) -> Now:
        hart, mach = self.core.hart, self.core.mach
        idle = bool(hart[L.WFI]) and not int(hart[L.MIP]) & int(hart[L.MIE])
        return Now(int(mach[L.ICOUNT]), self.virtual_ns(), int(mach[L.WARP_NS]), idle, self._deadline())

    # ---- events ------------------------------------------------------------------------------------------------------
    def apply(self, event: Event) -> None:
        """Apply one event at the present icount.

        Raises:
            Divergence: The event does not fit the machine's state.
        """
        where = f"at icount {event.icount}: the journal's {event.kind.name} event"
        if event.device not in self.devices and (event.device or event.kind in _OF_A_DEVICE):
            raise Divergence(f"{where} names a device {event.device!r} that the machine does not have")
        self.core.mach[L.WARP_NS] = event.warp_ns
        # place and content of every event tell in the next check word, even if the guest never looks at it
        text = f"{event.device}\0{event.name}\0".encode() + event.payload
        self._fold(self.icount, event.kind, event.warp_ns, xxhash.xxh3_64_intdigest(text))
        match event.kind:
            case EventKind.UART_INPUT:
                self.devices[event.device].receive(event.payload)
            case EventKind.BH | EventKind.BH_ONESHOT:
                self._complete(event, where)
            case EventKind.RESET:
                self.reset()
            case EventKind.WARP | EventKind.DETACH:
                pass
        if self.on_event:
            self.on_event(event)

    def _complete(self, event: Event, where: str) -> None:
        key = (event.device, event.name)
        if key not in self._halves:
            raise Divergence(f"{where} names a bottom half {event.device}.{event.name} that does not exist")
        index = 2 * self._halves.index(key) + int(event.kind == EventKind.BH_ONESHOT)
        if not self.halves[index]:
            raise Divergence(f"{where} completes {event.device}.{event.name}, which is not pending")
        self.halves[index] -= np.uint64(1)
        self.devices[event.device].bottom_half(event.name, event.payload)

    def schedule_bh_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """See `Board`."""
        self._schedule(device, name, request, oneshot=False)

    def schedule_bh_oneshot_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """See `Board`."""
        self._schedule(device, name, request, oneshot=True)

    def _schedule(self, device: Device, name: str, request: bytes, *, oneshot: bool) -> None:
        index = 2 * self._halves.index((device.name, name))
        if oneshot:
            self.halves[index + 1] += np.uint64(1)
        elif self.halves[index]:
            return
        else:
            self.halves[index] = 1
        self.source.scheduled(device.name, name, request, oneshot)

    # ---- bus and interrupts ------------------------------------------------------------------------------------------
    def _device_access(self) -> None:
        """Carry out the access that the kernel asks for."""
        mach = self.core.mach
        address, size, write, value = (int(word) for word in mach[L.MMIO_ADDR : L.MMIO_VALUE + 1])
        mapping = next((m for m in self.map if m.address <= address < m.address + m.size), None)
        try:
            if mapping is None or size not in mapping.device.access_sizes:
                raise BusFault
            offset = address - mapping.address
            if write:
                mapping.device.write(offset, size, value)
                value = 0
            else:
                value = mapping.device.read(offset, size) & (1 << 8 * size) - 1
                self._fold(address, value)
        except BusFault:
            self.core.mmio_done(ok=False)
        else:
            self.core.mmio_done(value)
        if self.on_access:
            name = mapping.device.name if mapping else "nothing"
            kind = "write" if write else "read"
            text = f"{kind} of {size} bytes at 0x{address:x}, value 0x{int(mach[L.MMIO_VALUE]):x}"
            self.on_access(Accesses(self.icount, name, text))

    def _fold(self, *values: int) -> None:
        """Fold what came from outside the CPU into the running hash of the check words."""
        acc = int(self.core.mach[L.ACC])
        for value in values:
            acc = (acc ^ value) * _HASH_MULTIPLIER & _M64
            acc ^= acc >> 29
        self.core.mach[L.ACC] = acc

    def update_irq(self, device: Device) -> None:
        """See `Board`."""
        irq = self._irq[device.name]
        if irq:
            level = device.irq_level()
            plic = self.plic
            assert isinstance(plic, Plic)
            if bool(plic.state.level[irq]) != level:
                plic.set_line(irq, level)
        elif isinstance(device, Clint | Plic):
            mask = 0x888 & (0x88 if isinstance(device, Clint) else 0x800)
            hart = self.core.hart
            old = int(hart[L.MIP])
            new = old & ~mask | device.mip(0)
            if new != old:
                hart[L.MIP] = new
                self._fold(self.icount, new)

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
        step = self.step
        self.source.console(step, data)
        if self.on_console:
            self.on_console(step, data)

    def guest_error(self, device: Device, text: str) -> None:
        """See `Board`."""
        if self.on_guest_error:
            self.on_guest_error(self.icount, device.name, text)

    def power_off(self, exit_code: int) -> None:
        """See `Board`."""
        self.board[_OFF] = 1
        self.board[_EXIT_CODE] = exit_code & 0xFFFF

    def request_reset(self) -> None:
        """See `Board`."""
        self.board[_RESET_WANTED] = 1

    def _htif(self) -> None:
        """Look at tohost: bit 0 ends the run, device 1 prints (Spike's host-target interface)."""
        assert self._tohost is not None
        value = int.from_bytes(self.memory.read(self._tohost, 8), "little")
        if value == 0:
            return
        if value & 1 and value >> 48 == 0:
            self.power_off(value >> 1)
        elif value >> 48 == 0x0101:
            self.console_write(bytes([value & 0xFF]))
            self._store(self._tohost, bytes(8))

    # ---- state -------------------------------------------------------------------------------------------------------
    def save(self) -> MachineState:
        """Return a copy of all state but RAM."""
        state = {
            "hart0": self.core.hart[self._state_words["hart"]].copy(),
            "mach": self.core.mach[self._state_words["mach"]].copy(),
            "board": self.board.copy(),
            "bottom_halves": self.halves.copy(),
        }
        for name, device in self.devices.items():
            state[f"device.{name}"] = device.state.words.copy()
        return state

    def restore(self, state: MachineState, *, order: Sequence[str] | None = None) -> None:
        """Put back a saved state, part by part, in any order: no part looks at another.

        Raises:
            RrdbgError: The state is not of this machine.
        """
        parts = self._parts()
        if set(state) != set(parts) or any(len(state[name]) != len(parts[name]) for name in parts):
            raise RrdbgError("the snapshot is of another machine", exit_code=ExitCode.BAD_TRACE)
        for name in order or list(state):
            if name == "hart0":
                self.core.hart[self._state_words["hart"]] = state[name]
            elif name == "mach":
                self.core.mach[self._state_words["mach"]] = state[name]
            else:
                parts[name][:] = state[name]
        self._serving = False
        mach = self.core.mach
        mach[L.MMIO_STATE] = mach[L.SEMIHOSTED] = mach[L.TRACKED_HIT] = mach[L.HIT_INDEX] = mach[L.SKIP_BREAK] = 0
        self.core._flush_tlb()

    def _parts(self) -> dict[str, Words]:
        hart, mach = self._state_words["hart"], self._state_words["mach"]
        parts = {
            "hart0": self.core.hart[hart],
            "mach": self.core.mach[mach],
            "board": self.board,
            "bottom_halves": self.halves,
        }
        return parts | {f"device.{name}": device.state.words for name, device in self.devices.items()}

    def shuffled(self, seed: int) -> list[str]:
        """Return the parts of the state in an order drawn from `seed`."""
        names = sorted(self._parts())
        random.Random(seed).shuffle(names)
        return names

    def digest(self) -> bytes:
        """Return the 128-bit root hash of RAM and of every state word."""
        if not len(self._page_hashes):
            zero = np.frombuffer(xxhash.xxh3_128_digest(bytes(PAGE_BYTES)), np.uint8)
            self._page_hashes = np.tile(zero, (self.memory.pages, 1))
        pages = self.core.dirty_pages(max(self._hash_generation, 1))
        self._hash_generation = self.core.new_generation()
        for page in pages.tolist():
            self._page_hashes[page] = np.frombuffer(xxhash.xxh3_128_digest(self.memory.page(page)), np.uint8)
        root = xxhash.xxh3_128(self._page_hashes.tobytes())
        for name, words in sorted(self.save().items()):
            root.update(name.encode())
            root.update(words.tobytes())
        return root.digest()


class _Host:
    """What semihosting calls may do."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.virtual_ns = machine.virtual_ns
        self.rtc_ns = machine.rtc_ns
        self.dma_read = machine.dma_read
        self.console_write = machine.console_write
        self.power_off = machine.power_off

    def log(self, text: str) -> None:
        """Note what the guest asked for in vain."""
        if self.machine.on_guest_error:
            self.machine.on_guest_error(self.machine.icount, "semihosting", text)
