"""Instruction text as GNU objdump prints it: ABI register names, aliases, absolute branch targets.

Whether a word is an instruction at all is the table's word; its operands follow from the major opcode.
Matches `objdump -d` of binutils with two deliberate departures: immediate forms keep their own name (`addi`, `slli`,
`csrwi`, where some binutils versions print `add`, `sll`, `csrw`), and there is no trailing comment.
"""

from __future__ import annotations

from rrdbg_core.isa.csr import csr_name
from rrdbg_core.isa.registers import ABI, FLOAT_ABI
from rrdbg_core.isa.rvc import expand
from rrdbg_core.isa.table import Decoded, decode

_M64 = (1 << 64) - 1

_LOAD, _FENCE, _OP_IMM, _AUIPC, _OP_IMM_32, _STORE, _AMO, _OP = 0x03, 0x0F, 0x13, 0x17, 0x1B, 0x23, 0x2F, 0x33
_LUI, _OP_32, _BRANCH, _JALR, _JAL, _SYSTEM = 0x37, 0x3B, 0x63, 0x67, 0x6F, 0x73

_ORDERING = ("", ".rl", ".aq", ".aqrl")
_COUNTERS = {0xC00: "rdcycle", 0xC01: "rdtime", 0xC02: "rdinstret"}
_UNIMP = 0xC000_1073
_FENCE_TSO = 0x8330_000F
_FENCE_ALL = 0x0FF0_000F


def disassemble(word: int, pc: int) -> str:
    """Return the text of one instruction.

    Args:
        word: The instruction; its low 16 bits are looked at when they are a compressed one.
        pc: Its address, for the targets of branches and jumps.
    """
    if word & 3 != 3:
        return _compressed(word & 0xFFFF, pc)
    word &= 0xFFFF_FFFF
    decoded = decode(word)
    if decoded is None:
        return f".4byte 0x{word:x}"
    if decoded.insn.floats:
        return _float(decoded, word)
    return _text(decoded.insn.name, word, pc)


_MODES = ("rne", "rtz", "rdn", "rup", "rmm", "", "", "dyn")
_EXACT = ("fcvt.d.s", "fcvt.d.w", "fcvt.d.wu")  # their rounding mode says nothing, and is 0 by convention
_SIGN_ALIASES = {"fsgnj": "fmv", "fsgnjn": "fneg", "fsgnjx": "fabs"}


def _float(decoded: Decoded, word: int) -> str:
    """Return the text of an instruction that names f registers."""
    insn = decoded.insn
    name, fmt = insn.name, insn.fmt
    rd, rs1, rs2, rs3 = (
        (FLOAT_ABI if operand in insn.floats else ABI)[word >> shift & 31]
        for operand, shift in (("rd", 7), ("rs1", 15), ("rs2", 20), ("rs3", 27))
    )
    if fmt == "I":
        return f"{name} {rd},{decoded.imm}({rs1})"
    if fmt == "S":
        return f"{name} {rs2},{decoded.imm}({rs1})"
    stem, _, kind = name.partition(".")
    if stem in _SIGN_ALIASES and rs1 == rs2:
        return f"{_SIGN_ALIASES[stem]}.{kind} {rd},{rs1}"
    operands = [rd, rs1]
    if not insn.mask >> 20 & 31:
        operands.append(rs2)
    if fmt == "R4":
        operands.append(rs3)
    mode = _MODES[word >> 12 & 7]
    if fmt in ("RM", "R4") and mode != ("rne" if name in _EXACT else "dyn"):
        operands.append(mode)
    return f"{name} {','.join(operands)}"


def _sext(value: int, bits: int) -> int:
    return (value ^ 1 << bits - 1) - (1 << bits - 1)


def _imm_i(word: int) -> int:
    return _sext(word >> 20, 12)


def _target(pc: int, offset: int) -> str:
    return f"0x{pc + offset & _M64:x}"


def _branch_target(word: int, pc: int) -> str:
    imm = (word >> 31) << 12 | (word >> 7 & 1) << 11 | (word >> 25 & 0x3F) << 5 | (word >> 8 & 15) << 1
    return _target(pc, _sext(imm, 13))


def _jal_target(word: int, pc: int) -> str:
    imm = (word >> 31) << 20 | (word >> 12 & 0xFF) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3FF) << 1
    return _target(pc, _sext(imm, 21))


