"""Variables of running programs, as gdb shows them at the same moment."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

import rrdbg
from rrdbg.session.api import NotFound
from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import needs_gcc, record

from .compilers import compiled

BUILDS = ("-O0 -gdwarf-5", "-O1 -gdwarf-4", "-O2 -gdwarf-5", "-Os -gdwarf-5")
COMMANDS = ("info args", "info locals", "up", "info args", "info locals")
POSITIONS = 20


def rows(text: str) -> list[tuple[str, str]]:
    """Return names and values of what gdb's `info locals` says."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if match := re.match(r"(\w+) = (.*)$", line):
            found.append((match[1], match[2]))
        elif found and not line.startswith("No "):
            found[-1] = found[-1][0], f"{found[-1][1]}\n{line}"
    return found


def known(found: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return what was not optimised out; arrays of unknown length and errors are worded differently."""
    return {row for row in found if row[1] not in ("<optimized out>", "{}") and "error" not in row[1]}


@pytest.mark.oracle
@needs_gdb
@needs_gcc
@pytest.mark.parametrize("flags", BUILDS)
def test_variables_at_random_positions(flags: str, tmp_path: Path) -> None:
    options = (*flags.split(), "-march=rv64imac_zicsr", "-mabi=lp64")
    program = compiled(tmp_path, ["start.c", "scopes.c", "elsewhere.c"], *options)
    trace = record(program, tmp_path, until=1_000_000)
    rng, count = random.Random(flags), 0
    with rrdbg.open(trace) as session, Gdb(trace) as gdb:
        end = session.position("end")
        for position in sorted(rng.randrange(10, end) for _ in range(POSITIONS)):
            args, values, up, outer_args, outer_values = gdb.at(position, *COMMANDS)
            session.goto(position)
            for number, told in enumerate(((args, values), (outer_args, outer_values))):
                try:
                    frame = session.select_frame(number)
                except NotFound:
                    break
                if number and f" {frame.function} (" not in up:
                    break  # gdb makes up frames of functions that left by tail calls
                for kind, text in zip(("arg", "local"), told, strict=True):
                    mine = [(variable.name, variable.text) for variable in session.variables(kind)]
                    assert known(mine) == known(rows(text)), (position, frame.text)
                    count += len(mine)
    assert count > 40
