"""`rrdbg info`, `rrdbg events` and `rrdbg dump` over a synthetic trace."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.trace import Ending, Manifest, Snapshot, Trace, TraceWriter

from rrdbg.cli.main import main
from tests.trace import crafted, synthetic
from tests.trace.synthetic import MIDDLE

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs a command line: exit code, stdout, stderr."""

    def call(*args: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a trace with everything."""
    synthetic.build(tmp_path / "t.rrt")
    return tmp_path / "t.rrt"


# ---- info ------------------------------------------------------------------------------------------------------------
def test_info(cli: Call, path: Path) -> None:
    code, out, err = cli("info", path)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines() if line[0] != " "}
    assert "virt-1, 64.0 KiB of RAM, 1 hart, 1 ns per step, seed 7" in rows["machine"]
    assert "guest.elf: elf, 94 bytes" in rows["image"]
    assert "rng0: virtio-rng in slot 0" in rows["device"]
    assert "276_608; 12.35 us of virtual time" in rows["steps"]
    assert "exit, the guest's exit code is 3" in rows["ended"]
    assert "5: 1 bh, 1 reset, 2 uart_input, 1 warp" in rows["events"]
    assert "3 snapshots, 1 digest, 4 check words" in rows["holds"]
    assert "2 epochs: " in rows["index"]
    assert "26 bytes of console output" in rows["index"]
    assert all(len(line) <= 100 for line in out.splitlines() if not line.startswith("trace"))


def test_info_json(cli: Call, path: Path) -> None:
    code, out, _ = cli("info", path, "--json")
    values = json.loads(out)
    assert code == 0
    assert values["machine"]["ram_bytes"] == 65536
    assert values["images"][0]["size"] == 94
    assert (values["steps"], values["end_icount"], values["ended"], values["exit_code"]) == (
        MIDDLE + 80_000,
        MIDDLE + 80_000,
        "exit",
        3,
    )
    assert (values["virtual_ns"], values["virtual_ns_is_exact"]) == (12345, True)
    assert values["events_by_kind"] == {"uart_input": 2, "bh": 1, "warp": 1, "reset": 1}
    assert values["events_by_device"] == {"uart": 2, "rng0": 1}
    assert values["size"] == path.stat().st_size == sum(values["size_by_kind"].values()) + 40
    assert values["bytes_per_million_steps"] == round(values["size"] / (MIDDLE + 80_000) * 1e6, 1)
    assert values["damage"] == ""
    assert values["file_id"] == path.read_bytes()[16:32].hex()


def test_info_of_a_killed_recording(cli: Call, path: Path) -> None:
    """Cut in the last chunk: everything is said, the loss on stderr, and that is no error."""
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = cli("info", path)
    assert code == 0
    assert "not ended: the recorder was killed or is still running" in out
    # what is lost may have been idle for long
    assert "266_608; at least 8.59 s of virtual time" in out
    assert re.fullmatch(
        rf"rrdbg: {re.escape(str(path))}: chunk 20 \(end\) at offset \d+ is cut off: 69 of 70 bytes are there; "
        r"the last 69 bytes of the file are lost, it replays up to icount 266608\n",
        err,
    )
    assert json.loads(cli("info", path, "--json")[1])["ended"] is None


def test_info_of_a_trace_under_recording(cli: Call, tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "t.rrt", Manifest(config=MachineConfig(ram_bytes=1 << 16)), {}) as writer:
        writer.progress(1000)
        writer.flush()
        code, out, err = cli("info", tmp_path / "t.rrt")
        assert (code, err) == (0, "")
        assert "not yet: it is being recorded" in out


def test_info_finds_idle_time_in_a_snapshot(cli: Call, tmp_path: Path) -> None:
    """Warps that no event carries are in the machine's state."""
    with TraceWriter(tmp_path / "t.rrt", Manifest(config=MachineConfig(ram_bytes=1 << 16, shift=1)), {}) as writer:
        state = {"mach": np.array([500, 4_000_000, 0, 0], np.uint64)}
        writer.snapshot(Snapshot(500, 0, state), np.zeros(0, np.uint32), None, np.zeros((0, 4096), np.uint8))
        writer.progress(1000)
    values = json.loads(cli("info", tmp_path / "t.rrt", "--json")[1])
    assert (values["virtual_ns"], values["virtual_ns_is_exact"]) == (4_002_000, False)


@pytest.mark.parametrize("command", ["info", "events", "dump"])
@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 67, "there is no file"),
        (b"", 65, "is empty"),
        (b"\x7fELF" + bytes(100), 65, "is not an rrdbg trace"),
        (b"\x89RRT\r\n\x1a\n" + bytes(90), 65, "is damaged"),
    ],
)
def test_no_trace(cli: Call, tmp_path: Path, command: str, content: bytes | None, code: int, message: str) -> None:
    path = tmp_path / "t.rrt"
    if content is not None:
        path.write_bytes(content)
    got, out, err = cli(command, path)
    assert (got, out) == (code, "")
    assert err.startswith("rrdbg: ")
    assert message in err


