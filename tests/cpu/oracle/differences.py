"""Where rrdbg and Spike may differ, each with the sentence that allows it.

An entry names the first differing instruction; a case that meets one ends there and is counted, never hidden.
Privileged: RISC-V Privileged Architecture 20240411. Unprivileged: RISC-V Unprivileged ISA 20240411.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from rrdbg_core.isa.expr import FloatLoad, FloatStore, Load, Store
from rrdbg_core.isa.rvc import expand
from rrdbg_core.isa.table import decode

RAM_BASE, RAM_END = 0x8000_0000, 0x8002_0000
MISA = 0x301
WFI = 0x1050_0073
CYCLE_COUNTERS = frozenset((0xB00, 0xC00, 0xC01))
INSTRET = 0xC02
# Spike has these; rrdbg's hart has no such feature.
ABSENT = frozenset((0x5A8, 0x747, *range(0x7A0, 0x7A9), *range(0x7B0, 0x7B4)))
MCOUNTEREN, HPM_COUNTERS = 0x306, frozenset(range(0xC03, 0xC20))
IDENTITY = frozenset((0xF11, 0xF12, 0xF13))
HIGH_PMP = frozenset((*range(0x3A4, 0x3B0), *range(0x3C0, 0x3F0)))
# pc, privilege and CSRs of a step that traps on one side and not on the other
TRAP = frozenset(("pc", "priv", "mstatus", "mepc", "mcause", "mtval", "minstret"))
# where the trap is delegated
SUPERVISOR_TRAP = frozenset(("sepc", "scause", "stval"))
REGISTERS = frozenset(f"{kind}{i}" for i in range(32) for kind in "xf")


@dataclass(frozen=True)
class Difference:
    """One accepted difference."""

    name: str
    why: str
    """The sentence of the specification."""
    matches: Callable[[int, int | None], bool]
    """Whether the instruction about to execute is covered, given its 32-bit word and the address that it accesses
    (pc, if that is not in RAM)."""
    fields: frozenset[str] | None = None
    """The only fields that may differ; None: any."""


def csr_of(word: int) -> int | None:
    """Return the CSR number that an instruction word names, or None."""
    if word & 0x7F != 0x73 or word >> 12 & 3 == 0:
        return None
    return word >> 20


HARD_WIRED_MISA = Difference(
    "misa is hard-wired",
    'Privileged 3.1.1: "The misa CSR is a WARL read-write register"; a legal value may be the only one. '
    "Spike lets a program switch A, B, C and M off.",
    lambda word, _: csr_of(word) == MISA,
)


def in_ram(address: int) -> bool:
    """Return whether an address lies in the RAM that both sides have."""
    return RAM_BASE <= address < RAM_END


ACCEPTED: tuple[Difference, ...] = (
    HARD_WIRED_MISA,
    Difference(
        "cycle and time",
        'Unprivileged 7.1: "The rate at which a cycle counter advances depends on the implementation"; '
        "time is real time, which Spike does not advance when stepped.",
        lambda word, _: csr_of(word) in CYCLE_COUNTERS,
    ),
    Difference(
        "misaligned atomics",
        'Unprivileged 14.2: "If the address is not naturally aligned, an address-misaligned exception or an '
        'access-fault exception will be generated." Spike with Zicclsm raises the latter, QEMU and rrdbg the former.',
        lambda word, _: word & 0x7F == 0x2F,
        frozenset({"mcause"}),
    ),
    Difference(
        "wfi in user mode",
        'Privileged 3.3.3: "WFI is available in all privileged modes, and optionally available to U-mode"; '
        "rrdbg raises illegal instruction, as QEMU's `virt` does, whose hart has S mode.",
        lambda word, _: word == WFI,
        TRAP,
    ),
    Difference(
        "fetches, misaligned and atomic accesses of devices",
        'Privileged 3.6: PMAs say "which atomic operations" and which "misaligned accesses" a region supports, '
        '"and, when a memory operation violates a PMA check, the core raises an access exception"; rrdbg\'s devices '
        "take naturally aligned loads and stores. Spike takes a misaligned access apart, and its CLINT takes all.",
        lambda word, address: address is not None and not in_ram(address),
        TRAP | REGISTERS | {"mip"},
    ),
    Difference(
        "vendor, architecture and implementation id",
        'Privileged 3.1.2 to 3.1.4: "a value of 0 can be returned to indicate the field is not implemented".',
        lambda word, _: csr_of(word) in IDENTITY,
        REGISTERS,
    ),
    Difference(
        "a misaligned store that faults half-way",
        'Privileged 3.1.16: "When a misaligned load or store causes an access-fault or page-fault exception, then '
        'mtval will contain the virtual address of the portion of the access that caused the fault"; whether the '
        "portions before it were written is left open. Spike writes byte by byte, rrdbg all or nothing.",
        lambda word, address: (
            word & 0x7F in (0x23, 0x27) and address is not None and address % (1 << (word >> 12 & 3)) != 0
        ),
        frozenset({"ram"}),
    ),
    Difference(
        "a failing sc that PMP forbids in part",
        'Unprivileged 14.2: "For the purposes of memory protection, a failed SC.W may be treated like a store." '
        "Spike asks PMP about the first byte only.",
        lambda word, _: word & 0xF800_007F == 0x1800_002F,
        TRAP | REGISTERS,
    ),
    Difference(
        "mcounteren has 32 bits",
        'Privileged 3.1.11: "any of the bits ... may be read-only zero", and need not be. On QEMU and rrdbg, U mode '
        "may be given the counters that read as zero; Spike has three bits.",
        lambda word, _: csr_of(word) == MCOUNTEREN or csr_of(word) in HPM_COUNTERS,
        TRAP | REGISTERS | {"mcounteren"},
    ),
    Difference(
        "PMP entries 16 to 63",
        'Privileged 3.7.1: "Implementations may implement zero, 16, or 64 PMP entries"; with 16, the CSRs of the '
        "others do not exist on QEMU and rrdbg, and read as zero on Spike.",
        lambda word, _: csr_of(word) in HIGH_PMP,
        TRAP | REGISTERS,
    ),
    Difference(
        "debug and trigger CSRs, mseccfg",
        "Privileged 2.1: access to a CSR that does not exist is an illegal instruction. "
        "Sdtrig and Smepmp are optional.",
        lambda word, _: csr_of(word) in ABSENT,
    ),
)


def accepted(word: int, address: int | None, fields: Collection[str]) -> Difference | None:
    """Return the entry that covers an instruction when `fields` differ after it, if any."""
    for difference in ACCEPTED:
        if difference.matches(word, address) and (difference.fields is None or difference.fields.issuperset(fields)):
            return difference
    return None


HALF_WAY = next(difference for difference in ACCEPTED if "half-way" in difference.name)
MENVCFG = 0x30A
STIP_LATER = "the timer's bit once there is a stimecmp"
"""Sstc 2.1: "If the result of this comparison changes, it is guaranteed to be reflected in STIP eventually, but not
necessarily immediately": Spike looks when stimecmp is written or time goes on, rrdbg when menvcfg.STCE is set, too."""
_FIOM = (
    "Privileged 2.3: of WARL fields an implementation chooses the legal values; Spike, whose fences order everything, "
    "keeps 0, QEMU's `virt` and rrdbg what was written."
)
SUPERVISOR_MASKS: dict[int, tuple[str, str, str]] = {
    MCOUNTEREN: ("mcounteren", "counters that read as 0", "Privileged 3.1.11: any bit may be read-only zero."),
    0x106: ("scounteren", "counters that read as 0", "Privileged 10.1.5: any bit may be read-only zero."),
    0x10A: (
        "senvcfg",
        "senvcfg.FIOM",
        _FIOM,
    ),
    MENVCFG: ("menvcfg", "menvcfg.FIOM", _FIOM),
    0x302: (
        "medeleg",
        "delegation of exceptions that do not occur",
        'Privileged 3.1.8: "An implementation can choose to subset the delegatable traps". Spike has software checks.',
    ),
}
"""CSRs with fields that rrdbg and Spike hold differently: name, name of the difference, the sentence that allows it."""


