"""Every key and every command of the terminal interface, on a pseudo terminal: how long until it answers.

A key has answered when a part of its answer is on the screen, or a sign that the engine works. Beside the time on the
clock stands the CPU time of both processes until then: what the clock would say if nobody else used the machine.

Keys are tried in situations (at both ends, in the middle, with breakpoints, with watch expressions that are dear) and
in every pane, commands in the middle. Whatever takes long must say so in time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rrdbg.cli.main import main as rrdbg
from rrdbg.tui.keys import KEYS, Key
from rrdbg.tui.layout import PANES
from tests.bench.screen import Answer, Interface

BIN = Path(__file__).resolve().parents[2] / "guests" / "bin"

GOAL_S = 0.1
"""Seconds within which a key answers."""

SIZES = ((80, 24), (120, 40), (200, 60))
"""Columns and rows of the terminals."""

PATIENCE_S = 4.0
"""Seconds for which an answer is watched; what takes longer shows its progress and is cancelled."""

CODES = {
    "escape": b"\x1b", "enter": b"\r", "tab": b"\t", "space": b" ", "backspace": b"\x7f", "delete": b"\x1b[3~",
    "home": b"\x1b[H", "end": b"\x1b[F", "pageup": b"\x1b[5~", "pagedown": b"\x1b[6~",
    "up": b"\x1b[A", "down": b"\x1b[B", "right": b"\x1b[C", "left": b"\x1b[D",
    "f1": b"\x1bOP", "f2": b"\x1bOQ", "f3": b"\x1bOR", "f4": b"\x1bOS", "f5": b"\x1b[15~", "f6": b"\x1b[17~",
    "f7": b"\x1b[18~", "f9": b"\x1b[20~", "f10": b"\x1b[21~", "f11": b"\x1b[23~",
    "shift+left": b"\x1b[1;2D", "shift+right": b"\x1b[1;2C", "ctrl+left": b"\x1b[1;5D", "ctrl+right": b"\x1b[1;5C",
    "ctrl+home": b"\x1b[1;5H", "ctrl+end": b"\x1b[1;5F", "alt+right": b"\x1b[1;3C", "alt+left": b"\x1b[1;3D",
    "shift+tab": b"\x1b[Z", "ctrl+o": b"\x0f", "ctrl+p": b"\x10", "ctrl+c": b"\x03",
    "left_parenthesis": b"(", "right_parenthesis": b")", "plus": b"+", "minus": b"-", "full_stop": b".", "comma": b",",
    "left_square_bracket": b"[", "right_square_bracket": b"]", "left_curly_bracket": b"{",
    "right_curly_bracket": b"}", "grave_accent": b"`", "tilde": b"~", "slash": b"/", "colon": b":",
    "question_mark": b"?",
}  # fmt: skip
"""What a terminal sends for the keys of the table."""

OF_LISTS = {"remove", "enable", "edit", "next-write", "last-write"}
"""Keys that do something else in a pane that has a list."""

UNMEASURED = {"quit", "suspend", "reopen"}
"""They end the interface, or need a dead engine."""

COMMANDS = (
    "step", "reverse-step", "next", "reverse-next", "stepi", "reverse-stepi", "nexti", "reverse-nexti", "tick",
    "reverse-tick", "continue", "reverse-continue", "finish", "reverse-finish", "until", "advance main",
    "reverse-until main", "goto 50%", "back", "forward", "info breakpoints", "info watchpoints", "break main",
    "tbreak printf", "watch executed", "rwatch executed", "awatch executed", "catch trap", "disable", "enable",
    "ignore 1 2", "condition 1 1", "delete breakpoints", "delete", "backtrace", "frame 1", "up", "down", "info frame",
    "info stack", "list main", "info source", "info sources", "set substitute-path /a /b", "show substitute-path",
    "unset substitute-path /a", "directory", "set step-mode off", "print $sp", "output $sp", "call $sp",
    "set $mine = 1", "set variable $mine = 2", "set print elements 100", "show print", 'printf "%d\\n", 1',
    "whatis $sp", "ptype $sp", "info locals", "info args", "info variables", "info functions", "info types",
    "info scope main", "info registers", "info float", "info all-registers", "info symbol main", "info address main",
    "info line main", "info symbols main", "info display", "x/16xw $sp", "xp/4xg 0x80000000", "disassemble",
    "display $sp", "undisplay 1", "delete display", "diff start end", "export --help", "info events", "info trace",
    "info console", "when",
    "verify", "info bookmarks", "info notes", "bookmark here", "note a remark", "delete bookmark here",
    "delete note 1", "help", "echo hello", "source /dev/null", "memory $sp", "compare start", "compare",
    "info threads", "thread", "set listsize 10", "show listsize", "commands 1", "up-silently", "down-silently",
    "frame apply 2 info frame", "faas print $sp", "set backtrace limit 50", "show backtrace", "clear main",
)  # fmt: skip
"""A line for every command of the table but `quit`; a test sees to it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Where keys are tried."""

    name: str
    """What the report calls it."""
    goto: str
    """Position."""
    setup: tuple[str, ...] = ()
    """Command lines that come before, once."""
    pane: str = ""
    """Key of the pane that has the focus; empty: the source."""


SITUATIONS = (
    Situation("start", "start"),
    Situation("middle", "50%"),
    Situation("end", "end"),
    Situation("points", "70%", ("break main", "break run if count == 5", "watch executed", "catch trap")),
    Situation("watches", "30%", ("display/x $sp", "display calls", "display heap", "display code", "display *locals")),
)
"""Keys are tried in all of them."""

QUICK = ("middle",)
"""And commands in these."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a key did in one situation; times in seconds."""

    size: str
    """Of the terminal: columns x rows."""
    situation: str
    """Where it was pressed."""
    name: str
    """Of the key, or the command line after a colon."""
    told: float | None = None
    """Until it answered, in the best of some tries: what the interface can do. None: there is nothing to answer."""
    busy: float = 0.0
    """CPU time of both processes until then."""
    first: float = 0.0
    """The same of the first try alone: nothing is known yet that it needs."""
    done: float = 0.0
    """Until the screen was complete."""
    silence: float = 0.0
    """Longest time without a sign of life."""

    @property
    def late(self) -> bool:
        """Whether no try was in time."""
        return self.told is not None and self.told > GOAL_S

    @classmethod
    def of(cls, size: str, situation: str, name: str, tries: Sequence[Answer]) -> Measured:
        """Return what some tries say."""
        seen = [(told, answer) for answer in tries if (told := answer.told) is not None]
        if not seen:
            return cls(size, situation, name)
        told, answer = min(seen, key=lambda pair: pair[0].at)
        busy = min(frame.busy for frame, _ in seen)
        return cls(size, situation, name, told.at, busy, seen[0][0].busy, answer.done, answer.silence)