@pytest.mark.parametrize("command", ["info", "events", "dump"])
def test_corrupt(cli: Call, path: Path, command: str) -> None:
    """A wrong byte in the middle: what comes before it is printed, the loss is told, and the exit code says so."""
    data = bytearray(path.read_bytes())
    with Trace.open(path) as trace:
        offset = next(chunk.offset for chunk in trace.chunks() if chunk.kind == "digest")
    data[offset + 50] ^= 1
    path.write_bytes(data)
    code, out, err = cli(command, path)
    assert code == 65
    assert out
    assert f"chunk 9 (digest) at offset {offset} is damaged: its checksum does not match" in err or command == "dump"
    assert f"chunk 9 at offset {offset} is damaged" in err or command != "dump"


# ---- events ----------------------------------------------------------------------------------------------------------
def test_events(cli: Call, path: Path) -> None:
    code, out, err = cli("events", path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["#0", "1_000"],
        ["#1", "1_000"],
        ["#2", "70_000"],
        ["#3", "90_000"],
        ["#4", "196_608"],
    ]
    assert lines[0].endswith('input to uart: "ls\\r"')
    assert "8.59 s" in lines[1]


def test_events_json(cli: Call, path: Path) -> None:
    rows = [json.loads(line) for line in cli("events", path, "--json")[1].splitlines()]
    assert rows[0] == {
        "number": 0,
        "icount": 1000,
        "virtual_ns": 1000,
        "kind": "uart_input",
        "device": "uart",
        "name": "",
        "warp_ns": 0,
        "payload": "6c730d",
    }
    assert rows[4]["virtual_ns"] == MIDDLE + (1 << 33) + 9


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--from", "70k"], [2, 3, 4]),
        (["--until", "70_000"], [0, 1, 2]),
        (["--from", "1001", "--until", "+80k"], [2]),
        (["--from", "#2", "--until", "#3"], [2, 3]),
        (["--from", "1us", "--until", "50%"], [0, 1, 2, 3]),
        (["--from", "8s"], [0, 1, 2, 3, 4]),  # it comes while the guest sleeps at 1,000, where the events lie
        (["--from", "9s"], []),
        (["--from", "@here"], [3, 4]),
        (["--device", "uart"], [0, 4]),
        (["--device", "rng0", "--kind", "bh"], [1]),
        (["--kind", "warp"], [2]),
        (["--kind", "detach"], []),
        (["--from", "start", "--until", "end"], [0, 1, 2, 3, 4]),
    ],
)
def test_some_events(cli: Call, path: Path, arguments: list[str], wanted: list[int]) -> None:
    notes = {"version": 1, "bookmarks": [{"name": "here", "icount": 70_001}], "notes": []}
    Path(f"{path}.notes.json").write_text(json.dumps(notes))
    code, out, err = cli("events", path, "--json", *arguments)
    assert (code, err) == (0, "")
    assert [json.loads(line)["number"] for line in out.splitlines()] == wanted