def supervisor_difference(
    word: int, fields: Collection[str], before: Mapping[str, int | bytes], after: Mapping[str, int | bytes]
) -> str | None:
    """Return the name of the accepted difference between Spike's step and rrdbg's in a privileged program, if any.

    Args:
        word: The instruction, 32 bits wide.
        fields: What differs behind the step.
        before: The state before it, by name.
        after: rrdbg's state behind it.
    """
    number = csr_of(word)
    if number is not None:
        if number == MENVCFG and "mip" in fields and (int(before["menvcfg"]) ^ int(after["menvcfg"])) >> 63:
            # neither this one may be seen at once, nor FIOM as Spike has it
            return STIP_LATER if set(fields) <= {"mip", "menvcfg"} else None
        if number in SUPERVISOR_MASKS and set(fields) == {SUPERVISOR_MASKS[number][0]}:
            return SUPERVISOR_MASKS[number][1]
        difference = accepted(word, None, set(fields) - SUPERVISOR_TRAP)
        return difference.name if difference else None
    found = decode(expand(word & 0xFFFF) if word & 3 != 3 else word)
    if found is None:
        return None
    base, effect = int(before[f"x{found.rs1}"]) if found.rs1 else 0, found.insn.effect
    atomic, access = word & 0x7F == 0x2F, isinstance(effect, Load | Store | FloatLoad | FloatStore)
    size = 1 << (word >> 12 & 3) if atomic else effect.size if access else 1
    misaligned = (base + (0 if atomic else found.imm)) % size != 0
    if atomic and misaligned:
        # which of the two exceptions it is decides who is told, too
        return "misaligned atomics"
    if isinstance(effect, Store | FloatStore) and misaligned and set(fields) == {"ram"}:
        return HALF_WAY.name
    if after["mcause" if after["priv"] == 3 else "scause"] in (5, 7):
        # rrdbg's devices take none of these; nor does RAM go on behind its last page
        if atomic:
            return "atomic accesses of devices"
        if access and misaligned:
            return "misaligned accesses of devices"
    return None
