"""Write the dispatch loop of the kernel, as LLVM IR, out of the instruction table.

One small function per op; each ends in a tail call of the next op's function, found by the op in the slot it has just
loaded (numba can express neither that nor a computed jump, and one big loop over all handlers ran at half the speed
and took five seconds longer to compile). What the functions pass on lies in registers:

    h    in the hart's words, see MIDDLE ip   address of the slot, 8 bytes per halfword of code
    n    steps left, this one excluded  w    the slot: op | rd << 8 | rs1 << 16 | rs2 << 24 | imm << 32
    tlb  the TLB bank in force          ram  RAM
    pcb  pc - ip / 4 within a page      ops  the table of handlers

Nothing is looked at between two instructions but `n`: the loop ends where the budget does. The tail of a decoded page
holds OP_FETCH, so that running off its end needs no test; jumps whose target lies in the same page are ops of their
own, and so are compressed instructions, whose length the handler knows.
"""

from __future__ import annotations

from collections.abc import Mapping

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.build import DISPATCH, HANDLERS
from rrdbg_core.cpu.float_handlers import computing, float_handler, float_paths
from rrdbg_core.cpu.handler import (
    ARRIVALS,
    BLOCK_HEAD_BYTES,
    BOX,
    DEC,
    DIRTY,
    DONE,
    FETCH_PAGE_BYTES,
    FIRST_REGION,
    FLOAT_HELPER,
    FLOAT_PATHS,
    FLOATS,
    HELPERS,
    MAX_REGIONS,
    MIDDLE,
    MISSES,
    PAGE_MASK,
    RAM,
    TLB,
    TLB_MASK,
    WRITE_TLB_BYTES,
    XTLB,
    Handler,
)
from rrdbg_core.cpu.host_floats import DONE_BY_HOST, TEST
from rrdbg_core.cpu.ops import ARMED_OP, BLOCK_OP, OPS, REGION_OP, Op, is_copied
from rrdbg_core.cpu.region_entries import region_entries
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.expr import Branch, FloatLoad, FloatStore, Helper, Jump, Load, SetFrd, SetRd, Store


def _memory(f: Handler, op: Op) -> None:
    """Load or store; `miss_` and the op's number is for when the TLB does not know the page."""
    effect = op.insn.effect
    assert isinstance(effect, Load | Store | FloatLoad | FloatStore)
    write, floats = isinstance(effect, Store | FloatStore), isinstance(effect, FloatLoad | FloatStore)
    if floats:
        # where FS is not Dirty yet, a load makes it so only if it succeeds
        state = f.let(f"and i64 {f.let(f'load i64, ptr {f.word(L.MSTATUS)}')}, {MSTATUS_FS}")
        ready = f.let(f"icmp ne i64 {state}, 0" if write else f"icmp eq i64 {state}, {MSTATUS_FS}")
        f.do(f"br i1 {ready}, label %on, label %miss, !prof !1")
        f.label("on")
    address = f.value(effect.addr)
    entry = f.let(f"and i64 {f.let(f'lshr i64 {address}, 8')}, {TLB_MASK}")
    if write:
        entry = f.let(f"add i64 {entry}, {WRITE_TLB_BYTES}")
    tag_at = f.let(f"getelementptr i8, ptr %tlb, i64 {entry}")
    if write or effect.size == 1:
        tag = f.let(f"and i64 {address}, {PAGE_MASK | effect.size - 1}")
    else:  # a load may be misaligned within its page
        tag = f.let(f"and i64 {f.let(f'add i64 {address}, {effect.size - 1}')}, {PAGE_MASK}")
    known = f.let(f"load i64, ptr {tag_at}")
    f.do(f"br i1 {f.let(f'icmp eq i64 {known}, {tag}')}, label %hit, label %miss, !prof !1")
    f.label("hit")
    addend = f.let(f"load i64, ptr {f.let(f'getelementptr i8, ptr {tag_at}, i64 8')}")
    offset = f.let(f"add i64 {address}, {addend}")
    place = f.let(f"getelementptr i8, ptr %ram, i64 {offset}")
    kind = f"i{8 * effect.size}"
    if isinstance(effect, Load):
        value = f.let(f"load {kind}, ptr {place}, align 1")
        if effect.size < 8:
            value = f.let(f"{'sext' if effect.signed else 'zext'} {kind} {value} to i64")
        f.set_rd(value)
    elif isinstance(effect, FloatLoad):
        value = f.let(f"load {kind}, ptr {place}, align 1")
        if effect.size < 8:
            value = f.let(f"or i64 {f.let(f'zext {kind} {value} to i64')}, {BOX}")
        f.do(f"store i64 {value}, ptr {f.float_register(8)}")
    else:
        value = f.value(effect.value)
        if effect.size < 8:
            value = f.let(f"trunc i64 {value} to {kind}")
        f.do(f"store {kind} {value}, ptr {place}, align 1")
        dirty = f.let(f"load ptr, ptr {f.word(L.DIRTY_AT)}")
        word = f.let(f"getelementptr i8, ptr {dirty}, i64 {f.let(f'lshr i64 {offset}, 3')}")
        f.do(f"store i8 1, ptr {word}")
    f.next(f.behind(op.length))
    f.label("miss")
    f.tail(f"@miss_{op.number}", "%ip", "%n", "%w")


