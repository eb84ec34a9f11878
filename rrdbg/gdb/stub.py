"""The remote serial protocol over a session: packets in, answers out (gdb manual, appendix E).

It knows nothing of sockets: `rrdbg.gdb.connection` feeds it, one packet after another.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

from rrdbg_core.errors import RrdbgError

from rrdbg.gdb import description
from rrdbg.gdb.agent import condition_of
from rrdbg.gdb.errors import EFAULT, READ_ONLY, Malformed, Refused
from rrdbg.gdb.fields import M64, little, number, numbers, text_of
from rrdbg.gdb.files import Files
from rrdbg.gdb.monitor import Monitor
from rrdbg.gdb.packets import MAX_PAYLOAD, escape
from rrdbg.gdb.points import ClientPoints, Place
from rrdbg.gdb.queries import Queries
from rrdbg.gdb.resume import Client, Runner
from rrdbg.session.api import Session
from rrdbg.session.errors import EngineDied
from rrdbg.session.values import unreadable_text

_WORDS_THAT_ERR = b"PMXGZzvH"
"""First letters of packets whose errors gdb has always taken as text."""


class Stub:
    """Answers the packets of one client after another.

    Args:
        session: Where the guest stands; it keeps its place when a client goes and the next one comes.
        files: What the client may open.
        trusted: Whether `monitor` may read and write files of this host.
    """

    def __init__(self, session: Session, files: Files, *, trusted: bool = False) -> None:
        self._session = session
        self.say: Callable[[str], None] = lambda text: None
        """Prints a text on the client's console; called while it waits for a stop or for `monitor`."""
        self.log: Callable[[str], None] = lambda text: None
        """Tells whoever runs the server."""
        self._registers = description.registers_of(session)
        self._names = {register.number: register.name for register in self._registers}
        self.client = Client()
        self.files = files
        self.points = ClientPoints(session)
        self.runner = Runner(session, self.points, self.client, self._tell)
        monitor = Monitor(session, trusted=trusted)
        self._queries = Queries(session, self._registers, files, self.runner, monitor, self._tell, self._forget)
        self._general: bytes | None = None
        self._handlers: dict[bytes, Callable[[bytes], bytes | None]] = {
            b"!": lambda _: b"OK",
            b"?": lambda _: self.runner.reply(),
            b"g": self._read_general,
            b"p": self._read_register,
            b"m": self._read_memory,
            b"x": self._read_binary,
            b"G": self._refuse_write,
            b"P": self._refuse_write,
            b"M": self._refuse_write,
            b"X": self._write_binary,
            b"H": self._select_thread,
            b"T": self._alive,
            b"Z": self._insert,
            b"z": self._remove,
            b"c": self._continue,
            b"C": lambda rest: self._continue(rest[2:].lstrip(b";")),
            b"s": self._step,
            b"S": lambda rest: self._step(rest[2:].lstrip(b";")),
            b"b": self._backwards,
            b"D": self._detach,
            b"k": self._kill,
            b"v": self._v_packet,
            b"q": self._queries.ask,
            b"Q": self._queries.set,
        }

    @property
    def end(self) -> int:
        """Last position of the trace."""
        return self._session.info().end

    def attach(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """A client is there.

        Args:
            interrupted: Returns whether the packet that is being answered shall come to an end.
        """
        self.client.features = frozenset()
        self.client.acknowledging = True
        self.client.said.clear()
        self.client.physical = False
        self.runner.interrupted = interrupted
        self.runner.stepper.over_interrupts = True
        self._general = None

    def leave(self) -> None:
        """The client is gone: its breakpoints and files go with it."""
        self.runner.interrupted = lambda: False
        self.files.close_all()
        with contextlib.suppress(RrdbgError):  # an engine that died has no breakpoints
            self.points.clear()

    def handle(self, payload: bytes) -> bytes | None:
        """Answer a packet; None: it gets no answer.

        Raises:
            Detached: The client lets go.
            EngineDied: There is no guest any more.
        """
        handler = self._handlers.get(payload[:1])
        if handler is None:
            return b""
        try:
            return handler(payload[1:])
        except EngineDied:
            raise
        except RrdbgError as error:
            return self._error(payload, error)

    def _tell(self, text: str) -> None:
        self.say(text)

    def _error(self, payload: bytes, error: RrdbgError) -> bytes:
        if "error-message" in self.client.features or payload[:1] in [bytes((c,)) for c in _WORDS_THAT_ERR]:
            return b"E." + error.message.encode("ascii", "replace").replace(b"#", b"?").replace(b"$", b"?")
        return b"E%02x" % (error.number if isinstance(error, Refused) else EFAULT)

    # registers

    def _read_general(self, rest: bytes) -> bytes:
        if self._general is None:
            names = [self._names[n] for n in range(description.PC + 1)]
            self._general = b"".join(little(row.value) for row in self._session.registers(names))
        return self._general

    def _read_register(self, rest: bytes) -> bytes:
        name = self._names.get(number(rest, "register number"))
        if name is None:
            raise Refused(f"there is no register {rest.decode()}")
        return little(self._session.registers([name])[0].value)

    # memory

    def _read_memory(self, rest: bytes) -> bytes:
        return self._memory(rest, MAX_PAYLOAD // 2 - 16).hex().encode()

    def _read_binary(self, rest: bytes) -> bytes:
        return b"b" + escape(self._memory(rest, MAX_PAYLOAD // 2 - 16))

    def _memory(self, rest: bytes, most: int) -> bytes:
        address, length = numbers(rest, 2)
        length = min(length, most, M64 + 1 - address)
        block = self._session.read_memory(address, length, physical=self.client.physical)
        if length and not block.data:
            raise Refused(unreadable_text(address, block.mapped), number=EFAULT)
        return block.data

    def _refuse_write(self, rest: bytes) -> bytes:
        # gdb shows the reason for registers only; of memory it says that it cannot access it
        if "write" not in self.client.said:
            self.client.said.add("write")
            self.log(f"a write is refused: {READ_ONLY}")
        raise Refused(READ_ONLY, number=EFAULT)

    def _write_binary(self, rest: bytes) -> bytes:
        head, colon, _ = rest.partition(b":")
        if colon and numbers(head, 2)[1] == 0:
            return b"OK"  # the question whether the packet is known
        return self._refuse_write(rest)

    # threads: the one hart

    def _select_thread(self, rest: bytes) -> bytes:
        self._check_thread(rest[1:])
        return b"OK"

    def _alive(self, rest: bytes) -> bytes:
        self._check_thread(rest)
        return b"OK"

    def _check_thread(self, text: bytes) -> None:
        match = re.fullmatch(rb"(?:p(?:-1|[0-9a-fA-F]+)\.)?(-1|[0-9a-fA-F]{1,16})|p(?:-1|[0-9a-fA-F]+)", text)
        if not match:
            raise Malformed(f"not a thread: {text[:20]!r}")
        if match[1] not in (None, b"-1") and int(match[1], 16) not in (0, 1):
            raise Refused(f"there is no thread {match[1].decode()}")

    # points

    def _insert(self, rest: bytes) -> bytes:
        where, _, condition = rest.partition(b";")
        place = self._place(where)
        if place is None:
            return b""
        self.points.insert(place, condition_of(condition, self._names))
        return b"OK"

    def _remove(self, rest: bytes) -> bytes:
        place = self._place(rest.partition(b";")[0])
        if place is None:
            return b""
        self.points.remove(place)
        return b"OK"

    def _place(self, text: bytes) -> Place | None:
        kind, address, length = numbers(text, 3)
        return Place(kind, address, length) if kind <= 4 else None

    # motion

    def _forget(self) -> None:
        self._general = None

    def _continue(self, rest: bytes) -> bytes:
        self._check_resume(rest)
        self._forget()
        return self.runner.go()

    def _step(self, rest: bytes) -> bytes:
        self._check_resume(rest)
        self._forget()
        return self.runner.step()

    def _check_resume(self, rest: bytes) -> None:
        if rest and number(rest, "address") != self._session.pc:
            raise Refused(READ_ONLY)

    def _backwards(self, rest: bytes) -> bytes:
        self._forget()
        if rest == b"c":
            return self.runner.go(backwards=True)
        if rest == b"s":
            return self.runner.step(backwards=True)
        return b""

    def _v_packet(self, rest: bytes) -> bytes | None:
        name = re.match(rb"[A-Za-z]*\??", rest)
        word = name[0] if name else b""
        match word:
            case b"Cont?":
                return b"vCont;c;C;s;S;r"
            case b"Cont":
                return self._resume(rest[5:])
            case b"CtrlC":
                return b"OK"
            case b"File":
                return self.files.packet(rest[5:])
            case b"Kill":
                return self._detach(b"")
            case b"Attach":
                return self.runner.reply()
            case b"Run":
                return self._run(rest[4:])
        return b""

    def _resume(self, actions: bytes) -> bytes:
        """vCont: the first action that means the hart."""
        for action in actions.split(b";"):
            what, _, thread = action.partition(b":")
            if thread:
                try:
                    self._check_thread(thread)
                except Refused:
                    continue
            if what[:1] in (b"c", b"C"):
                return self._continue(b"")
            if what[:1] in (b"s", b"S"):
                return self._step(b"")
            if what[:1] == b"r":
                lo, hi = numbers(what[1:], 2)
                self._forget()
                return self.runner.step_range(lo, hi)
            raise Malformed(f"no such action: {action[:20]!r}")
        raise Refused("no action is meant for the hart")

    # coming and going. The connection ends when the client closes it: an extended one goes on without a guest

    def _detach(self, rest: bytes) -> bytes:
        self.points.clear()
        return b"OK"

    def _kill(self, rest: bytes) -> None:
        self.points.clear()

    def _run(self, arguments: bytes) -> bytes:
        """vRun: a recording is not run anew, but begun anew: at its start, or at the position given."""
        _, *words = arguments.split(b";")
        position = " ".join(map(text_of, words)) or "start"
        self._forget()
        try:
            return self.runner.arrive(position)
        except RrdbgError as error:
            self.log(f"run: {error.message}")
            raise
