"""What differs between operating systems, in one place: the raw terminal, signals, and reading what is typed.

POSIX and Windows have a raw terminal; elsewhere the terminal stays line by line, and everything else works.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

try:
    import termios
except ImportError:  # Windows, WebAssembly
    termios = None  # type: ignore[assignment]

if termios is not None:
    _RAW_INPUT = termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
    _RAW_INPUT |= termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    _RAW_LOCAL = termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN

POLL_S = 0.1
"""How long a reader sleeps before it looks whether it is still wanted."""


def is_terminal(fd: int) -> bool:
    """Return whether a descriptor is an open terminal."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


def is_repeatable(fd: int) -> bool:
    """Return whether a descriptor says the same each time it is read: a file on disk, or nothing at all."""
    try:
        info = os.fstat(fd)
        return stat.S_ISREG(info.st_mode) or (
            stat.S_ISCHR(info.st_mode) and info.st_rdev == os.stat(os.devnull).st_rdev
        )
    except OSError:
        return True


def same_terminal(one: int, other: int) -> bool:
    """Return whether what is written to both descriptors appears on one screen."""
    if not (is_terminal(one) and is_terminal(other)):
        return False
    a, b = os.fstat(one), os.fstat(other)
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


class RawTerminal:
    """While entered, keys reach us one by one, unechoed, Ctrl-C among them. Output processing stays on, as in QEMU.

    Whatever ends the block puts the terminal back. A stop from outside (SIGTSTP) puts it back too, and going on
    (SIGCONT) makes it raw again.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._saved: Any = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> RawTerminal:
        self._set_raw()
        self._catch("SIGTSTP", self._on_stop)
        self._catch("SIGCONT", self._on_continue)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        self._restore()

    def _catch(self, name: str, handler: Callable[[int, FrameType | None], None]) -> None:
        number = getattr(signal, name, None)
        if number is not None and threading.current_thread() is threading.main_thread():
            self._handlers[number] = signal.signal(number, handler)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # here we were continued
        signal.signal(number, self._on_stop)
        self._on_continue(number, frame)

    def _on_continue(self, number: int, frame: FrameType | None) -> None:
        # also after SIGSTOP, which cannot be caught: the shell has put its own modes back meanwhile
        with contextlib.suppress(OSError):  # the kernel sends SIGCONT too when the terminal goes away
            self._set_raw()

    def _set_raw(self) -> None:
        if sys.platform == "win32":
            self._saved = _windows_raw()
        elif termios is not None:
            try:
                mode = termios.tcgetattr(self.fd)
                if self._saved is None:  # a SIGCONT in between would find them raw: those just read are the user's
                    self._saved = [*mode[:6], [*mode[6]]]
                mode[0] &= ~_RAW_INPUT
                mode[3] &= ~_RAW_LOCAL
                mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
                termios.tcsetattr(self.fd, termios.TCSANOW, mode)
            except termios.error as error:  # which is no OSError
                raise OSError(*error.args) from error

    def _restore(self) -> None:
        saved, self._saved = self._saved, None
        if saved is None:
            return
        if sys.platform == "win32":
            _windows_restore(saved)
        elif termios is not None:
            # in the background, where a killed job may be, changing the terminal would stop us (SIGTTOU)
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
            with contextlib.suppress(termios.error, OSError):  # the terminal may be gone (SIGHUP)
                termios.tcsetattr(self.fd, termios.TCSANOW, saved)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


if sys.platform == "win32":
    # console modes: processed input (Ctrl-C), lines and echo off; virtual terminal sequences on
    _PROCESSED_LINE_ECHO, _VIRTUAL_TERMINAL = 0x7, 0x200

    def _windows_raw() -> int:
        import ctypes

        kernel = ctypes.windll.kernel32
        mode = ctypes.c_uint32()
        handle = kernel.GetStdHandle(-10)
        kernel.GetConsoleMode(handle, ctypes.byref(mode))
        kernel.SetConsoleMode(handle, mode.value & ~_PROCESSED_LINE_ECHO | _VIRTUAL_TERMINAL)
        return mode.value

    def _windows_restore(mode: int) -> None:
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.SetConsoleMode(kernel.GetStdHandle(-10), mode)


class StopSignals:
    """While entered, signals that ask a program to end only set `caught`; the second one raises KeyboardInterrupt."""

    NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")

    def __init__(self) -> None:
        self.caught: int | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for name in self.NAMES:
                number = getattr(signal, name, None)
                # nohup and `&` in a shell script hand down ignored signals; they stay ignored
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.caught is not None:
            raise KeyboardInterrupt
        self.caught = number


class Reader:
    """Reads a descriptor in a thread of its own and hands over what comes; daemon, so that nothing waits for it.

    Args:
        fd: What to read.
        on_data: Called with what was read, in the reader's thread.
        on_end: Called once at the end of the input, or when reading fails.
    """

    def __init__(self, fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._fd = fd
        self._on_data, self._on_end = on_data, on_end
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rrdbg-input", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; what was typed ahead stays for the shell where the system allows it."""
        self._stop.set()
        if sys.platform != "win32" and self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(2 * POLL_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._ready():
                    continue
                data = os.read(self._fd, 4096)
            except OSError:  # EIO: the terminal is gone
                data = b""
            if not data:
                self._on_end()
                return
            self._on_data(data)

    def _ready(self) -> bool:
        if sys.platform == "win32":  # select knows only sockets there: the read blocks
            return True
        import select

        return bool(select.select([self._fd], [], [], POLL_S)[0])


def read_all(fd: int) -> bytes:
    """Return everything up to the end of the input."""
    parts = []
    while part := os.read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    """Write all of it, now, also to a descriptor that somebody made non-blocking.

    Raises:
        BrokenPipeError: Nobody reads any more.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            import select

            select.select([], [fd], [])


BROKEN_PIPE = 128 + getattr(signal, "SIGPIPE", 13)
"""Exit code when the reader of our output is gone, as a shell reports it for programs that die of SIGPIPE."""


def open_standard_streams() -> None:
    """Let descriptors 0, 1 and 2 be open, so that no file of ours gets their numbers and what is printed to them."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # opens as the lowest free number, which is this one
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def say(text: str) -> None:
    """Print a line on stderr, if anybody listens."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def finish_stdout() -> bool:
    """Write out what is left for stdout; False if that fails. What Python finds left at exit it complains about."""
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True
