"""numba with only those of its passes that code over u64 needs, and without its back end's work."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import _dynfunc, types
from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import AnalysisPass, PassManager, register_pass
from numba.core.registry import cpu_target
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import FixupArgs, IRProcessing, ReconstructSSA, TranslateByteCode

_WORDS = (types.uint64, types.boolean, types.none, *map(types.CPointer, (types.uint64, types.uint32, types.uint8)))
# what is on its way into an array of narrower words
_NARROW = (types.uint32, types.uint8)
_NAMES = (types.Callable, types.Module, types.NumberClass)


@register_pass(mutates_CFG=False, analysis_only=True)
class OnlyWords(AnalysisPass):  # type: ignore[misc]
    """Refuse a function in which anything is neither u64, truth value nor pointer.

    A u64 that meets an i64 becomes a float64 without a word.
    """

    _name = "only_words"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Look at every variable; `metadata["words"]` says how many there were."""
        for name, kind in state.typemap.items():
            plain = types.unliteral(kind)
            if plain not in _WORDS and plain not in _NARROW and not isinstance(kind, _NAMES):
                raise TypeError(f"{name} in {state.func_id.func_name} is {kind}, not u64")
        state.metadata["words"] = len(state.typemap)
        return False


class _Module(JITCodeLibrary):  # type: ignore[misc]
    """What a function is compiled to: LLVM IR, of which no machine code is made (a third of all time)."""

    def _finalize_final_module(self) -> None:
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class Lowering(NativeLowering):  # type: ignore[misc]
    """From typed IR to LLVM IR."""

    _name = "lowering_to_a_module"

    def run_pass(self, state: Any) -> bool:
        """Lower one function. Its callers find it in numba's tables; nobody can call it there."""
        state.library = _Module(state.targetctx.codegen(), state.func_id.func_qualname)
        state.targetctx.get_executable = _nothing_to_execute
        try:
            return bool(super().run_pass(state))
        finally:
            del state.targetctx.get_executable


class _FrontEnd(CompilerBase):  # type: ignore[misc]
    """From Python source to typed, unoptimised LLVM IR."""

    def define_pipelines(self) -> list[Any]:
        manager = PassManager("rrdbg")
        for step in (
            *(TranslateByteCode, FixupArgs, IRProcessing, ReconstructSSA),
            *(NopythonTypeInference, OnlyWords, PreLowerStripPhis, IRLegalization, Lowering, NoPythonBackend),
        ):
            manager.add_pass(step, step.__name__)
        manager.finalize()
        return [manager]


@contextmanager
def front_end_alone() -> Iterator[None]:
    """Let numba do no more than it has to: what comes out is linked and optimised as a whole, see cpu/frontend.py.

    By itself it would optimise each function, and find out for each operation anew what it makes of its operands. A
    seventh of its time is the garbage collector's, who finds 70 MB.
    """
    before, collects = config.OPT, gc.isenabled()
    config.OPT = type(before)(0)
    typing = cpu_target.typing_context
    typing.resolve_function_type = _remembered(typing.resolve_function_type)
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        config.OPT = before
        del typing.resolve_function_type


def _nothing_to_execute(library: Any, descriptor: Any, environment: Any) -> Any:
    """Return what stands for a function in numba's tables."""
    library.finalize()
    return _dynfunc.make_function(descriptor.lookup_module(), descriptor.qualname, "", 0, environment, (library,))


def _remembered(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that types calls, and knows those that it has seen."""
    seen: dict[Any, Any] = {}

    def known(function: Any, args: Any, kws: Any) -> Any:
        key = function, tuple(args), tuple(kws)
        found = seen.get(key)
        if found is None:
            found = seen[key] = resolve(function, args, kws)
        return found

    return known


def njit(function: Any) -> Any:
    """Return a function that numba compiles when it is first called from another one."""
    return numba.njit(
        function,
        pipeline_class=_FrontEnd,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        error_model="numpy",
    )
