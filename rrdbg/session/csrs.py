"""CSRs by name: their values from the state arrays, and what the values say."""

from __future__ import annotations

import struct

from rrdbg_core.cpu import layout as L
from rrdbg_core.isa.csr import (
    MISA,
    MISA_FD,
    MISA_S,
    MSTATUS_FS,
    MSTATUS_SD,
    MSTATUS_SXL,
    MSTATUS_UXL,
    SSTATUS_WRITABLE,
)

from rrdbg.session.engine import Words

M64 = (1 << 64) - 1
_PLAIN = {
    "mie": L.MIE,
    "mip": L.MIP,
    "mtvec": L.MTVEC,
    "mepc": L.MEPC,
    "mcause": L.MCAUSE,
    "mtval": L.MTVAL,
    "mscratch": L.MSCRATCH,
    "mcounteren": L.MCOUNTEREN,
    "mcountinhibit": L.MCOUNTINHIBIT,
    "menvcfg": L.MENVCFG,
    "mhartid": L.MHARTID,
    **{f"pmpaddr{n}": L.PMPADDR + n for n in range(16)},
}
_SUPERVISOR = {
    "stvec": L.STVEC,
    "sepc": L.SEPC,
    "scause": L.SCAUSE,
    "stval": L.STVAL,
    "sscratch": L.SSCRATCH,
    "scounteren": L.SCOUNTEREN,
    "senvcfg": L.SENVCFG,
    "satp": L.SATP,
    "medeleg": L.MEDELEG,
    "mideleg": L.MIDELEG,
    "stimecmp": L.STIMECMP,
}
CSR_NAMES = (
    *("mstatus", "misa", "mie", "mip", "mtvec", "mepc", "mcause", "mtval", "mscratch", "mcounteren", "mcountinhibit"),
    *("menvcfg", "mhartid", "mcycle", "minstret", "time", "pmpcfg0", "pmpcfg2", *(f"pmpaddr{n}" for n in range(16))),
)
"""The CSRs that listings show, in their order."""
SUPERVISOR_NAMES = ("sstatus", "sie", "sip", *_SUPERVISOR)
"""Those that they show of machines with S mode besides."""

EXCEPTIONS = {
    0: "instruction-misaligned",
    1: "instruction-fault",
    2: "illegal-instruction",
    3: "breakpoint",
    4: "load-misaligned",
    5: "load-fault",
    6: "store-misaligned",
    7: "store-fault",
    8: "ecall-u",
    9: "ecall-s",
    11: "ecall-m",
    12: "instruction-page-fault",
    13: "load-page-fault",
    15: "store-page-fault",
}
"""Exception codes by name (privileged spec, table 3.6)."""
INTERRUPTS = {1: "ssi", 3: "msi", 5: "sti", 7: "mti", 9: "sei", 11: "mei"}
"""Interrupt codes by name: software, timer and external, of S and M mode."""


def csr_value(name: str, hart: Words, mach: Words) -> int | None:
    """Return a CSR as the guest would read it at this position, or None if there is none of that name."""
    if name in _PLAIN:
        return int(hart[_PLAIN[name]])
    icount = int(mach[L.ICOUNT])
    if mach[L.SUPERVISOR] and name in SUPERVISOR_NAMES:
        return _supervisor(name, hart)
    match name:
        case "mstatus":
            return _status(hart) | (MSTATUS_SXL if mach[L.SUPERVISOR] else 0)
        case "misa":
            return MISA | (MISA_FD if mach[L.FLOAT] else 0) | (MISA_S if mach[L.SUPERVISOR] else 0)
        case "fflags" | "frm" | "fcsr" if mach[L.FLOAT]:
            fcsr = int(hart[L.FCSR])
            return {"fflags": fcsr & 31, "frm": fcsr >> 5, "fcsr": fcsr}[name]
        case "mcycle" | "cycle":
            return _count(hart, L.MCYCLE, 1, icount)
        case "minstret" | "instret":
            return _count(hart, L.MINSTRET, 4, icount)
        case "time":
            ticks = ((icount << int(mach[L.SHIFT])) + int(mach[L.WARP_NS]) & M64) // 100
            return ticks + int(mach[L.TIME_OFFSET]) & M64
        case "pmpcfg0" | "pmpcfg2":
            first = L.PMPCFG + (0 if name == "pmpcfg0" else 8)
            return sum(int(hart[first + n]) << 8 * n for n in range(8))
        case "mvendorid" | "marchid" | "mimpid" | "mconfigptr":
            return 0
    return None


