"""Every row of the instruction table, and all 49,152 compressed encodings, executed on kernel, reference and Spike."""

from __future__ import annotations

import random
import struct

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.expr import FloatLoad, FloatStore, Load, Store
from rrdbg_core.isa.rvc import TARGETS, expansions
from rrdbg_core.isa.table import BY_NAME, INSNS, decode, encode

from tests.cpu.oracle import spike as spike_module
from tests.cpu.oracle.programs import Generator
from tests.cpu.oracle.spike import RAM_BASE, Spike
from tests.cpu.oracle.subjects import RAM_BYTES

CODE, VECTOR, DATA = RAM_BASE + 0x1000, RAM_BASE + 0x100, RAM_BASE + 0x8000
WINDOW = range(7, 10)
"""Pages that pointers reach."""
COMPRESSED = [h for h in range(65536) if h & 3 != 3]
SPECIAL = (0, 1, 2, (1 << 64) - 1, 1 << 63, (1 << 63) - 1, 0x8000_0000, 0x7FFF_FFFF, 0xFFFF_FFFF_8000_0000, 0x80, 63)
_generator = Generator(4)
FLOATS = tuple(_generator.float_value() for _ in range(32))
"""f0 to f31."""
LEFT_TO_OTHER_TESTS = {"csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci", "mret", "wfi"}
"""They change or depend on more than registers and memory; random programs compare them."""

Outcome = tuple[int, list[int], list[int], list[int], bytes]
"""pc, x1 to x31, (mepc, mcause, mtval) if it trapped, f0 to f31 and fcsr, memory."""


class OurOne:
    """One instruction at a time on a core."""

    def __init__(self, kind: type[Core]) -> None:
        self.core = kind(RAM_BYTES)
        self.core.mach[L.FLOAT] = MSTATUS_FS
        self.core.write(DATA - 0x2000, random.Random(1).randbytes(0x5000))

    def run(self, bits: bytes, registers: list[int]) -> Outcome:
        core = self.core
        hart = core.hart
        core.write(CODE, bits)
        hart[1:32] = registers
        hart[L.PC], hart[L.PRIV], hart[L.MTVEC] = CODE, L.PRIV_M, VECTOR
        hart[L.MEPC] = hart[L.MCAUSE] = hart[L.MTVAL] = hart[L.RES_VALID] = hart[L.RES_ADDR] = 0
        hart[L.MSTATUS], hart[L.FCSR] = MSTATUS_FS, 0
        hart[L.F : L.F + 32] = FLOATS
        limit = core.icount + 1
        while core.run(limit) != Exit.LIMIT:
            core.mmio_done(ok=False)  # x0 points nowhere
        trap = [int(hart[at]) for at in (L.MEPC, L.MCAUSE, L.MTVAL)]
        start = WINDOW.start * 4096
        memory = core.memory.ram[start : start + 4096 * len(WINDOW)].tobytes()
        floats = hart[L.F : L.FCSR + 1].tolist()
        return int(hart[L.PC]), hart[1:32].tolist(), trap, floats, memory


class SpikeOne:
    """One instruction at a time on Spike."""

    def __init__(self, spike: Spike) -> None:
        self.spike = spike
        spike.reset()
        for page in spike.pages:
            page[:] = bytes(4096)
        spike.write(DATA - 0x2000, random.Random(1).randbytes(0x5000))
        spike.put_csr(0x305, VECTOR)

    def run(self, bits: bytes, registers: list[int]) -> Outcome:
        spike = self.spike
        spike.write(CODE, bits)
        for number in (0x341, 0x342, 0x343):
            spike.put_csr(number, 0)
        spike.core.mmu.store_conditional_64(RAM_BASE, 0)  # drops the reservation
        spike.x[1:32] = registers
        spike.put_csr(0x300, MSTATUS_FS)
        spike.put_csr(3, 0)
        for number, value in enumerate(FLOATS):
            spike.f[2 * number], spike.f[2 * number + 1] = value, (1 << 64) - 1
        spike.enter(CODE, 3)
        spike.step(1)
        trap = [spike.get_csr(number) for number in (0x341, 0x342, 0x343)]
        memory = b"".join(bytes(spike.pages[number]) for number in WINDOW)
        floats = [*spike.f[::2], spike.get_csr(3)]
        return spike.state.pc, list(spike.x[1:32]), trap, floats, memory


@pytest.fixture(scope="module")
def three() -> list[OurOne | SpikeOne]:
    return [SpikeOne(spike_module.shared(RAM_BYTES)), OurOne(Core), OurOne(ReferenceCore)]


def pointers(rng: random.Random) -> list[int]:
    return [DATA + 8 * rng.randrange(256) for _ in range(31)]


def same(three: list[OurOne | SpikeOne], bits: bytes, registers: list[int], what: str) -> None:
    spike, kernel, reference = (subject.run(bits, registers) for subject in three)
    for name, outcome in (("kernel", kernel), ("reference", reference)):
        assert outcome[:4] == spike[:4], f"{what} on the {name}"
        assert outcome[4] == spike[4], f"{what} on the {name}: memory"


@pytest.mark.oracle
def test_all_compressed(three: list[OurOne | SpikeOne]) -> None:
    rng = random.Random(2)
    legal = 0
    words = expansions().tolist()
    for number, halfword in enumerate(COMPRESSED):
        if number % 16 == 0:
            registers = pointers(rng)
        # what follows belongs to no instruction
        same(three, struct.pack("<HH", halfword, 0xFFFF), registers, f"0x{halfword:04x}")
        legal += words[halfword] != 0
    assert legal > 38_000


def operands(rng: random.Random, name: str) -> list[int]:
    """Return registers: pointers for what accesses memory, numbers of all kinds for the rest."""
    if (name[0] == "a" and name.startswith("amo")) or name.startswith(("lr", "sc")):
        return pointers(rng)
    if isinstance(BY_NAME[name].effect, Load | Store | FloatLoad | FloatStore):
        return [address + rng.randrange(8) for address in pointers(rng)]
    return [rng.choice((*SPECIAL, rng.getrandbits(64), rng.getrandbits(64), rng.getrandbits(32))) for _ in range(31)]


@pytest.mark.oracle
def test_every_row(three: list[OurOne | SpikeOne]) -> None:
    rng = random.Random(3)
    rows = [insn for insn in INSNS if insn.name not in LEFT_TO_OTHER_TESTS]
    assert len(rows) > 100
    for insn in rows:
        for _ in range(60):
            word = encode(insn, *(rng.randrange(32) for _ in range(3)), rng.getrandbits(21) - (1 << 20))
            if insn.fmt in ("AMO", "RM", "R4"):
                word = insn.match | rng.getrandbits(32) & ~insn.mask & 0xFFFF_FFFF
            same(three, struct.pack("<I", word), operands(rng, insn.name), f"{insn.name} 0x{word:08x}")


@pytest.mark.oracle
def test_divisions_of_special_numbers(three: list[OurOne | SpikeOne]) -> None:
    for name in ("div", "divu", "rem", "remu", "divw", "divuw", "remw", "remuw", "mulh", "mulhsu", "mulhu"):
        word = encode(BY_NAME[name], 5, 6, 7)
        for a in SPECIAL:
            for b in SPECIAL:
                registers = [0] * 31
                registers[5], registers[6] = a, b
                same(three, struct.pack("<I", word), registers, f"{name} {a:#x} {b:#x}")


def test_the_rows_with_a_compressed_form_are_known() -> None:
    decoded = [decode(halfword) for halfword in COMPRESSED]
    assert {d.insn.name for d in decoded if d is not None} == set(TARGETS)