def _text(name: str, word: int, pc: int) -> str:
    """Return the text of the 32-bit instruction `word`, which is `name` in the table."""
    opcode = word & 0x7F
    rd, rs1, rs2 = ABI[word >> 7 & 31], ABI[word >> 15 & 31], ABI[word >> 20 & 31]
    if opcode in (_OP, _OP_32):
        return _register(name, word, rd, rs1, rs2)
    if opcode in (_OP_IMM, _OP_IMM_32):
        return _immediate(name, word, rd, rs1)
    if opcode == _LOAD:
        return f"{name} {rd},{_imm_i(word)}({rs1})"
    if opcode == _STORE:
        return f"{name} {rs2},{_sext(word >> 25 << 5 | word >> 7 & 31, 12)}({rs1})"
    if opcode in (_LUI, _AUIPC):
        return f"{name} {rd},0x{word >> 12:x}"
    if opcode == _BRANCH:
        return _branch(name, rs1, rs2, _branch_target(word, pc))
    if opcode == _JAL:
        target = _jal_target(word, pc)
        return {"zero": f"j {target}", "ra": f"jal {target}"}.get(rd, f"jal {rd},{target}")
    if opcode == _JALR:
        return _jump(rd, rs1, _imm_i(word))
    if opcode == _AMO:
        ordering = _ORDERING[word >> 25 & 3]
        if name.startswith("lr."):
            return f"{name}{ordering} {rd},({rs1})"
        return f"{name}{ordering} {rd},{rs2},({rs1})"
    if opcode == _FENCE:
        return _fence(name, word)
    if opcode == _SYSTEM and word >> 12 & 3:
        return _csr(name, word, rd, rs1)
    if name == "sfence.vma" and word >> 15 & 0x3FF:
        return f"{name} {rs1},{rs2}" if rs2 != "zero" else f"{name} {rs1}"
    return name


def _register(name: str, word: int, rd: str, rs1: str, rs2: str) -> str:
    if name in ("sub", "subw") and rs1 == "zero":
        return f"{'neg' if name == 'sub' else 'negw'} {rd},{rs2}"
    if name == "sltu" and rs1 == "zero":
        return f"snez {rd},{rs2}"
    if name == "slt" and rs2 == "zero":
        return f"sltz {rd},{rs1}"
    if name == "slt" and rs1 == "zero":
        return f"sgtz {rd},{rs2}"
    if name == "add.uw" and rs2 == "zero":
        return f"zext.w {rd},{rs1}"
    if name == "zext.h":
        return f"zext.h {rd},{rs1}"
    return f"{name} {rd},{rs1},{rs2}"


def _immediate(name: str, word: int, rd: str, rs1: str) -> str:
    imm = _imm_i(word)
    if name == "addi":
        if rs1 == "zero":
            return "nop" if rd == "zero" and imm == 0 else f"li {rd},{imm}"
        if imm == 0:
            return f"mv {rd},{rs1}"
    elif name == "addiw" and imm == 0:
        return f"sext.w {rd},{rs1}"
    elif name == "andi" and imm == 255:
        return f"zext.b {rd},{rs1}"
    elif name == "xori" and imm == -1:
        return f"not {rd},{rs1}"
    elif name == "sltiu" and imm == 1:
        return f"seqz {rd},{rs1}"
    if name in _UNARY:
        return f"{name} {rd},{rs1}"
    if word >> 12 & 3 == 1:
        # Shifts, rotates and single-bit operations: six bits count, five in the word forms.
        bits = 5 if word & 0x7F == _OP_IMM_32 and name != "slli.uw" else 6
        return f"{name} {rd},{rs1},0x{imm & (1 << bits) - 1:x}"
    return f"{name} {rd},{rs1},{imm}"


_UNARY = frozenset(
    ("clz", "ctz", "cpop", "clzw", "ctzw", "cpopw", "sext.b", "sext.h", "orc.b", "rev8"),
)
_WITH_ZERO_RIGHT = {"beq": "beqz", "bne": "bnez", "bge": "bgez", "blt": "bltz"}
_WITH_ZERO_LEFT = {"bge": "blez", "blt": "bgtz"}