class Results:
    """What was measured so far: in a file, so that a long tour can be made in pieces."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.rows: list[Measured] = []
        """In the order in which it was measured."""
        if path is not None and path.exists():
            self.rows = [Measured(**json.loads(line)) for line in path.read_text().splitlines()]

    def add(self, row: Measured) -> None:
        """Keep one more."""
        self.rows.append(row)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")

    def has(self, size: str, situation: str, name: str) -> bool:
        """Return whether a key was measured in a situation."""
        return any((row.size, row.situation, row.name) == (size, situation, name) for row in self.rows)


class TimeOver(Exception):
    """The time for this piece of the tour is over."""


class Tour:
    """One terminal on one trace."""

    def __init__(
        self,
        screen: Interface,
        results: Results,
        say: Callable[[str], None],
        *,
        tries: int,
        only: Sequence[str] = (),
        deadline: float = math.inf,
    ) -> None:
        self._screen, self._results, self._say = screen, results, say
        self._tries, self._only, self._deadline = tries, only, deadline
        self._size = spelled(screen.size)
        self._home = b""

    def line(self, text: str, patience: float = 20.0) -> Answer:
        """Run a command line."""
        self._screen.ask(b":" + text.encode(), patience=patience, quiet=0.06)
        return self._screen.ask(b"\r", patience=patience)

    def stand(self, situation: Situation) -> None:
        """Set a situation up."""
        for text in ("delete", "undisplay", *situation.setup):
            self.line(text)
        self._home = f"goto {situation.goto}".encode()
        self.again(situation)

    def again(self, situation: Situation) -> None:
        """Come back to where the situation is, whatever a key has done."""
        self._screen.send(CODES["escape"])
        time.sleep(0.12)  # or it were taken for the beginning of another key
        pane = situation.pane or "f2"
        back = b":" + self._home + b"\r" + CODES.get(pane, pane.encode()) + (b"" if situation.pane else b"1")
        self._screen.ask(back, patience=20.0, quiet=0.08)

    def measure(self, name: str, situation: Situation, press: Callable[[], Answer]) -> None:
        """Try a key until it was in time, a few times at most. Raises TimeOver."""
        if time.monotonic() > self._deadline:
            raise TimeOver
        self._say(f"{self._size}, {situation.name}: {name}")
        tries: list[Answer] = []
        for _ in range(self._tries):
            self.again(situation)
            answer = press()
            tries.append(answer)
            if not answer.ended:
                self._screen.ask(CODES["escape"], patience=10.0)
            if (told := answer.told) is None or told.at <= GOAL_S:
                break
        self._results.add(Measured.of(self._size, situation.name, name, tries))

    def press(self, key: Key) -> Callable[[], Answer]:
        """Return what presses a key and watches."""
        code = code_of(key)
        return lambda: self._screen.ask(code, patience=PATIENCE_S)

    def run(self, situations: Sequence[Situation], panes: Sequence[str]) -> None:
        """Try everything in some situations, and the keys of some panes; unless measured before. Raises TimeOver."""
        for situation in situations:
            keys = [key for key in KEYS if key.id not in UNMEASURED and key.scope in ("", "pane")]
            self._try(situation, keys, COMMANDS if situation.name in QUICK else ())
        own = {key.action.split("'")[1]: key.keys for key in KEYS if key.action.startswith("pane(")}
        for name in filter(None, panes):
            keys = [key for key in KEYS if key.scope in ("pane", name) or key.id in OF_LISTS]
            self._try(Situation(f"in {name}", "50%", pane=own[name].split(",")[0]), keys, ())

    def _try(self, situation: Situation, keys: Sequence[Key], commands: Sequence[str]) -> None:
        wanted = {key.id: self.press(key) for key in keys}
        for text in commands:
            wanted[f":{text}"] = lambda text=text: self.line(text, PATIENCE_S)  # type: ignore[misc]
        left = {
            name: press
            for name, press in wanted.items()
            if (not self._only or name in self._only) and not self._results.has(self._size, situation.name, name)
        }
        if left:
            self.stand(situation)
        for name, press in left.items():
            self.measure(name, situation, press)


def spelled(size: tuple[int, int]) -> str:
    """Return a size as people write it."""
    return f"{size[0]}x{size[1]}"


def code_of(key: Key) -> bytes:
    """Return what a terminal sends for a key of the table."""
    name = key.keys.split(",")[0]
    return CODES.get(name) or name.encode()


def report(size: str, rows: Sequence[Measured]) -> list[str]:
    """Return the table of one size."""
    by_name: dict[str, list[Measured]] = {}
    for row in rows:
        if row.size == size and row.told is not None:
            by_name.setdefault(row.name, []).append(row)
    lines = [
        f"{size}, in ms: until the first part of the answer; CPU time until then, and in the first try; all of it",
        f"{'':<28}{'min':>7}{'median':>7}{'max':>7}{'CPU':>7}{'first':>7}{'all':>8}{'silent':>8}",
    ]
    for name, found in by_name.items():
        told = sorted(1000 * row.told for row in found if row.told is not None)
        late = ", ".join(f"{row.situation} {1000 * row.told:.0f}" for row in found if row.told is not None and row.late)
        lines.append(
            f"{name:<28}{told[0]:7.0f}{statistics.median(told):7.0f}{told[-1]:7.0f}"
            f"{1000 * max(row.busy for row in found):7.0f}{1000 * max(row.first for row in found):7.0f}"
            f"{1000 * max(row.done for row in found):8.0f}{1000 * max(row.silence for row in found):8.0f}"
            + (f"  LATE: {late}" if late else "")
        )
    tried = sum(row.size == size for row in rows)
    answers = [row for found in by_name.values() for row in found]
    lates, slow = sum(row.late for row in answers), sum(row.busy > GOAL_S for row in answers)
    lines.append(
        f"{len(by_name)} keys and commands in {tried} situations, {len(answers)} of them with an answer: "
        f"{lates} late, {slow} by CPU time too"
    )
    return lines


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def main() -> int:
    """Measure every key and every command at some sizes; return 1 if any was late by its CPU time alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.keys", description=__doc__)
    parser.add_argument(
        "--trace", metavar="FILE", type=Path, help="walk in it, instead of one of 10 G steps made for it"
    )
    parser.add_argument("--size", metavar="WxH", action="append", help="of the terminal, more than once: 80x24 ...")
    parser.add_argument("--tries", type=int, default=3, help="of a key that is late (3)")
    parser.add_argument("--situations", default=",".join(s.name for s in SITUATIONS), help="where, with commas between")
    parser.add_argument("--panes", default=",".join(PANES), help="panes whose keys are tried, with commas between")
    parser.add_argument("--only", metavar="NAME", action="append", help="this key or :command, more than once")
    parser.add_argument("--results", metavar="FILE", type=Path, help="keep them there; what is there is not measured")
    parser.add_argument("--seconds", metavar="N", type=float, default=math.inf, help="end after so long")
    args = parser.parse_args()
    results, deadline = Results(args.results), time.monotonic() + args.seconds
    sizes = [tuple(map(int, size.split("x"))) for size in args.size] if args.size else SIZES
    situations = [situation for situation in SITUATIONS if situation.name in args.situations.split(",")]
    whole = True
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "run.rrt"
        if args.trace:
            trace.symlink_to(args.trace.resolve())  # bookmarks and notes go into the folder
        else:
            _say("recording 10 G steps")
            long_run(Path(folder), trace)
        for columns, rows in sizes:
            with Interface(trace, (columns, rows), Path(folder)) as screen:
                screen.settle(quiet=1.0)
                tour = Tour(screen, results, _say, tries=args.tries, only=args.only or (), deadline=deadline)
                try:
                    tour.run(situations, args.panes.split(","))
                except (KeyboardInterrupt, TimeOver):
                    whole = False
            _say("")
            print(*report(spelled((columns, rows)), results.rows), sep="\n", flush=True)
    if not whole:
        print("not everything was measured", file=sys.stderr)
    return int(any(row.busy > GOAL_S for row in results.rows))


def long_run(folder: Path, trace: Path) -> None:
    """Record 10 G steps of an interpreter: the bundled one with larger numbers to compute."""
    image = folder / "interp.elf"
    data = (BIN / "interp.elf").read_bytes()
    for old, new in ((b"push 30 call", b"push 36 call"), (b"push 60000", b"push 99999"), (b"push 1400", b"push 1999")):
        data = data.replace(old, new)
    image.write_bytes(data)
    with contextlib.chdir(BIN.parent.parent):
        assert rrdbg(["record", str(image), "-q", "-f", "-o", str(trace), "--no-input", "--embed-sources"]) == 0


if __name__ == "__main__":
    sys.exit(main())
