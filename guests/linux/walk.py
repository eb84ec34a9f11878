"""Walk through a recorded boot: from what the console shows back to the instruction of the program that wrote it.

docs/linux.md tells the same with commands. `boot.py --check` does it with each recording.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import rrdbg

WRITE = ("ksys_write", "__riscv_sys_write", "do_trap_ecall_u", "handle_exception")
"""What a write of a program goes through in Linux 6.12, innermost first."""
NAME_BYTES = 16
"""Of a task's name, its end included: TASK_COMM_LEN of include/linux/sched.h."""
TASK_BYTES = 16 << 10
"""Of a task_struct, at most."""
TRIES = 50


class Lost(Exception):
    """A walk did not come where it should; the text says where it was."""


def shown_at(session: rrdbg.Session, text: bytes) -> int:
    """Return the position at which text was first on the console."""
    output = session.console(0, session.end)
    found = output.data.find(text)
    if found < 0:
        raise Lost(f"the console does not show {text!r}")
    end = 0
    for chunk in output:
        end += len(chunk.data)
        if end > found:
            break
    return chunk.icount


def back_to_write(session: rrdbg.Session, text: bytes) -> tuple[rrdbg.FrameInfo, ...]:
    """Go back to the kernel's function for the write that carried a text, and return the stack there."""
    session.goto(shown_at(session, text))
    point = session.add_break("ksys_write")
    for _ in range(TRIES):
        stop = session.reverse_continue()
        if stop.reason is not rrdbg.StopReason.BREAKPOINT:
            break
        if text in session.read_memory(session.evaluate("$a1"), session.evaluate("$a2")).data:
            session.delete_point(point.number)
            return tuple(session.backtrace())
    raise Lost(f"no write carried {text!r}: {session.when()}")


def back_to_program(session: rrdbg.Session, stack: Sequence[rrdbg.FrameInfo]) -> rrdbg.FrameInfo:
    """Go back to the instruction in U mode from which a trap led to a stack in the kernel, and return its frame."""
    names = tuple(frame.function for frame in stack[: len(WRITE)])
    below = stack[len(WRITE) : len(WRITE) + 1]
    if names != WRITE or not below or below[0].priv != "U" or "ecall-u" not in below[0].trap:
        raise Lost(f"this is no way from a program to ksys_write: {[frame.text for frame in stack]}")
    session.goto(below[0].icount or 0)
    here = session.disassemble(count=1)[0]
    if here.text != "ecall" or session.pc != below[0].pc or session.evaluate("$a7") != 64:
        raise Lost(f"this is no ecall that writes: {here}")
    return below[0]


def back_to_name(session: rrdbg.Session, name: bytes) -> tuple[rrdbg.FrameInfo, ...]:
    """From somewhere in the kernel, go back to where the running task got its name, and return the stack there.

    In S mode tp holds the task: `current`. Its field `comm` is found by what it holds.
    """
    task = session.evaluate("$tp")
    offset = session.read_memory(task, TASK_BYTES).data.find(name + b"\0")
    if offset < 0:
        raise Lost(f"the task at {task:#x} is not called {name!r}")
    point = session.add_watch(f"*(char(*)[{NAME_BYTES}]){task + offset:#x}")
    stop = session.reverse_continue()
    if stop.reason is not rrdbg.StopReason.WATCHPOINT:
        raise Lost(f"nobody wrote the name: {stop.text}")
    session.delete_point(point.number)
    return tuple(session.backtrace())


def told(what: str, stack: Sequence[rrdbg.FrameInfo], most: int = 8) -> None:
    """Print a stack."""
    print(f"boot.py: {what}")
    for frame in stack[:most]:
        print(f"    {frame.text}".replace("\n", "\n    "))


