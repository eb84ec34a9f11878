"""The guests that have a bug or depend on the outside: do they do what they are for?"""

from __future__ import annotations

import re
from collections import Counter

import pytest
from rrdbg_core.cpu.stops import Watch, WatchKind
from rrdbg_core.machine.machine import StopReason
from rrdbg_core.machine.source import FOREVER

from tests.guests.machine import build, run
from tests.guests.manifest import ROWS, elf


@pytest.mark.parametrize(("how", "share"), [("entropy", (5, 20)), ("input", (1, 11))])
def test_race_fails_in_some_runs_only(how: str, share: tuple[int, int]) -> None:
    runs = range(24 if how == "entropy" else 12)
    if how == "entropy":
        results = [run(elf("race"), seed=seed) for seed in runs]
    else:
        results = [run(elf("race"), typed=[(1_000_000 + 777_777 * n, b"x")]) for n in runs]
    codes = Counter(result.exit_code for result in results)
    assert set(codes) == {0, 1}
    assert share[0] <= codes[1] <= share[1]
    for result in results:
        assert (b"panic" in result.output) == (result.exit_code == 1)


def test_race_goes_the_same_way_again() -> None:
    assert run(elf("race"), seed=5) == run(elf("race"), seed=5)
    assert run(elf("race"), seed=5).steps != run(elf("race"), seed=6).steps


def test_heap_is_corrupted_long_before_it_is_found() -> None:
    """The damaged word is written often, by right and by wrong; the last write is the bug, and long ago."""
    found = re.search(r"block 0x(\w+) has size 0,", ROWS["heap"]["output"])
    assert found is not None
    word = int(found[1], 16)
    machine, _ = build(elf("heap"))
    machine.core.set_watches([Watch(word, 8, WatchKind.WRITE)])
    writes: list[tuple[int, int]] = []
    while machine.run(FOREVER) is StopReason.WATCHPOINT:
        writes.append((machine.icount, int.from_bytes(machine.memory.read(word, 8), "little")))
    assert len(writes) > 200
    damaged, size = writes[-1]
    assert size == 0
    assert writes[-2][1] == 128  # the size of the block, as the allocator wrote it
    assert machine.icount - damaged > 8_000_000


def test_storm_counts_interrupts_of_all_kinds() -> None:
    typed = [(100_000 * n, b"storm") for n in range(1, 60)]
    result = run(elf("storm"), seed=1, typed=typed)
    counts = {
        k: int(n) for k, n in re.findall(r"^ *(timer|receive|transmit|entropy) (\d+)$", result.output.decode(), re.M)
    }
    assert result.exit_code == 0
    assert counts["receive"] == 5 * len(typed)
    assert min(counts.values()) > 200
    assert sum(counts.values()) >= 8000
    assert run(elf("storm"), seed=2, typed=typed).output[-20:] != result.output[-20:]


def test_storm_works_with_the_board_alone() -> None:
    output = run(elf("storm")).output.decode()
    assert re.search(r"receive 0\n", output)
    assert re.search(r"entropy 0\n", output)
    assert re.search(r"timer [1-9]", output)
    assert re.search(r"transmit [1-9]", output)


SESSION = b"""\
help\r\
echo one  two\r\
poke 0x80010000 0xfeed\r\
peek 0x80010000\r\
run fib 15\r\
ech\x7f\x7f\x7fecho \x1b[A\x1b[5~edited\r\
rubbish\x15echo fresh\r\
rubbish\x03\
rand\r\
nosuch\r\
reset\r\
crash\r\
"""


def test_shell_answers() -> None:
    result = run(elf("shell"), typed=[(100_000, SESSION)], seed=3)
    text = result.output.decode()
    assert result.exit_code == 1
    for expected in (
        "$ echo one  two\none two\n",
        "0x80010000: 000000000000feed\n",
        "fib(15) = 610\n",
        "\b \b\b \b\b \becho edited\nedited\n",
        "\b \becho fresh\nfresh\n",
        "rubbish^C\n$ ",
        "nosuch: no such command, try help\n",
        "jumping to 0\npanic: fetch fault at 0x0",
    ):
        assert expected in text
    assert text.count("rrdbg guest shell") == 2  # the reset
    assert re.search(r"\$ rand\n[0-9a-f]{64}\n", text)
    for command in ("help", "echo", "peek", "poke", "mem", "time", "rand", "run", "crash", "reset", "exit"):
        assert re.search(rf"^ +{command}  ", text, re.M)


def test_shell_sleeps_and_exits() -> None:
    assert run(elf("shell")).reason is StopReason.IDLE
    assert run(elf("shell"), typed=[(50_000, b"exit 77\n")]).exit_code == 77
    assert b"no entropy device" in run(elf("shell"), typed=[(50_000, b"rand\n")]).output


def test_usermode_isolates() -> None:
    output = ROWS["usermode"]["output"]
    assert "intruder killed: store fault" in output
    assert "climber killed: illegal instruction" in output
    for name in ("primes", "collatz", "liar"):
        assert f"kernel: {name} exits with 0\n" in output


def test_elfs_are_small() -> None:
    """They are in every clone and every wheel; `bench/bigcode` is about much code."""
    sizes = {name: elf(name).stat().st_size for name in ROWS}
    assert sizes.pop("bench/bigcode") < 400_000
    assert max(sizes.values()) < 90_000
