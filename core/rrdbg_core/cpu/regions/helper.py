"""The process that compiles regions: `python -m rrdbg_core.cpu.regions.helper`, started by `client.Client`.

Building LLVM's code is Python and llvmlite holds a lock of its own, so a running guest would feel it in its process.
Here come samples of hot pcs and pages of guest code; out go regions as object code, which are kept on disk too (see
`store`). The protocol is in `wire`. Nothing here can harm a guest: what is wrong or late means fewer regions.

It ends when its input ends, at once, in the middle of a compilation too.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NoReturn, Protocol

from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.cpu.regions.record import Record, decode_plan, digest, encode_plan, seal
from rrdbg_core.cpu.regions.store import Store, key
from rrdbg_core.cpu.regions.wire import (
    MAX_PAGES,
    PROTOCOL,
    BrokenMessage,
    Kind,
    frame,
    pack_blobs,
    pack_words,
    receive,
    unpack_blobs,
    unpack_words,
)

NICENESS = 5
"""How far the guest goes first where they share a core."""
MEMORY_BYTES = 2 << 30
"""Data of the process beside what it has at the start; LLVM ends it when it gets no more."""
COMPILE_SECONDS = 60
"""Longest time that a batch may take; about a thousand times what it should."""
BATCH_PLANS, BATCH_CODE_BYTES = 8, 160
"""What is compiled at once: an empty module costs as much as a few instructions, but the first region should not wait
for the last."""
SAMPLES_WAITING = 32
"""Messages with samples that wait for the compiler; older ones are dropped."""
LOOK_S = 5.0
"""Time between two looks at whether the parent is there; a copy of it may keep the pipe open."""
WARM_UP = Plan((Block(0, bytes.fromhex("03350500 23b0a500 e31cb5fe")),), (0,))
"""0: ld a0,(a0); sd a0,(a1); bne a0,a1,0. Compiled when there is nothing to do yet: the first one takes 25 ms more."""
MAX_REFUSED = 4096
"""Plans remembered that cannot be compiled."""


class Former(Protocol):
    """What makes plans of samples, see `form.Profile`."""

    def add_samples(self, pcs: Sequence[int], /) -> object:
        """Take samples of hot pcs."""

    def set_page(self, address: int, content: bytes, /) -> object:
        """Take the content of a page of code."""

    def missing_pages(self) -> Iterable[int]:
        """Return addresses of pages that are needed."""

    def adopt(self, plan: Plan, /) -> object:
        """Take note of a region that was not planned here."""

    def forget(self, plan: Plan, /, *, changed: bool) -> object:
        """Take note that a region is not there any more."""

    def add_miss(self, pc: int, /) -> object:
        """Take note that regions are left again and again at a load or store of pages that the TLB does not know."""

    def next_plans(self) -> Iterable[Plan]:
        """Return new plans, the hottest first."""


Compile = Callable[[Sequence[Plan]], bytes]
"""Plans to object code, see `translate.compile_plans`."""


class Inbox:
    """Messages that wait to be looked at. Its thread reads on whatever the compiler does, and sees the end at once."""

    def __init__(self, read: Callable[[int], bytes | None], at_end: Callable[[], object]) -> None:
        self._read = read
        self._at_end = at_end
        self._changed = threading.Condition()
        self._messages: deque[tuple[Kind, bytes]] = deque()
        self._samples: deque[bytes] = deque(maxlen=SAMPLES_WAITING)
        threading.Thread(target=self._run, name="inbox", daemon=True).start()

    def _run(self) -> None:
        try:
            while True:
                kind, payload = receive(self._read)
                with self._changed:
                    if kind == Kind.SAMPLES:
                        self._samples.append(payload)
                    else:
                        self._messages.append((kind, payload))
                    self._changed.notify()
        except (EOFError, BrokenMessage, OSError, MemoryError):
            self._at_end()

    def take(self, wait_s: float) -> list[tuple[Kind, bytes]]:
        """Return what is there, samples last; wait for it if there is nothing."""
        with self._changed:
            if not self._messages and not self._samples:
                self._changed.wait(wait_s)
            taken = [*self._messages, *((Kind.SAMPLES, samples) for samples in self._samples)]
            self._messages.clear()
            self._samples.clear()
        return taken


class Compiler:
    """Takes messages, makes plans of them, and compiles them."""

    def __init__(self, former: Former, compile_plans: Compile, store: Store, send: Callable[[bytes], object]) -> None:
        """Index what is on disk.

        Args:
            former: Makes plans.
            compile_plans: Compiles them.
            store: Where regions are kept.
            send: Takes whole messages.
        """
        self._former = former
        self._compile = compile_plans
        self._store = store
        self._send = send
        self._pending: deque[bytes] = deque()
        """Encoded plans."""
        self._asked: set[int] = set()
        self._alone: set[bytes] = set()
        """Digests of plans to be compiled each alone."""
        self._refused: dict[bytes, None] = {}
        """Digests of plans that are not tried again, the oldest first."""
        for record in store.load():
            if not record.code:
                self._refuse(record.plans)

    def take(self, messages: Iterable[tuple[Kind, bytes]]) -> None:
        """Take messages. Raises BrokenMessage, ValueError."""
        for kind, payload in messages:
            match kind:
                case Kind.SAMPLES:
                    self._former.add_samples(unpack_words(payload))
                case Kind.PAGE:
                    address = int.from_bytes(payload[:8], "little")
                    self._asked.discard(address)
                    self._former.set_page(address, payload[8:])
                case Kind.FORGET:
                    gone = unpack_blobs(payload[1:])
                    self._pending = deque(plan for plan in self._pending if plan not in gone)
                    for plan in gone:
                        self._former.forget(decode_plan(plan), changed=payload[0] != 0)
                case Kind.MISSED:
                    for pc in unpack_words(payload):
                        self._former.add_miss(pc)
                case Kind.ADOPT:
                    for plan in unpack_blobs(payload):
                        self._former.adopt(decode_plan(plan))
                case Kind.ALONE:
                    self._alone.update(payload[at : at + 16] for at in range(0, len(payload), 16))
                case Kind.NEVER:
                    self._give_up(payload[1:], for_good=payload[0] != 0)
                case _:
                    raise BrokenMessage(f"a message of kind {kind.name}")

    def work(self) -> bool:
        """Ask for pages, look for plans, and compile one batch; return whether there was one."""
        missing = [address for address in self._former.missing_pages() if address not in self._asked]
        for start in range(0, len(missing), MAX_PAGES):
            self._send(frame(Kind.WANTED, pack_words(missing[start : start + MAX_PAGES])))
        self._asked.update(missing)
        if not self._pending:
            # not before: by then another plan may pay better
            self._pending.extend(plan for plan in self._encoded() if digest(plan) not in self._refused)
        batch = self._batch()
        if batch:
            stored = self._store.find(batch[0])
            if stored is not None and stored.code:
                self._pending = deque(plan for plan in self._pending if plan not in stored.plans)
                self._answer(stored, from_disk=True)
            else:
                for _ in batch:
                    self._pending.popleft()
                self._try(batch)
        return bool(batch)

    def _encoded(self) -> Iterator[bytes]:
        for plan in self._former.next_plans():
            try:
                encoded = encode_plan(plan)
            except ValueError:  # larger than any plan should be
                continue
            yield encoded

    def _batch(self) -> list[bytes]:
        """Return what is compiled next."""
        batch: list[bytes] = []
        size = 0
        for plan in islice(self._pending, BATCH_PLANS):
            alone = digest(plan) in self._alone
            size += sum(len(block.code) for block in decode_plan(plan).blocks)
            if batch and (alone or size > BATCH_CODE_BYTES):
                break
            batch.append(plan)
            if alone:
                break
        return batch

    def _try(self, plans: list[bytes]) -> None:
        """Compile plans together; each alone, if that fails."""
        self._send(frame(Kind.TRYING, pack_blobs(plans)))
        try:
            faulthandler.dump_traceback_later(COMPILE_SECONDS, exit=True, file=2)
            try:
                code = self._compile([decode_plan(plan) for plan in plans])
            finally:
                faulthandler.cancel_dump_traceback_later()
            record = Record(tuple(plans), code)
            seal(self._store.salt, record)
        except Exception:
            if len(plans) == 1:
                sys.excepthook(*sys.exc_info())
                self._give_up(plans[0], for_good=True)
                return
            for plan in plans:
                self._try([plan])
        else:
            self._answer(record, from_disk=False)

    def _answer(self, record: Record, *, from_disk: bool) -> None:
        sealed = seal(self._store.salt, record)
        head = time.process_time_ns().to_bytes(8, "little") + bytes([from_disk])
        self._send(frame(Kind.RESULT, head + sealed))
        if not from_disk:
            self._store.add(sealed)

    def _give_up(self, plan: bytes, *, for_good: bool) -> None:
        """Never try a plan again; not in later runs of this program either, if it is the plan's own fault."""
        self._refuse([plan])
        record = Record((plan,), b"")
        if for_good:
            self._store.add(seal(self._store.salt, record))
        self._answer(record, from_disk=True)

    def _refuse(self, plans: Iterable[bytes]) -> None:
        self._refused.update((digest(plan), None) for plan in plans)
        while len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]