def test_no_events_are_said_to_be_none(cli: Call, path: Path) -> None:
    assert cli("events", path, "--kind", "detach") == (0, "", "rrdbg: no such events\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--from", "#5"], 67, "no event 5"),
        (["--from", "@nowhere"], 67, "no bookmark"),
        (["--from", "17G"], 2, "outside the trace"),
        (["--until", "soon"], 2, "not a position"),
        (["--device", "disk0"], 67, "the trace has uart, rng0"),
    ],
)
def test_events_that_cannot_be_meant(cli: Call, path: Path, arguments: list[str], code: int, message: str) -> None:
    got, out, err = cli("events", path, *arguments)
    assert (got, out) == (code, "")
    assert message in err


# ---- dump ------------------------------------------------------------------------------------------------------------
def test_dump(cli: Call, path: Path) -> None:
    code, out, err = cli("dump", path)
    assert (code, err) == (0, "")
    with Trace.open(path) as trace:
        infos = list(trace.chunks())
    rows = [line.replace("_", "").split(maxsplit=7) for line in out.splitlines()[1:]]
    assert [[int(row[0]), int(row[1]), row[2], int(row[3]), *map(int, row[5:7]), row[7]] for row in rows] == [
        [info.number, info.offset, info.kind, info.stored, info.first, info.last, info.text.replace("_", "")]
        for info in infos
    ]
    assert {info.kind for info in infos} == {
        *("manifest", "image", "journal", "snapshot", "pages", "digest", "checks", "progress", "index", "end")
    }


def _contents(cli: Call, path: Path) -> dict[str, list[dict[str, Any]]]:
    with Trace.open(path) as trace:
        numbers = [chunk.number for chunk in trace.chunks()]
    rows = [json.loads(line) for line in cli("dump", path, "--json", *numbers)[1].splitlines()]
    assert [row["chunk"] for row in rows] == numbers
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(row["kind"], []).append(row["contents"])
    return kinds


def test_everything_in_every_chunk(cli: Call, path: Path) -> None:
    """What `dump` decodes is what was written, for each kind."""
    written = synthetic.build(path, force=True)
    kinds = _contents(cli, path)
    assert kinds["manifest"][0] == synthetic.manifest().values()
    assert bytes.fromhex(kinds["image"][0]["data"]) == synthetic.IMAGE
    events = [event for part in kinds["journal"] for event in part["events"]]
    assert [(e["icount"], e["kind"], e["device"], bytes.fromhex(e["payload"]), e["warp_ns"]) for e in events] == [
        (e.icount, e.kind.name.lower(), e.device, e.payload, e.warp_ns) for e in written.events
    ]
    words = [word for part in kinds["checks"] for word in part["words"]]
    assert [int(word["word"], 16) for word in words] == written.checks
    assert [word["icount"] for word in words] == [65536 * k for k in range(1, 5)]
    assert [bytes.fromhex(part["digest"]) for part in kinds["digest"]] == [d for _, d in written.digests.values()]
    assert kinds["progress"] == [{"events": 2}, {"events": 5}]
    assert kinds["end"] == [{"events": 5, "reason": "exit", "exit_code": 3, "virtual_ns": 12345}]
    assert kinds["snapshot"][1]["events"] == 4
    words = {"icount": hex(MIDDLE), "warp_ns": "0x12", "acc": "0x5", "time_offset": "0x6"}
    assert kinds["snapshot"][1]["state"]["mach"] == words
    assert [page["lines"] for page in kinds["index"][0]["written"]] == [
        f"0x{mask:016x}" for mask in written.epochs[0][5]
    ]
    assert [bytes.fromhex(piece["data"]) for piece in kinds["index"][0]["console"]] == [
        data for _, data in written.epochs[0][-1]
    ]
    # the pages of the last snapshot, put together by hand
    pages: dict[int, bytearray] = {}
    for part in kinds["pages"]:
        for entry in part["entries"]:
            old = pages[entry["page"]] if entry["delta"] else bytes(4096)
            pages[entry["page"]] = page = bytearray(old)
            for line, data in entry["lines"].items():
                page[64 * int(line) : 64 * int(line) + 64] = bytes.fromhex(data)
        for number in part["zeros"]:
            pages.pop(number, None)
    assert b"".join(pages.get(page, bytes(4096)) for page in range(16)) == written.snapshots[-1][3]


