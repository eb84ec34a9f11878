"""The protocol, packet by packet, over a session in this process."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rrdbg.gdb.files import Files
from rrdbg.gdb.packets import MAX_PAYLOAD, unescape
from rrdbg.gdb.stub import Stub
from rrdbg.session.api import Session
from tests.guests.manifest import elf

HELLO = elf("hello").read_bytes()
Ask = Callable[[str | bytes], bytes]


class Talk:
    """A client's side of a stub."""

    def __init__(self, session: Session, *, trusted: bool = False) -> None:
        self.session = session
        files = Files(lambda: {"hello.elf": HELLO, "notes.txt": b"#$}*"})
        self.stub = Stub(session, files, trusted=trusted)
        self.console: list[str] = []
        self.log: list[str] = []
        self.stub.say = self.console.append
        self.stub.log = self.log.append
        self.stub.attach()

    def __call__(self, packet: str | bytes) -> bytes:
        answer = self.stub.handle(packet.encode() if isinstance(packet, str) else packet)
        assert answer is not None
        return answer

    def to_main(self) -> None:
        """Go to where main begins."""
        main = f"{self.session.lookup('main').address:x},2"
        self("Z0," + main)
        self("c")
        self("z0," + main)

    def monitor(self, command: str) -> str:
        self.console.clear()
        assert self(f"qRcmd,{command.encode().hex()}") == b"OK"
        return "".join(self.console)


@pytest.fixture
def talk(session: Session) -> Talk:
    return Talk(session)


def fields(reply: bytes) -> dict[str, str]:
    assert re.fullmatch(rb"T[0-9a-f]{2}(?:[^:;]+:[^:;]*;)*", reply), reply
    pairs = [part.split(":") for part in reply[3:].decode().split(";") if part]
    return {"signal": reply[1:3].decode(), **dict(pairs)}


def pc_of(reply: bytes) -> int:
    return struct.unpack("<Q", bytes.fromhex(fields(reply)["20"]))[0]


# agreement


def test_features(talk: Talk) -> None:
    features = talk("qSupported:swbreak+;hwbreak+;xmlRegisters=i386").decode().split(";")
    assert {"QStartNoAckMode+", "ReverseStep+", "ReverseContinue+", "vContSupported+", "swbreak+"} <= set(features)
    assert f"PacketSize={MAX_PAYLOAD:x}" in features
    assert talk.stub.client.features == {"swbreak", "hwbreak"}


@pytest.mark.parametrize("packet", ["vMustReplyEmpty", "qFoo", "QFoo", "@", "", "vFoo", "qTStatus", "i", "vFile:foo:1"])
def test_what_is_unknown_gets_the_empty_answer(talk: Talk, packet: str) -> None:
    assert talk(packet) == b""


def test_no_acknowledgements(talk: Talk) -> None:
    assert talk("QStartNoAckMode") == b"OK"
    assert not talk.stub.client.acknowledging


# documents


def read(talk: Talk, name: str, size: int = 0x1000) -> bytes:
    data = b""
    while True:
        part = talk(f"qXfer:{name}:{len(data):x},{size:x}")
        data += part[1:]
        if part[:1] == b"l":
            return data
        assert part[:1] == b"m"


def test_target_description(talk: Talk) -> None:
    whole = read(talk, "features:read:target.xml")
    assert whole == read(talk, "features:read:target.xml", 17)
    root = ET.fromstring(whole)
    assert root.findtext("architecture") == "riscv:rv64"
    numbers = {reg.get("name"): int(reg.get("regnum", "")) for reg in root.iter("reg")}
    assert [numbers[name] for name in ("zero", "t6", "pc", "mstatus", "mepc", "priv")] == [0, 31, 32, 833, 898, 4161]
    assert len(set(numbers.values())) == len(numbers)
    for name, number in numbers.items():
        value = struct.unpack("<Q", bytes.fromhex(talk(f"p{number:x}").decode()))[0]
        assert value == (talk.session.registers([name])[0].value if name != "zero" else 0)
    assert {row.name for row in talk.session.registers(["csr"])} <= set(numbers)


