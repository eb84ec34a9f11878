"""However numba and LLVM are set, guests do the same: the kernel and the regions are compiled anew in each way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cpu.region_digest import digest

WAYS: dict[str, tuple[list[str], dict[str, str]]] = {
    "a plain CPU": (["generic"], {}),
    "a plain CPU, for numba": ([], {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}),
    "not optimised": ([], {"NUMBA_OPT": "0"}),
    "bounds checked": ([], {"NUMBA_BOUNDSCHECK": "1"}),
}
"""Arguments of `region_digest`, and variables."""


@pytest.fixture(scope="module")
def expected() -> str:
    """What it does as it is compiled here."""
    found = digest()
    assert int(found.split()[1]) > 20_000
    return found


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_same_however_it_is_compiled(way: str, expected: str, tmp_path: Path) -> None:
    arguments, variables = WAYS[way]
    done = subprocess.run(
        [sys.executable, "-m", "tests.cpu.region_digest", *arguments],
        env={**os.environ, **variables, "RRDBG_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
    assert list(tmp_path.glob("kernels/*.o"))  # it was compiled in this way


def test_the_same_twice(expected: str) -> None:
    assert digest() == expected
