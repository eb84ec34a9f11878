"""`make bench`: measure on one core, print a table, keep it as JSON, and compare with an earlier run."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

from tests.bench.kernels import interpreter, recording
from tests.bench.measure import Figure, pinned
from tests.bench.startup import startup
from tests.bench.travel import travel

GROUPS = {"startup": startup, "interpreter": interpreter, "recording": recording, "travel": travel}


def main() -> int:
    """Run the benchmarks and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"what to measure: {', '.join(GROUPS)} (all)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (5)")
    parser.add_argument("--json", metavar="FILE", help="write every sample to a file")
    parser.add_argument("--compare", metavar="FILE", help="show medians beside those of an earlier --json")
    args = parser.parse_args()
    unknown = set(args.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no group is called {', '.join(sorted(unknown))}")
    earlier = (
        {row["name"]: row for row in json.loads(Path(args.compare).read_text())["figures"]} if args.compare else {}
    )
    pinned()
    figures: list[Figure] = []
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, one core")
    print(f"{'':<52} {'min':>9} {'median':>9} {'max':>9}")
    for name in args.groups or GROUPS:
        for figure in GROUPS[name](args.runs, _say):
            _say("")
            figures.append(figure)
            then = earlier.get(figure.name)
            change = f"  x{figure.median / then['median']:.2f} of the earlier median" if then else ""
            print(figure.row() + change, flush=True)
    if args.json:
        content = {"python": platform.python_version(), "figures": [figure.as_json() for figure in figures]}
        Path(args.json).write_text(json.dumps(content, indent=1) + "\n")
    return int(any(figure.met is False for figure in figures))


def _say(text: str) -> None:
    """Show what is being measured, on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
