"""QEMU as the oracle: run an image on its `virt` board and return what it printed and how it ended."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

QEMU = shutil.which("qemu-system-riscv64")
needs_qemu = pytest.mark.skipif(QEMU is None, reason="qemu-system-riscv64 is not installed (apt: qemu-system-misc)")

_OPTIONS = [
    "-nographic", "-monitor", "none",
    # one nanosecond an instruction: under load, too, timers come where they would come on a quiet host
    "-icount", "shift=0,sleep=off", "-rtc", "clock=vm",
    # semihosting prints where the UART prints
    "-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console",
    "-semihosting-config", "enable=on,chardev=console",
]  # fmt: skip


def run_qemu(
    image: Path, *, load_address: int | None = None, stdin: bytes = b"", timeout: float = 60
) -> tuple[bytes, int]:
    """Return output and exit code; the image is an ELF or Intel hex file, or a raw one with its address."""
    assert QEMU is not None
    board = ["-M", "virt", "-cpu", "rv64,zba=true,zbb=true,zbs=true", "-m", "128", "-bios", "none"]
    if load_address is not None:
        what = ["-device", f"loader,file={image},addr={load_address:#x}"]
    elif image.suffix == ".hex":
        what = ["-device", f"loader,file={image}"]
    else:
        what = ["-kernel", str(image)]
    done = subprocess.run([QEMU, *board, *_OPTIONS, *what], input=stdin, capture_output=True, timeout=timeout)
    return done.stdout, done.returncode
