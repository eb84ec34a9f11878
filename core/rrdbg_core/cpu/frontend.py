"""Compile the kernel: numba as the front end, LLVM as the back end.

The sources in cpu/native are plain Python over u64, which numba types and turns into LLVM IR with the few of its passes
that such code needs. Nothing is optimised there: the functions and the dispatch loop are linked into one module, and
that goes through LLVM once. (numba by itself would optimise, wrap for Python and generate code for every function and
again for every caller: 20 s instead of 6.)
"""

from __future__ import annotations

import ast
import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from rrdbg_core.cpu import layout
from rrdbg_core.cpu.build import DECODE, DISPATCH, ENTRIES, HANDLERS, RVC, STENCILS, VARIANTS, Progress
from rrdbg_core.cpu.dispatch import dispatch_source
from rrdbg_core.cpu.handler import HELPERS
from rrdbg_core.cpu.ops import decode_table, variants
from rrdbg_core.cpu.stencils import stencil_table
from rrdbg_core.isa.csr import MISA, MISA_FD, MISA_S
from rrdbg_core.isa.rvc import expansions

SOURCES = (
    *("names", "floats", "devices", "pmp", "blocks", "caches", "gates", "seen", "paging", "traps", "decode", "watch"),
    *("access", "atomics", "float_ops", "csr", "loop", "collect", "digest"),
)
"""Modules of cpu/native, each after those that it uses."""
_NATIVE = Path(__file__).parent / "native"
_CSR_CONSTANTS = {"MISA": MISA, "MISA_FD": MISA_FD, "MISA_S": MISA_S}


class _Constants(ast.NodeTransformer):
    """Turn `U(5)` and `L.NAME` into typed globals: numba spends most of its time typing calls otherwise."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}

    def _value(self, node: ast.expr) -> int | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "L":
            return int(getattr(layout, node.attr))
        if isinstance(node, ast.Name) and node.id in _CSR_CONSTANTS:
            return _CSR_CONSTANTS[node.id]
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left), self._value(node.right)
            if left is None or right is None:
                return None
            match node.op:
                case ast.Add():
                    return left + right
                case ast.Sub():
                    return left - right
                case ast.LShift():
                    return left << right
                case ast.BitOr():
                    return left | right
        return None

    def _name(self, value: int) -> ast.Name:
        name = f"u{value}"
        self.used[name] = value
        return ast.Name(name, ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "U":
            value = self._value(node.args[0])
            if value is not None:
                return self._name(value)
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        value = self._value(node)
        return self.generic_visit(node) if value is None else self._name(value)


def functions() -> dict[str, Any]:
    """Return the numba functions of cpu/native by name; none is compiled yet."""
    from rrdbg_core.cpu import intrinsics
    from rrdbg_core.cpu.pipeline import njit

    fold = _Constants()
    body: list[ast.stmt] = []
    for name in SOURCES:
        tree = ast.parse((_NATIVE / f"{name}.py").read_text())
        body += [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    body = [fold.visit(node) if isinstance(node, ast.FunctionDef) else node for node in body]
    namespace = {name: value for name, value in vars(intrinsics).items() if not name.startswith("_")}
    namespace |= {name: np.uint64(value) for name, value in fold.used.items()}
    namespace |= {"np": np, "L": layout, "njit": njit, "__name__": "rrdbg_kernel"}
    exec(compile(ast.fix_missing_locations(ast.Module(body, [])), "<kernel>", "exec"), namespace)
    names = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    return {name: namespace[name] for name in names}


def compile_functions() -> dict[str, Any]:
    """Return what numba made of the functions that the kernel enters by, and, through them, of all others."""
    import llvmlite.binding as llvm
    from numba import types

    from rrdbg_core.cpu import pipeline

    # numba loads what it compiles, and LLVM ends the process over a name that it cannot find
    llvm.add_symbol(DISPATCH, ctypes.cast(ctypes.memset, ctypes.c_void_p).value)
    table, word = types.CPointer(types.uint64), types.uint64
    compiled = functions()
    counts = {name: count for name, (count, _) in HELPERS.items()} | dict.fromkeys(ENTRIES, 1)
    with pipeline.front_end_alone():
        for name, count in counts.items():
            compiled[name].compile((table, *[word] * count))
    return {name: next(iter(compiled[name].overloads.values())) for name in counts}


def _wrapper(symbol: str, function: str) -> str:
    """Return a plain C function around numba's, which hands its result out through a pointer."""
    return f"""
declare i32 @{function}(ptr, ptr, ptr, i64)
define i64 @{symbol}(ptr %table, i64 %argument) {{
  %result = alloca i64
  %raised = alloca ptr
  %status = call i32 @{function}(ptr %result, ptr %raised, ptr %table, i64 %argument)
  %value = load i64, ptr %result
  ret i64 %value
}}
"""


def _tables() -> str:
    """Return what the decoder reads: making it anew at every start would cost a tenth of a second."""
    parts = []
    for name, kind, values in (
        (RVC, "i32", expansions().tolist()),
        (DECODE, "i64", decode_table()),
        (VARIANTS, "i8", variants()),
        (STENCILS, "i64", stencil_table()),
    ):
        items = ", ".join(f"{kind} {value}" for value in values)
        parts.append(f"@{name} = constant [{len(values)} x {kind}] [{items}]\n")
    return "".join(parts)


def compile_kernel(progress: Progress | None = None) -> bytes:
    """Compile the kernel and return its object code.

    Args:
        progress: Told what is being done.
    """
    import llvmlite.binding as llvm

    if progress:
        progress("compiling the guest CPU, once: reading its source")
    results = compile_functions()
    if progress:
        progress("compiling the guest CPU, once: generating machine code")
    names = {name: result.fndesc.llvm_func_name for name, result in results.items()}
    wrappers = [_wrapper(symbol, names[name]) for name, symbol in ENTRIES.items()]
    module = llvm.parse_assembly("".join((dispatch_source(names), *wrappers, _tables())))
    for result in results.values():
        module.link_in(llvm.parse_assembly(result.library.get_llvm_str()))
    found_by_name = (*ENTRIES.values(), RVC, DECODE, VARIANTS, STENCILS, HANDLERS)
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name not in found_by_name:
            value.linkage = llvm.Linkage.internal
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        jit=True,
    )
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = False
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)
    code: bytes = target.emit_object(module)
    return code
