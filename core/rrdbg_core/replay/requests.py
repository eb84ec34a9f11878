"""What devices have asked their host back ends for, while a guest is recorded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rrdbg_core.devices.backend import Backend, ExternalTimers
from rrdbg_core.devices.contract import Device
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.source import Now
from rrdbg_core.replay.backends import Backends, Registry

MAX_PAYLOAD = 1 << 20
"""Bytes that a back end may hand over at once."""

Key = tuple[str, str]
"""Device and bottom half."""


@dataclass(slots=True, eq=False)
class Request:
    """A bottom half that is under way."""

    key: Key
    """Whose."""
    oneshot: bool
    """Whether it is a oneshot one."""
    backend: Backend
    """Who answers."""
    number: int
    """Requests of this bottom half before."""
    content: bytes
    """What is asked for."""
    due_ns: int = 0
    """When the answer is handed over, on the virtual clock, if that is decided by the clock."""
    payload: bytes = b""
    """The answer."""
    answered: bool = False
    """Whether there is one."""


class Outside:
    """What a back end with a life of its own is given, see `rrdbg_core.devices.backend`."""

    def __init__(self, requests: Requests, key: Key) -> None:
        self._requests = requests
        self._key = key

    def virtual_ns(self) -> int:
        """Return the guest's virtual clock in ns, as it was between the last two steps."""
        return self._requests.now_ns

    def external_timer(self, deadline_ns: int, callback: Callable[[], None]) -> None:
        """Have `callback` called once, between two steps, when the virtual clock has reached `deadline_ns`."""
        self._requests.timers.add(deadline_ns, callback)

    def complete(self, payload: bytes) -> None:
        """Hand over the answer to the oldest request that is still without one. Any thread may call."""
        self._requests.answered(self._key, payload)


class Requests:
    """Requests that wait for their back ends, and answers that wait for the guest.

    Args:
        config: The machine's.
        registry: Back ends of the caller's.
        wake: Called, from any thread, when there is a new answer.
    """

    def __init__(self, config: MachineConfig, registry: Registry, wake: Callable[[], None]) -> None:
        self.now_ns = 0
        """Virtual time between the last two steps."""
        self.timers = ExternalTimers()
        """EXTERNAL timers of back ends."""
        self._backends = Backends(config, registry)
        self._wake = wake
        self._numbers: dict[Key, int] = {}
        self._new: list[Request] = []  # not looked at yet
        self._timed: list[Request] = []  # answered, due at a virtual time
        self._open: list[Request] = []  # without an answer
        self._completed: deque[tuple[Request, bytes | Exception]] = deque()
        self._lock = threading.Lock()

    def attach(self, devices: Mapping[str, Device]) -> None:
        """Learn which devices there are, and start their back ends."""
        for key, backend in self._backends.attach(devices).items():
            if backend.start is not None:
                backend.start(Outside(self, key))

    def scheduled(self, key: Key, content: bytes, oneshot: bool) -> None:
        """Take in a request."""
        number = self._numbers.get(key, 0)
        self._numbers[key] = number + 1
        request = Request(key, oneshot, self._backends.find(*key), number, content)
        if request.backend.live:
            with self._lock:
                self._open.append(request)
            threading.Thread(target=self._serve, args=(request,), name=".".join(key), daemon=True).start()
        else:
            self._new.append(request)

    def reset(self) -> None:
        """Forget all requests: nobody waits for them any more."""
        with self._lock:
            for requests in (self._new, self._timed, self._open):
                requests.clear()

    def _serve(self, request: Request) -> None:
        """Ask a live back end, in a thread of its own."""
        answer: bytes | Exception | None
        try:
            answer = request.backend.answer(request.number, request.content)
        except Exception as error:
            answer = error
        if answer is not None:
            self._completed.append((request, answer))
            self._wake()

    def answered(self, key: Key, payload: bytes) -> None:
        """Take in the answer to the oldest open request of a bottom half. Any thread may call."""
        with self._lock:
            waiting = (request for request in self._open if request.key == key and not request.answered)
            request = next(waiting, None)
            if request is None:
                return  # the machine was reset in the meantime
            request.answered = True
            self._completed.append((request, payload))
        self._wake()

    # ---- for the source of events ------------------------------------------------------------------------------------
    def advance(self, now_ns: int) -> None:
        """Learn the virtual time: ask back ends that have new requests, and run timers that are due."""
        self.now_ns = now_ns
        while self._new:
            request = self._new.pop(0)
            with self._lock:
                self._open.append(request)
            answer = request.backend.answer(request.number, request.content)
            if answer is not None:
                with self._lock:
                    self._open.remove(request)
                request.due_ns, request.payload = now_ns + request.backend.latency_ns, answer
                self._timed.append(request)
        self.timers.run(now_ns)

    def take(self, now: Now) -> Event | None:
        """Return the completion that is due first, if one is."""
        with self._lock:
            while self._completed:
                request, answer = self._completed.popleft()
                if request not in self._open:
                    continue  # the machine was reset in the meantime
                self._open.remove(request)
                if isinstance(answer, Exception):
                    raise _broken(request, f"failed: {type(answer).__name__}: {answer}") from answer
                request.payload = answer
                self._timed.append(request)
            first = min(self._timed, key=lambda request: request.due_ns, default=None)
            if first is None or first.due_ns > now.virtual_ns:
                return None
            self._timed.remove(first)
        if len(first.payload) > MAX_PAYLOAD:
            raise _broken(first, f"handed over {len(first.payload)} bytes; {MAX_PAYLOAD} are the most")
        kind = EventKind.BH_ONESHOT if first.oneshot else EventKind.BH
        return Event(now.icount, kind, *first.key, first.payload, now.warp_ns)

    def next_ns(self) -> int | None:
        """Return the virtual time of the next completion or timer that only time brings."""
        moments = [request.due_ns for request in self._timed]
        timer = self.timers.next_ns()
        return min(moments if timer is None else [*moments, timer], default=None)

    @property
    def empty(self) -> bool:
        """Whether nothing is under way, so that nothing happens but to new requests."""
        return not (self._new or self._timed or self._open or self._completed) and self.timers.next_ns() is None

    @property
    def pressing(self) -> bool:
        """Whether an answer from another thread waits."""
        return bool(self._completed)

    @property
    def live(self) -> bool:
        """Whether an answer will come in host time."""
        return bool(self._completed) or any(request.backend.live for request in self._open)


def _broken(request: Request, what: str) -> RrdbgError:
    device, name = request.key
    return RrdbgError(f"the host back end of {device}.{name} {what}", exit_code=ExitCode.DEVICE_BROKEN)
