"""What code says of calls and traps."""

from __future__ import annotations

import numpy as np
from rrdbg_core.cpu import layout as L
from rrdbg_core.machine.conformance.assembler import assemble

from rrdbg.session.call_code import chooses_space

CODE = {
    "csrw 0x180, t0": True,
    "csrrs a0, 0x180, t1": True,
    "csrw 0x105, t0": False,
    "csrw 0x141, t5": False,
    "add t0, t1, t2": False,
    "ecall": False,
    "li a0, 0x180": False,
}


def test_which_steps_choose_an_address_space() -> None:
    rows = np.zeros((len(CODE), L.LOG_WORDS), np.uint64)
    for row, text in zip(rows, CODE, strict=True):
        row[2] = int.from_bytes(assemble(f"    {text}\n", 0)[:4], "little")
    assert chooses_space(rows).tolist() == list(CODE.values())
