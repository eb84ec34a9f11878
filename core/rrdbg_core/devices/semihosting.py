"""RISC-V semihosting: calls to the host that a guest makes by a magic sequence around ebreak.

RISC-V Semihosting 1.0, after Arm's specification: a0 holds the operation, a1 its argument or a block of arguments.
Carried out: console output, exit, clock. Everything that would reach files or the host's time is refused with -1, since
a replay could not repeat it.
"""

from __future__ import annotations

import struct
from typing import Protocol

from rrdbg_core.devices.contract import BusFault

SYS_OPEN, SYS_CLOSE, SYS_WRITEC, SYS_WRITE0, SYS_WRITE, SYS_READ, SYS_READC = 1, 2, 3, 4, 5, 6, 7
SYS_ISERROR, SYS_ISTTY, SYS_CLOCK, SYS_TIME, SYS_ERRNO = 8, 9, 0x10, 0x11, 0x13
SYS_EXIT, SYS_EXIT_EXTENDED, SYS_ELAPSED, SYS_TICKFREQ = 0x18, 0x20, 0x30, 0x31
ADP_STOPPED_APPLICATION_EXIT = 0x20026
MAX_STRING = 1 << 20
_M64 = (1 << 64) - 1
FAILED = _M64


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
    try:
        return _call(host, operation, argument) & _M64
    except BusFault:
        host.log(f"semihosting call 0x{operation:x}: its arguments at 0x{argument:x} lie outside RAM")
        return FAILED


def _words(host: Host, address: int, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}Q", host.dma_read(address, 8 * count))


def _string(host: Host, address: int) -> bytes:
    data = b""
    while len(data) < MAX_STRING:
        byte = host.dma_read(address + len(data), 1)
        if byte == b"\0":
            break
        data += byte
    return data


def _call(host: Host, operation: int, argument: int) -> int:
    match operation:
        case 3:
            host.console_write(host.dma_read(argument, 1))
            return 0
        case 4:
            host.console_write(_string(host, argument))
            return 0
        case 1:
            return _open(host, argument)
        case 2:
            return 0
        case 5:
            handle, address, size = _words(host, argument, 3)
            if handle not in (1, 2):
                return size
            host.console_write(host.dma_read(address, min(size, MAX_STRING)))
            return max(size - MAX_STRING, 0)
        case 8:
            return int(_words(host, argument, 1)[0] >> 63)
        case 9:
            return int(_words(host, argument, 1)[0] <= 2)
        case 0x10:
            return host.virtual_ns() // 10_000_000
        case 0x11:
            return host.rtc_ns() // 1_000_000_000
        case 0x13:
            return 0
        case 0x18:
            # on 64 bits the argument is a block: reason, subcode
            reason, subcode = _words(host, argument, 2)
            host.power_off(subcode & 0xFF if reason == ADP_STOPPED_APPLICATION_EXIT else 1)
            return 0
        case 0x20:
            reason, subcode = _words(host, argument, 2)
            host.power_off(subcode & 0xFF if reason == ADP_STOPPED_APPLICATION_EXIT else 1)
            return 0
        case 0x31:
            return 1_000_000_000
        case _:
            host.log(f"semihosting call 0x{operation:x}: not offered")
            return FAILED


def _open(host: Host, argument: int) -> int:
    """Open ":tt", the console; nothing else can be opened."""
    address, mode, size = _words(host, argument, 3)
    if host.dma_read(address, min(size, 64)) != b":tt":
        host.log("semihosting: a file was opened; only the console, ':tt', is offered")
        return FAILED
    return 0 if mode < 4 else 1 if mode < 8 else 2
