"""Exports say what the list of all states says, whatever their format."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import capstone
import pytest
from rrdbg_core.isa.registers import REGISTERS

from rrdbg.export import FORMATS, export
from rrdbg.session.api import Cancelled, Progress, Session, UsageError
from rrdbg.session.csrs import cause_text
from tests.session.history import History
from tests.session.model import session_over
from tests.session.test_motions import recorded


def exported(session: Session, to: str, **options: Any) -> str:
    out = io.StringIO()
    count = export(session, out, to=to, **options)
    lines = [line for line in out.getvalue().splitlines() if not line.startswith("#")]
    assert count == len(lines)
    return out.getvalue()


def independent(history: History) -> list[dict[str, Any]]:
    """Return what each step did, from nothing but the states before and after it."""
    rows = []
    disassembler = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
    for n in range(history.end):
        hart, pc = history.harts[n], history.pc(n)
        word = history.read(n, pc, 4)
        insn = next(disassembler.disasm(word, pc), None)
        changed = {i: history.x(n + 1, i) for i in range(1, 32) if history.x(n, i) != history.x(n + 1, i)}
        rows.append({
            "icount": n, "pc": pc, "priv": "USBM"[int(hart[34])], "changed": changed,
            "ns": int(history.machs[n][0]) + int(history.machs[n][1]),
            "mnemonic": insn.mnemonic.removeprefix("c.") if insn else "",
            "stored": history.rams[n] != history.rams[n + 1],
        })  # fmt: skip
    return rows


SYNONYMS = {"li": {"addi", "li", "lui"}, "mv": {"addi", "add", "mv"}, "jal": {"jal", "j"}}


def test_jsonl(session: Session, history: History) -> None:
    session.bookmark("loop", 8, "starts here")
    session.note("odd", 9)
    session.note("two\nlines", 9)
    lines = [json.loads(line) for line in exported(session, "jsonl").splitlines()]
    for line, row, step in zip(lines, independent(history), history.steps, strict=True):
        n = row["icount"]
        assert (line["icount"], line["virtual_ns"], line["hart"], line["priv"]) == (n, row["ns"], 0, row["priv"])
        assert int(line["pc"], 16) == row["pc"]
        written = {REGISTERS[name]: int(value, 16) for name, value in line.get("registers", {}).items()}
        assert {key: written[key] for key in row["changed"]} == row["changed"], n
        assert all(history.x(n + 1, key) == value for key, value in written.items()), n
        mnemonic = line["text"].split()[0]
        if step.cause is None or not step.cause >> 63:
            assert row["mnemonic"] == mnemonic or row["mnemonic"] in SYNONYMS.get(mnemonic, set()), (line, row)
        accesses = line.get("accesses", [])
        assert any(access["kind"] == "write" for access in accesses) or not row["stored"]
        for access in accesses:
            address, size, value = int(access["address"], 16), access["size"], int(access["value"], 16)
            if address >= 0x8000_0000:
                at = n + 1 if access["kind"] == "write" else n
                assert int.from_bytes(history.read(at, address, size), "little") == value
        where = session.locate(row["pc"])
        assert (line.get("symbol", ""), line.get("offset", 0)) == (where.symbol, where.offset)
        assert line.get("trap", "") == (cause_text(step.cause) if step.cause is not None else "")
    events = [event for line in lines for event in line.get("events", ())]
    assert [bytes.fromhex(event["payload"]) for event in events] == [event.payload for event in history.events]
    assert lines[8]["bookmarks"] == [{"name": "loop", "text": "starts here"}]
    assert lines[9]["notes"] == ["odd", "two\nlines"]
    assert sum("notes" in line or "bookmarks" in line for line in lines) == 2


TEXT = re.compile(
    r" *(\d+) +(\d+) (\d+) ([USM]) ([0-9a-f]{16}) ([^|]*?)(?: \| (?!trap |read |write )([^|]*?))?"
    r"(?: \| ((?:read|write) [^|]*?))?(?: \| trap (.*))?"
)


def test_text_says_the_same_as_jsonl(session: Session) -> None:
    session.bookmark("loop", 8, "starts here")
    session.note("two\nlines", 9)
    records = [json.loads(line) for line in exported(session, "jsonl").splitlines()]
    text = exported(session, "text").splitlines()
    assert [line for line in text if line.startswith("#")] == [
        "# bookmark @loop: starts here",
        "# note 1: two lines",
        *(f'# event {event["number"]}: input to uart: "x"' for r in records for event in r.get("events", ())),
    ]
    for line, record in zip([line for line in text if not line.startswith("#")], records, strict=True):
        match = TEXT.fullmatch(line)
        assert match, line
        icount, ns, hart, priv, pc, insn, registers, accesses, trap = match.groups()
        assert (int(icount), int(ns), int(hart), priv) == tuple(
            record[key] for key in ("icount", "virtual_ns", "hart", "priv")
        )
        assert int(pc, 16) == int(record["pc"], 16)
        assert insn.startswith(record["text"])
        if "symbol" in record:
            offset = f"+{record['offset']}" if record["offset"] else ""
            assert f"<{record['symbol']}{offset}>" in insn
        assert dict(pair.split("=") for pair in (registers or "").split()) == record.get("registers", {})
        told = re.findall(r"(read|write) (0x\w+):(\d) (?:=|<-) (0x\w+)", accesses or "")
        assert told == [
            (access["kind"], access["address"], str(access["size"]), access["value"])
            for access in record.get("accesses", ())
        ]
        assert (trap or "") == record.get("trap", "")


def test_a_slice_is_a_part_of_the_whole(session: Session, history: History) -> None:
    session.bookmark("loop", 8)
    session.goto(5)
    for to in FORMATS:
        whole = exported(session, to)
        first, second = exported(session, to, until="50%"), exported(session, to, start="50%")
        assert first + second == whole
        assert exported(session, to, start="@loop", until="+4") == exported(session, to, start=8, until=9)
        assert exported(session, to, start=history.end) == ""
        assert session.icount == 5
    with pytest.raises(UsageError):
        export(session, io.StringIO(), start=7, until=3)
    with pytest.raises(UsageError):
        export(session, io.StringIO(), to="xml")


def test_source_lines(tmp_path: Path) -> None:
    from rrdbg.export import jsonl, text
    from rrdbg.session.api import Location, StepRow

    row = StepRow(7, 7, 0, "M", 0x8000_0000, 0x13, "nop", Location(0x8000_0000, "main", 4, "src/a.c", 12))
    assert json.loads(jsonl.line(row))["file"] == "src/a.c"
    assert json.loads(jsonl.line(row))["line"] == 12
    assert text.line(row).endswith("nop <main+4> src/a.c:12\n")


def test_a_long_export_tells_and_can_be_cancelled(tmp_path: Path) -> None:
    _, history = recorded(3)
    session = session_over(history, tmp_path)
    session.goto(17)
    told: list[Progress] = []
    session.on_progress = told.append
    out = io.StringIO()
    poll = session._engine.poll

    def cancel(icount: int) -> None:
        if icount > 500:
            session.cancel()
        poll(icount)

    session._engine.poll = cancel
    with pytest.raises(Cancelled):
        export(session, out)
    assert session.icount == 17
