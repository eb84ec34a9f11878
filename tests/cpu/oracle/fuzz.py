"""Random programs on two machines until a number of steps is reached.

python -m tests.cpu.oracle.fuzz --steps 20_000_000 --seed 1            the CPU against Spike
python -m tests.cpu.oracle.fuzz --against reference --steps 20_000_000  the CPU against the reference interpreter
python -m tests.cpu.oracle.fuzz --subject reference                     the reference interpreter against Spike
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.cpu.oracle.compare import Subject, Tally, compare
from tests.cpu.oracle.programs import Generator


def run(
    reference: Subject, subject: Subject, *, seed: int, steps: int, progress: bool = False, stop_at: int = 20
) -> Tally:
    """Compare until `steps` steps were made or `stop_at` mismatches were found."""
    tally = Tally()
    program = 0
    shown = time.monotonic()
    while tally.steps < steps and len(tally.mismatches) < stop_at:
        # Programs are numbered, so that any one of them can be made again alone.
        for case in Generator(seed << 32 | program).cases():
            mismatch = compare(reference, subject, case, tally)
            if mismatch is not None and progress:
                print(mismatch, file=sys.stderr)
        program += 1
        if progress and time.monotonic() - shown > 5:
            shown = time.monotonic()
            print(tally, file=sys.stderr)
    return tally


def main() -> int:
    from tests.cpu.oracle.subjects import make

    parser = argparse.ArgumentParser(description="compare the guest CPU with an oracle on random programs")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subject", choices=("core", "reference"), default="core")
    parser.add_argument("--against", choices=("spike", "reference"), default="spike")
    options = parser.parse_args()
    started = time.monotonic()
    tally = run(make(options.against), make(options.subject), seed=options.seed, steps=options.steps, progress=True)
    seconds = time.monotonic() - started
    print(f"seed {options.seed}: {tally}; {seconds:.0f} s")
    return 1 if tally.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