def test_memory_map_and_threads(talk: Talk) -> None:
    regions = ET.fromstring(read(talk, "memory-map:read:")).findall("memory")
    spans = [(int(r.get("start", ""), 0), int(r.get("length", ""), 0)) for r in regions]
    assert (0x8000_0000, 128 << 20) in spans
    assert sum(length for _, length in spans) == 1 << 64
    threads = ET.fromstring(read(talk, "threads:read:")).findall("thread")
    assert [(t.get("id"), t.get("core"), t.text) for t in threads] == [("1", "0", "M mode")]
    assert (talk("qfThreadInfo"), talk("qsThreadInfo"), talk("qC")) == (b"m1", b"l", b"QC1")
    assert bytes.fromhex(talk("qThreadExtraInfo,1").decode()) == b"hart 0: M mode"


def test_threads_by_name(talk: Talk) -> None:
    for packet in ("Hg0", "Hg1", "Hc-1", "Hgp1.1", "Hcp1.-1", "T1"):
        assert talk(packet) == b"OK"
    for packet in ("Hg2", "T5", "Hgx", "H"):
        assert talk(packet).startswith(b"E")


def test_files(talk: Talk) -> None:
    assert read(talk, "exec-file:read:") == b"/hello.elf"
    opened = talk(f"vFile:open:{b'/hello.elf'.hex()},0,0")
    fd = opened.removeprefix(b"F").decode()
    size, stat = talk(f"vFile:fstat:{fd}").removeprefix(b"F").split(b";", 1)
    assert int(size, 16) == 64
    assert struct.pack(">Q", len(HELLO)) in stat
    data = b""
    while True:
        head, piece = talk(f"vFile:pread:{fd},1000,{len(data):x}").removeprefix(b"F").split(b";", 1)
        if head == b"0":
            break
        data += unescape(piece)
    assert data == HELLO
    assert talk(f"vFile:close:{fd}") == b"F0"
    assert talk(f"vFile:close:{fd}") == b"F-1,9"


def test_no_program(session: Session) -> None:
    stub = Stub(session, Files(lambda: {"firmware.bin": b"no ELF"}))
    assert (stub.handle(b"qXfer:exec-file:read::0,1000") or b"").startswith(b"E")
    assert stub.handle(f"vFile:open:{b'/firmware.bin'.hex()},0,0".encode()) == b"F3"


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (f"vFile:open:{b'/etc/passwd'.hex()},0,0", b"F-1,2"),
        (f"vFile:open:{b'../../etc/passwd'.hex()},0,0", b"F-1,2"),
        (f"vFile:open:{b'/hello.elf'.hex()},1,0", b"F-1,1e"),
        (f"vFile:open:{b'/new'.hex()},201,1b6", b"F-1,2"),
        (f"vFile:unlink:{b'/hello.elf'.hex()}", b"F-1,1e"),
        (f"vFile:readlink:{b'/hello.elf'.hex()}", b"F-1,16"),
        ("vFile:pread:77,10,0", b"F-1,9"),
        ("vFile:setfs:0", b"F0"),
    ],
)
def test_nothing_else_can_be_opened(talk: Talk, packet: str, answer: bytes) -> None:
    assert talk(packet) == answer


def test_open_files_end(talk: Talk) -> None:
    for _ in range(64):
        assert talk(f"vFile:open:{b'/hello.elf'.hex()},0,0").startswith(b"F")
    assert talk(f"vFile:open:{b'/hello.elf'.hex()},0,0") == b"F-1,17"
    talk.stub.leave()
    assert talk(f"vFile:open:{b'/hello.elf'.hex()},0,0") == b"F3"


# registers and memory


def test_registers_follow(talk: Talk) -> None:
    start = talk("g")
    assert len(start) == 33 * 16
    assert struct.unpack("<Q", bytes.fromhex(start[-16:].decode()))[0] == 0x8000_0000
    talk("vCont;s:1")
    moved = talk("g")
    assert moved != start
    assert talk("bs") and talk("g") == start  # noqa: PT018
    talk.monitor("goto 100")
    assert struct.unpack("<33Q", bytes.fromhex(talk("g").decode()))[32] == talk.session.pc


def test_memory(talk: Talk) -> None:
    block = talk.session.read_memory(0x8000_0000, 64).data
    assert talk("m80000000,40") == block.hex().encode()
    assert talk("x80000000,40").startswith(b"b")
    end = 0x8000_0000 + (128 << 20)
    assert talk(f"m{end - 4:x},10") == b"00000000"
    assert talk(f"m{end:x},10") == b"E0e"
    assert talk("mffffffffffffffff,10") == b"E0e"
    assert len(talk("m80000000,ffffffff")) <= MAX_PAYLOAD
    assert talk("m10000000,4") == b"E0e"  # a device: reading it could change it


