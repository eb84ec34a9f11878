"""What somebody types in the first week: the answers are gdb's, letter by letter."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import compile_program, needs_gcc, record
from tests.symbols.compilers import GCC

from .oracle import Ours
from .tail_calls import CLANG, HEAD, recorded

pytestmark = [needs_gdb, needs_gcc, pytest.mark.oracle]

COMMANDS = """
p $undefined | output $undefined | p ::fib | p &::total | p ::total + 1 | p (long)::total | p -::calls | whatis ::last
list fib | list *$pc | list *fib | list *main | list fib, | list 20,25 | list ,30 | list 1,5 | list | list -
info source | info line fib | info line *$pc | info line 30 | info line main
frame | frame 1 | frame level 2 | frame function main | frame 0 | up | up 2 | down | up-silently | down-silently | down
frame apply all p $pc | frame apply 2 p $sp | frame apply -2 p $sp | frame apply level 1 p n | frame apply 1 -q p $sp
frame apply level 1-2 p n | frame apply all -s p n | frame apply all -c -q p $sp | faas p n
bt | bt 1 | bt -1 | where 2 | bt full 2 | bt -full 1 | info stack 2
p fib | p *table | p table | p &table[1] | p nodes[1] | p/x last | p last.x | p sizeof(struct tree) | p nodes[0]@2
p $pc | p/x $sp | p $ | p $$ | p $$2 | p 5.0/2 | p "abc" | p 1==1 | p -5 % 3 | p/c 65 | p/t 10 | p/x -1 | p/o 8
whatis fib | ptype fib | ptype struct tree | ptype operation | whatis &nodes[1] | output total | call total
info locals | info args | x/4xw $sp | x/2dg $sp | x/s &last | show print pretty | info display
p /x 5 | x /2xw &total | break fib | clear fib | break calls.c:22 | clear calls.c:22 | tbreak add | clear add
""".replace("\n", "|").split("|")


def plain(text: str) -> str:
    """Return an answer without the numbers of the values shown, which rrdbg and gdb count for themselves."""
    return re.sub(r"^\$\d+ = ", "$ = ", text.rstrip("\n"), flags=re.MULTILINE)


@pytest.mark.parametrize("flags", ["-O0 -gdwarf-5", "-O0 -g3 -gdwarf-4"])
def test_the_first_week(flags: str, tmp_path: Path) -> None:
    trace = record(compile_program("calls", flags, tmp_path), tmp_path)
    commands = [command for text in COMMANDS if (command := text.strip())]
    with Gdb(trace) as gdb, Ours(trace) as ours:
        point = ours.session.add_break("fib", internal=True)
        here = ours.session.continue_(4).when.icount
        ours.session.delete_point(point.number)
        theirs, mine = gdb.at(here, *commands), ours.at(here, *commands)
        found = [
            f"{command}\n  gdb:   {expected}\n  rrdbg: {answer}"
            for command, expected, answer in zip(commands, theirs, mine, strict=True)
            if plain(expected) != plain(answer)
        ]
        assert not found, "\n".join(found)


PLACES = """
info line | info line | list | info line | info line | list - | info line | list fib | info line | list 20,25
info line | info line 30 | info line | frame 1 | info line | info line | down | info line | info line main | info line
info symbol fib | info symbol $pc | info symbol &total | info symbol &nodes[3].key | info symbol table | info symbol $sp
info symbol 0 | info symbol (char *)&total + 100000 | info symbol &last.y
info address fib | info address total | info address nodes | info address table | info address operation
info address n | info address a | info address nosuch | info address last.x | info address _start
info scope fib | info scope main | info scope insert | info scope _start | info scope calls.c:60 | info scope *$pc
info scope calls.c:1000 | info scope nosuch.c:1 | info scope total | break total | until total | advance total
""".replace("\n", "|").split("|")
CONSTANTS = """
enum colour { RED, GREEN = 5 };
volatile long in = 7;
static const long five = 5;
INLINE long scaled(long x, long by) { long twice = x * 2; sink = twice; return twice * by; }
F long go(long n, enum colour colour, long unused, const char *name) {
  static long calls; long pieces[2] = {n, n + in}; const double half = 0.5; long m = scaled(n, 3);
  calls++; sink += pieces[1] + name[0]; long r = n ? go(n - 1, GREEN, 0, "b") : calls; sink = r * half; return r + m; }
