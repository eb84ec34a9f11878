"""Python scripts on a trace: `rrdbg run script.py trace.rrt [ARGS]`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

from rrdbg_core.errors import ExitCode, RrdbgError

import rrdbg

if TYPE_CHECKING:
    from rrdbg.session.api import Session

Guard = Callable[["Session"], AbstractContextManager[None]]
"""Something that is in force while a session is in use."""


def run_script(
    script: str, arguments: Sequence[str], guard: Guard | None = None, *, symbols: Sequence[str] = ()
) -> int:
    """Run a Python script on a trace and return the exit code.

    The script runs as `__main__` with `sys.argv` set to its own name and the arguments, of which the first is the
    trace. It finds that trace opened as the global `session`, and closed for it at the end; it may ignore it and use
    `rrdbg.open` itself.

    Exit codes: 0 when it ends, its own with `sys.exit`, that of an RrdbgError it lets through (told in one message),
    1 for any other exception, with the traceback of the script's own frames.

    Args:
        script: Its file.
        arguments: The trace, and what else the script is given.
        guard: In force while the script runs.
        symbols: Files with symbols, as for `rrdbg.open`.
    """
    try:
        source = Path(script).read_bytes()
    except OSError as error:
        raise RrdbgError(f"cannot read script {script}: {error.strerror}", exit_code=ExitCode.NOT_FOUND) from error
    try:
        code = compile(source, script, "exec")
    except (SyntaxError, ValueError) as error:
        traceback.print_exception(type(error), error, None)
        return ExitCode.FAILED
    with ExitStack() as stack:
        session = stack.enter_context(rrdbg.open(arguments[0], symbols=symbols))
        if guard is not None:
            stack.enter_context(guard(session))
        module = stack.enter_context(_as_main(script, arguments))
        module.__dict__.update(session=session, rrdbg=rrdbg)
        try:
            exec(code, module.__dict__)
        except SystemExit as error:
            return _exit_code(error.code)
        except RrdbgError as error:
            line = _line(error.__traceback__, script)
            where = f"{script}:{line}: " if line else ""
            raise RrdbgError(f"{where}{error.message}", hint=error.hint, exit_code=error.exit_code) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            _print_users_frames(error)
            return ExitCode.FAILED
    return ExitCode.OK


@contextmanager
def _as_main(script: str, arguments: Sequence[str]) -> Iterator[ModuleType]:
    """Give a script the place of the program."""
    module = ModuleType("__main__")
    module.__file__ = script
    saved = sys.argv, sys.path[:], sys.modules["__main__"]
    sys.argv, sys.path[:] = [script, *arguments], [str(Path(script).resolve().parent), *sys.path]
    sys.modules["__main__"] = module
    try:
        yield module
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = saved


def _exit_code(code: object) -> int:
    if code is None:
        return ExitCode.OK
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return ExitCode.FAILED


def _line(trace: TracebackType | None, script: str) -> int:
    """Return the innermost line of the script in a traceback, or 0."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == script:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _print_users_frames(error: BaseException) -> None:
    """Print a traceback without the frames of rrdbg, which tell a script's author nothing."""
    package = str(Path(rrdbg.__file__).parent)
    told: traceback.TracebackException | None = traceback.TracebackException.from_exception(error)
    outer = told
    while told is not None:
        told.stack = traceback.StackSummary.from_list(
            [frame for frame in told.stack if not frame.filename.startswith(package)]
        )
        told = told.__cause__ or told.__context__
    if outer is not None:
        print("".join(outer.format()), end="", file=sys.stderr)
