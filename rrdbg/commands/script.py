"""Python scripts on a trace: `rrdbg run script.py trace.rrt [ARGS]`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rrdbg_core.errors import ExitCode, RrdbgError

import rrdbg


def run_script(script: str, arguments: Sequence[str]) -> int:
    """Run a Python script on a trace and return the exit code.

    The script runs as `__main__` with `sys.argv` set to its own name and the arguments, of which the first is the
    trace. It finds that trace opened as the global `session`, and closed for it at the end; it may ignore it and use
    `rrdbg.open` itself.

    Exit codes: 0 when it ends, its own with `sys.exit`, that of an RrdbgError it lets through (told in one message),
    1 for any other exception, with the traceback of the script's own frames.
    """
    path = Path(script)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise RrdbgError(f"cannot read script {script}: {error.strerror}", exit_code=ExitCode.NOT_FOUND) from error
    try:
        code = compile(source, script, "exec")
    except (SyntaxError, ValueError) as error:
        traceback.print_exception(type(error), error, None)
        return ExitCode.FAILED
    with rrdbg.open(arguments[0]) as session:
        names = {"__name__": "__main__", "__file__": script, "session": session, "rrdbg": rrdbg}
        saved_argv, saved_path = sys.argv, sys.path[:]
        sys.argv, sys.path[:] = [script, *arguments], [str(path.resolve().parent), *sys.path]
        try:
            exec(code, names)
        except SystemExit as error:
            return _exit_code(error.code)
        except RrdbgError as error:
            line = _frames(error.__traceback__, script)
            where = f"{script}:{line.tb_lineno}: " if line else ""
            raise RrdbgError(f"{where}{error.message}", hint=error.hint, exit_code=error.exit_code) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            _print_users_frames(error)
            return ExitCode.FAILED
        finally:
            sys.argv, sys.path[:] = saved_argv, saved_path
    return ExitCode.OK


def _exit_code(code: object) -> int:
    if code is None:
        return ExitCode.OK
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return ExitCode.FAILED


def _frames(trace: TracebackType | None, script: str) -> TracebackType | None:
    """Return a traceback from the first frame of the script on."""
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    return trace


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
