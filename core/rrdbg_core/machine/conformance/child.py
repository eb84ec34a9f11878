"""One run of the traffic in a process of its own: `python -m ... SPEC SEED STEPS` prints a digest of the answers."""

from __future__ import annotations

import sys

from rrdbg_core.machine.conformance import checks, targets, traffic


def main() -> None:
    """Run the traffic."""
    spec, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    target = targets.find(spec)
    ops = traffic.traffic(target.kind, seed, steps)
    print(checks.digest_of(checks.Case(target, seed, ops).bench().run(ops)))


if __name__ == "__main__":
    main()
