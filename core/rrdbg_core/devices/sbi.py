"""The built-in firmware: what S mode calls by ecall (RISC-V Supervisor Binary Interface 2.0).

a7 names the extension, a6 the function, a0 to a5 are arguments; the answer is an error in a0 and a value in a1 (of the
legacy extensions a0 alone). It is no code in the guest: the machine answers between two steps, as it does for
semihosting, so that a call takes no guest time, and nothing of it is in the guest's memory. There is one hart.

    0x10      BASE    version, what is there              0x53525354  SRST  power off, reset
    0x54494D45 TIME   stimecmp                            0x4442434E  DBCN  the console
    0x735049  IPI     SSIP                                0x00-0x08   the legacy extensions: timer, console, IPI,
    0x52464E43 RFENCE  nothing: caches keep up                        fences, shutdown
    0x48534D  HSM     the one hart has been started
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rrdbg_core.devices.contract import BusFault

SPEC_VERSION = 2 << 24
IMPLEMENTATION = 0x7272  # none of those that the specification lists
SUCCESS, FAILED, NOT_SUPPORTED, INVALID_PARAM, ALREADY_AVAILABLE = 0, -1, -2, -3, -6
BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN = 0x10, 0x54494D45, 0x735049, 0x52464E43, 0x48534D, 0x53525354, 0x4442434E
LEGACY = range(9)
ALL_HARTS = (1 << 64) - 1
STARTED = 0
RETENTIVE = 0
MAX_BYTES = 1 << 16
"""Bytes that one call writes or reads at most: the specification allows to carry out a part."""
_M64 = (1 << 64) - 1

Answer = tuple[int, int]
"""Error and value."""


class Firmware(Protocol):
    """What a call may do."""

    def set_timer(self, ticks: int) -> None:
        """Let S mode's timer interrupt pend from this time on, and not before."""
        ...

    def raise_software_interrupt(self, *, pending: bool) -> None:
        """Set or clear the software interrupt of S mode."""
        ...

    def wait(self) -> None:
        """Let the hart wait for an interrupt."""
        ...

    def console_write(self, data: bytes) -> None:
        """Print."""
        ...

    def console_read(self) -> int:
        """Return the next byte that was typed, -1 if there is none."""
        ...

    def dma_read(self, address: int, size: int) -> bytes:
        """Read guest memory, or raise `BusFault`."""
        ...

    def dma_write(self, address: int, data: bytes) -> None:
        """Write guest memory, or raise `BusFault`."""
        ...

    def power_off(self, exit_code: int) -> None:
        """End the run."""
        ...

    def request_reset(self) -> None:
        """Reset the machine after this step."""
        ...

    def log(self, text: str) -> None:
        """Note that the guest asked for something that is not there."""
        ...


def call(firmware: Firmware, extension: int, function: int, arguments: Sequence[int]) -> tuple[int, ...]:
    """Carry out one call.

    Args:
        firmware: What it may do.
        extension: a7.
        function: a6.
        arguments: a0 to a5.

    Returns:
        What goes into a0, or into a0 and a1.
    """
    if extension in LEGACY:
        return (_legacy(firmware, extension, arguments) & _M64,)
    carry_out = _EXTENSIONS.get(extension)
    if carry_out is None:
        error, value = NOT_SUPPORTED, 0
    else:
        error, value = carry_out(firmware, function, arguments)
    if error == NOT_SUPPORTED and extension != BASE:
        firmware.log(f"SBI call 0x{extension:x}, function {function}: not offered")
    return error & _M64, value & _M64


def _base(firmware: Firmware, function: int, arguments: Sequence[int]) -> Answer:
    match function:
        case 0:
            return SUCCESS, SPEC_VERSION
        case 1:
            return SUCCESS, IMPLEMENTATION
        case 2 | 4 | 5 | 6:  # the implementation's version, mvendorid, marchid, mimpid
            return SUCCESS, 0
        case 3:
            return SUCCESS, int(arguments[0] in LEGACY or arguments[0] in _EXTENSIONS)
    return NOT_SUPPORTED, 0


