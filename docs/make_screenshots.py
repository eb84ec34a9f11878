"""Make the pictures of the documentation: `python docs/make_screenshots.py TRACE.rrt`.

Drives the terminal interface on a real trace, at the three sizes that it is designed for, and writes
`docs/screenshots/tui-WxH.svg`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rrdbg.tui.app import DebuggerApp
from rrdbg.tui.run import open_trace

HERE = Path(__file__).parent / "screenshots"

WALK = ("end", "left", "left", "S", "S", "s")
"""Keys pressed before the picture is taken: near the end of the run, after a few steps."""


async def picture(trace: Path, size: tuple[int, int], keys: tuple[str, ...]) -> str:
    """Return the screen after some keys, as SVG."""
    app = DebuggerApp(trace.name, lambda progress: open_trace(str(trace), progress))
    async with app.run_test(size=size) as pilot:

        async def settle() -> None:
            while app.view is None or not app.engine.idle:
                if app.failure is not None:
                    raise app.failure
                await asyncio.sleep(0.02)
            await pilot.pause(0.1)

        await settle()
        for key in keys:
            await pilot.press(key)
            await settle()
        return app.export_screenshot(simplify=True, title=f"rrdbg tui {trace.name}")


def main() -> None:
    """Write all pictures."""
    trace = Path(sys.argv[1])
    HERE.mkdir(exist_ok=True)
    for width, height in ((80, 24), (120, 40), (200, 60)):
        svg = asyncio.run(picture(trace, (width, height), WALK))
        (HERE / f"tui-{width}x{height}.svg").write_text(svg)


if __name__ == "__main__":
    main()
