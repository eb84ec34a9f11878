"""RISC-V semihosting: calls to the host that a guest makes by a magic sequence around ebreak.

RISC-V Semihosting 1.0, after Arm's specification (a0 holds the operation, a1 its argument or a block of arguments);
matches QEMU's semihosting/arm-compat-semi.c where the host does not show through. Carried out: console output, exit,
clocks. The clocks are the virtual one and the RTC. Console input is at its end; the console's handles need not be
opened. Files, commands and the command line of the host are refused with -1: a replay could not repeat them.

    0x01 OPEN    name, mode, length       only ":tt"; handle 1 reads, 2 writes, 3 appends (the error output)
    0x02 CLOSE   handle                   0x0a SEEK, 0x0c FLEN    refused: the console cannot
    0x03 WRITEC  -> one byte              0x10 CLOCK              hundredths of a second
    0x04 WRITE0  -> string                0x11 TIME               seconds since 1970
    0x05 WRITE   handle, buffer, length   0x13 ERRNO
    0x06 READ    handle, buffer, length   0x18 EXIT, 0x20 EXIT_EXTENDED   reason, code
    0x07 READC                            0x30 ELAPSED            ticks, stored in the block
    0x08 ISERROR, 0x09 ISTTY              0x31 TICKFREQ           ticks a second
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from rrdbg_core.devices.contract import BusFault

ADP_STOPPED_APPLICATION_EXIT = 0x20026
CONSOLE_IN, CONSOLE_OUT, CONSOLE_ERROR = 1, 2, 3
CONSOLE = range(CONSOLE_IN, CONSOLE_ERROR + 1)
TICKS_HZ = 1_000_000_000
MAX_STRING = 1 << 20
_M64 = (1 << 64) - 1
FAILED = -1
_EIO = 5


class Host(Protocol):
    """What a call may do."""

    def virtual_ns(self) -> int:
        """Return the virtual clock in ns."""
        ...

    def rtc_ns(self) -> int:
        """Return the guest's wall clock in ns since 1970."""
        ...

    def dma_read(self, address: int, size: int) -> bytes:
        """Read guest memory, or raise `BusFault`."""
        ...

    def dma_write(self, address: int, data: bytes) -> None:
        """Write guest memory, or raise `BusFault`."""
        ...

    def console_write(self, data: bytes) -> None:
        """Print."""
        ...

    def power_off(self, exit_code: int) -> None:
        """End the run."""
        ...

    def log(self, text: str) -> None:
        """Note that the guest asked for something that is not there."""
        ...


def call(host: Host, operation: int, argument: int) -> int:
    """Carry out one call and return what goes into a0."""
    function = _CALLS.get(operation)
    if function is None:
        host.log(f"semihosting call 0x{operation:x}: not offered")
        return FAILED & _M64
    try:
        return function(host, argument) & _M64
    except BusFault:
        host.log(f"semihosting call 0x{operation:x}: its arguments at 0x{argument:x} lie outside RAM")
        return FAILED & _M64


def _words(host: Host, address: int, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}Q", host.dma_read(address, 8 * count))


def _open(host: Host, block: int) -> int:
    address, mode, size = _words(host, block, 3)
    name = host.dma_read(address, min(size, 256))
    if name != b":tt" or mode > 11:
        host.log(f"semihosting: {name.decode('utf-8', 'replace')!r} was opened; only the console, ':tt', is offered")
        return FAILED
    return CONSOLE_IN + mode // 4


def _close(host: Host, block: int) -> int:
    return 0 if _words(host, block, 1)[0] in CONSOLE else FAILED


def _writec(host: Host, address: int) -> int:
    host.console_write(host.dma_read(address, 1))
    return 0


def _write0(host: Host, address: int) -> int:
    data = bytearray()
    while len(data) < MAX_STRING and (byte := host.dma_read(address + len(data), 1)) != b"\0":
        data += byte
    host.console_write(bytes(data))
    return 0


def _write(host: Host, block: int) -> int:
    """Return how many bytes were not written."""
    handle, address, size = _words(host, block, 3)
    if handle not in CONSOLE:
        return size
    count = min(size, MAX_STRING)
    host.console_write(host.dma_read(address, count))
    return size - count


def _read(host: Host, block: int) -> int:
    """Return how many bytes were not read: all of them."""
    return _words(host, block, 3)[2]


def _readc(host: Host, argument: int) -> int:
    host.log("semihosting: console input is not offered")
    return FAILED


def _iserror(host: Host, block: int) -> int:
    return _words(host, block, 1)[0] >> 63


def _istty(host: Host, block: int) -> int:
    return int(_words(host, block, 1)[0] in CONSOLE)


def _refuse(host: Host, argument: int) -> int:
    return FAILED


def _exit(host: Host, block: int) -> int:
    reason, code = _words(host, block, 2)
    host.power_off(code & 0xFF if reason == ADP_STOPPED_APPLICATION_EXIT else 1)
    return 0


def _elapsed(host: Host, block: int) -> int:
    host.dma_write(block, struct.pack("<Q", host.virtual_ns() * TICKS_HZ // 1_000_000_000 & _M64))
    return 0


_CALLS: dict[int, Callable[[Host, int], int]] = {
    0x01: _open,
    0x02: _close,
    0x03: _writec,
    0x04: _write0,
    0x05: _write,
    0x06: _read,
    0x07: _readc,
    0x08: _iserror,
    0x09: _istty,
    0x0A: _refuse,
    0x0C: _refuse,
    0x10: lambda host, argument: host.virtual_ns() // 10_000_000,
    0x11: lambda host, argument: host.rtc_ns() // 1_000_000_000,
    0x13: lambda host, argument: _EIO,
    0x15: _refuse,
    0x18: _exit,
    0x20: _exit,
    0x30: _elapsed,
    0x31: lambda host, argument: TICKS_HZ,
}
"""What each operation does."""