@pytest.mark.parametrize("packet", ["M80000000,1:00", b"X80000000,1:\0", "G" + "00" * 264, "P20=0000000000000000"])
def test_nothing_is_written(talk: Talk, packet: str | bytes) -> None:
    assert talk(packet).startswith(b"E.the trace is read-only")
    assert talk(packet).startswith(b"E.")
    assert len(talk.log) == 1
    assert talk("X80000000,0:") == b"OK"


def test_checksum_and_search(talk: Talk) -> None:
    data = talk.session.read_memory(0x8000_0000, 1000).data
    check = 0xFFFF_FFFF
    for byte in data:  # as gdb does it
        for bit in range(8):
            high = check >> 31 ^ byte >> 7 - bit & 1
            check = (check << 1 ^ (0x04C1_1DB7 if high else 0)) & 0xFFFF_FFFF
    assert talk("qCRC:80000000,3e8") == b"C%x" % check
    needle = data[500:520]
    at = 0x8000_0000 + data.find(needle)
    assert talk(b"qSearch:memory:80000000;1000;" + needle) == b"1,%x" % at
    assert talk(b"qSearch:memory:80000000;200000;" + b"nowhere to be found") == b"0"
    assert talk(b"qSearch:memory:80000000;ffffffff;" + b"nowhere to be found").startswith(b"E")


# points and motion


def test_breakpoints_both_ways(talk: Talk) -> None:
    talk("qSupported:swbreak+;hwbreak+")
    main = talk.session.lookup("main").address
    assert talk(f"Z0,{main:x},2") == b"OK"
    reply = talk("vCont;c")
    assert pc_of(reply) == main
    assert fields(reply)["swbreak"] == ""
    here = talk.session.icount
    assert fields(talk("c"))["replaylog"] == "end"
    assert pc_of(talk("bc")) == main
    assert talk.session.icount == here
    assert talk(f"z0,{main:x},2") == b"OK"
    assert talk(f"Z1,{main:x},2") == b"OK"
    assert fields(talk("bc"))["replaylog"] == "begin"
    assert fields(talk("vCont;c:1"))["hwbreak"] == ""
    assert talk.session.points() == ()


def test_without_stop_reasons(talk: Talk) -> None:
    main = talk.session.lookup("main").address
    talk(f"Z0,{main:x},2")
    assert "swbreak" not in fields(talk("c"))


@pytest.mark.parametrize(("kind", "word"), [(2, "watch"), (3, "rwatch"), (4, "awatch")])
def test_watchpoints(talk: Talk, kind: int, word: str) -> None:
    talk.to_main()
    at = talk.session.evaluate("$sp") - 8
    assert talk(f"Z{kind},{at:x},8") == b"OK"
    before = fields(talk("c"))
    assert int(before[word], 16) == at
    here = talk.session.icount
    assert word not in fields(talk("s"))  # the access itself; gdb expects nothing else of RISC-V
    assert talk.session.icount == here + 1
    behind = fields(talk("bc"))
    assert int(behind[word], 16) == at
    assert talk.session.icount == here + 1
    assert word not in fields(talk("bs"))
    assert talk.session.icount == here
    # the other way: not due
    assert int(fields(talk("c"))[word], 16) == at
    assert talk.session.icount == here
    talk("c")
    assert talk.session.icount > here


def test_a_watch_address_is_inside_what_is_watched(talk: Talk) -> None:
    talk.to_main()
    at = talk.session.evaluate("$sp") - 4
    talk(f"Z4,{at:x},2")
    assert at <= int(fields(talk("c"))["awatch"], 16) < at + 2


def test_conditions_are_tested_here(talk: Talk) -> None:
    putc = talk.session.lookup("uart_putc").address
    # $a0 == 'm', as gdb compiles it
    code = bytes.fromhex("26000a1640226d1327")
    talk(f"Z0,{putc:x},4;X{len(code):x},{code.hex()}")
    talk("c")
    assert talk.session.evaluate("$a0") == ord("m")
    talk(f"Z0,{putc:x},4")  # again, without
    talk("c")
    assert talk.session.evaluate("$a0") == ord(" ") or talk.session.evaluate("$pc") == putc


def test_points_are_idempotent_and_checked(talk: Talk) -> None:
    for _ in range(3):
        assert talk("Z0,80000100,4") == b"OK"
    assert talk("z0,80000100,4") == b"OK"
    assert talk("z0,80000100,4") == b"OK"
    assert talk("Z0,80000101,4").startswith(b"E.")
    assert talk("Z2,80000100,0").startswith(b"E.")
    assert talk("Z2,80000100,ffffffffff").startswith(b"E.")
    assert talk("Z5,80000100,4") == b""


