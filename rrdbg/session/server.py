"""The engine's process: a session that does what comes through its standard input.

It ends when its input ends: a face that dies, however it dies, takes its engine along.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import threading
from typing import Any

from rrdbg_core.copied import harmless

from rrdbg.session.codec import pack_error
from rrdbg.session.pipe import Channel


class Server:
    """Runs calls one after another in the main thread; a reader thread takes in cancellations meanwhile."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._calls: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._session: Any = None
        self._current: int | None = None
        self._cancelled: set[int] = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Serve until the input ends."""
        reader = threading.Thread(target=self._read, name="rrdbg-pipe", daemon=True)
        harmless.add(reader)
        reader.start()
        import rrdbg.session.replay
        import rrdbg.session.session  # noqa: F401 - both while the face is still getting ready

        while True:
            call = self._calls.get()
            number = call["id"]
            with self._lock:
                self._current = number
                # what takes no time to speak of is done all the same: its caller would not expect it to be cancelled
                if number in self._cancelled and self._session is not None:
                    self._session.cancel_next()
            try:
                answer = {"id": number, "result": self._do(call["call"], call["args"], call["kwargs"])}
            except Exception as error:  # whatever it is, the face has to hear of it
                answer = {"id": number, "error": pack_error(error)}
            finally:
                with self._lock:
                    self._current = None
                    self._cancelled.discard(number)
                    if self._session is not None:
                        self._session.cancel_over()
            self._answer(answer)
            if call["call"] == "close":
                return

    def _answer(self, answer: dict[str, Any]) -> None:
        try:
            self._channel.send(answer)
        except TypeError as error:
            self._channel.send({"id": answer["id"], "error": pack_error(error)})
        except OSError:
            os._exit(0)

    def _do(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "open":
            from rrdbg.session.session import open_session

            self._session = open_session(args[0], self._progress, **kwargs)
            gc.freeze()  # modules and the trace: they stay
            gc.enable()
            return None
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self._session, name)
        return found(*args, **kwargs) if callable(found) else found

    def _progress(self, progress: Any) -> None:
        try:
            self._channel.send({"progress": progress})
        except OSError:
            os._exit(0)

    def _read(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except (EOFError, ValueError, OSError):
                os._exit(0)
            if "cancel" in message:
                with self._lock:
                    if message["cancel"] != self._current:
                        self._cancelled.add(message["cancel"])
                    elif self._session is not None:
                        self._session.cancel_next()
            else:
                self._calls.put(message)


def main() -> None:
    """Serve the process's standard input and output."""
    gc.disable()  # what is loaded is no garbage, and looking for some takes a tenth of the start
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the face decides what Ctrl-C means
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed by mistake must not get into the frames
    Server(Channel(os.fdopen(0, "rb", closefd=False), outgoing)).run()
    os._exit(0)


if __name__ == "__main__":
    main()