def _miss(op: Op, names: Mapping[str, str]) -> str:
    """Return what a load or store does on a TLB miss."""
    effect = op.insn.effect
    assert isinstance(effect, Load | Store | FloatLoad | FloatStore)
    write, floats = isinstance(effect, Store | FloatStore), isinstance(effect, FloatLoad | FloatStore)
    slow = Handler(f"miss_{op.number}", "noinline cold")
    args = ["%w", slow.value(effect.addr), str(effect.size)]
    if floats:
        args.append(slow.pc("%ip"))
    elif isinstance(effect, Load):
        args.append(str(int(effect.signed)))
    called = f"{'float' if floats else 'slow'}_{'store' if write else 'load'}"
    slow.finish(slow.helper(names, called, [*args, "%n"]), op.length)
    return slow.text()


def emit_op(f: Handler, op: Op) -> None:
    """Write what an op does that does not just call a helper."""
    match op.insn.effect:
        case SetRd(value):
            if op.insn.floats:
                f.float_on(dirty=False)
            f.set_rd(f.value(value))
            f.next(f.behind(op.length))
        case SetFrd(value):
            f.float_on(dirty=True)
            f.do(f"store i64 {f.value(value)}, ptr {f.float_register(8)}")
            f.next(f.behind(op.length))
        case Load() | Store() | FloatLoad() | FloatStore():
            _memory(f, op)
        case Branch(taken):
            condition = f.let(f"icmp ne i64 {f.value(taken)}, 0")
            f.do(f"br i1 {condition}, label %taken, label %not")
            f.label("not")
            f.next(f.behind(op.length))
            f.label("taken")
            _jump(f, op)
        case Jump(target):
            if op.near:
                f.set_rd(f.pc(f.behind(op.length)))
                _jump(f, op)
            else:
                where = f.value(target)
                f.set_rd(f.pc(f.behind(op.length)))
                f.go(where)
        case Helper("nop"):
            f.next(f.behind(op.length))
        case Helper("float_op") if op.insn.name in DONE_BY_HOST:
            float_handler(f, op)


def _handler(op: Op, names: Mapping[str, str]) -> str:
    """Return the function, or functions, of an op."""
    f = Handler(f"op_{op.number}")
    match op.insn.effect:
        case Helper(name) if name != "nop" and op.insn.name not in DONE_BY_HOST:
            called = "atomic" if name in ("lr", "sc", "amo") else name
            args = [f.pc("%ip") if arg == "pc" else f"%{arg}" for arg in HELPERS[called][1]]
            f.finish(f.helper(names, called, args), op.length)
        case Load() | Store() | FloatLoad() | FloatStore():
            emit_op(f, op)
            return f.text() + _miss(op, names)
        case _:
            emit_op(f, op)
    return f.text()


def _jump(f: Handler, op: Op) -> None:
    """Go to pc + imm: within the page if the op says so."""
    if op.near:
        f.next(f.near())
    else:
        f.go(f.let(f"add i64 {f.pc('%ip')}, {f.operand('imm')}"))