def test_dump_as_text(cli: Call, path: Path) -> None:
    code, out, _ = cli("dump", path, *range(21))
    assert code == 0
    for part in (
        "chunk 0 (manifest, at offset 40)",
        "ram_bytes: 65_536",
        "00000000  7f 45 4c 46 00 01 02",
        'icount=1_000 kind=uart_input device=uart name= warp_ns=0 payload="ls\\r"',
        "warp_ns: 0x12",
        "version=1 page=3 address=0x80003000 delta=false",
        "icount=65_536 word=0x",
        "reason: exit",
        'data="\\x1b[31m"',
    ):
        assert part in out
    assert "\x1b" not in out


def test_one_chunk(cli: Call, path: Path) -> None:
    with Trace.open(path) as trace:
        offset = next(chunk.offset for chunk in trace.chunks() if chunk.number == 6)
    assert cli("dump", path, 6)[1] == f"chunk 6 (progress, at offset {offset})\n  events: 2\n"
    code, _, err = cli("dump", path, 21)
    assert code == 67
    assert "no chunk 21" in err
    assert "chunks 0 to 20" in err


def test_dump_looks_into_what_cannot_be_replayed(cli: Call, path: Path) -> None:
    """The image is torn: no replay, but `dump` shows the manifest."""
    with Trace.open(path) as trace:
        offset = next(chunk.offset for chunk in trace.chunks() if chunk.number == 1)
    path.write_bytes(path.read_bytes()[: offset + 52])
    assert cli("info", path)[0] == 65
    code, out, err = cli("dump", path)
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()] == ["kind", "manifest"]
    assert f"chunk 1 at offset {offset} is cut off: 52 of 158 bytes are there; the last 52 bytes" in err


def test_dump_of_content_that_makes_no_sense(cli: Call, path: Path) -> None:
    chunks = crafted.take_apart(path)
    chunks[3:3] = [crafted.Raw(3, b"\xff" * 20, 5, 5), crafted.Raw(99, b"later", flags=2)]
    crafted.write(path, chunks)
    code, out, err = cli("dump", path)
    assert code == 65
    assert "cannot be decoded" in out
    assert "kind 99" in out
    assert "of a newer version" in out
    assert "chunk 3 (journal, at offset" in err
    assert len(out.splitlines()) == 24
    assert '"bytes": "6c61746572"' in cli("dump", path, 4, "--json")[1]


@pytest.mark.parametrize("command", ["info", "events", "dump"])
def test_names_of_the_guest_are_harmless(cli: Call, tmp_path: Path, command: str) -> None:
    """Control sequences in names and input do not reach the terminal."""
    path = tmp_path / "t.rrt"
    nasty = "\x1b]0;owned\x07"
    manifest = Manifest(config=MachineConfig(ram_bytes=1 << 16), creator=nasty, created=nasty)
    with TraceWriter(path, manifest, {}) as writer:
        writer.events([Event(5, EventKind.BH, nasty, nasty, nasty.encode(), 0)])
        writer.events([Event(5, EventKind.UART_INPUT, "uart", "", nasty.encode(), 0)])
        writer.end(Ending(10, nasty))
    for extra in ([], ["--json"], *([[0, 1, 2, 3]] if command == "dump" else [])):
        if command == "dump" and extra == [0, 1, 2, 3]:
            extra = [0, 1, 2]
        code, out, _ = cli(command, path, *extra)
        assert code == 0
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", out)
