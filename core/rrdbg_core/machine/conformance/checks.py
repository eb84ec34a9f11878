"""The checks of a device alone, on a bench. Each returns None, or what is wrong and where."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import xxhash

from rrdbg_core.devices.contract import BusFault, DeviceState
from rrdbg_core.machine.conformance import hidden, spies
from rrdbg_core.machine.conformance.answers import Answers
from rrdbg_core.machine.conformance.bench import Bench, Impure, Observation, Stuck, Undeclared
from rrdbg_core.machine.conformance.targets import Target
from rrdbg_core.machine.conformance.traffic import Op, What

WINDOW = 64
"""Happenings between looks at hidden state; the culprit is then looked for one by one."""
PAUSES = 20


@dataclass(frozen=True, slots=True)
class Case:
    """A device and the traffic it gets."""

    target: Target
    """The device."""
    seed: int
    """Seed of everything random."""
    ops: Sequence[Op]
    """The traffic."""
    answers: Answers
    """What host back ends said."""

    def bench(self) -> Bench:
        """Return the device as it comes out of reset."""
        return Bench(self.target, self.answers)


Problem = str | None
Check = Callable[[Case], Problem]


def declaration(case: Case) -> Problem:
    """Look at what the class declares."""
    kind = case.target.kind
    state = getattr(kind, "State", None)
    if not (isinstance(state, type) and issubclass(state, DeviceState)):
        return "State is no subclass of DeviceState"
    if kind.mmio_size <= 0:
        return f"mmio_size is {kind.mmio_size}: no register can be reached"
    if not kind.access_sizes or not set(kind.access_sizes) <= {1, 2, 4, 8}:
        return f"access_sizes is {kind.access_sizes!r}; possible are 1, 2, 4 and 8"
    if not isinstance(kind.bottom_halves, tuple) or len(set(kind.bottom_halves)) != len(kind.bottom_halves):
        return f"bottom_halves is {kind.bottom_halves!r}: a tuple of different names is wanted"
    if unknown := set(kind.backends) - set(kind.bottom_halves):
        return f"backends names {', '.join(sorted(unknown))}, which bottom_halves does not"
    wide = [name for name, item in state.fields.items() if not 1 <= item.bits <= 64]
    if wide:
        return f"field {wide[0]} has {state.fields[wide[0]].bits} bits; 1 to 64 are possible"
    try:
        case.bench()
    except Exception as error:
        return f"the device cannot be built and reset: {type(error).__name__}: {error}"
    return None


def exceptions(case: Case) -> Problem:
    """Only BusFault may come out of a device, and only of an access."""
    bench = case.bench()
    for number, op in enumerate(case.ops):
        try:
            bench.do(op)
        except (Undeclared, Stuck):
            return None  # these have checks of their own
        except BusFault:
            return f"a BusFault comes out of {op}, where nobody expects it (happening {number})"
        except Exception as error:
            return f"{type(error).__name__} in {op}: {error} (happening {number})"
    return None


def bottom_halves(case: Case) -> Problem:
    """What is scheduled is declared, and may complete late."""
    bench = case.bench()
    for number, op in enumerate(case.ops):
        try:
            bench.do(op)
        except Undeclared as error:
            return f"{op} schedules {str(error)!r}, which bottom_halves does not name (happening {number})"
        except Stuck:
            break
    for name in bench.device.bottom_halves:
        idle = case.bench()
        try:
            idle.device.bottom_half(name, b"")
        except Exception as error:
            return f"bottom half {name!r} fails if it completes after a reset: {type(error).__name__}: {error}"
    return None


def deadline(case: Case) -> Problem:
    """Deadlines move on, and do not depend on when they are asked for."""
    bench = case.bench()
    for number, op in enumerate(case.ops):
        try:
            bench.do(op)
        except Stuck as error:
            return f"in {op}: {error} (happening {number})"
        device, board = bench.device, bench.board
        first, now_ns = device.next_deadline_ns(), board.now_ns
        board.now_ns += 12_345
        second, board.now_ns = device.next_deadline_ns(), now_ns
        if first != second:
            return (
                f"next_deadline_ns follows the clock: {first} ns, and {second} ns if asked later (happening {number})"
            )
    return None


def queries(case: Case) -> Problem:
    """irq_level, next_deadline_ns and can_receive change nothing and ask for nothing."""
    bench = case.bench()
    bench.board.strict = True
    for number, op in enumerate(case.ops):
        try:
            bench.do(op)
        except Impure as error:
            return f"{error} (in {op}, happening {number})"
    return None


def irq_told(case: Case) -> Problem:
    """A change of the interrupt line is told to the board."""
    bench = case.bench()
    device, board = bench.device, bench.board
    level = device.irq_level()
    for number, op in enumerate(case.ops):
        board.told_irq = False
        was_reset = op.what is What.RESET or board.reset_wanted
        observation = bench.do(op)
        was_reset = was_reset or ("reset",) in observation[1]  # type: ignore[operator]
        if device.irq_level() != level and not board.told_irq and not was_reset:
            return f"{op} turns the interrupt line {'off' if level else 'on'} without update_irq (happening {number})"
        level = device.irq_level()
    return None


def schema(case: Case) -> Problem:
    """All that a device remembers is in its state."""
    start = 0
    bench = case.bench()
    known = hidden.fingerprint(bench.device)
    for start in range(0, len(case.ops), WINDOW):
        bench.run(case.ops[start : start + WINDOW])
        if hidden.changes(known, hidden.fingerprint(bench.device)):
            break
    else:
        return None
    for number, op in enumerate(case.ops[: start + WINDOW]):
        if number == 0:
            bench = case.bench()
            known = hidden.fingerprint(bench.device)
        bench.do(op)
        if changed := hidden.changes(known, hidden.fingerprint(bench.device)):
            return f"{op} changes what is not in the state: {changed[0]} (happening {number})"
    return "something that is not in the state changes, though not each time"


def width(case: Case) -> Problem:
    """Numbers fit their fields."""
    bench = case.bench()
    for number, op in enumerate(case.ops):
        bench.do(op)
        for name, item in bench.device.state.fields.items():
            for value in bench.words[item.offset : item.offset + item.count].tolist():
                if value >> item.bits:
                    return f"{op} leaves 0x{value:x} in {name}, which has {item.bits} bits (happening {number})"
    return None


def host(case: Case) -> Problem:
    """No host time, randomness, files, sockets or threads."""
    bench = case.bench()
    for number, op in enumerate(case.ops):
        with spies.spying() as calls:
            bench.do(op)
        if calls:
            return f"{op} {calls[0]} (happening {number})"
    return None


def determinism(case: Case) -> Problem:
    """The same traffic gives the same answers."""
    one, other = case.bench(), case.bench()  # both alive, hence at different addresses
    return _compare(case.ops, one.run(case.ops), other.run(case.ops), "a second run")


def hash_seed(case: Case) -> Problem:
    """The same holds in another process, where sets and hashes are different."""
    command = [sys.executable, "-m", "rrdbg_core.machine.conformance.child"]
    command += [case.target.spec, str(case.seed), str(len(case.ops))]
    runs = {
        value: subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": value},
        )
        for value in ("0", "1", "2")
    }
    known = json.dumps(case.answers.to_json())
    outputs = {value: run.communicate(known) for value, run in runs.items()}
    for value, run in runs.items():
        if run.returncode:
            return f"it fails with PYTHONHASHSEED={value}: {(outputs[value][1].strip().splitlines() or ['?'])[-1]}"
    if len({digest for digest, _ in outputs.values()}) > 1:
        return "answers depend on PYTHONHASHSEED: the device uses hash(), or the order of a set"
    return None


def save_restore(case: Case) -> Problem:
    """A new device with the same state goes on as the old one would have."""
    straight = case.bench().run(case.ops)
    rng = random.Random(case.seed)
    pauses = {rng.randrange(len(case.ops)) for _ in range(PAUSES)}
    bench, answers = case.bench(), []
    for number, op in enumerate(case.ops):
        if number in pauses:
            bench = bench.moved(case.target)
        answers.append(bench.do(op))
    return _compare(case.ops, straight, answers, f"after {len(pauses)} restores")


def digest_of(answers: Sequence[Observation]) -> str:
    """Return a digest of what was to be seen."""
    return xxhash.xxh3_128_hexdigest(repr(answers).encode())


def _compare(ops: Sequence[Op], one: Sequence[Observation], other: Sequence[Observation], what: str) -> Problem:
    for number, (op, a, b) in enumerate(zip(ops, one, other, strict=True)):
        if a != b:
            part = next(n for n in range(5) if a[n] != b[n])
            name = ("the answer", "what it asks the board for", "irq_level", "next_deadline_ns", "can_receive")[part]
            return f"{what} differs: {op}: {name} is {_short(a[part])} or {_short(b[part])} (happening {number})"
    return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