def _special(names: Mapping[str, str]) -> str:
    """Return the handlers of OP_UNDECODED, OP_FETCH, OP_BREAK and OP_ILLEGAL, `refetch` and `leave`."""
    undecoded = Handler("op_0", "cold")
    pc = undecoded.pc("%ip")
    _or_leave(undecoded, names, "decode_slot", [pc, _slot_index(undecoded)])

    fetch = Handler("op_1")
    fetch.go(fetch.pc("%ip"), fetch.let("add i64 %n, 1"))

    stop = Handler("op_2", "cold")
    icount = stop.let(f"sub i64 {stop.let(f'sub i64 {stop.mach(L.INNER_LIMIT)}, %n')}, 1")
    status = stop.helper(names, "at_break", [stop.pc("%ip"), icount])
    stop.do(f"br i1 {stop.let(f'icmp eq i64 {status}, {DONE}')}, label %pass, label %out")
    stop.label("out")
    stop.tail("@leave", "%ip", "%n", status)
    stop.label("pass")
    _run_real_slot(stop)

    armed = Handler("armed", "cold")
    armed.helper(names, "started", ["%w", armed.pc("%ip"), _slot_index(armed)])
    _run_real_slot(armed)

    beside = Handler("region_beside", "noinline cold")
    beside.helper(names, "beside_region", [beside.pc("%ip"), _slot_index(beside)])
    _run_real_slot(beside)

    illegal = Handler("op_3", "cold")
    illegal.tail("@leave", "%ip", "%n", illegal.helper(names, "illegal", [illegal.pc("%ip")]))

    # n here counts the next step too, which may be the one that traps; w is the target
    refetch = Handler("refetch", "noinline cold")
    refetch.do(f"br i1 {refetch.let('icmp eq i64 %n, 0')}, label %out, label %more")
    refetch.label("out")
    refetch.tail("@leave", "null", "0", str(DONE), "%w")
    refetch.label("more")
    status = refetch.helper(names, "fetch", ["%w"])
    refetch.do(f"br i1 {refetch.let(f'icmp eq i64 {status}, {DONE}')}, label %done, label %fault")
    refetch.label("fault")
    refetch.tail("@leave", "null", refetch.let("sub i64 %n, 1"), status, "%w")
    refetch.label("done")
    refetch.tail("@resume", "%ip", refetch.let("sub i64 %n, 1"), "0")
    resume = Handler("resume", "noinline cold")
    resume.reload()

    leave = Handler("leave", "noinline cold")
    leave.do(f"store i64 {leave.pc('%ip')}, ptr {leave.word(L.STOP_PC)}")
    leave.do(f"store i64 %n, ptr {leave.word(L.LEFT)}")
    leave.do("ret i64 %w")
    return "\n".join(f.text() for f in (undecoded, fetch, stop, armed, beside, illegal, refetch, resume, leave))


def _blocks(names: Mapping[str, str]) -> str:
    """Return the handlers of OP_BLOCK, OP_COUNTED and OP_ASLEEP, and what blocks go on with: see native/blocks.py."""
    enter = Handler("block")
    enter.tail(enter.code_of("%w"), "%ip", "%n", "%w")

    # w says how many slots are in front of this one, how many steps of the block behind it, and what is next
    out = Handler("block_out", "noinline")
    here = out.let(f"getelementptr i64, ptr %ip, i64 {out.let('and i64 %w, 255')}")
    left = out.let(f"and i64 {out.let('lshr i64 %w, 8')}, 255")
    out.count(L.BLOCK_STEPS, out.let(f"sub i64 -1, {left}"))
    n, slot = out.let(f"add i64 %n, {left}"), out.let(f"load i64, ptr {here}")
    handler = out.let(f"getelementptr ptr, ptr %ops, i64 {out.let('lshr i64 %w, 16')}")
    function = out.let(f"load ptr, ptr {handler}")
    is_first = out.let(f"icmp eq i64 {out.let(f'and i64 {slot}, 255')}, {BLOCK_OP}")
    out.do(f"br i1 {is_first}, label %first, label %other")
    out.label("first")
    kept = out.let(f"getelementptr i8, ptr {out.code_of(slot)}, i64 {-BLOCK_HEAD_BYTES}")
    out.tail(function, here, n, out.let(f"load i64, ptr {kept}"))
    out.label("other")
    out.tail(function, here, n, slot)

    beside = Handler("block_beside", "noinline cold")
    beside.dispatch("%w")
    counted, asleep, arrived = (Handler(f"block_{name}", "cold") for name in ("counted", "asleep", "arrived"))
    for f, helper in ((counted, "count_block"), (asleep, "wake_block"), (arrived, "arrive")):
        f.helper(names, helper, ["%w", f.pc("%ip"), _slot_index(f)])
        _run_real_slot(f)
    return "\n".join(f.text() for f in (enter, out, beside, counted, asleep, arrived))


def _slot_index(f: Handler) -> str:
    """Return the number of the slot at %ip."""
    dec = f.let(f"ptrtoint ptr {f.table(DEC)} to i64")
    distance = f.let(f"sub i64 {f.let('ptrtoint ptr %ip to i64')}, {dec}")
    return f.let(f"lshr i64 {distance}, 3")


def _run_real_slot(f: Handler) -> None:
    """Go on with the slot in REAL_SLOT, as if it stood at %ip: this step is still to be made."""
    f.dispatch(f.let(f"load i64, ptr {f.word(L.REAL_SLOT)}"))


def _or_leave(f: Handler, names: Mapping[str, str], helper: str, args: list[str]) -> None:
    """Call a helper that sets the slot to go on with, or ends the loop."""
    status = f.helper(names, helper, args)
    f.do(f"br i1 {f.let(f'icmp eq i64 {status}, {DONE}')}, label %done, label %out")
    f.label("out")
    f.tail("@leave", "%ip", "%n", status)
    f.label("done")
    f.tail("@resume", "%ip", "%n", "0")


