"""Ask Spike which encodings are legal, a million in seconds."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

from rrdbg_core.isa.csr import MSTATUS_FS

from tests.cpu.oracle.programs import DATA, RAM_END
from tests.cpu.oracle.spike import RAM_BASE, Spike

_VECTOR = RAM_BASE
_FIRST = RAM_BASE + 0x1000
_SLOT = 8
ILLEGAL_INSTRUCTION = 2


def legal(spike: Spike, words: Sequence[int]) -> list[bool]:
    """Return for each word (or halfword) whether M mode may execute it: anything but an illegal-instruction trap."""
    out: list[bool] = []
    per_batch = (DATA - _FIRST) // _SLOT
    for start in range(0, len(words), per_batch):
        batch = words[start : start + per_batch]
        out += _batch(spike, batch)
    return out


def _batch(spike: Spike, words: Sequence[int]) -> list[bool]:
    out: list[bool] = []
    # A legal word may store anywhere that registers point to: to data, never to the batch.
    registers = bytes(struct.pack("<32Q", 0, *(DATA + 0x2000 + 128 * i for i in range(31))))
    address = ctypes.addressof(spike.x)
    state, step, put_csr, get_csr = spike.state, spike._step, spike.put_csr, spike.get_csr

    def prepare() -> None:
        spike.reset()
        put_csr(0x305, _VECTOR)
        put_csr(0x300, MSTATUS_FS)

    assert DATA + 0x2000 + 128 * 31 + 4096 < RAM_END
    spike.write(_FIRST, b"".join(struct.pack("<II", w, 0) for w in words))
    prepare()
    for i, word in enumerate(words):
        ctypes.memmove(address, registers, 256)
        state.pc = _FIRST + i * _SLOT
        step(1)
        trapped = state.pc == _VECTOR
        out.append(not (trapped and get_csr(0x342) == ILLEGAL_INSTRUCTION))
        if word & 0x7F == 0x73 and not trapped:
            # A CSR write, mret or wfi leaves a state that the next word must not see.
            prepare()
    return out