def serve(former: Callable[[], Former], compile_plans: Compile) -> NoReturn:
    """Talk to the parent until it is gone.

    Args:
        former: Makes what makes plans.
        compile_plans: Compiles them.
    """
    source, sink = _take_streams()
    parent = os.getppid()

    def read(size: int) -> bytes:
        return os.read(source, size)

    def send(message: bytes) -> None:
        left = memoryview(message)
        try:
            while left:
                left = left[os.write(sink, left) :]
        except OSError:
            os._exit(0)

    try:
        version_here = key()
        compile_plans([WARM_UP])
        kind, payload = receive(read)
        size = int.from_bytes(payload[4:8], "little")
        protocol, version = int.from_bytes(payload[:4], "little"), payload[8 : 8 + size]
        # the sources may have changed since the parent read them
        if kind != Kind.BEGIN or protocol != PROTOCOL or version != version_here:
            os._exit(2)
        inbox = Inbox(read, lambda: os._exit(0))
        compiler = Compiler(former(), compile_plans, Store(payload[8 + size :], version=version), send)
        send(frame(Kind.READY, protocol.to_bytes(4, "little") + version))
        busy = False
        while os.getppid() == parent:
            compiler.take(inbox.take(0.0 if busy else LOOK_S))
            busy = compiler.work()
    except (EOFError, OSError):
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def _take_streams() -> tuple[int, int]:
    """Return descriptors of standard input and output, and let nobody else read or write there: LLVM may talk."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    if os.name == "nt":
        import msvcrt

        for descriptor in (source, sink):
            msvcrt.setmode(descriptor, os.O_BINARY)  # type: ignore[attr-defined,unused-ignore]
    return source, sink


def restrain() -> None:
    """Give way to the guest, bound the memory, leave no core file, and let Ctrl-C be the parent's."""
    for name in ("SIGINT", "SIGTSTP", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    with suppress(OSError, AttributeError):
        # where the kernel groups processes by session, niceness counts within the group alone
        if os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text(str(NICENESS))
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = MEMORY_BYTES + _data_bytes()
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _data_bytes() -> int:
    """Return the bytes of data that this process has, as limits count them; a copy of another one has all of its."""
    with suppress(OSError, IndexError, ValueError):
        return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGESIZE")
    return 0


def main() -> NoReturn:
    """Be the helper."""
    restrain()
    from rrdbg_core.cpu.regions.compile import compile_plans
    from rrdbg_core.cpu.regions.form import Profile

    serve(Profile, compile_plans)


if __name__ == "__main__":
    main()