_ENTRY = f"""
define i64 @{DISPATCH}(ptr %c, i64 %n, i64 %bank, i64 %xbank) {{
  %h = load ptr, ptr %c
  %ram_at = getelementptr ptr, ptr %c, i64 {RAM}
  %ram = load ptr, ptr %ram_at
  %dec_at = getelementptr ptr, ptr %c, i64 {DEC}
  %dec = load ptr, ptr %dec_at
  %tlbs_at = getelementptr ptr, ptr %c, i64 {TLB}
  %tlbs = load ptr, ptr %tlbs_at
  %tlb = getelementptr i64, ptr %tlbs, i64 %bank
  %xtlbs_at = getelementptr ptr, ptr %c, i64 {XTLB}
  %xtlbs = load ptr, ptr %xtlbs_at
  %xtlb = getelementptr i64, ptr %xtlbs, i64 %xbank
  %dirty_at = getelementptr ptr, ptr %c, i64 {DIRTY}
  %dirty = load ptr, ptr %dirty_at
  %a = getelementptr i64, ptr %h, i64 {L.TABLE_AT}
  store ptr %c, ptr %a
  %b = getelementptr i64, ptr %h, i64 {L.XTLB_AT}
  store ptr %xtlb, ptr %b
  %d = getelementptr i64, ptr %h, i64 {L.DIRTY_AT}
  store ptr %dirty, ptr %d
  %e = getelementptr i64, ptr %h, i64 {L.HOST_FLOAT}
  %host_float = call i1 @host_float()
  %host_float_word = zext i1 %host_float to i64
  store i64 %host_float_word, ptr %e
  %pc_at = getelementptr i64, ptr %h, i64 {L.PC}
  %pc = load i64, ptr %pc_at
  %ip = getelementptr i8, ptr %dec, i64 {FETCH_PAGE_BYTES}
  %ip_word = ptrtoint ptr %ip to i64
  %quarter = lshr i64 %ip_word, 2
  %pcb = sub i64 %pc, %quarter
  %middle = getelementptr i64, ptr %h, i64 {MIDDLE}
  %left = sub i64 %n, 1
  %status = call preserve_nonecc i64 @op_1(
    ptr %ip, i64 %left, i64 0, ptr %ram, ptr %middle, i64 %pcb, ptr @{HANDLERS}, ptr %tlb)
  ret i64 %status
}}

!0 = !{{!"branch_weights", i32 1, i32 4000}}
!1 = !{{!"branch_weights", i32 4000, i32 1}}
"""


def dispatch_source(names: Mapping[str, str]) -> str:
    """Return the LLVM IR of `rrdbg_dispatch(c, n, bank, xbank)`: runs up to n steps and returns how the last one ended.

    It leaves the pc in STOP_PC and the steps not made in LEFT.

    Args:
        names: Symbols of the numba functions in `HELPERS`.
    """
    parts = [f"declare i32 @{names[name]}(ptr, ptr, ptr{', i64' * count})\n" for name, (count, _) in HELPERS.items()]
    parts += [TEST, _special(names), _blocks(names), float_paths(names), region_entries(names)]
    parts += [_handler(op, names) for op in OPS]
    floats = [op for op in OPS if op.insn.effect == FLOAT_HELPER]
    parts += [computing(op, names) for op in floats]
    handlers = [f"op_{number}" for number in range(ARMED_OP)] + ["armed"] * (REGION_OP - ARMED_OP) + ["region"]
    handlers += ["block", "block_counted", "block_asleep"]
    handlers += [f"op_{op.number}" for op in OPS]
    handlers += ["op_3"] * (256 - len(handlers))
    handlers += ["region_go", "region_leave", "region_resolve", "region_reach", "region_miss"]
    handlers += ["leave", "refetch", "block_beside", "block_out"]
    handlers += ["op_3"] * (FIRST_REGION - len(handlers))
    for op in floats:
        handlers[FLOATS + op.number] = f"float_{op.number}"
    handlers[ARRIVALS : ARRIVALS + 256] = handlers[:256]
    for op in OPS:
        if is_copied(op):
            handlers[ARRIVALS + op.number] = "block_arrived"
    for number, name in enumerate(FLOAT_PATHS):
        handlers[MISSES + number] = name
    for op in OPS:
        if isinstance(op.insn.effect, Load | Store | FloatLoad | FloatStore):
            handlers[MISSES + op.number] = f"miss_{op.number}"
    handlers += ["op_3"] * MAX_REGIONS
    table = ", ".join(f"ptr @{name}" for name in handlers)
    return "".join(parts) + f"@{HANDLERS} = global [{len(handlers)} x ptr] [{table}]\n" + _ENTRY
