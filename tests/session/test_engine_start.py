"""What an engine imports until it has opened a trace: users wait for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

UNWANTED = ("pydantic", "pydantic_core", "importlib.metadata", "email", "numba", "textual", "asyncio")


def test_opening_a_trace_imports_nothing_that_takes_long(trace: Path) -> None:
    code = (
        "import json, sys; import rrdbg.session.server; from rrdbg.session.session import open_session\n"
        f"open_session({str(trace)!r}).registers(); print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) & set(UNWANTED) == set()
