"""The programs, how each is built, and what else a run needs.

They are written as bare-metal code is written elsewhere, none for rrdbg, and share nothing with its guests.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
GCC = shutil.which("riscv64-unknown-elf-gcc")


@dataclass(frozen=True)
class Program:
    """One way to build a program and to run it."""

    name: str
    """Test's name."""
    source: str
    """File in this folder."""
    flags: str = "-O2"
    """Compiler options beside the usual ones."""
    march: str = "rv64imac_zicsr_zifencei"
    """Instruction set."""
    script: str | None = "ram.ld"
    """Linker script; None: -Ttext."""
    image: str = "elf"
    """elf, bin or hex."""
    typed: bytes = b""
    """Console input."""


PROGRAMS = [
    Program("hello_in_assembly", "hello.S", script=None),
    Program("uart_probe", "uart_probe.c", "-O0"),
    Program("uart_interrupts", "uart_interrupts.c", "-Os"),
    Program("vectored", "vectored.c", "-O1"),
    Program("csr_probe", "csr_probe.c", "-O0"),
    Program("counters", "counters.c", "-Os"),
    Program("atomics", "atomics.c", "-Os"),
    Program("atomics_without_c", "atomics.c", "-O3", march="rv64ima_zicsr_zifencei"),
    Program("bits", "bits.c", "-O1", march="rv64imac_zicsr_zifencei_zba_zbb_zbs"),
    Program("muldiv", "muldiv.c", "-O1"),
    Program("switches", "switches.c", "-O2"),
    Program("switches_without_c", "switches.c", "-O0", march="rv64ima_zicsr_zifencei"),
    Program("relocated", "relocated.c", "-Os", script="rom.ld"),
    Program("relocated_raw", "relocated.c", "-O2", script="rom.ld", image="bin"),
    Program("plic_order", "plic_order.c", "-O2"),
    Program("clint_access", "clint_access.c", "-Os"),
    Program("clint_time", "clint_time.c"),
    Program("pmp_probe", "pmp_probe.c", "-O2"),
    Program("traps", "traps.c", "-O1"),
    Program("wait", "wait.c", "-O2"),
    Program("usermode", "usermode.c", "-O2"),
    Program("softfloat", "softfloat.c", "-O2 -misa-spec=2.2", march="rv64imac"),
    Program("coroutines_hex", "coroutines.c", "-O0", image="hex"),
    Program("reads_input", "reads_input.c", "-Os", typed=b"hello\nA man, a plan, a canal\nx\n\n"),
    Program("widths", "widths.c", "-O1"),
    Program("exit_code", "exit_code.c", "-Os", image="bin"),
]


def build(program: Program, folder: Path) -> Path:
    """Compile a program and return its image."""
    assert GCC is not None
    elf = folder / f"{program.name}.elf"
    layout = ["-T", str(HERE / program.script)] if program.script else ["-Ttext=0x80000000"]
    options = f"-march={program.march} -mabi=lp64 -mcmodel=medany -ffreestanding -nostartfiles -nostdlib -static -w"
    command = [GCC, *options.split(), *program.flags.split(), *layout, "-o", str(elf), str(HERE / program.source)]
    done = subprocess.run([*command, "-lgcc"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if program.image == "elf":
        return elf
    image = elf.with_suffix("." + program.image)
    form = {"bin": "binary", "hex": "ihex"}[program.image]
    subprocess.run([GCC.replace("gcc", "objcopy"), "-O", form, str(elf), str(image)], check=True)
    return image
