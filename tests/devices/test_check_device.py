"""The conformance kit: built-in devices pass, and each breach of the contract is found by the check named after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rrdbg_core.devices.contract import Device
from rrdbg_core.machine.conformance.report import Report
from rrdbg_core.machine.conformance.run import RULES, check_device
from rrdbg_core.machine.conformance.targets import BUILT_IN

from rrdbg.cli.main import main
from tests.devices import broken

FILE = Path(broken.__file__)
EXAMPLE = Path(__file__).parents[2] / "docs/examples/thermometer.py"

BREAKS = {
    "Declaration": "declaration",
    "Exceptions": "exceptions",
    "BottomHalves": "bottom-halves",
    "LateAnswer": "bottom-halves",
    "Deadline": "deadline",
    "StuckDeadline": "deadline",
    "Queries": "queries",
    "IrqTold": "irq-told",
    "Schema": "schema",
    "ModuleSchema": "schema",
    "Width": "width",
    "Host": "host",
    "HostRandom": "host",
    "HostEntropy": "host",
    "HostFile": "host",
    "Determinism": "determinism",
    "HashSeed": "hash-seed",
    "SaveRestore": "save-restore",
    "RecordReplay": "record-replay",
    "Pauses": "pauses",
}
"""What each broken device breaks."""


def _failed(report: Report) -> list[str]:
    return [result.check for result in report.results if result.ok is False]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_devices_keep_the_contract(name: str) -> None:
    report = check_device(name, seed=1)
    assert report.ok, [str(result) for result in report.results if not result.ok]
    assert len(report.results) == len(RULES)


@pytest.mark.parametrize("spec", [f"{FILE}:Good", f"{EXAMPLE}:Thermometer"])
def test_a_user_device_that_keeps_the_contract_passes(spec: str) -> None:
    report = check_device(spec, seed=2)
    assert len(report.results) == len(RULES)
    assert report.ok, [str(result) for result in report.results if not result.ok]


@pytest.mark.parametrize(("name", "check"), BREAKS.items())
def test_each_breach_fails_exactly_its_check(name: str, check: str) -> None:
    # three processes each time, for those that do not need them
    leave_out = () if check == "hash-seed" else ("hash-seed",)
    report = check_device(f"{FILE}:{name}", leave_out=leave_out)
    assert _failed(report) == [check], [str(result) for result in report.results]
    assert not report.ok
    # what builds on it was not run, and says why
    for result in report.results:
        if result.ok is None:
            assert result.text.startswith("not run: ")


def test_every_check_has_a_device_that_breaks_it_and_every_device_is_in_the_list() -> None:
    assert set(BREAKS.values()) == {rule.name for rule in RULES}
    kinds = {n for n, c in vars(broken).items() if isinstance(c, type) and issubclass(c, Device) and c is not Device}
    assert set(BREAKS) | {"Good"} == kinds


def test_a_hidden_attribute_is_named() -> None:
    report = check_device(f"{FILE}:Schema")
    (bad,) = (result for result in report.results if result.ok is False)
    assert "self.reads: 0, then 1" in bad.text
    assert "State" in bad.hint


def test_the_use_of_the_host_is_named() -> None:
    texts = {}
    for name in ("Host", "HostRandom", "HostEntropy", "HostFile"):
        report = check_device(f"{FILE}:{name}")
        texts[name] = next(result.text for result in report.results if result.ok is False)
    assert "calls time.time_ns()" in texts["Host"]
    assert "calls random.getrandbits()" in texts["HostRandom"]
    assert "calls os.urandom()" in texts["HostEntropy"]
    assert "opens a file" in texts["HostFile"]


def _run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["check-device", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_tells_one_line_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _run(["finisher", "--steps", "300"], capsys)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["ok", rule.name] for rule in RULES]
    assert lines[-1] == "finisher keeps the device contract; seed 0, 300 happenings"


def test_a_breach_has_its_exit_code_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run([f"{FILE}:Schema"], capsys)
    assert code == 71
    assert "FAIL  schema" in out
    assert "declare it in the State class" in out
    assert "breaks the device contract (1 of the checks fail)" in out


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run([f"{FILE}:Host", "--json", "--steps", "500", "--seed", "9"], capsys)
    report = json.loads(out)
    assert code == 71
    assert (report["ok"], report["seed"], report["steps"]) == (False, 9, 500)
    assert [row["check"] for row in report["results"] if row["ok"] is False] == ["host"]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("nothing", "no device is called 'nothing'\n  uart, clint,"),
        ("missing.py:Device", "missing.py: cannot read the device"),
        (f"{FILE}:Missing", "there is no class 'Missing' in it"),
        (f"{FILE}:GoodState", "not a subclass of Device"),
    ],
)
def test_what_is_not_there_is_not_found(spec: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _run([spec], capsys)
    assert (code, out) == (67, "")
    assert text in err


def test_a_file_that_does_not_load_is_told_in_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.py"
    file.write_text("import nonsense_that_nobody_has\n")
    code, _, err = _run([f"{file}:X"], capsys)
    assert code == 67
    assert "does not load: ModuleNotFoundError" in err
    assert "Traceback" not in err


def test_no_steps_are_no_check(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = _run(["uart", "--steps", "0"], capsys)
    assert code == 2
    assert "checks nothing" in err


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_devices_keep_the_contract_under_much_traffic(name: str) -> None:
    for seed in range(10, 15):
        report = check_device(name, seed=seed, steps=15_000)
        assert report.ok, [str(result) for result in report.results if not result.ok]


def test_the_documentation_lists_every_check() -> None:
    text = (EXAMPLE.parents[1] / "devices.md").read_text()
    rows = text.partition("| check | what holds |")[2].partition("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [rule.name for rule in RULES]
