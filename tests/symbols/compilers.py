"""Programs compiled for the tests, and what gdb says of them without running anything."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "sources"
LEVELS = ("-O0", "-Os", "-O2")
GCC = "riscv64-unknown-elf-gcc"
GDB = "gdb-multiarch"
_MARK = "=====rrdbg====="


def need(tool: str) -> str:
    """Return a tool's path; skip the test, saying what to install, when it is missing."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed (Debian: apt install gcc-riscv64-unknown-elf gdb-multiarch)")
    return path


def compiled(folder: Path, sources: Sequence[str], *flags: str) -> Path:
    """Compile and link sources of `tests/symbols/sources`; the same flags are compiled once per folder."""
    words = [Path(source).stem for source in sources] + [flag.strip("-").replace("=", "") for flag in flags]
    name = "_".join(words)
    path = folder / f"{name}.elf"
    if not path.exists():
        compiler = need("riscv64-unknown-elf-g++" if sources[0].endswith("cpp") else GCC)
        subprocess.run(
            [compiler, "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-ffreestanding", "-nostdlib", "-w",
             *(["-fno-exceptions", "-fno-rtti"] if compiler.endswith("++") else []),
             "-Wl,-Ttext=0x80000000,-Tbss=0x80100000,-Tdata=0x80080000,--no-warn-rwx-segments", *flags,
             *sources, "-o", str(path)],
            check=True, cwd=SOURCES,
        )  # fmt: skip
    return path


def ask_gdb(image: Path, commands: Sequence[str]) -> list[str]:
    """Return what gdb answers to each command, `error: ...` where it refuses."""
    # a command that fails ends a script, so each is run by Python
    program = (
        "import gdb, json\n"
        "def run(command):\n"
        "    try:\n"
        "        return gdb.execute(command, False, True)\n"
        "    except gdb.error as error:\n"
        "        return 'error: ' + str(error)\n"
        "for setting in ('pagination off', 'width 0', 'confirm off'):\n"
        "    run('set ' + setting)\n"
        f"print('{_MARK}' + json.dumps([run(command) for command in {list(commands)!r}]))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "ask.py"
        script.write_text(program)
        told = subprocess.run(
            [need(GDB), "-nx", "-batch", "-x", str(script), str(image)], text=True, capture_output=True, check=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    answers: list[str] = json.loads(told.stdout.partition(_MARK)[2])
    return [text.strip("\n") for text in answers]
