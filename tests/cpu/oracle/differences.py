"""Where rrdbg and Spike may differ, each with the sentence that allows it.

An entry names the first differing instruction; a case that meets one ends there and is counted, never hidden.
Privileged: RISC-V Privileged Architecture 20240411. Unprivileged: RISC-V Unprivileged ISA 20240411.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

MISA = 0x301
CYCLE_COUNTERS = frozenset((0xB00, 0xC00, 0xC01))
INSTRET = 0xC02
# Spike has these; rrdbg's hart has no such feature.
ABSENT = frozenset((0x747, *range(0x7A0, 0x7A9), *range(0x7B0, 0x7B4)))


@dataclass(frozen=True)
class Difference:
    """One accepted difference."""

    name: str
    why: str
    """The sentence of the specification."""
    matches: Callable[[int], bool]
    """Whether the 32-bit instruction word about to execute is covered."""
    fields: frozenset[str] | None = None
    """The only fields that may differ; None: any."""


def csr_of(word: int) -> int | None:
    """Return the CSR number that an instruction word names, or None."""
    if word & 0x7F != 0x73 or word >> 12 & 3 == 0:
        return None
    return word >> 20


ACCEPTED: tuple[Difference, ...] = (
    Difference(
        "misa is hard-wired",
        'Privileged 3.1.1: "The misa CSR is a WARL read-write register"; a legal value may be the only one. '
        "Spike lets a program switch A, B, C and M off.",
        lambda word: csr_of(word) == MISA,
    ),
    Difference(
        "cycle and time",
        'Unprivileged 7.1: "The rate at which a cycle counter advances depends on the implementation"; '
        "time is real time, which Spike does not advance when stepped.",
        lambda word: csr_of(word) in CYCLE_COUNTERS,
    ),
    Difference(
        "misaligned atomics",
        'Unprivileged 14.2: "If the address is not naturally aligned, an address-misaligned exception or an '
        'access-fault exception will be generated." Spike with Zicclsm raises the latter, QEMU and rrdbg the former.',
        lambda word: word & 0x7F == 0x2F,
        frozenset({"mcause"}),
    ),
    Difference(
        "debug and trigger CSRs, mseccfg",
        "Privileged 2.1: access to a CSR that does not exist is an illegal instruction. "
        "Sdtrig and Smepmp are optional.",
        lambda word: csr_of(word) in ABSENT,
    ),
)


def accepted(word: int, fields: Collection[str]) -> Difference | None:
    """Return the entry that covers the instruction `word` when `fields` differ after it, if any."""
    return next((d for d in ACCEPTED if d.matches(word) and (d.fields is None or d.fields.issuperset(fields))), None)
