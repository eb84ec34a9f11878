"""The `q` and `Q` packets: what a client asks for and agrees on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from rrdbg.gdb import description
from rrdbg.gdb.description import Register
from rrdbg.gdb.errors import EFAULT, Malformed, Refused
from rrdbg.gdb.fields import M64, number, numbers, part_of, text_of
from rrdbg.gdb.files import Files
from rrdbg.gdb.monitor import STALE, Monitor
from rrdbg.gdb.packets import MAX_PAYLOAD
from rrdbg.gdb.resume import Runner
from rrdbg.session.api import Session
from rrdbg.session.values import unreadable_text

FEATURES = (
    f"PacketSize={MAX_PAYLOAD:x}", "QStartNoAckMode+", "vContSupported+", "ReverseStep+", "ReverseContinue+",
    "swbreak+", "hwbreak+", "qXfer:features:read+", "qXfer:memory-map:read+", "qXfer:threads:read+",
    "qXfer:exec-file:read+", "ConditionalBreakpoints+", "binary-upload+", "error-message+", "multiprocess-",
)  # fmt: skip
_INTO, _OVER = 1, 7
"""QEMU's step flags: into interrupts, or neither into interrupts nor into timers."""
_CHUNK = 1 << 20
_BACKWARDS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Queries:
    """Answers queries."""

    def __init__(
        self,
        session: Session,
        registers: Sequence[Register],
        files: Files,
        runner: Runner,
        monitor: Monitor,
        say: Callable[[str], None],
        forget: Callable[[], None],
    ) -> None:
        self._session = session
        self._target = description.target_xml(registers)
        self._files = files
        self._runner = runner
        self._client = runner.client
        self._say = say
        self._forget = forget
        self._monitor = monitor

    def ask(self, rest: bytes) -> bytes:
        """Answer a `q` packet; an empty answer to what is not known."""
        name, _, arguments = rest.partition(b":")
        if rest.startswith(b"Rcmd,"):
            return self._command(text_of(rest[5:]))
        if rest.startswith(b"ThreadExtraInfo,"):
            when = self._session.when()
            return f"hart {when.hart}: {description.thread_text(when)}".encode().hex().encode()
        match name:
            case b"Supported":
                words = arguments.decode(errors="replace").split(";")
                self._client.features = frozenset(word[:-1] for word in words if word.endswith("+"))
                return ";".join(FEATURES).encode()
            case b"Xfer":
                return self._document(arguments)
            case b"C":
                return b"QC1"
            case b"fThreadInfo":
                return b"m1"
            case b"sThreadInfo":
                return b"l"
            case b"qemu.sstepbits":
                return b"ENABLE=1,NOIRQ=2,NOTIMER=4"
            case b"qemu.sstep":
                return b"0x%x" % (_OVER if self._runner.stepper.over_interrupts else _INTO)
            case b"qemu.PhyMemMode":
                return b"%d" % self._client.physical
            case b"Attached":
                return b"1"
            case b"Offsets":
                return b"Text=0;Data=0;Bss=0"
            case b"Symbol":
                return b"OK"
            case b"CRC":
                return self._crc(arguments)
            case b"Search":
                return self._search(arguments)
        return b""

    def set(self, rest: bytes) -> bytes:
        """Answer a `Q` packet; an empty answer to what is not known."""
        name, _, value = rest.partition(b"=" if rest.startswith(b"qemu.sstep") else b":")
        match name:
            case b"StartNoAckMode":
                self._client.acknowledging = False
                return b"OK"
            case b"qemu.sstep":
                self._runner.stepper.over_interrupts = bool(number(value.removeprefix(b"0x")) & _OVER & ~_INTO)
                return b"OK"
            case b"qemu.PhyMemMode":
                self._client.physical = bool(number(value))
                return b"OK"
        return b""

    def _document(self, arguments: bytes) -> bytes:
        parts = arguments.split(b":")
        if len(parts) != 4:
            raise Malformed("qXfer needs object, operation, annex and window")
        kind, operation, annex, window = parts
        if operation != b"read":
            return b""
        match kind:
            case b"features":
                if annex != b"target.xml":
                    raise Refused(f"there is no description {annex.decode(errors='replace')!r}")
                document = self._target
            case b"memory-map":
                document = description.memory_map(self._session.info())
            case b"threads":
                document = description.threads_xml(self._session.when())
            case b"exec-file":
                if not self._files.program:
                    raise Refused("the trace's images are no ELF files")
                document = self._files.program.encode()
            case _:
                return b""
        return part_of(document, window)

    # monitor

    def _command(self, line: str) -> bytes:
        text, moved = self._runner.command(lambda: self._monitor.run(line))
        if moved:
            self._forget()
        self._say(text)
        if moved and "stale" not in self._client.said:
            self._client.said.add("stale")
            self._say(STALE)
        return b"OK"

    # memory by the stretch

    def _crc(self, arguments: bytes) -> bytes:
        """gdb's checksum of `compare-sections`: CRC-32 with the highest bit first, and no inversion at the end."""
        address, length = numbers(arguments, 2)
        check = 0
        done = 0
        while done < length:
            data = self._read(address + done, min(_CHUNK, length - done))
            # zlib has the lowest bit first, and inverts before and after
            check = zlib.crc32(data.translate(_BACKWARDS), check)
            done += len(data)
        return b"C%x" % int(f"{check ^ 0xFFFF_FFFF:032b}"[::-1], 2)

    def _read(self, address: int, length: int) -> bytes:
        block = self._session.read_memory(address, length, physical=self._client.physical)
        if len(block.data) < length:
            raise Refused(unreadable_text(address + len(block.data), block.mapped), number=EFAULT)
        return block.data

    def _search(self, arguments: bytes) -> bytes:
        """`qSearch:memory:address;length;pattern`: where a pattern lies first."""
        kind, _, rest = arguments.partition(b":")
        fields = rest.split(b";", 2)
        if kind != b"memory" or len(fields) != 3 or not fields[2]:
            raise Malformed("qSearch needs memory:address;length;pattern")
        address, length, pattern = number(fields[0]), number(fields[1]), fields[2]
        end = min(address + length, M64 + 1)
        while end - address >= len(pattern):
            size = min(_CHUNK, end - address)
            block = self._session.read_memory(address, size, physical=self._client.physical)
            data = block.data
            found = data.find(pattern)
            if found >= 0:
                return b"1,%x" % (address + found)
            if len(data) < size:
                raise Refused(unreadable_text(address + len(data), block.mapped), number=EFAULT)
            address += size if address + size == end else size - len(pattern) + 1
        return b"0"
