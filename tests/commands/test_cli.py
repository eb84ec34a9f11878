"""`rrdbg replay`, `run`, `export` and `commands`, as users call them."""

from __future__ import annotations

import io
import json
import subprocess
import time
from pathlib import Path

import pytest

import rrdbg
from rrdbg.commands import COMMANDS
from rrdbg.export import export
from tests.cli.conftest import cli
from tests.cli.support import RRDBG, Cli, Terminal, run
from tests.session.programs import guest
from tests.session.test_remote import LOOP
from tests.session.traces import make_trace

__all__ = ["cli"]


def text(data: bytes) -> str:
    return data.decode()


# replay


def test_commands_in_their_order(cli: Cli, trace: Path, tmp_path: Path) -> None:
    file = tmp_path / "commands.rrd"
    file.write_text("# to the second call\nb bump\nc 2\n")
    done = cli("replay", trace, "-batch", "-ex", "echo first\\n", "-x", file, "-ex", "p $s2", "--eval-command", "when")
    assert done.code == 0
    assert done.err == ""
    lines = text(done.out).splitlines()
    assert lines[0] == "first"
    assert lines[1].startswith("Breakpoint 1 at")
    assert lines[2].startswith("Breakpoint 1, ")
    assert lines[3] == "$1 = 2"
    assert lines[4].startswith("Position: ")


def test_a_mistake_ends_batch_mode_with_its_code(cli: Cli, trace: Path, tmp_path: Path) -> None:
    file = tmp_path / "commands.rrd"
    file.write_text("p 1\n\np nosuch\np 2\n")
    done = cli("replay", trace, "-batch", "-x", file, "-ex", "p 3")
    assert (done.code, text(done.out)) == (67, "$1 = 1\n")
    assert done.err.startswith(f"rrdbg: {file}:3: no symbol 'nosuch'")
    for command, code in (("goto nonsense", 2), ("frobnicate", 2), ("goto @nosuch", 67), ("x/xg 0x10", 67)):
        done = cli("replay", trace, "-batch", "-ex", command)
        assert done.code == code, command
        assert done.err.startswith("rrdbg: -ex:1: ")
    cli("replay", trace, "-batch", "-x", tmp_path / "nosuch.rrd").told(67, "cannot read command file")


def test_commands_from_standard_input(trace: Path) -> None:
    done = run("replay", trace, stdin=None, input=b"p 1\nquit\np 2\n")
    assert (done.code, done.out) == (0, b"$1 = 1\n")
    done = run("replay", trace, stdin=None, input=b"p 1\nnonsense\np 2\n")
    assert (done.code, done.out) == (2, b"$1 = 1\n")
    assert done.err.startswith("rrdbg: <stdin>:2: undefined command: 'nonsense'")


def test_quit_ends_it(cli: Cli, trace: Path, tmp_path: Path) -> None:
    file = tmp_path / "commands.rrd"
    file.write_text("p 1\nquit\n")
    done = cli("replay", trace, "-x", file, "-ex", "p 2")
    assert (done.code, done.out) == (0, b"$1 = 1\n")


def test_answers_as_json(cli: Cli, trace: Path) -> None:
    done = cli("replay", trace, "-batch", "--json", "-ex", "b bump", "-ex", "c", "-ex", "p $s2")
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [answer["data"].get("number") for answer in answers] == [1, None, 1]
    assert answers[1]["data"]["reason"] == "breakpoint"
    assert answers[2]["data"]["value"] == 3


def test_the_prompt(trace: Path) -> None:
    with Terminal("replay", trace) as terminal:
        terminal.expect("the guest exited with code 7")
        terminal.expect("Position: 0 of ")
        terminal.expect("(rrdbg) ")
        terminal.type("b bump\nc\n")
        terminal.expect("Breakpoint 1, ")
        terminal.type("nonsense\n")
        terminal.expect("undefined command: 'nonsense' (try `help`)")
        terminal.type("p $s2\n")
        terminal.expect("$1 = 3")
        terminal.type("\n")  # print does not repeat
        terminal.expect("(rrdbg) ")
        terminal.type("info reg\t s2\n")
        terminal.expect("0x3")
        terminal.expect("(rrdbg) ")
        terminal.type("half a li")
        terminal.expect("half a li")
        time.sleep(0.3)  # it waits for the next key by now
        terminal.signal("SIGINT")
        terminal.expect("Quit")
        terminal.expect("(rrdbg) ")
        terminal.type("\x04")
        assert terminal.end() == 0
        assert terminal.restored()


NEVER = "(double)$s1 == -5"
"""A condition that is judged ten million times, and not by the engine: it takes minutes on any machine."""


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.rrt"
    make_trace(guest(LOOP.format(count=10_000_000), functions=("_start",), objects={"cell": 8}).elf, path)
    return path


def test_ctrl_c_cancels_a_search(long_trace: Path) -> None:
    with Terminal("replay", long_trace) as terminal:
        terminal.expect("(rrdbg) ")
        terminal.type(f"goto end\nwatch cell if {NEVER}\n")
        terminal.expect("Hardware watchpoint 1: cell")
        terminal.type("rc\n")
        terminal.expect("reverse-continue: ")  # the progress line
        terminal.signal("SIGINT")
        terminal.expect("reverse-continue was cancelled")
        terminal.type("p $icount\n")
        terminal.expect("$1 = 30000008")
        terminal.type("quit\n")
        assert terminal.end() == 0