int main(void) { return go(3, RED, in, "a"); }
"""


def said(text: str) -> str:
    """Return an answer without what makes it an error of gdb's or of rrdbg's."""
    text = text.removeprefix("error: ")
    for pattern, ours in _REFUSALS:
        text = re.sub(pattern, ours, text)
    return text[:1].lower() + text[1:].rstrip(".")


_REFUSALS = (
    (r'No symbol "(.*)" in current context', r"no symbol '\1' in the trace's images"),
    (r'Function "(.*)" not defined', r"function '\1' is not defined"),
    (r'No line (\d+) in file "(.*)"', r"no code at line \1 of \2"),
    (r"No source file named (.*)\.", r"no source file '\1' in the trace's images"),
)


def asked(trace: Path, location: str, hits: int, commands: list[str]) -> list[tuple[str, str, str]]:
    """Return where the two say something else, at a breakpoint's `hits`-th hit."""
    with Gdb(trace) as gdb, Ours(trace) as ours:
        point = ours.session.add_break(location, internal=True)
        here = ours.session.continue_(hits).when.icount
        ours.session.delete_point(point.number)
        rows = zip(commands, gdb.at(here, *commands), ours.at(here, *commands), strict=True)
        return [row for row in rows if said(row[1]) != said(row[2])]


@pytest.mark.parametrize("flags", ["-O0 -gdwarf-5", "-O1 -gdwarf-4"])
def test_where_things_are(flags: str, tmp_path: Path) -> None:
    trace = record(compile_program("calls", flags, tmp_path), tmp_path)
    assert asked(trace, "fib", 4, [command for text in PLACES if (command := text.strip())]) == []


@pytest.mark.parametrize("compiler", [GCC, CLANG])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_where_variables_are(level: str, compiler: str, tmp_path: Path) -> None:
    trace = recorded(f"{HEAD}{CONSTANTS}", compiler, level, tmp_path)
    names = ("n", "colour", "unused", "name", "calls", "pieces", "half", "m", "r", "five", "in", "GREEN", "twice")
    commands = [f"info address {name}" for name in names]
    found = asked(trace, "go", 1, [*commands, "info scope go", "info scope main"])
    # gdb has the variables of a block in the order of hashes
    assert [row for row in found if sorted(row[1].split("Symbol ")) != sorted(row[2].split("Symbol "))] == []


@pytest.mark.parametrize("flags", ["-O0 -gdwarf-5", "-O2 -gdwarf-4"])
def test_until_and_advance(flags: str, tmp_path: Path) -> None:
    """From every frame; where nothing called it, gdb's `until` stops at no place of another function."""
    trace = record(compile_program("calls", flags, tmp_path), tmp_path)
    rng = random.Random(flags)
    places = ("fib", "down", "many", "even", "odd", "insert", "sum", "calls.c:22", "calls.c:24", "calls.c:75")
    with Gdb(trace) as gdb, Ours(trace) as ours:
        session = ours.session
        start, end = session.until("main").when.icount, session.position("end") - 40
        for _ in range(40):
            position, frame = rng.randrange(start, end), rng.choice((0, 0, 1, 2))
            command = f"{rng.choice(('until', 'advance'))} {rng.choice(places)}"
            theirs = gdb.at(position, f"frame {frame}", command, 'printf "%lu", $icount')[2]
            ours.at(position, f"frame {frame}", command)
            assert session.icount == int(theirs), (position, frame, command)


def test_many_frames(tmp_path: Path) -> None:
    text = HEAD.replace("8192", "1 << 20").replace("stack+1 << 20", "stack+0x100000")
    rec = "F long rec(long n) { sink++; return n ? rec(n - 1) + sink : 0; } int main(void) { return rec(1200); }"
    trace = recorded(f"{text}{rec}", GCC, "-O0", tmp_path)
    with Ours(trace) as ours:
        ours.session.add_break("rec", condition="n == 0")
        ours.session.continue_()
        lines = ours.ask("bt").splitlines()
        assert len(lines) == 101
        assert lines[-1].startswith("(More stack frames follow...) `backtrace 1000`")
        assert len(ours.ask("bt 1000").splitlines()) == 1001
        assert ours.ask("bt -1").startswith("#1201 ")
        ours.ask("set backtrace limit 5")
        assert len(ours.ask("bt").splitlines()) == 6
        assert ours.ask("show backtrace limit") == "An upper bound on the number of stack frames in a backtrace is 5."
        ours.ask("set backtrace limit unlimited")
        assert len(ours.ask("bt").splitlines()) == 1202
        here = ours.session.icount
        ours.ask("frame apply 5 stepi")  # the others would be frames of another position
        assert ours.session.icount == here + 1


