"""For each planted bug a script of at most ten lines goes from the failure to the instruction that is to blame."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random

import pytest
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import record
from rrdbg_core.trace.model import EPOCH

import rrdbg
from rrdbg.cli.main import main
from rrdbg.commands import Interpreter
from rrdbg.session.api import NotFound, PointKind, Session, StopReason

from .cases import CASES, SCRIPTS

PAGE = 4096
ON_THE_STACK = [name for name, case in CASES.items() if case.stack]
Found = Callable[[str], tuple[Path, int]]


@cache
def blamed(name: str) -> list[int]:
    return CASES[name].blamed()


def run_script(script: Path, session: Session) -> None:
    """Run a script as `rrdbg replay -x` and `rrdbg run` do."""
    if script.suffix == ".py":
        exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), {"session": session})
    else:
        Interpreter(session).run_file(str(script), lambda output: None)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Return a function that records a guest, runs its script, and returns the trace and where the script ended."""

    @cache
    def find(name: str) -> tuple[Path, int]:
        case = CASES[name]
        path = tmp_path_factory.mktemp(name) / f"{name}.rrt"
        config, images = case.config()
        record(config, images, LiveSource(config), path)
        with rrdbg.open(path) as session:
            run_script(case.script, session)
            return path, session.icount

    return find


@pytest.fixture
def session(found: Found, request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session that stands where the script of the test's case has ended."""
    path, icount = found(request.node.callspec.params["name"])
    with rrdbg.open(path) as session:
        session.goto(icount)
        yield session


def test_there_is_a_script_for_each() -> None:
    assert {path.stem for path in SCRIPTS.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_script_ends_at_the_culprit(name: str, session: Session) -> None:
    case = CASES[name]
    assert session.pc in case.culprits()
    assert session.disassemble(count=1)[0].text.startswith(case.insn)
    # and at that execution of it which is to blame
    executions = blamed(name)
    assert executions
    assert session.icount == executions[-1]


@pytest.mark.parametrize("name", CASES)
def test_the_guest_fails_long_after(name: str, session: Session) -> None:
    info = session.info()
    assert info.exit_code == 1 or (name == "wrong-csr-bit" and "sleeps for ever" in info.reason)
    assert info.end - session.icount >= CASES[name].far


@pytest.mark.parametrize("name", CASES)
def test_the_script_is_told_nothing(name: str, found: Found) -> None:
    """It starts at the end, has at most ten lines, and names no address, no position and not the culprit's function."""
    case = CASES[name]
    path, icount = found(name)
    lines = [line for line in case.script.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    text = "\n".join(lines)
    assert len(lines) <= 10
    assert re.match(r"goto end\n|session\.goto\(.end.\)|before, after = 0, session\.goto\(.end.\)", text)
    with rrdbg.open(path) as session:
        session.goto(icount)
        around = session.locate(session.pc)
    assert not re.search(rf"\b{re.escape(around.symbol)}\b", text)
    assert around.line not in map(int, re.findall(r":(\d+)", text))
    assert not re.search(r"@[A-Za-z]", text), "no bookmark"
    assert "0x" not in text
    numbers = [int(digits.replace("_", "")) for digits in re.findall(r"\d[\d_]*", text)]
    assert max(numbers, default=0) < 1000, "no icount, no address"


@pytest.mark.parametrize("name", ON_THE_STACK)
def test_the_last_write_lies_on_the_busiest_page_of_the_stack(name: str, session: Session) -> None:
    """The page is written in every epoch, more often than any other; the word stays as the culprit has left it."""
    case = CASES[name]
    word = session.evaluate(case.stack) & -8
    page = word & -PAGE
    end = session.info().end
    assert end > 1_000_000_000
    # who writes what, at random places of the run
    rng = Random(name)
    written: Counter[int] = Counter()
    for start in [rng.randrange(end - 2000) for _ in range(20)]:
        for row in session.step_rows(start, 2000):
            written.update(access.address & -PAGE for access in row.accesses if access.kind == "write")
    assert written.most_common(1)[0][0] == page
    # in every epoch
    watch = session.add_watch(page, length=PAGE, kind=PointKind.AWATCH)
    for epoch in range(end // EPOCH + 1):
        session.goto(epoch * EPOCH)
        stop = session.continue_()
        assert stop.reason is StopReason.WATCHPOINT
        assert stop.when.icount // EPOCH == epoch or epoch == end // EPOCH
    session.delete_point(watch.number)
    session.goto(blamed(name)[-1] + 1)
    left = session.read_memory(word, 8).data
    session.goto("end")
    assert session.read_memory(word, 8).data == left


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_THE_STACK)
def test_nothing_changes_the_word_after_the_culprit(name: str, session: Session) -> None:
    """Forwards, step by step as the machine runs, the damaged word is never written again."""
    word = session.evaluate(CASES[name].stack) & -8
    session.stepi()
    session.add_watch(word, length=8)
    assert session.continue_().reason is StopReason.END


@pytest.mark.parametrize("name", ["use-after-free", "wrong-csr-bit"])
def test_on_the_command_line(name: str, found: Found, capsys: pytest.CaptureFixture[str]) -> None:
    path, icount = found(name)
    script = CASES[name].script
    if script.suffix == ".py":
        assert main(["run", str(script), str(path)]) == 0
        return
    assert main(["replay", str(path), "-x", str(script), "-batch", "-ex", "when"]) == 0
    assert f"Position: {icount:_} of " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["use-after-free"])
def test_a_condition_is_about_the_function_it_stops_in(name: str, session: Session) -> None:
    """Why the session is stale: who gave it back while it was active? `give` was inlined into most of its callers."""
    stale = session.evaluate("session")
    with pytest.raises(NotFound):
        session.add_break("give", condition="nosuch == active")
    session.add_break("give", condition="memory == active")
    stop = session.reverse_continue()
    assert stop.reason is StopReason.BREAKPOINT
    assert not stop.text.startswith("Error")
    assert session.evaluate("memory") == session.evaluate("active") == stale
