"""Make the pictures of the documentation: `python docs/make_screenshots.py`.

Records bundled guests into a temporary folder, walks along them as a user would, and writes `docs/screenshots/*.svg`
at the three sizes for which the interface is designed.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from rrdbg.cli.main import main as rrdbg
from rrdbg.tui.app import DebuggerApp
from rrdbg.tui.run import open_trace

PICTURES = Path(__file__).parent / "screenshots"

KEYS = """\
on "$ ": help\\n
on "$ ": echo what was printed by then is bright\\n
after 20ms: mem\\n
on "$ ": peek 0x80000000 4\\n
on "$ ": exit\\n
"""
"""What is typed at the shell."""


class Walk:
    """A user at the interface."""

    def __init__(self, app: DebuggerApp, pilot: Pilot[int]) -> None:
        self.app, self._pilot = app, pilot

    async def settle(self) -> None:
        """Wait until the screen shows what was asked for."""
        while self.app.view is None or not self.app.engine.idle:
            if self.app.failure is not None:
                raise self.app.failure
            await asyncio.sleep(0.02)
        await self._pilot.pause(0.1)

    async def press(self, *keys: str) -> None:
        """Press keys, each when the one before has done its work."""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 else key
            self.app.post_message(events.Key(name, key if len(key) == 1 else None))
            await self.settle()

    async def command(self, line: str) -> None:
        """Type a command line."""
        await self.type(":", line)

    async def type(self, key: str, line: str) -> None:
        """Press a key that asks for something, and type it."""
        await self.press(key)
        self.app.prompt_line.value = line
        await self.press("enter")


async def shell(walk: Walk) -> None:
    """Stand in the middle of what the user typed, zoomed in."""
    await walk.type("g", "goto 62%")
    await walk.press("+", "+", "+", "s", "s", "n")


async def storm(walk: Walk) -> None:
    """Stand in an interrupt handler, with interrupts, output and entropy around."""
    await walk.command("break timer_interrupt")
    await walk.command("goto 33%")
    await walk.press("c")
    await walk.type("m", "bookmark timer")
    await walk.press(*"+" * 12, *"ssss", "5")


async def heap(walk: Walk) -> None:
    """Stand at the write that damaged the heap, found backwards from the failure."""
    await walk.press("end")
    await walk.command("bookmark failure")
    await walk.command("tbreak heap_free")
    await walk.press("C")
    await walk.command("watch ((struct header *)memory - 1)->size")
    await walk.press("C")
    await walk.command("bookmark culprit")
    await walk.command("memory at")
    await walk.command("display at - to")
    await walk.command("display *(struct header *)at")
    await walk.command("info breakpoints")
    await walk.press("8", "1", "escape")


async def picture(trace: Path, size: tuple[int, int], walk: Callable[[Walk], Awaitable[None]]) -> str:
    """Return the screen after a walk, as SVG."""
    app = DebuggerApp(trace.name, lambda progress: open_trace(str(trace), progress))
    async with app.run_test(size=size) as pilot:
        user = Walk(app, pilot)
        await user.settle()
        await walk(user)
        before = ""
        while before != (now := app.export_screenshot(simplify=True, title=f"rrdbg tui {trace.name}")):
            before = now
            await pilot.pause(0.3)
        return now


def main() -> None:
    """Write all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "keys.txt"
        script.write_text(KEYS)
        for guest, size, walk, options in (
            ("shell", (80, 24), shell, ("--input-script", str(script))),
            ("storm", (120, 40), storm, ("--device", "virtio-rng", "--seed", "1", "--no-input")),
            ("heap", (200, 60), heap, ("--no-input",)),
        ):
            trace = folder / f"{guest}.rrt"
            rrdbg(["record", f"guest:{guest}", "-q", "-o", str(trace), "--rtc-base", "2026-01-01T00:00:00Z", *options])
            svg = asyncio.run(picture(trace, size, walk))
            # Rich names everything after a hash of the content: two letters do, and differences stay small.
            svg = re.sub(r"terminal-\d+", "tui", svg)
            (PICTURES / f"tui-{size[0]}x{size[1]}.svg").write_text(svg)


if __name__ == "__main__":
    main()