def _branch(name: str, rs1: str, rs2: str, target: str) -> str:
    if rs2 == "zero" and name in _WITH_ZERO_RIGHT and (rs1, name) != ("zero", "bge"):
        return f"{_WITH_ZERO_RIGHT[name]} {rs1},{target}"
    if rs1 == "zero" and name in _WITH_ZERO_LEFT:
        return f"{_WITH_ZERO_LEFT[name]} {rs2},{target}"
    return f"{name} {rs1},{rs2},{target}"


def _jump(rd: str, rs1: str, imm: int) -> str:
    address = f"{imm}({rs1})" if imm else rs1
    if rd == "zero":
        return "ret" if address == "ra" else f"jr {address}"
    return f"jalr {address}" if rd == "ra" else f"jalr {rd},{address}"


def _fence(name: str, word: int) -> str:
    if name == "fence.i":
        return name
    if word == _FENCE_TSO:
        return "fence.tso"
    if word == _FENCE_ALL:
        return "fence"
    return f"fence {_fence_set(word >> 24 & 15)},{_fence_set(word >> 20 & 15)}"


def _fence_set(bits: int) -> str:
    return "".join(c for c, bit in zip("iorw", (8, 4, 2, 1), strict=True) if bits & bit) or "unknown"


def _csr(name: str, word: int, rd: str, rs1: str) -> str:
    number = word >> 20
    if word == _UNIMP:
        return "unimp"
    if number in _FLOAT_CSRS:
        text = _float_csr(name, _FLOAT_CSRS[number], rd, rs1, str(word >> 15 & 31))
        if text:
            return text
    if name == "csrrs" and rs1 == "zero":
        return f"{_COUNTERS[number]} {rd}" if number in _COUNTERS else f"csrr {rd},{csr_name(number)}"
    source = str(word >> 15 & 31) if name.endswith("i") else rs1
    if rd == "zero":
        return f"{name[:3]}{name[4:]} {csr_name(number)},{source}"
    return f"{name} {rd},{csr_name(number)},{source}"


_FLOAT_CSRS = {1: "flags", 2: "rm", 3: "csr"}


def _float_csr(name: str, register: str, rd: str, rs1: str, number: str) -> str:
    """Return the alias of an access to fflags, frm or fcsr, or nothing if it has none."""
    if name == "csrrs" and rs1 == "zero":
        return f"fr{register} {rd}"
    if name == "csrrw":
        return f"fs{register} {rs1}" if rd == "zero" else f"fs{register} {rd},{rs1}"
    return f"fs{register}i {rd},{number}" if name == "csrrwi" and register != "csr" else ""


def _compressed(half: int, pc: int) -> str:
    """Return the text of a compressed instruction: that of its expansion, but a HINT keeps its own name."""
    if half == 0:
        return "unimp"
    word = expand(half)
    if word == 0:
        return f".2byte 0x{half:x}"
    rd, rs1, rs2 = (ABI[word >> shift & 31] for shift in (7, 15, 20))
    decoded = decode(word)
    assert decoded is not None, f"{half:#06x} expands to no instruction"
    if decoded.insn.floats:
        return _float(decoded, word)
    name = decoded.insn.name
    match half & 3, half >> 13:
        case 1, 0:  # c.nop, c.addi
            if rd == "zero":
                imm = _imm_i(word)
                return f"c.nop {imm}" if imm else "nop"
            return f"addi {rd},{rs1},{_imm_i(word)}"
        case 1, 2:  # c.li
            return f"{'c.li' if rd == 'zero' else 'li'} {rd},{_imm_i(word)}"
        case 1, 3 if rd == "zero":
            return f"c.lui zero,0x{word >> 12:x}"
        case 0, 0:  # c.addi4spn
            return f"addi {rd},{rs1},{_imm_i(word)}"
        case (2, 0) | (1, 4) if name in ("slli", "srli", "srai"):
            shift = word >> 20 & 63
            if shift == 0:
                return f"c.{name}64 {rd}"
            if rd == "zero":
                return f"c.{name} {rd},0x{shift:x}"
        case 1, 4 if name == "andi":
            return f"andi {rd},{rs1},{_imm_i(word)}"
        case 2, 4 if name == "add":  # c.mv, c.add
            moves = not half >> 12 & 1
            if rd == "zero":
                return f"{'c.mv' if moves else 'c.add'} {rd},{rs2}"
            if moves:
                return f"mv {rd},{rs2}"
    return _text(name, word, pc)
