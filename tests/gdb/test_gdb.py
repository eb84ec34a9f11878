"""Stock gdb at work: everything a user does in a session, and nothing that gdb complains about."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import rrdbg
from tests.cli.support import run
from tests.gdb.driver import GDB, PATIENCE_S, Gdb, needs_gdb
from tests.gdb.recordings import compile_program, needs_gcc, record
from tests.guests.manifest import elf

pytestmark = [needs_gdb, pytest.mark.oracle]

COMPLAINTS = re.compile(
    r"Reply contains invalid|Remote failure reply|Protocol error|Ignoring packet error|unexpected|Malformed|Bad|"
    r"Invalid remote reply|Packet .* is NOT supported|Remote communication error|internal-error|Truncated|E\d\d#|"
    r"does not support|Timed out|Junk"
)
NEVER_SUPPORTED = {"qTStatus (trace-status)"}
"""gdb asks once whether there are tracepoints."""


def complaints(log: str) -> list[str]:
    """Return what gdb finds wrong in a log of the protocol."""
    found = [line for line in log.splitlines() if COMPLAINTS.search(line) and "Packet received" not in line]
    return [line for line in found if not any(name in line for name in NEVER_SUPPORTED)]


@pytest.fixture(scope="module")
def heap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record("heap", tmp_path_factory.mktemp("heap"))


@pytest.fixture(scope="module")
def gdb(heap: Path) -> Iterator[Gdb]:
    with Gdb(heap) as running:
        yield running


def test_symbols_come_from_the_trace(gdb: Gdb) -> None:
    assert "Reading symbols from target:/heap.elf" in gdb.greeting
    assert "_start" in gdb.greeting
    (sections,) = gdb.ask("compare-sections")
    assert "matched" in sections
    assert "MIS-MATCHED" not in sections.replace('".data", range', "") or ".data" in sections


def test_from_the_crash_to_its_cause(gdb: Gdb) -> None:
    # the allocator finds a damaged header; the watchpoint leads back to who wrote it
    gdb.goto("end")
    damaged, found = "((struct header *)memory)[-1].size", gdb.ask("break heap_free", "reverse-continue")[1]
    assert "heap_free (memory=" in found
    size, *_ = gdb.ask(f"print {damaged}", f"watch -l {damaged}", "delete 1")
    hit, frames = gdb.ask("reverse-continue", "backtrace 2")
    assert "Hardware watchpoint" in hit
    assert f"Old value = {size.split(' = ')[1]}" in hit
    assert "copy_name" in frames
    where = gdb.icount
    assert "copy_name" in gdb.ask("stepi", "frame")[1]
    gdb.ask("reverse-stepi")
    assert gdb.icount == where
    gdb.ask("delete")


def test_registers_are_the_sessions(gdb: Gdb, heap: Path) -> None:
    positions = ["10%", "50%", "end"]
    with rrdbg.open(heap) as session:
        for position in positions:
            session.goto(position)
            rows = [row for row in session.registers(["all"]) if row.name != "time_ns"]
            gdb.goto(position)
            values = gdb.ask(*(f"output/x ${row.name}" for row in rows))
            assert [int(value, 16) for value in values] == [row.value for row in rows]
            memory = session.read_memory(session.evaluate("$sp"), 64).data
            words = re.findall(r"0x[0-9a-f]{2}(?![0-9a-f])", gdb.ask("x/64xb $sp")[0].replace("\t", " "))
            assert bytes(int(word, 16) for word in words) == memory
    shown = gdb.ask("info registers", "info registers csr", "info all-registers", "info registers priv")
    assert "mstatus" in shown[1]
    assert "time_ns" in shown[2]
    assert "Machine" in shown[3]
    assert "unavailable" not in "".join(shown)


def test_threads_memory_and_what_cannot_be(gdb: Gdb) -> None:
    threads, region, found, device = gdb.ask(
        "info threads", "info mem", "find 0x80000000, +100, (char) 0x97", "x/x 0x10000000"
    )
    assert re.search(r"\* 1 +Thread 1 \"hart 0\" \(M mode", threads)
    assert "0x0000000080000000" in region
    assert "pattern" in found
    assert "Cannot access memory" in device
    written = gdb.ask("print $a0 = 1", "set var *(int*)$sp = 1", "print/x $a0", "call time_now()")
    assert "the trace is read-only" in written[0]
    assert "Cannot access memory" in written[1]
    assert gdb.ask("print 1 + 1") == ["$2 = 2"] or "= 2" in gdb.ask("print 1 + 1")[0]


def test_monitor(gdb: Gdb) -> None:
    gdb.ask("monitor goto 1000", "maintenance flush register-cache")
    when, nonsense, marked = gdb.ask("monitor when", "monitor nonsense", "monitor bookmark here")
    assert "1_000 of" in when
    assert "undefined command" in nonsense
    assert "@here" in marked
    assert gdb.icount == 1000
    gdb.ask("monitor goto end", "maintenance flush register-cache", "monitor goto @here")
    gdb.ask("maintenance flush register-cache", "monitor delete bookmark here")
    assert gdb.icount == 1000


SCRIPT = [
    "break heap_alloc if bytes > 100", "hbreak draw", "continue", "watch -l state", "continue", "rwatch free_list",
    "awatch cash", "continue", "reverse-continue", "reverse-continue", "info breakpoints", "delete", "stepi", "step",
    "next", "finish", "reverse-step", "reverse-next", "reverse-finish", "reverse-stepi", "reverse-nexti", "until",
    "advance draw", "info registers", "info all-registers", "backtrace", "x/4i $pc", "disassemble", "info threads",
    "print accounts[0]", "print *accounts[0]", "info line", "info source", "info sharedlibrary", "info auxv",
    "info proc", "thread 1", "compare-sections", "monitor when", "tbreak statement", "continue", "continue",
    "reverse-continue", "info mem", "info frame", "display/i $pc", "stepi", "undisplay", "print $_siginfo",
    "info signals SIGINT", "tstatus", "info tasks", "print $priv", "print $mstatus", "print $icount", "disconnect",
]  # fmt: skip
OFF = {
    "everything": [],
    "acknowledgements": ["set remote noack-packet off"],
    "no vCont": ["set remote verbose-resume-packet off"],
    "no descriptions": [f"set remote {name}-packet off" for name in ("memory-map", "threads", "read-aux-vector")],
    "own conditions": ["set remote conditional-breakpoints-packet off", "set breakpoint condition-evaluation host"],
    "no stop reasons": ["set remote swbreak-feature-packet off", "set remote hwbreak-feature-packet off"],
    "always inserted": ["set breakpoint always-inserted on"],
    "no range stepping": ["set range-stepping off", "set remotecache off"],
}


@pytest.fixture(scope="module")
def plain_answers() -> dict[str, list[str]]:
    return {}


QUICK = ("everything", "acknowledgements", "no vCont")


@pytest.mark.parametrize("off", [off if off in QUICK else pytest.param(off, marks=pytest.mark.slow) for off in OFF])
def test_gdb_has_nothing_to_complain(heap: Path, off: str, plain_answers: dict[str, list[str]]) -> None:
    with Gdb(heap, elf=elf("heap"), settings=[*OFF[off], "set logging file /dev/null", "set debug remote 1"]) as gdb:
        answers = gdb.ask(*SCRIPT)
        log = gdb.greeting + "\n".join(answers)
    assert not complaints(log)
    quiet = [re.sub(r"(?m)^ *\[remote\].*\n?|\[remote\][^\n]*\n?", "", answer) for answer in answers]
    stops = [
        line for answer in quiet for line in answer.splitlines() if re.match(r"\$\d+ = |\d+\t|Breakpoint|Hardw", line)
    ]
    assert stops
    assert plain_answers.setdefault("stops", stops) == stops


def test_detach_and_back_again(heap: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "rrdbg", "gdb", str(heap), "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    try:
        while not (found := re.search(r"target (\S+ \S+)'", server.stderr.readline())):
            assert server.poll() is None
        target = found[1]
        with Gdb(target=target) as gdb:
            gdb.ask("break draw", "continue", "continue")
            here = gdb.icount
            assert here > 0
            assert "detached" in gdb.ask("detach")[0]
            gdb.ask("attach 1")
            assert gdb.icount == here
            gdb.ask("disconnect", f"target {target}")
            assert gdb.icount == here
            gdb.ask("disconnect", f"target {target.replace('extended-', '')}")
            assert gdb.icount == here
            gdb.ask("disconnect")
        with Gdb(target=target) as gdb:
            assert gdb.icount == here
            gdb.ask("delete", "starti 50%")
            half = gdb.icount
            gdb.ask("starti start")
            assert gdb.icount == 0
            gdb.ask("break draw", "run 50%")
            assert gdb.icount > half
            assert "read-only" in gdb.ask("print $a0 = 1")[0]
            gdb.ask("kill", "attach 1")
            assert gdb.icount > half
            with Gdb(target=target) as second:
                assert "another debugger is attached" in second.greeting
            assert gdb.icount > half
        server.terminate()
        said = server.stderr.read()
        assert server.wait(30) == 0
        assert "is refused" in said
        assert "Traceback" not in said
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


@needs_gcc
def test_reverse_finish_and_recursion(tmp_path: Path) -> None:
    trace = record(compile_program("calls", "-O0", tmp_path), tmp_path)
    with Gdb(trace) as gdb:
        # down(9) calls itself nine times: out of the innermost, one level after another
        gdb.ask("break down if n == 0", "continue")
        innermost = gdb.icount
        depths = [gdb.ask("finish", "print depth")[1] for _ in range(3)]
        assert [depth.split(" = ")[1] for depth in depths] == ["9", "8", "7"]
        # and back through the calls
        gdb.goto(innermost)
        lines = [gdb.ask("reverse-finish", "print n")[1].split(" = ")[1] for _ in range(3)]
        assert lines == ["1", "2", "3"]
        gdb.ask("delete", "tbreak many", "continue")
        before = gdb.ask("reverse-finish", "frame")[1]
        assert "main ()" in before
        assert "total += many(" in before


def test_ctrl_c_in_a_long_search(tmp_path: Path) -> None:
    trace = record("sort", tmp_path, until=400_000_000)
    with Gdb(trace, settings=["set debug remote 1"]) as gdb:
        gdb.goto("end")
        # never true, and looked at all the time
        gdb.ask("break hash_mix if $a0 == 0x1234567812345678 && $a1 == $a0 + 1")
        pc = gdb.ask("print $pc")[0]
        gdb.send("reverse-continue")
        gdb.wait_for("Sending packet: $bc#")
        gdb.interrupt()
        answer = gdb.answer()
        assert "Program received signal SIGINT" in answer or "No more reverse-execution history" in answer
        if "SIGINT" in answer:
            assert "back where it started" in answer
            assert gdb.icount == 400_000_000
            assert pc.split("=")[1] == gdb.ask("print $pc")[0].split("=")[1]
        assert "T05" in gdb.ask("stepi" if gdb.icount == 0 else "reverse-stepi")[0]


def test_machine_interface(hello: Path) -> None:
    """What VS Code, CLion and Emacs speak."""
    command = f"target-select remote | {sys.executable} -m rrdbg gdb --stdio {hello}"
    commands = [
        "gdb-set remotetimeout 120", command,
        "break-insert main", "exec-continue", "exec-next", "exec-step-instruction", "exec-next --reverse",
        "exec-continue --reverse", "exec-continue", "stack-list-frames", "data-list-register-values x 32",
        "data-evaluate-expression $icount", "thread-info", "data-read-memory-bytes $sp 16", "target-detach", "gdb-exit",
    ]  # fmt: skip
    assert GDB is not None
    with subprocess.Popen(
        [GDB, "-q", "-nx", "-i=mi"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = ""
        watchdog = threading.Timer(PATIENCE_S, process.kill)
        watchdog.start()
        for number, text in enumerate(commands):
            process.stdin.write(f"{number}-{text}\n")
            process.stdin.flush()
            wanted = f"{number}^"
            while wanted not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            moves = text.startswith("exec-")
            while moves and said.rfind("*stopped") < said.rfind(wanted):
                line = process.stdout.readline()
                assert line, said
                said += line
        watchdog.cancel()
    assert "^error" not in said
    stops = re.findall(r'\*stopped,reason="([a-z-]+)"', said)
    step, hit = "end-stepping-range", "breakpoint-hit"
    assert stops == [hit, step, step, hit, hit]
    assert said.count("*stopped") == 1 + 6  # at the start, and where the recording begins there is no reason
    assert 'value="8298"' in said


def test_launched_with_the_trace(hello: Path) -> None:
    commands = ["goto 50%", "print $icount", "stepi", "back", "print $icount", "forward", "when", "print $icount"]
    commands.append("show remotetimeout")
    arguments = [word for command in commands for word in ("-ex", command)]
    done = run("gdb", hello, "--launch", "-nx", "-batch", *arguments)
    assert done.code == 0, done.err
    said = done.out.decode()
    assert re.findall(r"^\$\d = (\d+)$", said, re.MULTILINE) == ["4460", "0", "4461"]
    assert "Position: 4_461 of 8_920" in said + done.err
    assert "is 30." in said  # a server on a busy machine takes its time to start
    # with gdb's own child nothing has to be kept from the host's files
    assert "steps written" in str(run("gdb", hello, "--launch", "-nx", "-batch", "-ex", "monitor export /dev/null"))