def _status(hart: Words) -> int:
    status = int(hart[L.MSTATUS]) | MSTATUS_UXL
    return status | MSTATUS_SD if status & MSTATUS_FS == MSTATUS_FS else status


def _supervisor(name: str, hart: Words) -> int:
    match name:
        case "sstatus":
            return _status(hart) & (SSTATUS_WRITABLE | MSTATUS_FS | MSTATUS_UXL | MSTATUS_SD)
        case "sie" | "sip":
            return int(hart[L.MIE if name == "sie" else L.MIP] & hart[L.MIDELEG])
    return int(hart[_SUPERVISOR[name]])


def _count(hart: Words, offset: int, inhibit: int, icount: int) -> int:
    value = int(hart[offset])
    return value if int(hart[L.MCOUNTINHIBIT]) & inhibit else value + icount & M64


def cause_text(cause: int) -> str:
    """Return an mcause as words: `exception ecall-u`, `interrupt mti`."""
    code = cause & ~(1 << 63)
    if cause >> 63:
        return f"interrupt {INTERRUPTS.get(code, code)}"
    return f"exception {EXCEPTIONS.get(code, code)}"


def float_text(bits: int) -> str:
    """Return what an f register holds: a single if it is in its box, else a double."""
    if bits >> 32 == 0xFFFF_FFFF:
        single: float = struct.unpack("<f", struct.pack("<I", bits & 0xFFFF_FFFF))[0]
        return f"{single:.9g} (single)"
    double: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return repr(double)


_STATUS_FLAGS = (
    *(("SIE", 1), ("MIE", 3), ("SPIE", 5), ("MPIE", 7), ("MPRV", 17), ("SUM", 18), ("MXR", 19)),
    *(("TVM", 20), ("TW", 21), ("TSR", 22)),
)
_MODES = ("RNE", "RTZ", "RDN", "RUP", "RMM")


def csr_text(name: str, value: int) -> str:
    """Return what a CSR's value says, or nothing."""
    match name:
        case "mcause" | "scause":
            return cause_text(value)
        case "mstatus" | "sstatus":
            flags = [flag for flag, bit in _STATUS_FLAGS if value >> bit & 1]
            unit = [f"FS={('Initial', 'Clean', 'Dirty')[(value >> 13 & 3) - 1]}"] if value >> 13 & 3 else []
            modes = [f"MPP={'US?M'[value >> 11 & 3]}"] if name == "mstatus" else [f"SPP={'US'[value >> 8 & 1]}"]
            if name == "mstatus" and value & MSTATUS_SXL:
                modes.append(f"SPP={'US'[value >> 8 & 1]}")
            return " ".join([*flags, *modes, *unit])
        case "satp":
            mode = value >> 60
            return f"Sv{9 * mode - 33} table at 0x{(value & (1 << 44) - 1) << 12:x}" if mode else "Bare"
        case "fflags" | "frm" | "fcsr":
            raised = [flag for bit, flag in enumerate(("NX", "UF", "OF", "DZ", "NV")) if value >> bit & 1]
            mode = value if name == "frm" else value >> 5
            modes = [f"FRM={_MODES[mode] if mode < len(_MODES) else mode}"] if name != "fflags" else []
            return " ".join(modes if name == "frm" else [*raised, *modes])
        case "mie" | "mip" | "sie" | "sip" | "mideleg":
            return " ".join(text.upper() for code, text in INTERRUPTS.items() if value >> code & 1)
        case "misa":
            letters = "".join(chr(65 + bit) for bit in range(26) if value >> bit & 1)
            return f"RV64{letters}"
    return ""
