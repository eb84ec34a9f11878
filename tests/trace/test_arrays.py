"""`rrdbg_core.arrays` against numpy, and what it is there for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.arrays import distinct


@given(st.lists(st.integers(-5, 5)))
def test_distinct_values_are_those_of_numpy(values: list[int]) -> None:
    array = np.array(values, np.int64)
    assert distinct(array).tolist() == np.unique(array).tolist()
    assert distinct(array).dtype == array.dtype


@pytest.mark.parametrize("kind", [np.uint8, np.uint32, np.uint64])
def test_of_every_kind(kind: type[np.unsignedinteger[npt.NBitBase]]) -> None:
    top = np.iinfo(kind).max
    assert distinct(np.array([top, 0, top, 1], kind)).tolist() == [0, 1, top]


def test_going_somewhere_imports_no_masked_arrays() -> None:
    program = """
import sys
import rrdbg
with rrdbg.open("traces/v0-virt-1-heap.rrt") as session:
    session.goto("end")
    session.goto("50%")
    session.reverse_stepi()
assert "numpy.ma" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
