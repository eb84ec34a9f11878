"""One run of the traffic in a process of its own: `python -m ... SPEC SEED STEPS` prints a digest of what was seen.

What host back ends answered in the process before comes on standard input.
"""

from __future__ import annotations

import json
import sys

from rrdbg_core.machine.conformance import checks, targets, traffic
from rrdbg_core.machine.conformance.answers import Answers


def main() -> None:
    """Run the traffic."""
    spec, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    target = targets.find(spec)
    ops = traffic.traffic(target.kind, seed, steps)
    case = checks.Case(target, seed, ops, Answers(json.load(sys.stdin)))
    print(checks.digest_of(case.bench().run(ops)))


if __name__ == "__main__":
    main()
