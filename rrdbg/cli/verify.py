"""`rrdbg verify`: prove that a trace replays bit by bit, and that looking at it changes nothing."""

from __future__ import annotations

import argparse
from typing import Any

from rrdbg.cli import _parse

DESCRIPTION = """\
Replay a trace from start to end and compare every check word, digest, snapshot and event with the recording.
With --pauses, do so twice: straight, and with stops at random steps. Half of the pauses write the whole state out, put
it into a new machine with cold caches, part by part in random order, and go on there; some in a new process."""

EPILOG = """\
examples:
  rrdbg verify run.rrt
  rrdbg verify run.rrt --pauses 1000 --seed 7

exit codes:
   0 everything agrees
  65 the trace cannot be read
  66 something differs; the report says what, and where as near as can be told"""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "verify", help="prove that a trace replays bit by bit", description=DESCRIPTION, epilog=EPILOG, **kwargs
    )
    parser.add_argument("trace", metavar="TRACE", help="a .rrt file")
    parser.add_argument("--pauses", type=_parse.natural, default=0, metavar="N", help="stops at random steps (none)")
    parser.add_argument("--seed", type=_parse.seed, default=0, metavar="S", help="chooses the steps (0)")
    parser.add_argument(
        "--processes", type=_parse.natural, metavar="K", help="pauses that go on in a new process (one in a hundred)"
    )
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Verify, and return 0 or 66."""
    import json
    from dataclasses import asdict

    from rrdbg_core.cpu import build
    from rrdbg_core.errors import ExitCode, RrdbgError
    from rrdbg_core.replay.verify import verify
    from rrdbg_core.trace.reader import Trace

    from rrdbg.cli import host
    from rrdbg.cli.terminal import Compiling, ProgressLine

    if args.processes is not None and args.processes > args.pauses:
        raise RrdbgError(f"--processes {args.processes} is more than --pauses {args.pauses}", exit_code=ExitCode.USAGE)
    trace = Trace.open(args.trace)
    try:
        if trace.damage:
            host.say(f"rrdbg: {trace.damage}")
        with Compiling() as compiling:
            build.load(compiling.start)
        start, steps = trace.start_icount, trace.end_icount - trace.start_icount
        with ProgressLine("verifying") as line:
            report = verify(
                trace,
                pauses=args.pauses,
                seed=args.seed,
                fresh_processes=args.processes,
                progress=lambda icount: line.update(icount - start, steps, "steps"),
            )
    finally:
        trace.close()
    print(json.dumps(asdict(report)) if args.json else report.text)
    return ExitCode.OK if report.ok else ExitCode.DIVERGED
