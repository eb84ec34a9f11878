"""Compare a core with blocks with one without: `python -m tests.cpu.block_compare`, a process of its own.

Says which package it has compiled, and what differs first. Ends in 0 if nothing does, in `DIFFERS` if something does,
and is ended by SIGPROF if it goes on for ever. Anything else: it could not compare.
"""

from __future__ import annotations

import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import rrdbg_core
from rrdbg_core.cpu import build

from tests.cpu import test_block_begins, test_block_overlap, test_blocks
from tests.cpu.oracle.close import atomics, close
from tests.cpu.oracle.floating import FloatFlow, floating
from tests.cpu.oracle.flows import Flow
from tests.cpu.test_blocks import BlockPair, Loop, One
from tests.cpu.test_paged_regions import Paged
from tests.cpu.test_regions import CLOSE_SLICES, run

DIFFERS = 3
"""Exit status."""
SECONDS = 30
"""Of CPU time after which it goes on for ever; it takes five."""
PROGRAMS, STEPS, LOOPS = 30, 20_000, 40

Check = Callable[[], object]


def programs() -> Iterator[tuple[str, Check]]:
    """Return random programs, on two pairs, both of which are used again and again."""
    plain, paged = BlockPair(), BlockPair(Paged)
    for seed in range(PROGRAMS):
        for pair in (plain, paged):
            case = (FloatFlow if seed % 3 == 2 else Flow)(seed).case(str(seed), STEPS)
            yield f"program {seed}", partial(run, pair, case, random.Random(seed))
    for seed in range(LOOPS):
        for pair in (plain, paged):
            for case in (close(seed, 1000), atomics(seed, 500), floating(seed, 1000)):
                yield f"loop {seed}", partial(run, pair, case, random.Random(seed), slices=CLOSE_SLICES)
    for seed in range(4):
        yield f"code that does not fit, {seed}", partial(test_blocks.test_code_that_does_not_fit, plain, seed)
        yield f"watches, {seed}", partial(test_blocks.test_watches_of_some_words, plain, seed)


def loops() -> Iterator[tuple[str, Check]]:
    """Return what may come in the middle of a loop."""
    yield "sleep", lambda: test_blocks.test_a_block_sleeps_until_all_of_it_has_told_that_it_is_run(Loop())
    yield "half asleep", lambda: test_blocks.test_a_block_whose_second_half_has_not_told_sleeps_on(Loop())
    yield "steps", lambda: test_blocks.test_steps_behind_the_way_out_are_not_made_in_a_block(Loop())
    yield "stops", lambda: test_blocks.test_it_stops_anywhere(Loop())
    yield "watches of a loop", lambda: test_blocks.test_watches(Loop())
    yield "parts", lambda: test_blocks.test_a_jump_into_the_middle_parts_it(Loop())
    yield "break between parts", lambda: test_blocks.test_a_break_where_a_jump_leads_into_the_middle(Loop())
    for index in range(len(Loop.WORDS)):
        yield f"break at {index}", lambda index=index: test_blocks.test_breakpoints(Loop(), index)
        yield f"slot {index}", lambda index=index: test_blocks.test_a_slot_that_somebody_puts_there(Loop(), index)
        for at in (0, 2):
            yield (
                f"write to {index}, {at}",
                lambda index=index, at=at: test_blocks.test_code_that_is_written_from_outside(Loop(), index, at),
            )
        if 1 <= index < len(Loop.WORDS) - 1:
            yield f"store to {index}", partial(test_blocks.test_code_that_writes_itself, index)
    for ways in ((0, 6), (6, 0)):
        for place in (4, 8, 12):
            yield f"ways {ways}, {place}", partial(test_block_overlap.test_code_that_is_read_in_two_ways, ways, place)
    for how in ("switched", "full"):
        yield how, partial(test_block_overlap.test_a_block_that_begins_in_a_second_half_is_forgotten_with_all, how)
    for code in test_block_begins.CODES.args[1]:
        yield f"{code.__name__} code", partial(test_block_begins.test_all_hot_code_is_in_blocks, code)
        yield f"{code.__name__} code that tells", partial(test_block_begins.test_it_tells_what_is_run, code)
    yield "read from the middle", test_block_overlap.test_a_block_whose_instruction_is_read_from_its_middle_is_forgotten
    yield "in common", test_block_overlap.test_a_store_into_what_two_blocks_have_in_common


def instructions() -> Iterator[tuple[str, Check]]:
    """Return single instructions."""
    ones = One(blocks=False), One(blocks=True)
    yield "rows", partial(test_blocks.test_every_row, ones)
    yield "loads to x0", partial(test_blocks.test_loads_whose_value_nobody_wants_are_made, ones)
    yield "compressed", partial(test_blocks.test_all_compressed, ones)


def tables() -> Iterator[tuple[str, Check]]:
    """Return what does not show in what a guest does."""
    for pair in (BlockPair(), BlockPair(Paged)):
        yield "tables", partial(test_blocks.test_what_is_known_of_blocks_is_true, pair)
    yield "no slot in two", test_block_overlap.test_no_slot_is_in_two_blocks
    yield "none in another", test_block_overlap.test_no_block_begins_in_another_ones_instruction
    yield "pages that do not fit", lambda: test_blocks.test_pages_that_do_not_fit(BlockPair())


def main() -> int:
    """Compare until something differs."""
    build.load()
    print(Path(rrdbg_core.__file__).parent, flush=True)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    for part in (programs, loops, instructions, tables):
        for name, check in part():
            try:
                check()
            except Exception as error:  # a core that is out of order may raise anything
                at = traceback.extract_tb(error.__traceback__)[-1]
                print(f"{name}: {Path(at.filename).name}:{at.lineno}: {error!r:.200}")
                return DIFFERS
    return 0


if __name__ == "__main__":
    sys.exit(main())