def test_a_loop_of_traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trap of a loop is shown, though they are not replayed one by one."""
    lost = 'F long lost(long n) { __asm__("li a1, 64\\n .word 0x30559073" ::: "a1"); ((function)0)(n, n); return 0; }'
    trace = recorded(f"{HEAD}{lost} int main(void) {{ return lost(3); }}", GCC, "-O0", tmp_path)  # csrw mtvec, a1
    with Ours(trace) as ours:
        ours.session.add_break("lost")
        first = ours.session.continue_().when.icount
        for count in (*range(4), 40):  # to the first trap and beyond; the last frames are those of the program
            ours.session.goto(first + 10 + count)
            quick = ours.session.backtrace(200)
            monkeypatch.setattr("rrdbg.session.backtrace.LOOP_REACH", 1)
            with Ours(trace) as other:
                other.session.goto(first + 10 + count)
                assert other.session.backtrace(200) == quick
            monkeypatch.undo()
        assert len(quick) > 30
        assert [frame.function for frame in quick[-2:]] == ["lost", "main"]
        ours.session.goto("end")
        assert len(ours.session.backtrace(10_000)) == 10_000


POINTERS = """
struct pair { long a, b; };
volatile long in = 7;
INLINE long look(struct pair *p, long *q, const long *k) {
  sink++; long r = p->a + *q; sink++; return r + p->b + *k; }
F long go(long n) {
  struct pair pair = {n, n + in}; long x = in; const long five = 5;
  long r = look(&pair, &x, &five); sink += pair.a; return r + x + pair.b; }
int main(void) { return go(3); }
"""


def test_pointers_that_the_compiler_did_without(tmp_path: Path) -> None:
    """What they point to is known all the same."""
    trace = recorded(f"{HEAD}{POINTERS}", GCC, "-O2", tmp_path)
    pointees = ("*p", "p->a", "p->b", "p[0]", "*q", "*k", "*(char *)q")
    commands = [f"{command} {text}" for command in ("output", "output/x", "whatis") for text in pointees]
    commands += [f"output {text}" for text in ("p", "q", "q + 1", "k", "&*q", "(char *)k")]
    with Gdb(trace) as gdb, Ours(trace) as ours:
        ours.session.add_break("look")
        here = ours.session.continue_().when.icount
        told: list[tuple[str, str, str]] = []
        for at in range(here, here + 16):
            ours.session.goto(at)
            if "k = <synthetic pointer>" in ours.ask("info args"):
                told += zip(commands, gdb.at(at, *commands), ours.at(at, *commands), strict=True)
                assert ours.ask("output *k") == "5"
                # what is none of theirs; gdb refuses
                beyond = [ours.ask(f"output {text}") for text in ("q[1]", "q[-1]", "*(p + 1)")]
                assert beyond == ["<optimized out>"] * 3
        assert len(told) > 4 * len(commands)
        assert [row for row in told if row[1] != row[2]] == []


ENUMS = """
enum kind { NONE, ONE, TWO, THREE };
enum sign { MINUS = -1, PLUS = 1 };
struct node { enum kind kind; enum kind bits : 3; enum sign sign; } node = {TWO, THREE, MINUS};
volatile enum kind k = TWO;
int main(void) { return k + node.kind; }
"""


def test_numbers_of_enumerations(tmp_path: Path) -> None:
    trace = recorded(f"{HEAD}{ENUMS}", GCC, "-O0", tmp_path)
    forms = ("{} >> 1", "{} << 1", "{} << 3", "-{}", "~{}", "+{}", "!{}", "{} + 1", "{} & 1", "({} >> 1) == 1")
    operands = ("k", "node.kind", "node.bits", "node.sign", "(enum kind)2")
    texts = [form.format(operand) for form in forms for operand in operands]
    commands = [f"{command} {text}" for text in texts for command in ("output", "whatis", "output/x")]
    with Gdb(trace) as gdb, Ours(trace) as ours:
        ours.session.add_break("main")
        here = ours.session.continue_().when.icount
        theirs, mine = gdb.at(here, *commands), ours.at(here, *commands)
        assert [row for row in zip(commands, theirs, mine, strict=True) if row[1] != row[2]] == []
