"""numba with only those of its passes that code over u64 needs, and without its back end's work."""

from __future__ import annotations

from typing import Any

import numba
from numba.core import config
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import FixupArgs, IRProcessing, ReconstructSSA, TranslateByteCode

# what comes out is linked and optimised as a whole, see cpu/frontend.py
config.OPT = config._OptLevel(0)


class _FrontEnd(CompilerBase):  # type: ignore[misc]
    """From Python source to typed, unoptimised LLVM IR."""

    def define_pipelines(self) -> list[Any]:
        manager = PassManager("rrdbg")
        for step in (
            *(TranslateByteCode, FixupArgs, IRProcessing, ReconstructSSA),
            *(NopythonTypeInference, PreLowerStripPhis, IRLegalization, NativeLowering, NoPythonBackend),
        ):
            manager.add_pass(step, step.__name__)
        manager.finalize()
        return [manager]


def njit(function: Any) -> Any:
    """Return a function that numba compiles when it is first called from another one."""
    return numba.njit(
        function,
        pipeline_class=_FrontEnd,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        error_model="numpy",
    )
