"""Commands of gdb's that make no sense on a recording say so; its settings of prompt and screen do no harm."""

from __future__ import annotations

import pytest

from rrdbg.commands import Interpreter
from rrdbg.commands.foreign import _BY_NAME, SETTINGS
from rrdbg.session.errors import NotFound, UsageError


def test_every_one_is_refused_with_a_reason_and_a_way_on(gdb: Interpreter) -> None:
    for name in _BY_NAME:
        with pytest.raises(UsageError) as caught:
            gdb.run(f"{name} main")
        assert caught.value.message.startswith(f"{name}: ")
        assert caught.value.hint


def test_none_of_them_is_a_command_here(gdb: Interpreter) -> None:
    ours = {row.name for row in gdb.commands}
    ours |= {alias for row in gdb.commands if " " not in row.name for alias in row.aliases}
    assert ours.isdisjoint(_BY_NAME)


def test_what_the_hints_name_exists(gdb: Interpreter) -> None:
    for _, hint in _BY_NAME.values():
        for text in hint.split("`")[1::2]:
            if not text.startswith(("rrdbg ", "--")):
                gdb.run(f"help {text.partition(' ')[0]}")


def test_settings(gdb: Interpreter) -> None:
    for name in SETTINGS:
        assert gdb.run(f"set {name} off").text == ""
    with pytest.raises(UsageError, match="there is no setting 'nonsense'"):
        gdb.run("set nonsense off")
    gdb.run("set $width = 5")
    assert gdb.run("output $width").text == "5"


def test_the_hart_is_a_thread(gdb: Interpreter) -> None:
    assert gdb.run("info threads").text.splitlines()[1].startswith("* 1    hart 0 (M mode) ")
    assert gdb.run("thread 1").text == "[Current thread is 1 (hart 0 (M mode))]"
    with pytest.raises(UsageError):
        gdb.run("thread 2")


def run(gdb: Interpreter, *lines: str) -> list[str]:
    return [gdb.run(line).text for line in lines]


def test_commands_of_a_point_run_at_each_of_its_stops(gdb: Interpreter) -> None:
    run(gdb, "break bump", "commands", "silent", "# a remark", "output/x $s2", "end", "display/x $pc")
    stops = []
    while gdb.session.icount < gdb.session.info().end:
        before, text = gdb.session.icount, gdb.run("continue").text
        at_point = gdb.session.pc == gdb.session.lookup("bump").address
        stops.append((text, at_point, before))
        if at_point:
            assert text == gdb.run("output/x $s2").text
    assert sum(at_point for _, at_point, _ in stops) > 1
    assert not gdb.collecting


def test_commands_that_go_on_are_followed(gdb: Interpreter) -> None:
    """All stops of a point are told in one go; the guest ends where it would without them."""
    session = gdb.session
    run(gdb, "break bump", "commands 1", "silent", 'printf "%d\\n", $icount', "continue", "end")
    told = gdb.run("continue").text.splitlines()
    assert session.icount == session.info().end
    session.goto(0)
    gdb.run("commands 1")
    gdb.run("end")  # none any more
    stops = []
    while session.continue_().points:
        stops.append(str(session.icount))
    assert told[: len(stops)] == stops
    assert len(stops) > 1


def test_an_error_ends_them_and_is_told(gdb: Interpreter) -> None:
    run(gdb, "break bump", "commands", "output 1", "print nosuch", "continue", "end")
    text = gdb.run("continue").text
    assert text.splitlines()[-2:] == [
        "1",
        "Error in the commands of a breakpoint: no symbol 'nosuch' in the trace's images",
    ]
    assert gdb.session.pc == gdb.session.lookup("bump").address
    assert "        print nosuch" in gdb.run("info breakpoints").text.splitlines()


def test_commands_need_a_point(gdb: Interpreter) -> None:
    with pytest.raises(NotFound):
        gdb.run("commands")
    with pytest.raises(NotFound):
        gdb.run("commands 7")
    assert not gdb.collecting
