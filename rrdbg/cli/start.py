"""Where the program begins: a Ctrl-C ends it without a word while all the rest is still being imported.

So this module imports as little as possible, and what comes before it, `rrdbg/__init__.py`, does too.
"""

import os
import signal
from collections.abc import Sequence


def _end(number: int, frame: object) -> None:
    os._exit(128 + number)  # there is nothing to put back yet


# SIG_IGN, which `&` in a shell script hands down, stays
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)


def _be_interrupted() -> None:
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    # numpy would start a thread a core for matrices, of which there are none here: 20 ms of each start
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rrdbg.cli.main import main

    return main(argv, ready=_be_interrupted)
