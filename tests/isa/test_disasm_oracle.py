"""The disassembler against GNU objdump and capstone, over every row and every compressed encoding."""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
from pathlib import Path

import capstone
import pytest
from rrdbg_core.isa.disasm import disassemble
from rrdbg_core.isa.table import INSNS

OBJDUMP = shutil.which("riscv64-unknown-elf-objdump")
ARCH = "rv64imafdc_zicsr_zifencei_zba_zbb_zbs"
COMPRESSED = [h for h in range(65536) if h & 3 != 3]

# binutils 2.40 and others print the register name of an immediate form; rrdbg keeps the instruction's own.
OWN_NAME = {
    "add", "and", "or", "xor", "sll", "srl", "sra", "slt", "sltu", "addw", "sllw", "srlw", "sraw", "ror", "rorw",
    "bclr", "bext", "binv", "bset", "csrw", "csrs", "csrc", "csrrw", "csrrs", "csrrc",
}  # fmt: skip


def objdump(folder: Path, data: bytes) -> dict[int, str]:
    """Return address -> text for `data` as code at address 0."""
    (folder / "code.bin").write_bytes(data)
    (folder / "code.s").write_text(f'.attribute arch, "{ARCH}"\n.text\n.incbin "code.bin"\n')
    for command in (
        ["riscv64-unknown-elf-as", "-march=" + ARCH, "code.s", "-o", "code.o"],
        # Without the symbol that says "data" objdump takes .incbin for code.
        ["riscv64-unknown-elf-strip", "-s", "code.o"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    run = subprocess.run([str(OBJDUMP), "-d", "code.o"], cwd=folder, check=True, capture_output=True, text=True)
    lines = re.findall(r"^\s*([0-9a-f]+):\t[0-9a-f]+\s+\t(.*)$", run.stdout, re.M)
    return {int(address, 16): re.sub(r"\s*#.*", "", text).replace("\t", " ") for address, text in lines}


def same_words(ours: str, theirs: str) -> bool:
    """Compare the text, up to binutils' habit of dropping the `i` of an immediate form."""
    if ours == theirs:
        return True
    name, _, rest = theirs.partition(" ")
    if name not in OWN_NAME or not re.search(r",(-?\d+|0x[0-9a-f]+)$", rest):
        return False
    own = name[:-1] + "iw" if name.endswith("w") and not name.startswith("csr") else name + "i"
    if name == "sltu":
        own = "sltiu"
    return ours == f"{own} {rest}"


needs_objdump = pytest.mark.skipif(OBJDUMP is None, reason="riscv64-unknown-elf-objdump is not installed")


@pytest.mark.oracle
@needs_objdump
def test_every_compressed_encoding_reads_as_in_objdump(tmp_path: Path) -> None:
    texts = objdump(tmp_path, struct.pack(f"<{len(COMPRESSED)}H", *COMPRESSED))
    assert len(texts) == 49_152
    differing = []
    for i, half in enumerate(COMPRESSED):
        ours = disassemble(half, 2 * i)
        if not same_words(ours, texts[2 * i]):
            differing.append((hex(half), ours, texts[2 * i]))
    # c.addi16sp with 0 is reserved (unprivileged spec, C chapter); binutils 2.40 prints it all the same.
    assert differing == [("0x6101", ".2byte 0x6101", "add sp,sp,0")]


def sample_words(per_row: int) -> list[int]:
    """Return random words of every row, and for each the operands that have aliases."""
    rng = random.Random(1)
    words = []
    for insn in INSNS:
        free = ~insn.mask & 0xFFFF_FFFF
        words += [insn.match | rng.getrandbits(32) & free for _ in range(per_row)]
        for rd in (0, 1, 10):
            for rs1 in (0, 1, 11):
                for upper in (0, 1, 0xFF, 0xFFF, 5):
                    words.append(insn.match | (rd << 7 | rs1 << 15 | upper << 20) & free)
    return words


@pytest.mark.oracle
@needs_objdump
def test_every_row_reads_as_in_objdump(tmp_path: Path) -> None:
    words = sample_words(60)
    texts = objdump(tmp_path, struct.pack(f"<{len(words)}I", *words))
    differing = []
    for i, word in enumerate(words):
        ours, theirs = disassemble(word, 4 * i), texts[4 * i]
        if not same_words(ours, theirs) and not accepted(word, ours, theirs):
            differing.append((hex(word), ours, theirs))
    assert differing == []


def accepted(word: int, ours: str, theirs: str) -> bool:
    """Return whether a difference is one of those that are meant."""
    if theirs.startswith(".4byte") and word & 0x7F == 0x0F:
        # "Base implementations shall treat all such reserved configurations as normal fences" and likewise fence.i:
        # binutils shows only the defined encodings.
        return ours.startswith("fence")
    if theirs.endswith(",unknown") and word >> 12 & 7 in (5, 6):
        return ours.startswith(".4byte")  # a reserved rounding mode is an illegal instruction
    if theirs.startswith(".4byte") and ours.startswith(("fcvt.d.s ", "fcvt.d.w", "fcvt.d.wu ")):
        # Their rounding mode says nothing: binutils knows only 0 there, the hart takes any.
        return word >> 12 & 7 != 0
    if word & 0x7F == 0x73 and word >> 12 & 3:
        # binutils names CSRs of extensions that rrdbg's hart does not have; those keep their number here.
        number = f"0x{word >> 20:x}"
        named = re.sub(rf"(?<=[ ,]){number}(?=,|$)", "*", ours)
        return number in ours and same_words(
            named, re.sub(r"(?<=[ ,])(?!zero)[a-z]+[a-z0-9]*[a-z0-9]{3}(?=,|$)", "*", theirs)
        )
    return False


# capstone 5 knows no Zba, Zbb, Zbs and few aliases: texts are brought to one form before they are compared.


def _unaliased(text: str) -> str:
    """Return the text with aliases undone, in the one form that both disassemblers can be brought to."""
    name, _, rest = text.replace("c.", "", 1).partition(" ") if text.startswith("c.") else text.partition(" ")
    args = [a.strip() for a in rest.split(",")] if rest else []
    args = [re.sub(r"-?0x[0-9a-f]+|(?<![a-z0-9])-?\d+", lambda m: str(int(m[0], 0)), a) for a in args]
    simple = {
        "nop": ("addi", ["zero", "zero", "0"]), "ret": ("jalr", ["zero", "0(ra)"]),
        "unimp": ("csrrw", ["zero", "cycle", "zero"]),
        "fence": ("fence", ["iorw", "iorw"]),
    }  # fmt: skip
    if not args and name in simple:
        name, args = simple[name]
    match name, args:
        case "li", [d, i]:
            name, args = "addi", [d, "zero", i]
        case "mv", [d, s]:
            name, args = "addi", [d, s, "0"]
        case "not", [d, s]:
            name, args = "xori", [d, s, "-1"]
        case "neg" | "negw", [d, s]:
            name, args = name.replace("neg", "sub"), [d, "zero", s]
        case "sext.w", [d, s]:
            name, args = "addiw", [d, s, "0"]
        case "zext.b", [d, s]:
            name, args = "andi", [d, s, "255"]
        case "seqz", [d, s]:
            name, args = "sltiu", [d, s, "1"]
        case "snez", [d, s]:
            name, args = "sltu", [d, "zero", s]
        case "sltz", [d, s]:
            name, args = "slt", [d, s, "zero"]
        case "sgtz", [d, s]:
            name, args = "slt", [d, "zero", s]
        case "beqz" | "bnez" | "bgez" | "bltz", [s, t]:
            name, args = name[:-1], [s, "zero", t]
        case "blez", [s, t]:
            name, args = "bge", ["zero", s, t]
        case "bgtz", [s, t]:
            name, args = "blt", ["zero", s, t]
        case "j", [t]:
            name, args = "jal", ["zero", t]
        case "jal", [t]:
            args = ["ra", t]
        case (("jr" | "jalr"), [a]):
            args = ["zero" if name == "jr" else "ra", a if "(" in a else f"0({a})"]
            name = "jalr"
        case "jalr", [d, a]:
            args = [d, a if "(" in a else f"0({a})"]
        case "jalr", [d, s, i]:
            args = [d, f"{i}({s})"]
        case "csrr", [d, c]:
            name, args = "csrrs", [d, c, "zero"]
        case (("csrw" | "csrs" | "csrc" | "csrwi" | "csrsi" | "csrci"), [c, s]):
            name, args = "csrr" + name[3:], ["zero", c, s]
        case (("rdcycle" | "rdtime" | "rdinstret"), [d]):
            name, args = "csrrs", [d, name[2:], "zero"]
    return f"{name} {','.join(args)}"


@pytest.mark.oracle
def test_every_row_that_capstone_knows_reads_alike() -> None:
    engine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64)
    differing = []
    known = set()
    for word in sample_words(40):
        found = list(engine.disasm(struct.pack("<I", word), 0x1000_0000))
        if not found or (word & 0x7F == 0x73 and word >> 12 & 3):
            # capstone's CSR names are those of an older manual; objdump covers these rows.
            continue
        insn = found[0]
        theirs = f"{insn.mnemonic} {insn.op_str}".strip()
        ours = disassemble(word, 0x1000_0000)
        known.add(ours.partition(" ")[0])
        if word & 0x7F in (0x63, 0x6F):
            # capstone prints the distance, not the target
            theirs = re.sub(r"(?<=[ ,])(-?(?:0x[0-9a-f]+|\d+))$", lambda m: hex(0x1000_0000 + int(m[1], 0)), theirs)
        if _unaliased(ours) != _unaliased(theirs):
            differing.append((hex(word), ours, theirs))
    assert len(known) > 75
    assert differing == []
