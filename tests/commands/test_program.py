"""Commands about the program's values: send and expect, on a program compiled here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rrdbg_core.errors import RrdbgError

import rrdbg
from rrdbg.commands import Interpreter
from rrdbg.commands.plain import as_json
from rrdbg.session.errors import NotFound, UsageError
from tests.gdb.recordings import needs_gcc
from tests.session.oracle import recorded

pytestmark = needs_gcc

TALK = r"""
> break mix
Breakpoint 1 at ADDR: file story.c, line 14.
> continue
~ Breakpoint 1, mix \(a=5, b=6, c=-7, d=122 'z', p=ADDR <stk\+\d+> "abcdefghij", fn=ADDR <depth>\) at story.c:14\n14\t.*
> info args
a = 5
b = 6
c = -7
d = 122 'z'
p = ADDR <stk+4040> "abcdefghij"
fn = ADDR <depth>
> print list
$1 = {head = ADDR <pool+96>, count = 5, state = RUN, f = 4, g = 8}
> p $.count * 2
$2 = 10
> p $1.head
$3 = (struct node *) ADDR <pool+96>
> p *$
$4 = {v = 4, next = ADDR <pool+72>, name = "node\000\000\000"}
> p $$2 + $2
$5 = 20
> p/x $$.v
$6 = 0x4
> output list.head->next->name
"node\000\000\000"
> output/d list.state
3
> p pool[0]@2
$7 = {{v = 0, next = 0x0, name = "node\000\000\000"}, {v = 1, next = ADDR <pool>, name = "node\000\000\000"}}
> p -elements 2 -- pool[0].name
$8 = "no"...
> p -pretty on -- list
$9 = {
  head = ADDR <pool+96>,
  count = 5,
  state = RUN,
  f = 4,
  g = 8
}
> p fn(list.head, 0) == 0 || 1
! functions cannot be called
> call list.count
$10 = 5
> call $_exitcode
> p sizeof(struct node)
$11 = 24
> whatis list.head
type = struct node *
> whatis list_t *
type = list_t *
> ptype list
type = struct {
    struct node *head;
    int count;
    enum st state;
    unsigned int f : 3;
    unsigned int g : 5;
}
> set $n = list.head
> p $n->next->v
$12 = 3
> set var $i = 7
> p $i++ + $i
$13 = 15
> set list.count = 1
! the trace is read-only
> set print pretty on
> show print pretty
Pretty formatting of structures is on.
> p list.head->next->next->next->next[0]
$14 = {
  v = 0,
  next = 0x0,
  name = "node\000\000\000"
}
> set print pretty off
> set print elements 3
> p arr
! no symbol 'arr'
> set print elements 200
> printf "%s|%5d|%-4x|%c|%%|%5.2f\n", list.head->name, list.count, 255, 'q', acc
node|    5|ff  |q|%| 5.00

> x/2dw &pool[1]
ADDR <pool+24>:	1	0
> p $_
$15 = (int *) ADDR <pool+28>
> p $__
$16 = 0
> display list.count
1: list.count = 5
> undisplay 1
> info scope fill
Scope for fill:
Symbol buf is a complex DWARF expression:
     0: DW_OP_fbreg -40
, length 8.
Symbol n is a complex DWARF expression:
     0: DW_OP_fbreg -44
, length 4.
Symbol c is a complex DWARF expression:
     0: DW_OP_fbreg -45
, length 1.
Symbol i is a complex DWARF expression:
     0: DW_OP_fbreg -20
, length 4.
> info types ^list
All types matching regular expression "^list":

File story.c:
6:	typedef struct {...} list_t;
> info functions ^(mix|push)$
All functions matching regular expression "^(mix|push)$":

File story.c:
14:	static long mix(long, unsigned int, short, char, uint8_t *, int (*)(struct node *, int));
9:	static struct node *push(list_t *, int, const char *);
> info variables ^(pool|acc)$
All variables matching regular expression "^(pool|acc)$":