def test_ctrl_c_ends_batch_mode(long_trace: Path) -> None:
    script = ["goto end", f"watch cell if {NEVER}", "rc"]
    words = ["replay", str(long_trace), "-batch", *(word for line in script for word in ("-ex", line))]
    process = subprocess.Popen([*RRDBG, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    while b"watchpoint" not in process.stdout.readline():
        pass
    process.send_signal(2)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    # it may have come before the search began
    assert told.decode() in ("rrdbg: -ex:1: reverse-continue was cancelled\n", "rrdbg: interrupted\n")


# run


def script(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "script.py"
    path.write_text(body)
    return path


def test_a_script(cli: Cli, trace: Path, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("WORD = 'helped'\n")
    body = (
        "import sys, rrdbg, helper\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Thing:\n    n: 'int'\n"
        "print(__name__, sys.argv[1:], helper.WORD, Thing(3))\n"
        "print(session.goto('end').reason == rrdbg.StopReason.SEEK, session.info().exit_code)\n"
        "with rrdbg.open(sys.argv[1]) as other:\n    print(other.icount)\n"
    )
    done = cli("run", script(tmp_path, body), trace, "--option", "-x", "word")
    assert done.err == ""
    assert done.code == 0
    assert text(done.out).splitlines() == [
        f"__main__ {[str(trace), '--option', '-x', 'word']} helped Thing(n=3)", "True 7", "0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("raise SystemExit(5)", 5),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit('no good')", 1),
        ("assert 1 + 1 == 3", 1),
        ("session.lookup('nosuch')", 67),
        ("session.goto('nonsense')", 2),
        ("import rrdbg; rrdbg.open('/nosuch')", 67),
        ("def f(:", 1),
        ("1 / 0", 1),
    ],
)
def test_how_a_script_ends(cli: Cli, trace: Path, tmp_path: Path, body: str, code: int) -> None:
    path = script(tmp_path, f"# line 1\n{body}\n")
    done = cli("run", path, trace)
    assert done.code == code, done.err
    if code == 1 and "exit" not in body:
        assert f'"{path}", line 2' in done.err
        assert "rrdbg/commands" not in done.err
    if code in (2, 67):
        assert done.err.startswith(f"rrdbg: {path}:2: ")
        assert "Traceback" not in done.err


def test_the_traceback_is_the_scripts_own(cli: Cli, trace: Path, tmp_path: Path) -> None:
    body = "def inner():\n    return {}['key']\n\ndef told(progress):\n    inner()\n\ntold(None)\n"
    done = cli("run", script(tmp_path, body), trace)
    frames = [line for line in done.err.splitlines() if line.startswith("  File ")]
    assert [line.rpartition(" in ")[2] for line in frames] == ["<module>", "told", "inner"]
    assert done.err.splitlines()[-1] == "KeyError: 'key'"


def test_no_script(cli: Cli, trace: Path, tmp_path: Path) -> None:
    cli("run", tmp_path / "nosuch.py", trace).told(67, "cannot read script")
    done = cli("run", script(tmp_path, "print(1)"), tmp_path / "nosuch.rrt")
    done.told(67, "nosuch.rrt")


def test_ctrl_c_ends_a_script(long_trace: Path, tmp_path: Path) -> None:
    body = (
        f"session.goto('end')\nsession.add_watch('cell', condition='{NEVER}')\nprint('now', flush=True)\n"
        "session.reverse_continue()\n"
    )
    words = ["run", str(script(tmp_path, body)), str(long_trace)]
    process = subprocess.Popen([*RRDBG, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"now\n"
    process.send_signal(2)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in told


# export, commands


def test_export(cli: Cli, trace: Path, tmp_path: Path) -> None:
    for to in ("text", "jsonl"):
        out = io.StringIO()
        with rrdbg.open(trace) as session:
            export(session, out, to=to, start="10%", until="50%")
        done = cli("export", trace, "--to", to, "--from", "10%", "--until", "50%")
        assert (done.code, text(done.out), done.err) == (0, out.getvalue(), "")
        file = tmp_path / f"steps.{to}"
        assert cli("export", trace, "--to", to, "--from", "10%", "--until", "50%", "-o", file).code == 0
        assert file.read_text() == out.getvalue()
    cli("export", trace, "--from", "nonsense").told(2, "'nonsense' is not a position")
    cli("export", trace, "--from", "9", "--until", "3").told(2, "ends before it starts")


def test_a_reader_that_has_seen_enough(long_trace: Path) -> None:
    process = subprocess.Popen([*RRDBG, "export", str(long_trace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().split()[0] == b"0"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(60) == 141
    process.stderr.close()


def test_the_reference(cli: Cli) -> None:
    overview = text(cli("commands").out)
    assert all(row.name in overview for row in COMMANDS)
    assert text(cli("commands", "info", "registers").out).startswith("info registers [NAME...|float|csr|all]")
    assert text(cli("commands", "--markdown").out).startswith("# Commands\n")
    cli("commands", "nosuch").told(2, "undefined command: 'nosuch'")
