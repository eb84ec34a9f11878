"""The interface in a process of its own behind a web server: `python -m rrdbg.tui.serve_app TRACE [THEME]`.

Textual's web driver talks to the server over standard input and output; there is no terminal.
"""

from __future__ import annotations

import os
import sys

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.tui.run import Opening, show

DRIVER = "rrdbg.tui.serve_driver:ServedDriver"
"""What the server has to put into the environment as TEXTUAL_DRIVER."""


def main(argv: list[str] | None = None) -> int:
    """Show the trace until the browser's tab is closed, and return the exit code."""
    path, *theme = sys.argv[1:] if argv is None else argv
    opening = Opening(path)
    from rrdbg.tui.app import DebuggerApp

    try:
        return show(DebuggerApp(os.path.basename(path), opening), theme=theme[0] if theme else None)
    except RrdbgError as error:
        print(f"rrdbg: {error}", file=sys.stderr)
        return int(error.exit_code)
    except (KeyboardInterrupt, BrokenPipeError):  # the server has gone
        return int(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
