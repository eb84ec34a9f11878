"""The command line itself: help, cost of a start, argument types, completion."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time

import pytest
from rrdbg_core.errors import ExitCode

from rrdbg.cli import _parse
from rrdbg.cli.completion import SHELLS, commands
from rrdbg.cli.main import SUBCOMMANDS, build_parser, main

Capture = pytest.CaptureFixture[str]
HEAVY = ("numpy", "numba", "llvmlite", "pydantic", "textual", "elftools", "lz4", "xxhash", "platformdirs")


def test_a_parser_loads_nothing_heavy() -> None:
    """`rrdbg --help` has a quarter of a second: whoever imports one of these in a subcommand's module breaks that."""
    code = (
        "import sys, json; before = set(sys.modules); from rrdbg.cli.main import build_parser; build_parser();"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    roots = {name.partition(".")[0] for name in loaded}
    assert roots & set(HEAVY) == set()
    assert len(loaded) < 120, loaded


@pytest.mark.parametrize("command", ["", *(name.replace("_", "-") for name in SUBCOMMANDS)])
def test_help_fits_80_columns(command: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert text.startswith("usage: rrdbg")
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_every_option_has_a_help_text() -> None:
    for command in commands(build_parser()):
        assert command.help
        for argument in command.arguments:
            assert argument.help, (command.name, argument.names)


@pytest.mark.parametrize("argv", [[], ["fly"], ["record"], ["record", "x", "--memory", "lots"], ["verify"], ["tui"]])
def test_a_wrong_command_line_is_told_in_one_line(argv: list[str], capsys: Capture) -> None:
    assert main(argv) == ExitCode.USAGE
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("usage: rrdbg")
    assert re.match(r"rrdbg.*: error: ", told[-1])


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (_parse.size_bytes, "128M", 128 << 20),
        (_parse.size_bytes, "1GiB", 1 << 30),
        (_parse.size_bytes, "4_096", 4096),
        (_parse.step_count, "5M", 5_000_000),
        (_parse.step_count, "1_000", 1000),
        (_parse.duration_ns, "2.5ms", 2_500_000),
        (_parse.duration_ns, "10min", 600_000_000_000),
        (_parse.address, "0x8000_0000", 0x8000_0000),
        (_parse.seed, "18446744073709551615", (1 << 64) - 1),
        (_parse.natural, "10_000", 10_000),
        (_parse.until, "5M", ("icount", 5_000_000)),
        (_parse.until, "5ms", ("virtual", 5_000_000)),
        (_parse.until, "text:5M", ("text", "5M")),
        (_parse.date_ns, "1970-01-02", 86_400_000_000_000),
        (_parse.date_ns, "2026-01-31T12:00:00.000001+02:00", 1_769_853_600_000_001_000),
    ],
)
def test_numbers_as_people_write_them(parse: object, text: str, value: object) -> None:
    assert callable(parse)
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (_parse.size_bytes, "-1"),
        (_parse.size_bytes, "1.5M"),
        (_parse.step_count, "5T"),
        (_parse.duration_ns, "5"),
        (_parse.duration_ns, "5 hours"),
        (_parse.address, "main"),
        (_parse.address, "0x1_0000_0000_0000_0000"),
        (_parse.seed, "-1"),
        (_parse.natural, "-1"),
        (_parse.until, "text:"),
        (_parse.until, "soon"),
        (_parse.date_ns, "yesterday"),
        (_parse.date_ns, "1969-12-31"),
    ],
)
def test_what_is_no_number(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(argparse.ArgumentTypeError, match="try"):
        parse(text)


def test_a_guest_wakes_up_now() -> None:
    before = time.time_ns()
    assert before <= _parse.date_ns("now") <= time.time_ns()


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_are_valid(shell: str, capsys: Capture) -> None:
    assert main(["completion", shell]) == ExitCode.OK
    script = capsys.readouterr().out
    for command in commands(build_parser()):
        assert command.name in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("rrdbg ver", ["verify"]),
        ("rrdbg record --input-s", ["--input-script"]),
        ("rrdbg completion f", ["fish"]),
        ("rrdbg tui run", ["run.rrt"]),
        ("rrdbg record --output run", ["run.rrt"]),
        ("rrdbg record fw", ["fw.elf"]),
        ("rrdbg record guest:hel", ["hello"]),
    ],
)
def test_bash_completes(line: str, wanted: list[str], tmp_path: object, capsys: Capture) -> None:
    """bash itself is asked what it would offer."""
    assert main(["completion", "bash"]) == ExitCode.OK
    script = capsys.readouterr().out
    for name in ("run.rrt", "fw.elf"):
        open(f"{tmp_path}/{name}", "w").close()
    ask = (
        f'{script}\nrrdbg() {{ {sys.executable} -m rrdbg "$@"; }}; compopt() {{ :; }}\n'
        f"COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; _rrdbg; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    answer = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, cwd=str(tmp_path))
    assert answer.stdout.split() == wanted, answer.stderr
