r"""Scripted console input: a text file, one action a line.

    # when the guest has come so far
    at 1_000_000: help\n
    after 2.5ms: x
    on "$ ": exit 3\n

`at` counts steps; `after` counts virtual time from the moment the action before was done, that is, when the guest's
console had taken all of its text; `on` waits for a piece of output, literally, and looks at what the guest printed
since the action before began. One blank behind the colon is not part of the text. Escapes are those of C: \n \r \t \b
\f \v \a \e \0 \\ \" \xHH and octal. Everything happens at an icount that is a function of the guest alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.source import FOREVER, Now
from rrdbg_core.replay.console_input import ConsoleInput, Wake

_COUNT = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_TIME_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}
_PLAIN = {"n": 10, "r": 13, "t": 9, "b": 8, "f": 12, "v": 11, "a": 7, "e": 27, "\\": 92, '"': 34, "'": 39}
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.|$)", re.DOTALL)
_LINE = re.compile(
    r"at\s+(?P<at>[^:]*?)\s*:(?P<at_text>.*)"
    r"|after\s+(?P<after>[^:]*?)\s*:(?P<after_text>.*)"
    r'|on\s+"(?P<on>(?:[^"\\]|\\.)*)"\s*:(?P<on_text>.*)'
)
FORMS = '`at 1_000_000: text`, `after 2.5ms: text` or `on "pattern": text`'


class BadScript(RrdbgError):
    """A script that cannot be followed."""

    exit_code = ExitCode.USAGE


class Action(Frozen):
    """One line of a script."""

    line: int
    """Its number, from 1."""
    text: bytes
    """What is typed."""
    icount: int | None = None
    """`at`: in or after which step."""
    delay_ns: int | None = None
    """`after`: how long behind the action before, on the virtual clock."""
    pattern: bytes | None = None
    """`on`: behind which output."""


def parse_script(source: str, name: str = "script") -> tuple[Action, ...]:
    """Parse a script.

    Raises:
        BadScript: A line is not an action.
    """
    actions = []
    for number, line in enumerate(source.replace("\r\n", "\n").split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                actions.append(_action(line.lstrip(), number))
            except ValueError as error:
                raise BadScript(f"{name}: line {number}: {error}", hint=f"an action is {FORMS}") from error
    return tuple(actions)


def _action(line: str, number: int) -> Action:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{line.strip()[:40]!r} is not an action")
    part = match.groupdict()
    if part["at"] is not None:
        return Action(number, _text(part["at_text"]), icount=_steps(part["at"]))
    if part["after"] is not None:
        return Action(number, _text(part["after_text"]), delay_ns=_duration(part["after"]))
    pattern = unescape(part["on"])
    if not pattern:
        raise ValueError("the pattern is empty")
    return Action(number, _text(part["on_text"]), pattern=pattern)


def _text(raw: str) -> bytes:
    text = unescape(raw.removeprefix(" "))
    if not text:
        raise ValueError("there is no text")
    return text


def unescape(raw: str) -> bytes:
    """Return the bytes behind a text with C escapes, UTF-8 otherwise.

    Raises:
        ValueError: An escape that C does not know.
    """
    out, at = b"", 0
    for match in _ESCAPE.finditer(raw):
        out += raw[at : match.start()].encode()
        code = match[1]
        if code[:1] == "x" and len(code) > 1:
            out += bytes([int(code[1:], 16)])
        elif code[:1].isdigit() and code[0] < "8" and int(code, 8) < 256:
            out += bytes([int(code, 8)])
        elif code in _PLAIN:
            out += bytes([_PLAIN[code]])
        else:
            raise ValueError(f"unknown escape \\{code}")
        at = match.end()
    return out + raw[at:].encode()


def _steps(text: str) -> int:
    match = re.fullmatch(r"(\d[\d_]*)\s*([kmg]?)", text, re.IGNORECASE)
    if match is None or (value := int(match[1].replace("_", "")) * _COUNT[match[2].lower()]) >= FOREVER:
        raise ValueError(f"{text!r} is not a number of steps")
    return value


def _duration(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|min)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration with its unit")
    return round(float(match[1]) * _TIME_NS[match[2]])


class ScriptInput(ConsoleInput):
    """Plays a script."""

    def __init__(self, actions: Sequence[Action]) -> None:
        super().__init__()
        self._actions = list(actions)
        self._next = 0
        self._typing = b""
        self._done_ns = 0  # when the action before was done
        self._heard = bytearray()  # output since the action before began
        self._matched = False

    def _begin(self, now: Now) -> None:
        """Begin the next action if it is due."""
        if self._typing or self._next == len(self._actions):
            return
        action = self._actions[self._next]
        if action.icount is not None:
            due = now.icount >= action.icount
        elif action.delay_ns is not None:
            due = now.virtual_ns >= self._done_ns + action.delay_ns
        else:
            due = self._matched
        if due:
            self._typing = action.text
            self._next += 1
            self._matched = False
            self._search()

    @property
    def listens(self) -> bool:
        return self._pattern is not None

    @property
    def done(self) -> bool:
        return not self._typing and self._next == len(self._actions)

    @property
    def _pattern(self) -> bytes | None:
        """Output that the next action waits for."""
        return self._actions[self._next].pattern if self._next < len(self._actions) else None

    def offer(self, now: Now, room: int) -> int:
        self._begin(now)
        return len(self._typing)

    def take(self, size: int, now: Now) -> bytes:
        piece, self._typing = self._typing[:size], self._typing[size:]
        if not self._typing:
            self._done_ns = now.virtual_ns
        return piece

    def wake(self, now: Now) -> Wake:
        if self._typing or self._next == len(self._actions):
            return Wake()
        action = self._actions[self._next]
        if action.icount is not None:
            return Wake(icount=action.icount)
        return Wake(virtual_ns=None if action.delay_ns is None else self._done_ns + action.delay_ns)

    def printed(self, step: int, data: bytes) -> None:
        self._heard += data
        self._search()

    def _search(self) -> None:
        """Look whether the next action's pattern was printed; keep what may still become one."""
        pattern = self._pattern
        if pattern is None:
            self._heard.clear()  # what is printed before `at` or `after` begins is of no interest to what follows
        if pattern is None or self._matched:
            return
        found = self._heard.find(pattern)
        if found >= 0:
            self._matched = True
            del self._heard[: found + len(pattern)]
        else:
            del self._heard[: max(len(self._heard) - len(pattern) + 1, 0)]

    def leftover(self) -> str:
        if self._typing:
            return f"line {self._actions[self._next - 1].line} of the script was not typed to its end"
        if self._next < len(self._actions):
            return f"line {self._actions[self._next].line} of the script was never reached"
        return ""
