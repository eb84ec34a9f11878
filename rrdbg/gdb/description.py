"""What gdb is told about the target: its registers, its memory, its threads, as XML documents.

gdb manual, appendices G "Target Descriptions" (G.5.10 for RISC-V), F.17 "Memory Map Format" and E.14 "Thread List
Format". Register numbers are those that gdb gives RISC-V registers and that QEMU uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from rrdbg_core.isa.csr import NUMBERS, OTHER_NAMES
from rrdbg_core.isa.registers import ABI, FLOAT_ABI

from rrdbg.session.api import NotFound, Session, TraceInfo, When

PC = 32
"""gdb's number of pc; the integer registers come before it."""
_FIRST_F = 33
_FIRST_CSR = 65
_PRIV = _FIRST_CSR + 4096
ICOUNT = _PRIV + 1
"""gdb's number of the position, which is a register to it: `print $icount`."""
_POINTERS = {"pc": "code_ptr", "ra": "code_ptr", "sp": "data_ptr", "gp": "data_ptr", "tp": "data_ptr"}


@dataclass(frozen=True, slots=True)
class Register:
    """A register as gdb sees it."""

    number: int
    """gdb's number."""
    name: str
    """gdb's and the session's name."""
    feature: str
    """Standard feature it belongs to."""
    type: str = "int"
    """gdb's type."""


def registers_of(session: Session) -> tuple[Register, ...]:
    """Return the registers that a session has, by number."""
    cpu, fpu, csr, virtual, own = (
        *(f"org.gnu.gdb.riscv.{name}" for name in ("cpu", "fpu", "csr", "virtual")), "org.rrdbg.position",
    )  # fmt: skip
    rows = [Register(n, name, cpu, _POINTERS.get(name, "int")) for n, name in enumerate((*ABI, "pc"))]
    if _has(session, "ft0"):
        rows += [Register(_FIRST_F + n, name, fpu, "ieee_double") for n, name in enumerate(FLOAT_ABI)]
    known = NUMBERS | OTHER_NAMES
    listed = {row.name for row in session.registers(["csr"])}
    names = listed | {name for name in ("cycle", "time", "instret", *known) if _has(session, name)}
    rows += [Register(_FIRST_CSR + known[name], name, csr) for name in names if name in known]
    rows.append(Register(_PRIV, "priv", virtual))
    rows += [Register(ICOUNT + n, name, own, "uint64") for n, name in enumerate(("icount", "time_ns"))]
    return tuple(sorted(rows, key=lambda row: row.number))


def _has(session: Session, name: str) -> bool:
    try:
        session.registers([name])
    except NotFound:
        return False
    return True


def target_xml(registers: Sequence[Register]) -> bytes:
    """Return the target description.

    The ABI is said to be "none": gdb builds for Linux hosts take bare metal for Linux otherwise, and then step by
    breakpoints behind the instruction, which runs past traps and over `mret`.
    """
    lines = [
        '<?xml version="1.0"?>',
        '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
        '<target version="1.0">',
        "  <architecture>riscv:rv64</architecture>",
        "  <osabi>none</osabi>",
    ]
    for feature in dict.fromkeys(register.feature for register in registers):
        lines.append(f"  <feature name={quoteattr(feature)}>")
        for row in registers:
            if row.feature == feature:
                lines.append(f"    <reg {_attributes(row)}/>")
        lines.append("  </feature>")
    lines.append("</target>")
    return "\n".join(lines).encode() + b"\n"


def _attributes(row: Register) -> str:
    # what the guest cannot have written itself gdb need not save around calls
    kept = ' save-restore="no"' if row.number > PC else ""
    group = ' group="csr"' if row.feature.endswith(".csr") else ""
    return f'name="{row.name}" bitsize="64" type="{row.type}" regnum="{row.number}"{group}{kept}'


def memory_map(info: TraceInfo) -> bytes:
    """Return the memory map.

    All addresses are in it: gdb refuses by itself what lies outside, and what can be read is not for it to decide
    (device registers cannot, virtual addresses may be anywhere).
    """
    end = info.ram_base + info.ram_bytes
    spans = [(0, info.ram_base), (info.ram_base, info.ram_bytes), (end, (1 << 64) - end)]
    lines = [
        '<?xml version="1.0"?>',
        '<!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN"'
        ' "http://sourceware.org/gdb/gdb-memory-map.dtd">',
        "<memory-map>",
        *(f'  <memory type="ram" start="{start:#x}" length="{length:#x}"/>' for start, length in spans if length),
        "</memory-map>",
    ]
    return "\n".join(lines).encode() + b"\n"


def thread_text(when: When) -> str:
    """Return what a hart does, for `info threads`."""
    return f"{when.priv} mode{', waits' if when.waiting else ''}"


def threads_xml(when: When) -> bytes:
    """Return the list of threads: the harts."""
    name = quoteattr(f"hart {when.hart}")
    return (
        '<?xml version="1.0"?>\n<threads>\n'
        f'  <thread id="{when.hart + 1:x}" core="{when.hart}" name={name}>{escape(thread_text(when))}</thread>\n'
        "</threads>\n"
    ).encode()
