"""Transcripts in the documentation: run again, compared, and brought up to date.

In blocks ```console, a line `$ rrdbg ...` is a command of the shell, a line `(rrdbg) ...` one at the prompt of the last
`$ rrdbg replay` or `$ rrdbg open`; what follows is what they print. `python -m tests.bugs.transcript docs/tutorial.md`
writes what they print now.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import rrdbg
from rrdbg.commands import Interpreter
from rrdbg.session.api import Session

BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```)", re.MULTILINE | re.DOTALL)
CHANGES = re.compile(r"in [\d.]+ s\b|[\d.]+ [KM]iB|\d+ snapshots?")
"""What is another in each recording: host time, the size of the file, and which snapshots it could afford."""


class Transcript:
    """Somebody who types what the documentation says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session: Session | None = None
        self.prompt: Interpreter | None = None

    def close(self) -> None:
        """End the session."""
        if self.session is not None:
            self.session.close()

    def answer(self, line: str) -> list[str]:
        """Return what a command prints."""
        if line.startswith("(rrdbg) "):
            assert self.prompt is not None, f"there is no session for {line}"
            return self.prompt.run(line.removeprefix("(rrdbg) ")).text.splitlines()
        words = shlex.split(line.removeprefix("$ "))
        assert words[0] == "rrdbg", line
        shown = self._shell([*words[1:], "-batch"]) if words[1] in ("replay", "open") else self._shell(words[1:])
        if words[1] in ("replay", "open"):
            self.close()
            self.session = rrdbg.open(self.folder / words[2])
            self.prompt = Interpreter(self.session)
            if words[1] == "open":
                self.session.land()
        return shown

    def _shell(self, args: list[str]) -> list[str]:
        command = [sys.executable, "-m", "rrdbg.cli.main", *args]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        return done.stdout.splitlines()


def refreshed(text: str) -> str:
    """Return a document with its transcripts as they are now."""
    with tempfile.TemporaryDirectory() as folder:
        typed = Transcript(Path(folder))
        with contextlib.chdir(folder), contextlib.closing(typed):
            return BLOCK.sub(lambda match: _block(typed, match[0]), text)


def _block(typed: Transcript, block: str) -> str:
    lines: list[str] = []
    for part in re.findall(r"^(?:\$|\(rrdbg\)) .*\n(?:(?!\$ |\(rrdbg\) ).*\n)*", block, re.MULTILINE):
        command, *shown = part.splitlines()
        now = typed.answer(command)
        lines += [command, *(shown if _lasting(shown) == _lasting(now) else now)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _lasting(lines: list[str]) -> list[str]:
    return [CHANGES.sub("...", line.rstrip()) for line in lines]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")