def walk_driver(session: rrdbg.Session) -> None:
    """From the end, go back to the last request of the disk's driver, which is a module."""
    session.goto("end")
    point = session.add_break("virtio_queue_rq")
    session.reverse_continue()
    stack = session.backtrace()
    names = [frame.function for frame in stack]
    if names[:2] != ["virtio_queue_rq", "blk_mq_dispatch_rq_list"] or "handle_exception" not in names:
        raise Lost(f"this is no request of a program to the disk: {names}")
    told("the disk's driver has its last request from here", stack, 20)
    session.delete_point(point.number)


GDB = "gdb-multiarch"
ASKED_OF_GDB = """\
set confirm off
set pagination off
set remotetimeout 120
target extended-remote | {server}
starti end
break tell
reverse-continue
print told
backtrace
monitor break ksys_write
monitor continue
monitor backtrace
kill
"""
GDB_SAYS = (
    r"tell \(\) at .*teller.c",
    r"\$1 = 4$",
    r"#1  \S+ in start \(\) at .*teller.c",
    r"in ksys_write \(\)",
    r"^#3  \S+ in handle_exception",
    r"^#5  \S+ in tell \(\) at .*teller.c",
)
"""What it says to that, and then what monitor says, in this order: the fifth line of the program is the last."""


def walk_gdb(trace: Path, program: Path) -> None:
    """Walk back to the program with stock gdb, which asks rrdbg for what it does not know itself.

    Raises:
        Lost: gdb says something else, or is not installed.
    """
    if shutil.which(GDB) is None:
        raise Lost(f"{GDB} is not installed (Debian: gdb-multiarch)")
    server = shlex.join([sys.executable, "-m", "rrdbg", "gdb", "--stdio", "--symbols", str(program), "--", str(trace)])
    commands = ASKED_OF_GDB.format(server=server).splitlines()
    arguments = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run([GDB, "-q", "-nx", "-batch", *arguments], capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr  # what monitor says comes on stderr
    at = 0
    for said in GDB_SAYS:
        found = re.compile(said, re.MULTILINE).search(output, at)
        if found is None:
            raise Lost(f"gdb does not say {said!r} behind byte {at} of\n{output}")
        at = found.end()
    print("boot.py: gdb goes the same way")


def walk_shell(trace: Path, *, has_disk: bool) -> None:
    """Walk back from what `uname -a` has printed in the shell, and from what the disk was told.

    Raises:
        Lost: Some step leads elsewhere.
    """
    with rrdbg.open(trace) as session:
        stack = back_to_write(session, b"Linux (none) ")
        told("what uname prints is written here", stack)
        at_write = session.icount
        back_to_program(session, stack)
        session.goto(at_write)
        named = back_to_name(session, b"uname")
        told("its task got the name here", named)
        if "__set_task_comm" not in [frame.function for frame in named]:
            raise Lost("that is not where the kernel sets a task's name")
        if has_disk:
            walk_driver(session)


def walk_program(trace: Path, program: Path) -> None:
    """Walk back from what a program with debug information has printed, teller.c, and forwards to its function.

    Raises:
        Lost: Some step leads elsewhere.
    """
    with rrdbg.open(trace, symbols=[program]) as session:
        session.add_break("tell")  # long before there is such a process
        session.continue_(3)
        if session.evaluate("told") != 2 or session.backtrace(2)[1].function != "start":
            raise Lost(f"this is not the third call of tell: {session.when()}")
        session.delete_point()
        stack = back_to_write(session, b"teller: 4 is")
        told("the program's last line is written here", stack)
        calling = [frame.function for frame in stack[len(WRITE) :]]
        if calling != ["call", "tell", "start"]:
            raise Lost(f"the program's frames are {calling}")
        at_write = session.icount
        back_to_program(session, stack)
        session.goto(at_write)
        named = back_to_name(session, b"storyteller")
        if "__set_task_comm" not in [frame.function for frame in named] or named[-1].function != "start":
            raise Lost(f"the name was not set by the program: {[frame.text for frame in named]}")
        told("its task got its last name here", named)
