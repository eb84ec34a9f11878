"""numba with only those of its passes that code over u64 needs, and without its back end's work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import types
from numba.core import config
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import AnalysisPass, PassManager, register_pass
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


class _FrontEnd(CompilerBase):  # type: ignore[misc]
    """From Python source to typed, unoptimised LLVM IR."""

    def define_pipelines(self) -> list[Any]:
        manager = PassManager("rrdbg")
        for step in (
            *(TranslateByteCode, FixupArgs, IRProcessing, ReconstructSSA),
            *(NopythonTypeInference, OnlyWords, PreLowerStripPhis, IRLegalization, NativeLowering, NoPythonBackend),
        ):
            manager.add_pass(step, step.__name__)
        manager.finalize()
        return [manager]


@contextmanager
def unoptimised() -> Iterator[None]:
    """Let numba optimise nothing: what comes out is linked and optimised as a whole, see cpu/frontend.py."""
    before = config.OPT
    config.OPT = type(before)(0)
    try:
        yield
    finally:
        config.OPT = before


def njit(function: Any) -> Any:
    """Return a function that numba compiles when it is first called from another one."""
    return numba.njit(
        function,
        pipeline_class=_FrontEnd,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        error_model="numpy",
    )