def test_the_users_own_points_stop_and_are_named(talk: Talk) -> None:
    assert "Breakpoint 1" in talk.monitor("break *main")
    talk.console.clear()
    reply = talk("c")
    assert pc_of(reply) == talk.session.lookup("main").address
    assert fields(reply)["signal"] == "00"
    assert "swbreak" not in fields(reply)
    assert "Breakpoint 1, " in "".join(talk.console)
    assert "main" in talk.monitor("info breakpoints")


def test_stepping(talk: Talk) -> None:
    positions = []
    for packet in ("vCont;s:1;c", "s", "S00", "vCont;S05:1", "bs", "bs"):
        talk(packet)
        positions.append(talk.session.icount)
    assert positions == [1, 2, 3, 4, 3, 2]
    assert talk("vCont?") == b"vCont;c;C;s;S" or b"r" in talk("vCont?")
    assert talk("vCont;s:7").startswith(b"E.")
    assert talk("vCont;x").startswith(b"E.")
    assert talk("c1234").startswith(b"E")  # elsewhere: that would be a write
    assert talk.session.icount == 2


def test_monitor(talk: Talk) -> None:
    assert "Position: 0 of" in talk.monitor("when")
    first = talk.monitor("goto 50%")
    assert "maintenance flush" in first
    assert "maintenance flush" not in talk.monitor("goto 40%")
    assert "undefined command" in talk.monitor("nonsense")
    assert "detach" in talk.monitor("quit")
    assert "goto POSITION" in talk.monitor("help goto") or "goto" in talk.monitor("help goto")


def test_files_of_the_host_are_out_of_reach(session: Session, tmp_path: Path) -> None:
    target = tmp_path / "written.txt"
    talk = Talk(session)
    for command in (f"export {target} --until 5", f"exp {target}", f"source {target}", f"directory {tmp_path}"):
        assert "files of the server's host" in talk.monitor(command)
    assert "files of the server's host" in talk.monitor("set substitute-path lib /etc")
    assert not target.exists()
    talk = Talk(session, trusted=True)
    talk.monitor(f"export {target} --until 5")
    assert target.exists()


def test_coming_and_going(talk: Talk) -> None:
    main = talk.session.lookup("main").address
    talk(f"Z0,{main:x},2")
    talk("c")
    here = talk.session.icount
    assert talk("D") == b"OK"
    assert pc_of(talk("?")) == main
    assert talk("!") == b"OK"
    assert pc_of(talk("vAttach;1")) == main
    assert fields(talk("c"))["replaylog"] == "end"  # the breakpoint went with the client
    assert pc_of(talk("vRun;")) == 0x8000_0000
    talk(f"vRun;;{str(here).encode().hex()}")
    assert talk.session.icount == here
    assert talk(f"vRun;;{b'nowhere'.hex()}").startswith(b"E.")
    assert talk.session.icount == here
    assert talk("vKill;1") == b"OK"
    assert talk.stub.handle(b"k") is None


# whatever comes


KNOWN = [
    b"?", b"g", b"p", b"m", b"x", b"G", b"P", b"M", b"X", b"H", b"T", b"Z0", b"Z2", b"z0", b"s", b"S", b"bs", b"D",
    b"vCont;s", b"vCont", b"vFile:open:", b"vFile:pread:", b"vFile:", b"vRun;", b"vAttach;", b"qSupported:", b"qXfer:",
    b"qXfer:features:read:target.xml:", b"qCRC:", b"qSearch:memory:80000000;", b"qThreadExtraInfo,", b"qRcmd,", b"Q",
    b"Z0,80000000,4;X", b"Z0,80000000,4;X3,",
]  # fmt: skip
pieces = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(
        [b",", b";", b":", b"0", b"1", b"80000000", b"ffffffffffffffff", b"10000000000000000", b"-1", b"zz"]
    ),
    st.binary(max_size=6),
)


@given(st.lists(pieces, min_size=1, max_size=6).map(b"".join))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_packet_gets_an_answer(session: Session, packet: bytes) -> None:
    talk = Talk(session)
    if packet[:1] in b"k":
        return
    answer = talk(packet)
    assert len(answer) <= MAX_PAYLOAD + 16
    assert b"$" not in answer
    assert b"#" not in answer
