"""The harness of the benchmarks: its statistics, its reports, what it compares, and what it does when things fail."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.machine.machine import StopReason

from tests.bench import __main__ as bench
from tests.bench import host, qemu, speed, table
from tests.bench.compare import Verdict, compared
from tests.bench.context import Context, Part
from tests.bench.figures import BadReport, Figure, Report, load
from tests.bench.kernels import KERNELS, QUICK, kernel, manifest, scaled
from tests.bench.progress import Progress, duration
from tests.bench.stats import EXACT, chance_greater, percentile, quartiles
from tests.guests import machine
from tests.guests.manifest import ROWS, elf

FEW = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=4)
HOST = {"cpu": "a CPU", "clock": "cpu"}


def figure(*samples: float, name: str = "x", **more: Any) -> Figure:
    return Figure("part", name, more.pop("unit", "s"), samples, **more)


def report(*figures: Figure, **of_host: Any) -> Report:
    return Report({**HOST, **of_host}, {}, list(figures))


# statistics


@given(st.lists(st.integers(0, 99), min_size=1), st.integers(1, 100))
def test_percentile_is_the_smallest_sample_that_enough_samples_do_not_exceed(samples: list[float], share: int) -> None:
    value = percentile(samples, share / 100)
    assert 100 * sum(x <= value for x in samples) >= share * len(samples)
    assert 100 * sum(x < value for x in samples) < share * len(samples)


def test_quartiles() -> None:
    assert quartiles([3]) == (3, 3)
    assert quartiles([5, 1, 3, 2, 4]) == (2, 4)


@given(FEW, FEW)
def test_rank_test_counts_all_orders(first: list[float], second: list[float]) -> None:
    """The chance is the share of all ways to deal the ranks in which the first side gets as many wins."""
    wins = sum((x > y) + (x == y) / 2 for x in first for y in second)
    everyone = range(len(first) + len(second))
    deals = list(itertools.combinations(everyone, len(first)))
    as_many = sum(sum(x > y for x in deal for y in everyone if y not in deal) >= wins for deal in deals)
    assert chance_greater(first, second) == pytest.approx(as_many / len(deals))


def test_rank_test_of_many_samples_agrees_with_the_exact_one() -> None:
    first, second = [float(x * 37 % 41) for x in range(EXACT)], [float(x * 29 % 43) - 5 for x in range(EXACT)]
    exact = chance_greater(first, second)
    assert chance_greater([*first, 20.0], [*second, 16.0]) == pytest.approx(exact, abs=0.03)


def test_three_runs_are_enough_and_two_are_not() -> None:
    assert chance_greater([4, 5, 6], [1, 2, 3]) == pytest.approx(0.05)
    assert chance_greater([3, 4], [1, 2]) > 0.05


# figures and reports


def test_a_figure_is_judged_by_its_statistic() -> None:
    assert figure(1, 2, 9).value == 2
    assert figure(*range(1, 101), statistic="p95").value == 95
    assert figure(1, 2, 9, statistic="maximum", goal=9).met is True
    assert figure(1, 2, 9, statistic="minimum", goal=2, better="higher").met is False
    assert figure(1).met is None


@pytest.mark.parametrize("samples", [(), (float("nan"),), (1.0, float("inf"))])
def test_a_figure_needs_samples(samples: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="samples"):
        figure(*samples)


def test_a_report_survives_a_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    before = report(
        figure(1, 2.5, 3, goal=2, note="so"), figure(7, name="y", unit="MIPS", better="higher", subject="k")
    )
    before.problems.append("one thing")
    before.save(path)
    assert load(path) == before


def test_the_file_holds_what_other_programs_want() -> None:
    row = report(figure(4, 1, 3, goal=2)).as_json()["figures"][0]  # type: ignore[index]
    assert row == {
        "part": "part",
        "subject": "",
        "name": "x",
        "unit": "s",
        "samples": [4, 1, 3],
        "better": "lower",
        "statistic": "median",
        "goal": 2,
        "relative": False,
        "informative": False,
        "note": "",
        "value": 3,
        "lower_quartile": 2,
        "upper_quartile": 3.5,
        "met": False,
    }


GOOD = report(figure(1)).as_json()
BAD_ROW = {**GOOD["figures"][0], "samples": []}  # type: ignore[index]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        json.dumps({**GOOD, "schema": 0}),
        json.dumps({k: v for k, v in GOOD.items() if k != "host"}),
        json.dumps({**GOOD, "figures": [BAD_ROW]}),
        json.dumps({**GOOD, "figures": [{"part": "x"}]}),
        json.dumps({**GOOD, "figures": 5}),
    ],
)
def test_what_is_no_report_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(BadReport, match=r"other\.json"):
        load(path)
    with pytest.raises(BadReport, match=r"none\.json"):
        load(tmp_path / "none.json")


# comparison

FAST, SLOW = (1.0, 1.1, 1.05, 1.02, 1.08), (1.3, 1.4, 1.35, 1.32, 1.38)


def verdict(now: Figure, then: Figure, **of_host: Any) -> Verdict:
    (change,) = compared(report(now, **of_host), report(then))
    return change.verdict


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_changes_beyond_noise_are_told(better: Any) -> None:
    fast, slow = figure(*FAST, better=better), figure(*SLOW, better=better)
    good, bad = (Verdict.BETTER, Verdict.WORSE) if better == "lower" else (Verdict.WORSE, Verdict.BETTER)
    assert verdict(fast, slow) is good
    assert verdict(slow, fast) is bad
    (change,) = compared(report(fast), report(slow))
    assert change.factor == pytest.approx(1.35 / 1.05 if better == "lower" else 1.05 / 1.35)


def test_noise_is_no_change() -> None:
    noisy = figure(1.0, 1.9, 1.3, 1.05, 1.6)
    assert verdict(noisy, figure(*FAST)) is Verdict.UNSURE
    assert verdict(figure(*(x * 1.02 for x in FAST)), figure(*FAST)) is Verdict.SAME
    assert verdict(figure(2), figure(1)) is Verdict.UNSURE


def test_seconds_of_another_machine_say_nothing_and_ratios_do() -> None:
    assert verdict(figure(*SLOW), figure(*FAST), cpu="another") is Verdict.ELSEWHERE
    assert verdict(figure(*SLOW), figure(*FAST), clock="wall") is Verdict.ELSEWHERE
    assert verdict(figure(*SLOW, relative=True), figure(*FAST, relative=True), cpu="another") is Verdict.WORSE


def test_what_cannot_be_compared_is_not() -> None:
    assert verdict(figure(1, name="y"), figure(1)) is Verdict.NEW
    assert verdict(figure(1, unit="ms"), figure(1)) is Verdict.NEW
    assert verdict(figure(*SLOW, informative=True), figure(*FAST)) is Verdict.INFORMATIVE
    assert verdict(figure(0, 0, 0), figure(0, 0, 0)) is Verdict.SAME
    assert verdict(figure(1, 2, 3), figure(0, 0, 0)) is Verdict.WORSE


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=5), st.lists(st.floats(0.1, 10), min_size=1, max_size=5))
def test_who_is_better_is_not_worse(first: list[float], second: list[float]) -> None:
    pair = {verdict(figure(*first), figure(*second)), verdict(figure(*second), figure(*first))}
    assert pair in ({Verdict.SAME}, {Verdict.UNSURE}, {Verdict.BETTER, Verdict.WORSE}, {Verdict.SAME, Verdict.UNSURE})
    assert verdict(figure(*first), figure(*first)) is Verdict.SAME


def test_a_comparison_shows_the_worst_first() -> None:
    now = report(
        figure(*FAST), figure(*SLOW, name="y"), figure(*(x * 2 for x in SLOW), name="z"), figure(5, name="new")
    )
    then = report(figure(*SLOW), figure(*FAST, name="y"), figure(*FAST, name="z"))
    lines = list(table.comparison(compared(now, then), {"revision": "abc", "started": "then"}))
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["WORSE", "part", "z"],
        ["WORSE", "part", "y"],
        ["better", "part", "x"],
    ]
    assert lines[5] == "  1 were not measured then"


# tables and progress


def test_numbers_have_three_digits_that_count() -> None:
    assert [table.number(x) for x in (0, 1234.5, 99.94, 1.234, 0.1234, 0.0001234)] == [
        *("0", "1234", "99.94", "1.23", "0.123", "0.000123")
    ]


def test_subjects_make_a_table() -> None:
    figures = [
        figure(100, 104, 96, name="plain", unit="MIPS", subject="a"),
        figure(200, name="plain", unit="MIPS", subject="bb"),
        figure(2, name="ratio", unit="ratio", subject="bb"),
    ]
    lines = list(table.matrices(figures))
    assert [line.split() for line in lines[1:]] == [
        ["plain", "MIPS", "ratio", "ratio"],
        ["a", "100", "±2%", "-"],
        ["bb", "200", "2.00"],
    ]


def test_a_missed_goal_is_shown() -> None:
    assert table.row(figure(3, goal=2)).endswith("at most 2.00: MISSED")
    assert table.row(figure(3, goal=2, better="higher")).endswith("at least 2.00: ok")


def test_progress_tells_how_much_is_left() -> None:
    stream = io.StringIO()
    progress = Progress(10, stream)
    progress.begin("one", 4)
    progress.begin("two", 6)
    assert progress.line("two", 20) == " 40% 20 s, 30 s left: two"
    # what is no terminal gets few lines
    assert stream.getvalue().count("\n") == 1
    assert [duration(x) for x in (7.4, 95, 3700)] == ["7 s", "1 min 35 s", "1 h 01 min"]


# kernels


def test_all_kernels_are_measured() -> None:
    assert {name for name in ROWS if name.startswith("bench/")} <= set(KERNELS)
    assert set(QUICK) < set(KERNELS)
    for name in KERNELS:
        assert manifest()[name].steps > 1_000_000_000
        assert ROWS[name]["exit_code"] == 0
    assert kernel("calls") == kernel("bench/calls")


@pytest.mark.parametrize("name", [name for name in ROWS if name.startswith("bench/")])
def test_how_long_a_kernel_runs_may_be_changed(name: str) -> None:
    data = elf(name).read_bytes()
    assert scaled(data, 1) == data
    assert scaled(scaled(data, 9), 1 / 9) == data


def test_a_kernel_with_a_few_rounds_ends_soon(tmp_path: Path) -> None:
    path = tmp_path / "calls.elf"
    path.write_bytes(scaled(elf("bench/calls").read_bytes(), 0))
    result = machine.run(path)
    assert (result.reason, result.exit_code) == (StopReason.EXIT, 0)
    assert result.steps < ROWS["bench/calls"]["steps"] / 20
    with pytest.raises(ValueError, match="rounds"):
        scaled(elf("hello").read_bytes(), 2)


# samples


def test_ratios_are_those_of_runs_side_by_side() -> None:
    """A slow minute of the host shows in both: the ratio is steady though the speeds are not."""
    samples: dict[str, list[float | None]] = {"plain": [100, 50, 80], "record": [90, 45], "qemu record": [45, None, 3]}
    extra = {"helper record": [0.5], "trace": [1.0], "memory record": [99.0]}
    made = {
        each.name: each
        for each in speed.figures(
            "k", samples, dict(extra) | {f"helper {m}": [] for m in ("plain", "record warm", "cold", "warm")}, {}
        )
    }
    assert made["record/qemu"].samples == (2,)
    assert made["recording"].samples == pytest.approx((100 / 90, 50 / 45))
    assert "plain/qemu" not in made
    assert made["qemu record"].samples == (45, 3)
    assert made["helper record"].informative


def test_summaries_are_over_kernels() -> None:
    made = {each.name: each for each in speed.summaries({"record/qemu": [3, 1.5, 0.9], "plain": [5, 6, 7]})}
    assert made["record/qemu, median of the kernels"].met is False
    assert made["record/qemu, lowest of the kernels"].value == 0.9
    assert made["plain, median of the kernels"].value == 6


# processes


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="pinning and /proc are Linux's")


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


@on_linux
def test_a_process_is_pinned_and_what_it_starts_is_elsewhere() -> None:
    usable = sorted(os.sched_getaffinity(0))
    where = host.cores()
    assert where.guest == usable[-1]
    assert where.helper == usable[0]
    script = (
        "import os, subprocess, sys; print(os.sched_getaffinity(0), flush=True);"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE);\n"
        f"while os.sched_getaffinity(child.pid) != {{{where.helper}}}: pass\n"
        "child.communicate(b'x')"
    )
    assert host.run(python(script), where).stdout.decode().strip() == str({where.guest})
    with where.aside():
        assert os.sched_getaffinity(0) == {where.helper}
    assert sorted(os.sched_getaffinity(0)) == usable


BUSY = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"


@on_linux
def test_cpu_time_is_that_of_the_process_and_its_children() -> None:
    cost = host.run(python(BUSY), host.cores())
    assert cost.cpu >= 0.2
    assert cost.seconds("wall") == cost.wall >= cost.cpu * 0.9
    script = (
        "import subprocess, sys; from tests.bench.host import descendants_cpu\n"
        f"child = subprocess.Popen([sys.executable, '-c', {BUSY + chr(10) + 'print(0, flush=True); input()'!r}],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); living = descendants_cpu(); child.communicate(b'x'); print(living, descendants_cpu())"
    )
    living, dead = map(float, host.run(python(script), host.cores()).stdout.split())
    assert 0.19 <= living <= dead + 0.011  # of the living there are only ticks


def test_a_process_that_fails_is_no_sample() -> None:
    with pytest.raises(host.Failed, match="exit code 3\nso"):
        host.run(python("import sys; print('so', file=sys.stderr); sys.exit(3)"), host.cores())
    with pytest.raises(host.Failed, match="not done"):
        host.run(python("input()" if os.name == "nt" else "import signal; signal.pause()"), host.cores(), timeout_s=0.2)
    assert host.run(python("import sys; sys.exit(3)"), host.cores(), ok=(3,)).wall > 0


def test_a_guest_that_prints_something_else_is_no_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "run", lambda *_: host.Cost(1, 1, b"other"))
    with pytest.raises(host.Failed, match="printed b'other'"):
        qemu.measure("plain", elf("hello"), tmp_path / "log", host.cores(), ROWS["hello"]["output_sha256"])


def test_qemu_counts_otherwise_where_it_aborts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = ROWS["hello"]["output"].encode()

    def fake(command: list[str], where: host.Cores) -> host.Cost:
        if any("shift=0" in word for word in command):
            raise host.Failed("abort")
        return host.Cost(1, 1, output)

    monkeypatch.setattr(qemu, "run", fake)
    arguments = elf("hello"), tmp_path / "log", host.cores(), ROWS["hello"]["output_sha256"]
    assert qemu.measure("plain", *arguments).shift == ""
    assert qemu.measure("record", *arguments).shift == "shift=auto"
    with pytest.raises(host.Failed, match="abort"):
        qemu.measure("replay", *arguments, "shift=0,sleep=off")


# the whole


class Fake:
    """Parts that measure nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(host, "run", lambda *_, **__: host.Cost(1, 1, b""))
        self._monkeypatch = monkeypatch

    def parts(self, **parts: Callable[[Context], Iterator[Figure]]) -> None:
        made = {name: Part(name, name, lambda _: 1.0, measure) for name, measure in parts.items()}
        self._monkeypatch.setattr(bench, "PARTS", made)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(monkeypatch)


