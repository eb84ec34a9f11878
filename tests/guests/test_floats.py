"""A program that computes with floating point, as a compiler makes it, prints the same bits here and on QEMU."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rrdbg_core.errors import RrdbgError
from rrdbg_core.isa.registers import FLOAT_ABI
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.machine import Machine, StopReason

import rrdbg
from rrdbg.commands.interpreter import Interpreter
from rrdbg.session.api import Session
from rrdbg.tui.source import Source
from tests.gdb.driver import Gdb, needs_gdb
from tests.guests.machine import ScriptedSource
from tests.guests.manifest import elf
from tests.guests.qemu import needs_qemu, run_qemu
from tests.session.traces import make_trace

HERE = Path(__file__).parent / "floats"
GCC = shutil.which("riscv64-unknown-elf-gcc")
pytestmark = [
    pytest.mark.oracle,
    needs_qemu,
    pytest.mark.skipif(GCC is None, reason="no riscv64-unknown-elf-gcc (apt: gcc-riscv64-unknown-elf)"),
]


def compiled(folder: Path, *options: str) -> Path:
    """Compile the program."""
    assert GCC is not None
    path = folder / "floats.elf"
    target = ["-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-ffreestanding", "-nostdlib", "-static"]
    sources = [str(HERE / "start.S"), str(HERE / "floats.c")]
    linked = [
        "-Wl,--build-id=none,--no-warn-rwx-segments",
        "-fno-math-errno",
        "-T",
        str(HERE / "floats.ld"),
        "-o",
        str(path),
    ]
    subprocess.run([GCC, *target, *options, *sources, *linked], check=True)
    return path


def run(image: Path) -> tuple[bytes, int]:
    """Run it here, and return what it printed and how it ended."""
    config = MachineConfig(isa="rv64gc", images=(ImageRef(kind="elf", digest="image", name=image.name),))
    machine = Machine(config, {"image": image.read_bytes()}, ScriptedSource((), 1))
    out = bytearray()
    machine.on_console = lambda step, data: out.extend(data)
    assert machine.run(1 << 26) == StopReason.EXIT
    assert machine.exit_code is not None
    return bytes(out), machine.exit_code


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a trace of the program."""
    folder = tmp_path_factory.mktemp("floats")
    path = folder / "floats.rrt"
    make_trace(compiled(folder, "-O1", "-g").read_bytes(), path, isa="rv64gc")
    return path


def asker(session: Session) -> Callable[[str], str]:
    """Return a function that runs a command and returns what it prints."""
    interpreter = Interpreter(session)
    return lambda line: interpreter.run(line).text


def test_what_a_session_says(trace: Path) -> None:
    with rrdbg.open(trace) as session:
        ask = asker(session)
        ask("break *advance")
        ask("continue 3")
        assert ask("whatis $fa0") == "type = double"
        step = session.registers(["fa0"])[0]
        assert (step.value, step.group, step.text) == (
            int.from_bytes(struct.pack("<d", 0.01), "little"),
            "float",
            "0.01",
        )
        assert ask("print $fa0 * 100").endswith("= 1")
        # the argument lies in fa0, says DWARF
        assert ask("info args").endswith("dt = 0.01")
        assert ask("print dt == $f10").endswith("= 1")
        # the last step that changed it, and that step alone
        ask("delete")
        ask("watch $fa0")
        changed = ask("reverse-continue")
        assert "Old value" in changed, changed
        assert session.registers(["fa0"])[0].value != step.value
        ask("stepi")
        assert session.registers(["fa0"])[0].value == step.value
        ask("delete")
        shown = ask("info float")
        assert [line.split()[0] for line in shown.splitlines()] == [*FLOAT_ABI, "fflags", "frm", "fcsr"]
        row = next(row for row in session.iter_steps(0, session.info().end) if row.text.startswith("fsqrt.d"))
        session.goto(row.icount + 1)
        [(name, value)] = row.registers
        assert name in FLOAT_ABI
        assert session.registers([name])[0].value == value
        for function in ("energy", "half"):
            ask("delete")
            ask(f"break *{function}")
            ask("goto start")
            ask("continue")
            told = ask("finish")
            wanted = "1.5" if function == "half" else ask("print $fa0").split(" = ")[1]
            assert told.splitlines()[-1].split(" = ")[1] == wanted
        assert "FS=Dirty" in ask("info registers mstatus")


def test_the_interface_shows_them_where_they_are_on(trace: Path) -> None:
    with rrdbg.open(trace) as session:
        source = Source(session, Interpreter(session), ())
        session.goto(0)
        assert "fa0" not in {name for name, _, _ in source.view().csrs}
        asker(session)("break *advance")
        asker(session)("continue")
        session.goto(session.when().icount)
        shown = {name: (value, text) for name, value, text in source.view().csrs}
        assert shown["fa0"] == (int.from_bytes(struct.pack("<d", 0.01), "little"), "0.01")
        assert "FS=Dirty" in shown["mstatus"][1]


def test_a_machine_without_says_so(tmp_path: Path) -> None:
    make_trace(elf("hello").read_bytes(), tmp_path / "hello.rrt")
    with rrdbg.open(tmp_path / "hello.rrt") as session:
        ask = asker(session)
        assert "fa0" not in {row.name for row in session.registers(["all"])}
        for command in ("info float", "print $fa0 + 1", "info registers fa0"):
            with pytest.raises(RrdbgError):
                ask(command)


@needs_gdb
def test_gdb_shows_the_f_registers(trace: Path) -> None:
    with Gdb(trace) as gdb, rrdbg.open(trace) as session:
        for position in range(0, session.info().end, 40_000):
            session.goto(position)
            shown = dict(line.split(maxsplit=1) for line in gdb.at(position, "info registers float")[0].splitlines())
            for row in session.registers([*FLOAT_ABI]):
                assert f"(raw 0x{row.value:016x})" in shown[row.name], row.name
            fcsr = session.registers(["fcsr"])[0].value
            assert int(gdb.ask("print/x $fcsr")[0].split()[-1], 16) == fcsr


@pytest.mark.parametrize("option", ["-O2", "-Os", "-O0"])
def test_the_same_bits_as_qemu(tmp_path: Path, option: str) -> None:
    image = compiled(tmp_path, option)
    mine, theirs = run(image), run_qemu(image)
    assert mine[0].decode().splitlines() == theirs[0].decode().replace("\r", "").splitlines()
    assert mine[1] == theirs[1] == 0
