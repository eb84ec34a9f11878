"""Where `land` and `rrdbg open` go."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rrdbg
from tests.session.programs import guest
from tests.session.traces import make_trace

EXIT = """
    li t0, 0x100000
    li t1, {word:#x}
    sw t1, 0(t0)
stay:
    j stay
"""

PANIC = (
    "_start:\n    la sp, stack_top\n    jal ra, work\n"
    "work:\n    addi sp, sp, -16\n    sd ra, 8(sp)\n    jal ra, panic\n"
    "panic:\n" + EXIT.format(word=0x13333) + "stack:\n    .dword 0, 0, 0, 0\nstack_top:\n    .dword 0\n"
)  # fmt: skip
FAILED = "_start:\n    li s0, 5\n" + EXIT.format(word=0x73333)
DONE = "_start:\n    li s0, 5\n" + EXIT.format(word=0x5555)
LOOP = "_start:\n    la t0, handler\n    csrw mtvec, t0\n    li s0, 7\nhandler:\n    .dword 0\n"
LOST = (
    "_start:\n    la t0, handler\n    csrw mtvec, t0\n    li s0, 16\n    ld s1, 0(s0)\n"
    "handler:\n" + EXIT.format(word=0x5555)
)  # fmt: skip


def trace_of(text: str, functions: tuple[str, ...], folder: Path, until: int | None = None) -> Path:
    path = folder / "run.rrt"
    make_trace(guest(text, functions=functions).elf, path, until=until)
    return path


@pytest.mark.parametrize(
    ("text", "functions", "until", "why", "where"),
    [
        (PANIC, ("_start", "work", "panic"), None, "A panic: panic was called.", "panic"),
        (FAILED, ("_start",), None, "The guest exited with code 7.", "_start"),
        (DONE, ("_start",), None, "The guest exited with code 0.", "_start"),
        (LOOP, ("_start", "handler"), 5000, "A trap loop: exception illegal-instruction", "handler"),
        (LOST, ("_start", "handler"), None, "An exception that was not returned from: exception load-fault", "_start"),
    ],
)
def test_it_lands_where_it_went_wrong(
    text: str, functions: tuple[str, ...], until: int | None, why: str, where: str, tmp_path: Path
) -> None:
    with rrdbg.open(trace_of(text, functions, tmp_path, until)) as session:
        stop = session.land()
        assert stop.what.startswith(why)
        assert stop.text.startswith(stop.what)
        assert stop.when.location.symbol == where
        assert stop.when.icount == session.icount
        if until is not None:
            assert session.icount < 10  # the first trap of the loop
        session.back()
        assert session.icount == 0


def test_open_prints_it_and_leaves(tmp_path: Path) -> None:
    trace = trace_of(PANIC, ("_start", "work", "panic"), tmp_path)
    command = [sys.executable, "-m", "rrdbg", "open", str(trace)]
    told = subprocess.run([*command, "--batch"], capture_output=True, text=True, check=True).stdout
    assert told.startswith("A panic: panic was called.\n")
    assert "#0  0x" in told
    assert "in work ()" in told
    found = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert found["why"] == "A panic: panic was called."
    assert [frame["function"] for frame in found["frames"]][:2] == ["panic", "work"]


LONG = 1 << 27
"""Steps that are a fraction of a second, and more than go by between a panic that was survived and its consequences."""
SPIN = f"    li s0, {LONG // 2}\nspin:\n    addi s0, s0, -1\n    bnez s0, spin\n"


def test_a_panic_that_waits_for_ever_is_found_however_long_it_waits(tmp_path: Path) -> None:
    text = PANIC.replace("panic:\n", f"panic:\n{SPIN}")
    with rrdbg.open(trace_of(text, ("_start", "work", "panic"), tmp_path, until=LONG - 1000)) as session:
        stop = session.land()
        assert stop.what == "A panic: panic was called."
        assert session.pc == session.lookup("panic").address
        assert session.icount < 10


@pytest.mark.parametrize("long", [True, False])
def test_a_panic_that_was_survived_is_no_cause_for_ever(long: bool, tmp_path: Path) -> None:
    text = "_start:\n    la sp, stack_top\n    jal ra, panic\n"
    text += (SPIN if long else "    nop\n") + EXIT.format(word=0x5555)
    text += "panic:\n    jalr zero, 0(ra)\nstack:\n    .dword 0\nstack_top:\n    .dword 0\n"
    with rrdbg.open(trace_of(text, ("_start", "panic"), tmp_path)) as session:
        why = session.land().what
    assert why == ("The guest exited with code 0." if long else "A panic: panic was called.")