def _time(firmware: Firmware, function: int, arguments: Sequence[int]) -> Answer:
    if function != 0:
        return NOT_SUPPORTED, 0
    firmware.set_timer(arguments[0])
    return SUCCESS, 0


def _is_meant(mask: int, base: int) -> bool | None:
    """Return whether a hart mask names hart 0; None if it names others."""
    if base == ALL_HARTS:
        return True
    if base == 0 and mask <= 1:
        return bool(mask)
    return None if mask else False


def _ipi(firmware: Firmware, function: int, arguments: Sequence[int]) -> Answer:
    if function != 0:
        return NOT_SUPPORTED, 0
    meant = _is_meant(arguments[0], arguments[1])
    if meant is None:
        return INVALID_PARAM, 0
    if meant:
        firmware.raise_software_interrupt(pending=True)
    return SUCCESS, 0


def _rfence(firmware: Firmware, function: int, arguments: Sequence[int]) -> Answer:
    if function > 2:  # those of the hypervisor extension
        return NOT_SUPPORTED, 0
    return (INVALID_PARAM if _is_meant(arguments[0], arguments[1]) is None else SUCCESS), 0


def _hsm(firmware: Firmware, function: int, arguments: Sequence[int]) -> Answer:
    match function:
        case 0:
            return (INVALID_PARAM if arguments[0] else ALREADY_AVAILABLE), 0
        case 1:
            return FAILED, 0  # nobody would be left to start it again
        case 2:
            return (INVALID_PARAM, 0) if arguments[0] else (SUCCESS, STARTED)
        case 3 if arguments[0] & 0xFFFF_FFFF == RETENTIVE:
            firmware.wait()
            return SUCCESS, 0
    return NOT_SUPPORTED, 0


def _srst(firmware: Firmware, function: int, arguments: Sequence[int]) -> Answer:
    kind, reason = (argument & 0xFFFF_FFFF for argument in arguments[:2])
    if function != 0:
        return NOT_SUPPORTED, 0
    if kind > 2 or reason > 1:
        return INVALID_PARAM, 0
    if kind == 0:
        firmware.power_off(reason)
    else:
        firmware.request_reset()
    return SUCCESS, 0


def _dbcn(firmware: Firmware, function: int, arguments: Sequence[int]) -> Answer:
    match function:
        case 0 | 1:
            size, address = min(arguments[0], MAX_BYTES), arguments[1] | arguments[2] << 64
            try:
                data = firmware.dma_read(address, size)
                if function == 0:
                    firmware.console_write(data)
                    return SUCCESS, size
                typed = bytearray()
                while len(typed) < size and (byte := firmware.console_read()) >= 0:
                    typed.append(byte)
                firmware.dma_write(address, bytes(typed))
            except BusFault:
                return INVALID_PARAM, 0
            return SUCCESS, len(typed)
        case 2:
            firmware.console_write(bytes((arguments[0] & 0xFF,)))
            return SUCCESS, 0
    return NOT_SUPPORTED, 0


def _legacy(firmware: Firmware, extension: int, arguments: Sequence[int]) -> int:
    match extension:
        case 0:
            firmware.set_timer(arguments[0])
        case 1:
            firmware.console_write(bytes((arguments[0] & 0xFF,)))
        case 2:
            return firmware.console_read()
        case 3:
            firmware.raise_software_interrupt(pending=False)
        case 4:
            # the mask lies in memory; there is nobody else whom it could mean
            firmware.raise_software_interrupt(pending=True)
        case 8:
            firmware.power_off(0)
    return SUCCESS


_EXTENSIONS: dict[int, Callable[[Firmware, int, Sequence[int]], Answer]] = {
    BASE: _base,
    TIME: _time,
    IPI: _ipi,
    RFENCE: _rfence,
    HSM: _hsm,
    SRST: _srst,
    DBCN: _dbcn,
}
"""What each extension does."""
