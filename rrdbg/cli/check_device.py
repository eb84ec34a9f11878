"""`rrdbg check-device`: does a device keep the device contract?"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrdbg_core.machine.conformance.report import Result

DESCRIPTION = """\
Check a device against the device contract (docs/devices.md): drive it with random traffic, alone and in a machine that
is recorded, replayed, paused and moved to other machines, and see whether all stays the same."""

EPILOG = """\
exit codes:
   0 the device keeps the contract    67 no such device, or it does not load
   2 wrong command line               71 the device breaks the contract

examples:
  rrdbg check-device uart
  rrdbg check-device watchdog.py:Watchdog --seed 7 --steps 20000"""


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    from rrdbg.cli._parse import seed, step_count

    parser: argparse.ArgumentParser = subparsers.add_parser(
        "check-device",
        help="check a device against the device contract",
        description=DESCRIPTION,
        epilog=EPILOG,
        **kwargs,
    )
    parser.add_argument(
        "device",
        metavar="DEVICE",
        help="FILE.py:CLASS, an entry point in the group rrdbg.devices, or a built-in device: "
        "uart, clint, plic, rtc, finisher, virtio-rng",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of the traffic (default 0)")
    parser.add_argument("--steps", type=step_count, default=2000, metavar="N", help="amount of traffic (default 2000)")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the checks and tell them one by one."""
    from rrdbg_core.errors import ExitCode, RrdbgError
    from rrdbg_core.machine.conformance.run import check_device

    if args.steps < 1:
        raise RrdbgError("--steps 0 checks nothing", hint="try 2000", exit_code=ExitCode.USAGE)
    report = check_device(args.device, seed=args.seed, steps=args.steps, on_result=None if args.json else _tell)
    if args.json:
        print(json.dumps(report.to_json(), indent=2))
    else:
        broken = sum(result.ok is False for result in report.results)
        word = "keeps the device contract" if report.ok else f"breaks the device contract ({broken} of the checks fail)"
        print(f"{args.device} {word}; seed {args.seed}, {args.steps} happenings")
    return ExitCode.OK if report.ok else ExitCode.DEVICE_BROKEN


def _tell(result: Result) -> None:
    print(result)
    sys.stdout.flush()
