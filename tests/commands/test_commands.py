"""What commands answer: send and expect, on the counting guest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.commands import CommandError, Interpreter, Output
from rrdbg.commands.plain import as_json
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.values import ConsoleChunk, ConsoleOutput

TALK = r"""
> b bump
Breakpoint 1 at 0x{bump:x}
> info breakpoints
Num     Type           Disp Enb Address            What
1       breakpoint     keep y   0x{bump:016x} in bump
> c
Breakpoint 1, 0x{bump:016x} in bump ()
> x/3i $pc
=> 0x{bump:x} <bump>:	ld a0,0(s0)
   0x{bump4:x} <bump+4>:	addi a0,a0,5
   0x{bump8:x} <bump+8>:	sd a0,0(s0)
> si
0x{bump4:016x} in bump ()
>
0x{bump8:016x} in bump ()
> rsi 2
Breakpoint 1, 0x{bump:016x} in bump ()
> p $a0
$1 = 0
> p/x $s2
$2 = 0x3
> p $2 + 1
$3 = 4
> p $
$4 = 4
> p $$2
$5 = 3
> p (u8)255 == -1
$6 = 0
> p/t 10
$7 = 1010
> p/c 'A'
$8 = 65 'A'
> p &counter
$9 = 0x{counter:x} <counter>
> p/d &text - &counter
$10 = 8
> output $s2
3
> info symbol 0x{bump4:x}
bump + 4 in section .text
> info address counter
Symbol "counter" is at 0x{counter:x} in a file compiled without debugging.
> i r s2 a0
s2             0x3                3
a0             0x0                0
> watch counter
Hardware watchpoint 2: counter
> c
Hardware watchpoint 2: counter

Old value = 0
New value = 5

0x{bump12:016x} in bump ()
> x/gd counter
0x{counter:x} <counter>:	5
> x/2xw counter
0x{counter:x} <counter>:	0x00000005	0x00000000
> x/s text
0x{text:x} <text>:	"Hello"
> x/5cb text
0x{text:x} <text>:	72 'H'	101 'e'	108 'l'	108 'l'	111 'o'
> x/xg 0x{text:x}
0x{text:x} <text>:	0x0000006f6c6c6548
> fin
Run till exit from #0  0x{bump12:016x} in bump ()
0x{after:016x} in _start ()
> d 1
> d 2
> info b
No breakpoints, watchpoints or catchpoints.
> catch ecall
Catchpoint 3: ecall
> c
Catchpoint 3 (exception ecall-m), 0x{handler:016x} in handler ()
> rc
Catchpoint 3 (exception ecall-m), 0x{ecall:016x} in _start ()
> ni
Catchpoint 3 (exception ecall-m), 0x{handler:016x} in handler ()
> delete
> rni
0x{ecall:016x} in _start ()
> ni
0x{ecall4:016x} in _start ()
> rni
0x{ecall:016x} in _start ()
> bookmark call the call
Bookmark @call at 29.
> note look here
Note 1 at 29.
> goto start
0x{_start:016x} in _start ()
> goto @call
0x{ecall:016x} in _start ()
> back
0x{_start:016x} in _start ()
> forward
0x{ecall:016x} in _start ()
> info bookmarks
@call                               29  the call
> info notes
   1               29  look here
> delete bookmark call
> delete note 1
> info bookmarks
No bookmarks.
> tick
0x{handler:016x} in handler ()
> reverse-tick
0x{ecall:016x} in _start ()
> tb bump if *(u64*)counter == 5
Temporary breakpoint 4 at 0x{bump:x}
> rc
Temporary breakpoint 4, 0x{bump:016x} in bump ()
> info b
No breakpoints, watchpoints or catchpoints.
> b bump
Breakpoint 5 at 0x{bump:x}
> condition 5 $s2 == 1
> ignore 5 1
Will ignore next crossing of breakpoint 5.
> disable 5
> info breakpoints
Num     Type           Disp Enb Address            What
5       breakpoint     keep n   0x{bump:016x} in bump
	stop only if $s2 == 1
	ignore next 1 hits
