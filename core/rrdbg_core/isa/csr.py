"""Control and status registers: numbers, names, and which bits software can write.

Privileged spec 1.12, chapter 2 "Control and Status Registers". Bits 9:8 of a number give the lowest privilege, bits
11:10 = 3 mark a read-only register.
"""

from __future__ import annotations

MISA = 2 << 62 | sum(1 << ord(letter) - ord("A") for letter in "ACIMU")
"""RV64 with A, C, I, M and U. Writes are ignored: the extensions are always on."""
MISA_FD = sum(1 << ord(letter) - ord("A") for letter in "DF")
"""What a machine with F and D adds."""
MISA_S = 1 << ord("S") - ord("A")
"""What a machine with S mode adds."""

# mstatus bits
MSTATUS_SIE = 1 << 1
MSTATUS_MIE = 1 << 3
MSTATUS_SPIE = 1 << 5
MSTATUS_MPIE = 1 << 7
MSTATUS_SPP = 1 << 8
MSTATUS_MPP = 3 << 11
MSTATUS_FS = 3 << 13  # Off, Initial, Clean, Dirty; of a machine with F and D
MSTATUS_MPRV = 1 << 17
MSTATUS_SUM = 1 << 18
MSTATUS_MXR = 1 << 19
MSTATUS_TVM = 1 << 20
MSTATUS_TW = 1 << 21
MSTATUS_TSR = 1 << 22
MSTATUS_UXL = 2 << 32  # U mode is RV64, read-only
MSTATUS_SXL = 2 << 34  # likewise S mode, where there is one
MSTATUS_SD = 1 << 63  # FS is Dirty
MSTATUS_WRITABLE = MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV | MSTATUS_TW
SSTATUS_WRITABLE = MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_SUM | MSTATUS_MXR
"""What S mode can write of mstatus, FS aside."""
MSTATUS_WRITABLE_S = MSTATUS_WRITABLE | SSTATUS_WRITABLE | MSTATUS_TVM | MSTATUS_TSR
"""What can be written of mstatus on a machine with S mode, FS aside."""

# mip and mie bits
SSI = 1 << 1
MSI = 1 << 3
STI = 1 << 5
MTI = 1 << 7
SEI = 1 << 9
MEI = 1 << 11
INTERRUPTS = MSI | MTI | MEI
S_INTERRUPTS = SSI | STI | SEI
"""What a machine with S mode adds: the interrupts that can be delegated."""
S_EXCEPTIONS = 0xB3FE
"""Exceptions that can be delegated: all but misaligned fetches, which C excludes, and calls from M mode."""

# menvcfg bits
ENVCFG_FIOM = 1 << 0
MENVCFG_ADUE = 1 << 61  # page walks set the bits A and D; set out of reset, as on QEMU's `virt`
MENVCFG_STCE = 1 << 63  # stimecmp raises the timer interrupt of S mode

PMP_ENTRIES = 16

FLOAT_NUMBERS: dict[str, int] = {"fflags": 0x001, "frm": 0x002, "fcsr": 0x003}
"""What a machine with F and D adds, by name."""

SUPERVISOR_NUMBERS: dict[str, int] = {
    "sstatus": 0x100,
    "sie": 0x104,
    "stvec": 0x105,
    "scounteren": 0x106,
    "senvcfg": 0x10A,
    "sscratch": 0x140,
    "sepc": 0x141,
    "scause": 0x142,
    "stval": 0x143,
    "sip": 0x144,
    "stimecmp": 0x14D,
    "satp": 0x180,
    "medeleg": 0x302,
    "mideleg": 0x303,
}
"""What a machine with S mode adds, by name."""

NUMBERS: dict[str, int] = {
    **FLOAT_NUMBERS,
    "cycle": 0xC00,
    "time": 0xC01,
    "instret": 0xC02,
    **{f"hpmcounter{n}": 0xC00 + n for n in range(3, 32)},
    "mstatus": 0x300,
    "misa": 0x301,
    "mie": 0x304,
    "mtvec": 0x305,
    "mcounteren": 0x306,
    "menvcfg": 0x30A,
    "mcountinhibit": 0x320,
    **{f"mhpmevent{n}": 0x320 + n for n in range(3, 32)},
    "mscratch": 0x340,
    "mepc": 0x341,
    "mcause": 0x342,
    "mtval": 0x343,
    "mip": 0x344,
    "pmpcfg0": 0x3A0,
    "pmpcfg2": 0x3A2,
    **{f"pmpaddr{n}": 0x3B0 + n for n in range(PMP_ENTRIES)},
    "tselect": 0x7A0,
    "tdata1": 0x7A1,
    "tdata2": 0x7A2,
    "tdata3": 0x7A3,
    "mcycle": 0xB00,
    "minstret": 0xB02,
    **{f"mhpmcounter{n}": 0xB00 + n for n in range(3, 32)},
    "mvendorid": 0xF11,
    "marchid": 0xF12,
    "mimpid": 0xF13,
    "mhartid": 0xF14,
    "mconfigptr": 0xF15,
}
"""Every CSR of a machine without S mode by name."""

OTHER_NAMES: dict[str, int] = SUPERVISOR_NUMBERS
"""Names of further registers, which not every machine has."""

_NAMES = {number: name for name, number in (OTHER_NAMES | NUMBERS).items()}


def csr_name(number: int) -> str:
    """Return the name of a CSR, or its number in hex."""
    return _NAMES.get(number, f"0x{number:x}")
