"""Handlers of F and D: the host computes, as cpu/host_floats.py has it, or native/float_ops.py does."""

from __future__ import annotations

from collections.abc import Mapping

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.emitter import Emitter
from rrdbg_core.cpu.handler import DONE, FLOATS, Handler
from rrdbg_core.cpu.host_floats import DONE_BY_HOST, INTEGERS, HostFloat
from rrdbg_core.cpu.ops import Op
from rrdbg_core.isa.csr import MSTATUS_FS


def float_handler(f: Handler, op: Op) -> None:
    """Let the host compute, or the helper."""
    host = HostFloat(f, op.insn.name, "slow", f.word(L.FCSR), looks=False)
    if host.works:
        state = f.let(f"and i64 {f.let(f'load i64, ptr {f.word(L.MSTATUS)}')}, {MSTATUS_FS}")
        host.need(f.let(f"icmp eq i64 {state}, {MSTATUS_FS}" if host.changes else f"icmp ne i64 {state}, 0"))
        host.need(f.let(f"icmp ne i64 {f.let(f'load i64, ptr {f.word(L.HOST_FLOAT)}')}, 0"))
        host.need_mode()
        if host.takes in INTEGERS:
            operands = [f.operand("rs1")]
        else:
            places = [f.float_register(shift) for shift in (16, 24, 59)[: host.arity]]
            operands = [host.number(f.let(f"load i64, ptr {place}"), host.takes) for place in places]
        host.slow = "look" if host.may_look else "slow"
        result = host.compute(*operands)
        if host.gives in INTEGERS:
            f.set_rd(result)
        else:
            f.do(f"store i64 {host.register(result, host.gives)}, ptr {f.float_register(8)}")
        f.next(f.behind(op.length))
    else:
        f.do("br label %slow")
    if host.slow == "look":
        f.label("look")
        f.tail("@float_look", "%ip", "%n", "%w")
    f.label("slow")
    f.tail("@float_slow", "%ip", "%n", "%w")


FLOAT_ARGS = ("ptr %h", "i64 %w", "double %a", "double %b", "double %c")
"""Of what stands at FLOATS and behind: as many of the f registers as the instruction reads."""


def computing(op: Op, names: Mapping[str, str]) -> str:
    """Return the function, `float_` and the op's number, that computes for regions, and for handlers that must look.

    FS is Dirty, the host's arithmetic is trusted, and the rounding mode is none of those that are reserved: it cannot
    trap. The result is in the hart's words, as is an x register that is read; all registers of the host are kept, so
    that a region has nothing to save.
    """
    name = op.insn.name
    host = HostFloat(Emitter(""), name, "", "")
    count = 0 if host.takes in INTEGERS else host.arity
    f = Handler(f"float_{op.number}", "noinline", convention="preserve_allcc", args=", ".join(FLOAT_ARGS[: 2 + count]))
    shifts = (16, 24, 59)[:count]
    values = [f.let(f"bitcast double {arg.split()[1]} to i64") for arg in FLOAT_ARGS[2 : 2 + count]]
    if name in DONE_BY_HOST and host.works:
        host = HostFloat(f, name, "slow", f.word(L.FCSR))
        host.need_mode()
        operands = [host.number(value, host.takes) for value in values] if count else [f.operand("rs1")]
        result = host.compute(*operands)
        if host.gives in INTEGERS:
            f.set_rd(result)
        else:
            f.do(f"store i64 {host.register(result, host.gives)}, ptr {f.float_register(8)}")
        f.do(f"ret i64 {DONE}")
        f.label("slow")
    for shift, value in zip(shifts, values, strict=True):
        f.do(f"store i64 {value}, ptr {f.float_register(shift)}")
    f.do(f"ret i64 {f.helper(names, 'float_op', ['%w', '0'])}")
    return f.text()


def float_paths(names: Mapping[str, str]) -> str:
    """Return where handlers go on if FS is in the way, if the host cannot compute, and if NX is to be looked at."""
    off = Handler("float_off", "noinline cold")
    status = off.helper(names, "float_ready", [off.pc("%ip")])
    off.do(f"br i1 {off.let(f'icmp eq i64 {status}, {DONE}')}, label %again, label %out")
    off.label("out")
    off.tail("@leave", "%ip", "%n", status)
    off.label("again")
    off.dispatch("%w")

    slow = Handler("float_slow", "noinline")
    slow.finish(slow.helper(names, "float_op", ["%w", slow.pc("%ip")]), 4)

    look = Handler("float_look", "noinline")
    number = look.let(f"add i64 {look.let('and i64 %w, 255')}, {FLOATS}")
    function = look.let(f"load ptr, ptr {look.let(f'getelementptr ptr, ptr %ops, i64 {number}')}")
    operands = [look.let(f"load double, ptr {look.float_register(shift)}") for shift in (16, 24, 59)]
    arguments = ", ".join(["ptr %h, i64 %w", *(f"double {operand}" for operand in operands)])
    look.let(f"call preserve_allcc i64 {function}({arguments})")
    look.next(look.behind(4))
    return "\n".join(f.text() for f in (off, slow, look))