> enable 5
> condition 5
Breakpoint 5 now unconditional.
> d 5
> display/x $s2
1: /x $s2 = 0x2
> si
0x{bump4:016x} in bump ()
1: /x $s2 = 0x2
> undisplay 1
> echo a\tb\n
a	b

> # nothing
> until _start
"""


def talk(text: str) -> list[tuple[str, str]]:
    """Return what is sent and what is expected."""
    pairs = re.split(r"^> ?", text.lstrip("\n"), flags=re.MULTILINE)[1:]
    return [(send, expect.rstrip("\n")) for send, _, expect in (pair.partition("\n") for pair in pairs)]


def names(gdb: Interpreter) -> dict[str, int]:
    """Return the addresses that the talk mentions."""
    found = {symbol.name: symbol.address for symbol in gdb.session.symbols()}
    found |= {f"bump{n}": found["bump"] + n for n in (4, 8, 12)}
    lines = gdb.session.disassemble(found["_start"], 100)
    ecall = next(line.address for line in lines if line.text == "ecall")
    call = next(line.address for line in lines if line.target_text == "bump")
    return found | {"ecall": ecall, "ecall4": ecall + 4, "after": call + 4}


def test_talk(gdb: Interpreter) -> None:
    known = names(gdb)
    for send, expect in talk(TALK)[:-1]:
        send, expect = send.format_map(known), expect.format_map(known)
        answer = gdb.run(send).text
        assert answer.rstrip("\n") == expect.rstrip("\n"), send
    assert gdb.run("until _start").text.startswith("End of the recording: the guest exited with code 7.")


def test_an_empty_line_repeats(gdb: Interpreter) -> None:
    gdb.run("goto 3")
    gdb.run("si 2")
    gdb.run("")
    assert gdb.session.icount == 7
    gdb.run("rsi")
    gdb.run("")
    assert gdb.session.icount == 5
    gdb.run("x/2xw counter")
    assert gdb.run("").text.startswith(f"{gdb.session.evaluate('text'):#x} <text>:")
    gdb.run("p 1")
    assert gdb.run("").text == ""


def test_export_through_the_prompt(gdb: Interpreter, tmp_path: Path) -> None:
    out = tmp_path / "steps.jsonl"
    assert gdb.run(f"export {out} --from 3 --until 10").text == f"7 steps written to {out}."
    assert [json.loads(line)["icount"] for line in out.read_text().splitlines()] == list(range(3, 10))
    with pytest.raises(UsageError):
        gdb.run(f"export {out} --to nosuch")
    with pytest.raises(UsageError):
        gdb.run("export")


MISTAKES = {
    "p": None, "p nosuch": NotFound, "p 1 +": UsageError, "p/i 1": UsageError, "p/q 1": UsageError, "p $9": UsageError,
    "x/s 0x10": NotFound, "x/xg 0x10": NotFound, "x/1000000x counter": UsageError, "b nosuch": NotFound,
    "b bump if nosuch": NotFound, "b *0x80000001": UsageError, "watch": UsageError, "watch $mstatus": UsageError,
    "rwatch $a0": UsageError, "catch nosuch": UsageError, "condition": UsageError, "condition x": UsageError,
    "condition 9 1": NotFound, "ignore 1": UsageError, "delete x": UsageError, "delete 9": NotFound, "goto": UsageError,
    "goto nosuch": UsageError, "goto 99G": UsageError, "goto @nosuch": NotFound, "goto #99": NotFound,
    "si x": NotFound, "si -1": UsageError, "advance": UsageError, "reverse-until": UsageError, "back": NotFound,
    "finish": NotFound, "info registers nosuch": NotFound, "info symbol 0": NotFound, "info line": NotFound,
    "info events x": UsageError, "disassemble 0": NotFound, "disassemble bump,+0": UsageError, "bookmark": UsageError,
    "bookmark a/b c": None, "note": UsageError, "delete bookmark nosuch": NotFound, "delete note x": UsageError,
    "verify --nosuch": UsageError, "source": UsageError, "source /nosuch": CommandError, "help nosuch": UsageError,
    "undisplay 5": NotFound, "display nosuch": NotFound, "output": UsageError, "frobnicate": UsageError,
}  # fmt: skip


@pytest.mark.parametrize("line", MISTAKES)
def test_mistake(gdb: Interpreter, line: str) -> None:
    expected = MISTAKES[line]
    if expected is None:
        gdb.run(line)
        return
    with pytest.raises(expected) as caught:
        gdb.run(line)
    error = caught.value
    assert isinstance(error, RrdbgError)
    assert "\n" not in error.message
    assert "Traceback" not in str(error)
    assert gdb.session.icount == 0


def test_a_file_of_commands(gdb: Interpreter, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner.rrd", tmp_path / "outer.rrd"
    inner.write_text("# watch it\nb bump\nc\n")
    outer.write_text(f"echo hello\\n\nsource {inner}\np $s2\nquit\np 5\n")
    said: list[Output] = []
    assert not gdb.run_file(str(outer), said.append)
    text = "".join(output.text for output in said)
    assert text.startswith("hello\nBreakpoint 1 at")
    assert text.endswith("$1 = 3")


def test_a_mistake_in_a_file_is_placed(gdb: Interpreter, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner.rrd", tmp_path / "outer.rrd"
    inner.write_text("p 1\n\np nosuch\np 2\n")
    outer.write_text(f"source {inner}\n")
    with pytest.raises(CommandError) as caught:
        gdb.run_file(str(outer), lambda output: None)
    assert caught.value.message.startswith(f"{inner}:3: no symbol 'nosuch'")
    assert caught.value.exit_code == ExitCode.NOT_FOUND
    loop = tmp_path / "loop.rrd"
    loop.write_text(f"source {loop}\n")
    with pytest.raises(RrdbgError, match="nested"):
        gdb.run_file(str(loop), lambda output: None)


@pytest.mark.parametrize(
    ("printed", "command", "shown"),
    [
        (b"one\r\ntwo\r\nthree", "info console 1", "two\nthree"),
        (b"one\ntwo\n", "info console 1", "two"),
        (b"\none\n", "info console", "\none"),
        (b"", "info console", ""),
        (b"one\n" + bytes(1 << 20) + b"\ntwo", "info console", "..." + r"\x00" * ((1 << 16) - 4) + "\ntwo"),
    ],
)
def test_the_last_lines_of_the_console(
    printed: bytes, command: str, shown: str, gdb: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = ConsoleOutput.of([ConsoleChunk(1, printed)])
    monkeypatch.setattr(gdb.session, "console", lambda: output)
    assert gdb.run(command).text == shown


def test_answers_for_programs(gdb: Interpreter) -> None:
    for line in ("when", "info trace", "info events", "b bump", "c", "p $a0", "i r", "x/2xw counter", "info b", "help",
                 "x/s text", "disas", "info registers all", "info console", "display $pc", "info display"):  # fmt: skip
        answer = json.loads(as_json(gdb.run(line)))
        assert set(answer) == {"text", "data"}
    assert json.loads(as_json(gdb.run("p $s2")))["data"]["value"] == 3
    assert json.loads(as_json(gdb.run("when")))["data"]["icount"] == gdb.session.icount


def test_completion(gdb: Interpreter) -> None:
    def texts(line: str) -> list[str]:
        return [item.text for item in gdb.complete(line)]

    assert "reverse-continue " in texts("rev")
    assert "break bump" in texts("break bu")
    assert "info registers " in texts("info re")
    assert "p $mstatus" in texts("p $mst")
    gdb.run("bookmark crash")
    assert "goto @crash" in texts("goto @")
    assert texts("frobnicate ") == []


def test_verify(gdb: Interpreter, request: pytest.FixtureRequest) -> None:
    gdb.run("goto 7")
    if "states" in request.node.name:
        with pytest.raises(RrdbgError, match="nothing to verify"):
            gdb.run("verify")
        return
    assert "verified" in gdb.run("verify --pauses 4 --seed 1").text
    assert gdb.session.icount == 7
