"""Traces of small guests, recorded by the recorder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rrdbg_core.replay.console_input import ConsoleInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Recording, Until
from rrdbg_core.replay.recorder import record as record_trace

from .history import config_for


def make_trace(
    elf: bytes, path: Path, *, console: ConsoleInput | None = None, until: int | None = None, **machine: Any
) -> Recording:
    """Record a guest into a trace; `machine` says what its machine has that others have not."""
    config, images = config_for(elf)
    config = replace(config, **machine)
    return record_trace(config, images, LiveSource(config, console, warp=True), path, until=Until(icount=until))
