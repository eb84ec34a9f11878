"""Motions on real guests: tasks that take turns, user mode, devices that write memory by themselves."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Until, record

import rrdbg
from rrdbg.session.api import PointKind, Session, StopReason
from rrdbg.session.decoding import instruction

from .history import config_for

GUESTS = Path(__file__).parents[2] / "guests" / "bin"
LENGTHS = {"race": 400_000, "storm": 400_000, "usermode": 3_200_000}
Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def trace_of(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that records the start of a guest."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / f"{name}.rrt"
            rng = DeviceRef(kind="virtio-rng", name="virtio-rng", slot=0)
            elf = (GUESTS / f"{name}.elf").read_bytes()
            config, images = config_for(elf, ram_bytes=16 << 20, seed=1, devices=(rng,))
            record(config, images, LiveSource(config, warp=True), made[name], until=Until(icount=LENGTHS[name]))
        return made[name]

    return make


def place(session: Session) -> tuple[int, int, str]:
    return session.pc, session.evaluate("$sp"), session.when().priv


@pytest.mark.parametrize("name", ["race", "usermode", "storm"])
@pytest.mark.parametrize("seed", range(3))
def test_an_instruction_whatever_comes_between(trace_of: Make, name: str, seed: int) -> None:
    """`nexti` ends behind the instruction, in the same task; `reverse-nexti` goes back before it."""
    rng = random.Random(seed)
    with rrdbg.open(trace_of(name)) as session:
        end = session.info().end
        switched = 0
        point = session.add_catch("trap")
        traps = []
        while len(traps) < 60 and (stop := session.continue_()).points:
            traps.append(stop.when.icount - 1)
        session.delete_point(point.number)
        positions = [rng.randrange(end) for _ in range(12)] + rng.sample(traps, min(len(traps), 18))
        for position in positions:
            session.goto(position)
            before = place(session)
            row = session.step_rows(position, 1)[0]
            insn = instruction(int.from_bytes(session.read_memory(row.pc, 4).data, "little"), row.pc)
            stop = session.nexti()
            if stop.reason is StopReason.END:
                continue
            after = place(session)
            switched += stop.when.icount > position + 1
            if insn.name in ("mret", "wfi") or insn.is_return:
                continue
            here = {row.pc + insn.length, insn.target} if not insn.is_call else {row.pc + insn.length}
            if insn.name != "jalr":
                assert after[0] in here, (position, row, stop.text)
            if "sp" not in dict(row.registers) and not insn.is_call:
                assert after[1] == before[1] or insn.text.startswith(("addi sp", "ld sp", "mv sp")), (position, row)
            assert after[2] == before[2], (position, row)
            back = session.reverse_nexti()
            assert place(session) == before, (position, row, back.text)
            assert position <= back.when.icount < stop.when.icount
        assert switched > 5


def test_a_task_is_left_and_entered_again(trace_of: Make) -> None:
    """From inside one task, `finish` and `reverse-finish` do not stop in the other one."""
    with rrdbg.open(trace_of("race")) as session:
        session.add_break("memcpy")
        session.add_break("random_next")
        session.goto("50%")
        stop = session.continue_()
        session.delete_point()
        assert stop.when.location.symbol in ("memcpy", "random_next")
        sp, caller = session.evaluate("$sp"), session.evaluate("$ra")
        at = stop.when.icount
        stop = session.finish()
        assert (session.pc, session.evaluate("$sp")) == (caller, sp)
        session.goto(at)
        session.stepi(2)
        stop = session.reverse_finish()
        assert stop.when.icount == at - 1


def test_what_a_device_writes_is_watched(trace_of: Make) -> None:
    with rrdbg.open(trace_of("storm")) as session:
        event = next(row for row in session.events() if row.kind.startswith("bh"))
        buffer = session.lookup("buffer")
        point = session.add_watch("buffer")
        assert (point.address, point.length) == (buffer.address, buffer.size)
        stop = session.continue_()
        assert stop.when.icount == event.icount
        assert session.read_memory(buffer.address, 8).data == event.payload[:8]
        stop = session.reverse_continue()
        assert stop.when.icount == event.icount - 1
        assert session.read_memory(buffer.address, 8).data == bytes(8)
        session.goto("end")
        seen = []
        while (stop := session.reverse_continue()).points:
            seen.append(stop.when.icount)
        written = [row.icount - 1 for row in session.events() if row.kind.startswith("bh")]
        assert [at for at in seen if at in written] == written[::-1]


def test_modes_and_traps(trace_of: Make) -> None:
    with rrdbg.open(trace_of("usermode")) as session:
        session.add_catch("ecall-u")
        stop = session.continue_()
        assert stop.when.priv == "M"
        assert "ecall-u" in stop.text
        stop = session.reverse_continue()
        assert stop.when.priv == "U"
        assert session.disassemble(count=1)[0].text == "ecall"
        session.delete_point()
        session.add_catch("trap", condition="$mcause >> 63 == 0 && $mcause != 8")
        stop = session.continue_()
        assert stop.reason in (StopReason.CATCHPOINT, StopReason.END)
        if stop.points:
            assert session.registers(["mcause"])[0].value not in (8, 1 << 63 | 7)


def test_every_way_to_watch_one_cell(trace_of: Make) -> None:
    """Reads, writes and changes of a counter, against the list of all accesses."""
    with rrdbg.open(trace_of("race")) as session:
        cell = session.lookup("produced")
        rows = list(session.iter_steps(0, 60_000))
        reads, writes, changes = [], [], []
        value = 0
        for row in rows:
            for access in row.accesses:
                if access.address < cell.address + cell.size and cell.address < access.address + access.size:
                    (reads if access.kind == "read" else writes).append(row.icount)
                    if access.kind == "write":
                        if access.value != value:
                            changes.append(row.icount)
                        value = access.value
        expected = {PointKind.RWATCH: reads, PointKind.AWATCH: sorted({*reads, *writes}), PointKind.WATCH: changes}
        for kind, steps in expected.items():
            assert steps, kind
            session.delete_point()
            session.add_watch("produced", kind=kind)
            session.goto(0)
            found = []
            while (stop := session.continue_()).points and stop.when.icount <= 60_000:
                found.append(stop.when.icount - 1)
            assert found == steps, kind
            session.goto(60_000)
            found = []
            while (stop := session.reverse_continue()).points:
                found.append(stop.when.icount)
            assert found == steps[::-1], kind