File story.c:
7:	double acc;
7:	static struct node pool[8];
> watch list.count
Hardware watchpoint 2: list.count
> reverse-continue
~ .*Old value = 5\nNew value = 4\n.*push \(.*
> p list.count
$17 = 4
> up
~ #1 .* in main \(\) at story.c:16.*
> p k
$18 = 4
> info locals
n = ADDR <pool+72>
k = 4
buf = "abcdefghij\000"
arr = {1, 3, 5, 7, 5}
m = 0
> p k == 4 ? arr[k] : -1
$19 = 5
> diff
~ .* registers and \d+ bytes of RAM differ\n(.*\n)*ADDR <list\+8>: 0x0000000300000005 -> 0x0000000300000004\n.*
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded("story.c", "-O0", tmp_path_factory.mktemp("story"))


@pytest.fixture
def gdb(trace: Path) -> Iterator[Interpreter]:
    with rrdbg.open(trace) as session:
        yield Interpreter(session)


def test_talk(gdb: Interpreter) -> None:
    pairs = re.split(r"^> ?", TALK.lstrip("\n"), flags=re.MULTILINE)[1:]
    for pair in pairs:
        send, _, expect = pair.partition("\n")
        expect = expect.rstrip("\n")
        try:
            answer = gdb.run(send).text.rstrip("\n")
        except RrdbgError as error:
            answer = f"! {error.message}"
        answer = re.sub(r"0x(?:0{8})?8[0-9a-f]{7}\b", "ADDR", answer)
        if expect.startswith("~ "):
            assert re.fullmatch(expect[2:], answer, re.DOTALL), f"{send}: {answer}"
        elif expect.startswith("! "):
            assert answer.startswith(expect), f"{send}: {answer}"
        else:
            assert answer == expect, send


@pytest.mark.parametrize(
    ("line", "kind"),
    [("printf", UsageError), ('printf "%d"', UsageError), ('printf "%q", 1', UsageError), ("set", UsageError),
     ('printf "%d", 1, 2', UsageError), ('printf "%99999d", 1', UsageError), ('printf "%s", 0', NotFound),
     ("set print nosuch on", UsageError), ("set print elements x", UsageError), ("set print", UsageError),
     ("show print nosuch", UsageError), ("info variables (", UsageError), ("info scope nosuch", NotFound),
     ("ptype nosuch", NotFound), ("set $sp = 1", UsageError), ("diff 1 2 3", UsageError), ("p/xd 1", UsageError),
     ("whatis struct nosuch", NotFound), ("diff", NotFound), ("p pool.v", UsageError), ("p list.nosuch", NotFound)],
)  # fmt: skip
def test_mistake(gdb: Interpreter, line: str, kind: type[RrdbgError]) -> None:
    with pytest.raises(kind) as caught:
        gdb.run(line)
    assert "\n" not in caught.value.message


def test_answers_for_programs(gdb: Interpreter) -> None:
    gdb.run("break mix")
    gdb.run("continue")
    for line in ("p list", "info locals", "info args", "whatis list", "info types", "info functions", "info variables",
                 "info scope mix", "diff 1 100", 'printf "%d", 1', "show print", "ptype list"):  # fmt: skip
        assert set(json.loads(as_json(gdb.run(line)))) == {"text", "data"}, line


def test_a_tree_of_values(gdb: Interpreter) -> None:
    session = gdb.session
    gdb.run("break mix")
    gdb.run("continue")
    (first, *_) = session.children("list")
    assert (first.name, first.type, first.expression, first.kind, first.expandable) == (
        "head", "struct node *", "list.head", "member", True,
    )  # fmt: skip
    names = [row.expression for row in session.children(first.expression)]
    assert names == ["list.head->v", "list.head->next", "list.head->name"]
    assert [row.text for row in session.children("pool[0].name")][:2] == ["110 'n'", "111 'o'"]
    assert session.children("list.count") == ()
    rows = [row for kind in ("local", "arg", "static") for row in session.variables(kind)]
    while rows:  # every expression that is handed out means the value it stands beside
        row = rows.pop()
        printed = session.print_value(row.expression)
        assert row.text in printed.text
        assert (printed.type, printed.address, printed.expandable) == (row.type, row.address, row.expandable)
        if row.expandable and row.expression.count("->") < 2 and row.name != "stk":
            rows += session.children(row.expression)[:10]