def steady(*samples: float, **more: Any) -> Callable[[Context], Iterator[Figure]]:
    return lambda _: iter([figure(*samples, **more)])


def test_exit_codes(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = str(tmp_path / "then.json")
    fake.parts(one=steady(*FAST))
    assert bench.main(["--save", saved]) == 0
    assert bench.main(["--strict", "--compare", saved]) == 0
    fake.parts(one=steady(*SLOW))
    assert bench.main(["--compare", saved]) == 0
    assert "WORSE" in capsys.readouterr().out
    assert bench.main(["--strict", "--compare", saved]) == 1
    fake.parts(one=steady(*FAST, goal=0.5))
    assert bench.main(["one"]) == 0
    assert bench.main(["one", "--strict"]) == 1


def test_what_fails_is_told_and_the_rest_is_measured(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Context) -> Iterator[Figure]:
        yield figure(1)
        raise host.Failed("no luck")

    fake.parts(one=broken, two=steady(2, name="y"))
    path = tmp_path / "report.json"
    assert bench.main(["--save", str(path)]) == 2
    assert "PROBLEM: one: no luck" in capsys.readouterr().err
    assert [each.name for each in load(path).figures] == ["x", "y"]
    assert load(path).problems == ["one: no luck"]


def test_what_was_measured_before_an_interrupt_is_kept(fake: Fake, tmp_path: Path) -> None:
    def interrupted(_: Context) -> Iterator[Figure]:
        yield figure(1)
        raise KeyboardInterrupt

    fake.parts(one=interrupted, two=steady(2, name="y"))
    path = tmp_path / "report.json"
    assert bench.main(["--save", str(path)]) == 2
    assert [each.name for each in load(path).figures] == ["x"]
    assert load(path).problems == ["interrupted"]


def test_a_missing_qemu_is_told_loudly(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host, "qemu", lambda: None)
    seen: list[bool] = []

    def measure(context: Context) -> Iterator[Figure]:
        seen.append(context.qemu)
        yield figure(1)

    fake.parts(one=measure)
    assert bench.main([]) == 0
    captured = capsys.readouterr()
    assert "QEMU IS MISSING" in captured.out
    assert "QEMU IS MISSING" in captured.err
    assert seen == [False]
    assert bench.main(["--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["host"]["qemu"] is None
    assert content["host"]["packages"]["llvmlite"]
    assert content["figures"][0]["value"] == 1


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["--kernels", "nothing"], ["--compare", "/nowhere.json"], ["--runs", "0"]]
)
def test_what_is_asked_wrongly_is_refused(fake: Fake, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert arguments[-1] in capsys.readouterr().err


def test_a_kernel_without_qemu_has_no_ratios(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    guest = kernel("calls")
    answers = {"exit_code": 0, "steps": guest.steps, "output": guest.output_sha256, "trace_bytes": 5_000_000}
    times = {"cpu": 2.0, "wall": 3.0, "helper_cpu": 0.5, "peak_bytes": 7}
    asked: list[str] = []

    def child(_: Context, module: str, mode: str, *rest: str) -> dict[str, Any]:
        asked.append(mode)
        return {**answers, **times, "steps": guest.steps + (mode == "replay")}

    monkeypatch.setattr(speed, "child", child)
    context = Context(2, False, (guest.name,), "cpu", host.cores(), tmp_path, False, Progress(1, io.StringIO()))
    made = {each.name: each for each in speed.measure(context) if each.subject}
    assert made["plain"].samples == (guest.steps / 2e6,) * 2
    assert not any("qemu" in name for name in made)
    # a replay of another length is no sample, and is not tried again
    assert asked == ["plain", "record", "record", "replay", "replay", "plain", "record", "record"]
    assert "cold" not in made
    assert len(context.problems) == 2


def test_the_clock_is_the_one_that_was_asked_for() -> None:
    cost = host.Cost(wall=5, cpu=2, stdout=b"")
    assert (cost.seconds("cpu"), cost.seconds("wall")) == (2, 5)
