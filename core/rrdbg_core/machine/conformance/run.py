"""Runs all checks of a device, in an order in which the first that fails names the cause."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from rrdbg_core.machine.conformance import checks, spies, targets, whole
from rrdbg_core.machine.conformance.answers import Answers
from rrdbg_core.machine.conformance.checks import Case, Check
from rrdbg_core.machine.conformance.report import Report, Result
from rrdbg_core.machine.conformance.traffic import traffic

DEFAULT_STEPS = 2000


@dataclass(frozen=True, slots=True)
class Rule:
    """A check, and what to say about it."""

    name: str
    """Name."""
    check: Check
    """Does it."""
    kept: str
    """What holds if it finds nothing."""
    hint: str
    """What to do if it finds something."""
    needs: tuple[str, ...]
    """Checks without which it makes no sense."""


_BASIC = ("declaration", "exceptions", "bottom-halves", "deadline")
_SAME = (*_BASIC, "queries", "schema", "host", "determinism")

RULES = (
    Rule(
        "declaration",
        checks.declaration,
        "the class declares what the machine needs",
        "see `Device` in rrdbg_core.devices.contract for what each attribute means",
        (),
    ),
    Rule(
        "exceptions",
        checks.exceptions,
        "no access makes the device fail",
        "answer a guest's mistake with `raise BusFault` or `self.board.guest_error(...)`",
        ("declaration",),
    ),
    Rule(
        "bottom-halves",
        checks.bottom_halves,
        "bottom halves are declared, and may complete late",
        "name it in bottom_halves; in bottom_half, look at the state first and give up if nothing is under way",
        ("declaration", "exceptions"),
    ),
    Rule(
        "deadline",
        checks.deadline,
        "deadlines are absolute and move on",
        "keep the deadline in a `timer` field; let on_deadline set a later one, or 0",
        ("declaration", "exceptions", "bottom-halves"),
    ),
    Rule(
        "queries",
        checks.queries,
        "irq_level, next_deadline_ns and can_receive change nothing",
        "move the change into read, write, on_deadline or bottom_half",
        _BASIC,
    ),
    Rule(
        "irq-told",
        checks.irq_told,
        "the board is told of every change of the interrupt line",
        "call self.board.update_irq(self) where the state behind irq_level changes",
        (*_BASIC, "queries"),
    ),
    Rule(
        "schema",
        checks.schema,
        "all that the device remembers is in its state",
        "declare it in the State class with field, flag, timer or array",
        (*_BASIC, "queries"),
    ),
    Rule(
        "width",
        checks.width,
        "every number fits its field",
        "assign through the fields, not through state.words; or declare more bits",
        _BASIC,
    ),
    Rule(
        "host",
        checks.host,
        "no host time, randomness, files, sockets or threads",
        "use self.board.virtual_ns() or rtc_ns(); let a host back end do the rest, behind a bottom half",
        _BASIC,
    ),
    Rule(
        "determinism",
        checks.determinism,
        "the same traffic gives the same answers",
        "look for id(), default repr(), object addresses, or a clock or generator that was got at import",
        (*_BASIC, "queries", "schema", "host"),
    ),
    Rule(
        "hash-seed",
        checks.hash_seed,
        "also in processes with other hash seeds",
        "sort what comes out of a set; use zlib.crc32 or hashlib instead of hash()",
        _SAME,
    ),
    Rule(
        "save-restore",
        checks.save_restore,
        "a restored device goes on as the old one would have",
        "what it remembers beside its state must move into the State class: iterators, generators and caches too",
        _SAME,
    ),
    Rule(
        "record-replay",
        whole.record_replay,
        "a recorded guest that uses it replays bit by bit",
        "what the host hands over must arrive as the payload of a bottom half, and nowhere else",
        (*_SAME, "hash-seed", "save-restore"),
    ),
    Rule(
        "pauses",
        whole.pauses,
        "pauses, restores in shuffled order and new machines leave no trace",
        "see save-restore and schema; restoring must not depend on other devices",
        (*_SAME, "hash-seed", "save-restore", "record-replay"),
    ),
)
"""Every check, causes before consequences."""


def check_device(
    spec: str,
    *,
    seed: int = 0,
    steps: int = DEFAULT_STEPS,
    leave_out: Container[str] = (),
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Check a device against the device contract.

    Args:
        spec: Name of a built-in device, `file.py:Class`, or an entry point in the group `rrdbg.devices`.
        seed: Seed of the random traffic.
        steps: How much traffic.
        leave_out: Checks that are not wanted.
        on_result: Told each result as it comes.

    Raises:
        RrdbgError: There is no such device, or it does not load.
    """
    results: list[Result] = []
    with spies.installed():
        target = targets.find(spec)
        case: Case | None = None
        answers = Answers()
        for rule in RULES:
            if rule.name in leave_out:
                continue
            bad = [result.check for result in results if result.check in rule.needs and not result.ok]
            if bad:
                result = Result(rule.name, None, f"not run: {bad[0]} comes first")
            else:
                if case is None:
                    case = Case(target, seed, [], answers)
                elif not case.ops:
                    case = Case(target, seed, traffic(target.kind, seed, steps), answers)
                problem = rule.check(case)
                result = Result(rule.name, problem is None, problem or rule.kept, "" if problem is None else rule.hint)
            results.append(result)
            if on_result:
                on_result(result)
    return Report(spec, seed, steps, tuple(results))
