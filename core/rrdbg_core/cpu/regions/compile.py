"""Compile regions into relocatable object code that names nothing of this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from rrdbg_core.cpu.regions.plan import Plan
from rrdbg_core.cpu.regions.translate import module_source

_OPTIONS = ("-enable-misched=false", "-disable-post-ra", "-disable-lsr")
"""Of LLVM's code generator: a sixth of the time goes into what hardly makes such code better. The host schedules by
itself, and strength reduction makes more values live than there are registers. (`-fast-isel` would take a quarter less
again, but the code is up to a sixth slower.)"""


@cache
def _target() -> Any:
    import llvmlite.binding as llvm

    for option in _OPTIONS:  # they count for the whole process: it is the compiler's own
        llvm.set_option("rrdbg", option)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        reloc="pic",
        codemodel="small",
        jit=True,
    )


def optimise(module: Any) -> None:
    """Run the few passes that pay on such code."""
    import llvmlite.binding as llvm

    target = _target()
    manager = llvm.create_new_module_pass_manager()
    manager.add_sroa_pass()
    manager.add_instruction_combine_pass()
    manager.add_simplify_cfg_pass()
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=2))
    manager.run(module, builder)


def compile_plans(plans: Sequence[Plan]) -> bytes:
    """Return the object code of some regions: symbols `symbol(n)` of each, and `MARKS`.

    Raises:
        Untranslatable: A plan holds what no region may hold.
    """
    import llvmlite.binding as llvm

    with llvm.create_context() as context:  # else every name and type stays for ever
        module = llvm.parse_assembly(module_source(plans), context)
        optimise(module)
        code: bytes = _target().emit_object(module)
        module.close()
    return code
