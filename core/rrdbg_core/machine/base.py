"""What a machine consists of: hart, memory, devices, clocks, and whom it tells of what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import xxhash

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.devices.clint import TICK_NS, Clint
from rrdbg_core.devices.contract import Device
from rrdbg_core.devices.htif import Htif
from rrdbg_core.devices.plic import Plic
from rrdbg_core.devices.uart import Uart
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.isa.csr import INTERRUPTS, MENVCFG_ADUE, MENVCFG_STCE, MSTATUS_FS, SEI, STI
from rrdbg_core.machine import loader
from rrdbg_core.machine.config import MACHINE_VERSION, MachineConfig
from rrdbg_core.machine.events import Event
from rrdbg_core.machine.halves import Halves
from rrdbg_core.machine.hosted import Hosted, Served
from rrdbg_core.machine.objects import Objects
from rrdbg_core.machine.outcome import Accesses
from rrdbg_core.machine.source import EventSource
from rrdbg_core.machine.state import Parts
from rrdbg_core.machine.stats import Meters
from rrdbg_core.machine.timers import Timers
from rrdbg_core.machine.virt import HTIF, Mapping, populate

if TYPE_CHECKING:
    from rrdbg_core.machine.bus import Bus

    Words = npt.NDArray[np.uint64]

HTIF_GRACE_STEPS = 64
"""How long a half-written HTIF command waits for its other half."""
M64 = (1 << 64) - 1
OFF, EXIT_CODE, RESETS, RESET_WANTED = range(4)
"""Words of the board's own state."""
_BOARD_NAMES = ("off", "exit_code", "resets", "reset_wanted")
CONTROLLER = -1
"""What stands for the interrupt line of an interrupt controller."""


def program_of(config: MachineConfig) -> bytes:
    """Return what stands for a guest program among the compiled regions on disk: its images.

    Not the device tree: no code is in it, but random numbers for the kernel, others for each run.
    """
    tree = config.device_tree
    code = [ref.digest for ref in config.images if tree is None or ref.load_address != tree]
    return xxhash.xxh3_128_digest("".join(code).encode())


class MachineBase:
    """The machine before power-on; see `Machine`."""

    def __init__(
        self,
        config: MachineConfig,
        images: dict[str, bytes],
        source: EventSource,
        *,
        core: Core | None,
        progress: Callable[[str], None] | None,
    ) -> None:
        if config.machine != MACHINE_VERSION:
            raise RrdbgError(
                f"the trace was made on machine {config.machine!r}, this rrdbg has {MACHINE_VERSION!r}",
                hint="use the version of rrdbg that recorded it",
                exit_code=ExitCode.BAD_TRACE,
            )
        self.config = config
        self.source = source
        self.objects = Objects(lambda name: self.source.stored(name))
        """What the states of devices refer to."""
        self._programs = [
            (ref, loader.load(ref.kind, images[ref.digest], ref.name, ref.load_address)) for ref in config.images
        ]
        board = cast("Bus", self)  # whoever this is the base of
        self.map: list[Mapping] = populate(config, board)
        self.core = Core(config.ram_bytes, program=program_of(config), progress=progress) if core is None else core
        self.memory = self.core.memory
        self.core.mach[L.SHIFT] = config.shift
        self.core.mach[L.FLOAT] = MSTATUS_FS if config.isa == "rv64gc" else 0
        self.core.mach[L.SUPERVISOR] = int(config.privilege == "msu")
        if config.privilege == "msu":
            self.core.hart[L.MENVCFG] = MENVCFG_ADUE
        self._wired = INTERRUPTS | SEI if config.privilege == "msu" else INTERRUPTS  # lines that the hart has
        self.core.mach[L.SEMIHOSTING] = int(config.semihosting)
        self.core.mach[L.SBI] = int(config.firmware == "sbi")
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
        self.on_answer: Callable[[int, int], None] | None = None
        """Called with a register and what the host is about to put into it: a0, or a0 and then a1."""
        self.on_reset: Callable[[], None] | None = None
        """Called before the machine is reset."""
        self._serving = False  # a step waits for a device or for the host
        self._attention = False  # between two steps there is more to do than to go on
        self._stop_wanted = False
        self._set_up_devices()
        self.parts = Parts(self.core, self.board, _BOARD_NAMES, self.halves, self._halves.names(), self.devices)
        """The state, part by part."""
        self._hosted, self._firmware = Hosted(board), Served(board)

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
        self._irq[self.clint] = self._irq[self.plic] = CONTROLLER
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
        return Htif(HTIF, cast("Bus", self), tohost, fromhost, HTIF_GRACE_STEPS << self._shift)

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
        return self.virtual_ns() // TICK_NS + self._mach[L.TIME_OFFSET] & M64

    def set_mtime(self, ticks: int) -> None:
        """See `Board`."""
        self._mach[L.TIME_OFFSET] = ticks - self.virtual_ns() // TICK_NS & M64
        self.start_stimer()

    def start_stimer(self) -> None:
        """Compare time and stimecmp: raise or lower S mode's timer interrupt, and start the timer.

        As `start_stimer` in cpu/native/devices.py.
        """
        hart = self._hart
        if not hart[L.MENVCFG] & MENVCFG_STCE:
            return
        later = hart[L.STIMECMP] - self.mtime()
        due_ns = (self.virtual_ns() // TICK_NS + later) * TICK_NS
        hart[L.MIP] = hart[L.MIP] & ~STI if later > 0 else hart[L.MIP] | STI
        hart[L.STIMER] = due_ns + 1 if later > 0 and due_ns < 1 << 63 else 0

    @property
    def ended(self) -> bool:
        """True once the guest has ended the run."""
        return bool(self.board[OFF])

    @property
    def exit_code(self) -> int | None:
        """The guest's exit code, once it has ended the run."""
        return int(self.board[EXIT_CODE]) if self.ended else None
