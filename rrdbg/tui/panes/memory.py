"""Guest memory in hex and ASCII around an address, with the bytes that changed since the previous stop marked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import ClassVar

from textual.message import Message

from rrdbg.tui.model import BLOCK, Compared, Memory
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import ascii_column, visible

REACH = 1 << 16
"""Bytes that can be scrolled to on each side of the address."""


class MemoryPane(Pane):
    """A window of guest memory. Asks for the blocks that scroll into view."""

    NAME = "Memory"
    EMPTY = "press x and type an address, a symbol or a register"
    SELECTS: ClassVar[bool] = False

    class Wanted(Message):
        """Blocks are on the screen whose content is not known."""

        def __init__(self, blocks: tuple[int, ...]) -> None:
            self.blocks = blocks
            """Start addresses."""
            super().__init__()

    def __init__(self) -> None:
        super().__init__(id="memory")
        self.expression = ""
        """What the user asked for; evaluated again at each stop."""
        self.address: int | None = None
        """Where it is now."""
        self._now = Memory(0)
        self._before = Memory(0)
        self._against: list[tuple[int, int]] | None = None
        self._top = 0

    def look(self, expression: str, address: int) -> None:
        """Show memory at an address; scrolls only when the address is new."""
        moved = address != self.address
        self.expression, self.address = expression, address
        self._top = max(address - REACH, 0) & -16
        note = f"{visible(expression)}={address:x}" if not expression.startswith("0x") else f"{address:x}"
        self.retitle(note)
        self.update()
        if moved:
            self.call_after_refresh(self._centre)
        self.want()

    def _centre(self) -> None:
        if self.address is not None:
            row = (self.address - self._top) // self._per_row()
            self.scroll_to_row(row - 1)
            self.want()

    def on_resize(self) -> None:
        """Keep the address in view: the bytes of a row depend on the width."""
        super().on_resize()
        self.call_after_refresh(self._centre)

    def show(self, position: int) -> None:
        """Move the cursor: what was known becomes what is compared with."""
        if position != self._now.position:
            if self._now.blocks:
                self._before = self._now
            self._now = Memory(position)
        self.want()

    def compare(self, compared: Compared | None) -> None:
        """Take what differs from the position compared with; None: the last stop is it."""
        self._against = None
        if compared is not None:
            self._against = sorted((change.address, change.address + len(change.new)) for change in compared.memory)
        self.redraw()

    def _changed(self, address: int, value: int | None) -> bool:
        if self._against is not None:
            at = bisect_right(self._against, (address, 1 << 64)) - 1
            return at >= 0 and address < self._against[at][1]
        before = self._byte(self._before, address)
        return value is not None and before is not None and value != before

    def take(self, memory: Memory) -> None:
        """Take blocks that were wanted."""
        if memory.position == self._now.position:
            self._now = Memory(memory.position, {**self._now.blocks, **memory.blocks})
            self.redraw()

    def visible_blocks(self) -> Iterable[int]:
        """Yield the start addresses of the blocks on the screen."""
        if self.address is None:
            return
        start = self._top + self.scroll_offset.y * self._per_row()
        stop = start + max(self.scrollable_content_region.height, 1) * self._per_row()
        yield from range(start & -BLOCK, stop, BLOCK)

    def missing(self) -> tuple[int, ...]:
        """Return the blocks on the screen that nobody has brought yet."""
        return tuple(block for block in self.visible_blocks() if block not in self._now.blocks)

    def want(self) -> None:
        """Ask for what the screen shows and nobody has brought yet."""
        missing = self.missing()
        if missing:
            self.post_message(self.Wanted(missing))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for what scrolled into view."""
        super().watch_scroll_y(old_value, new_value)
        self.want()

    def _per_row(self) -> int:
        width = self.scrollable_content_region.width
        return 16 if width >= 10 + 16 * 3 + 1 + 16 else 8

    def count(self) -> int:
        """Return the number of rows that can be scrolled to."""
        return 0 if self.address is None else 2 * REACH // self._per_row()

    def _byte(self, memory: Memory, address: int) -> int | None:
        block = memory.blocks.get(address & -BLOCK)
        return block[address % BLOCK] if block is not None and address % BLOCK < len(block) else None

    def line(self, index: int, width: int) -> Parts:
        """Return one row."""
        per_row = self._per_row()
        start = self._top + index * per_row
        here = self.address is not None and start <= self.address < start + per_row
        parts: Parts = [(f"{start:08x} ", self.style("current") if here else self.style("address"))]
        data = []
        for address in range(start, start + per_row):
            value = self._byte(self._now, address)
            known = start & -BLOCK in self._now.blocks
            text = f"{value:02x}" if value is not None else ("--" if known else "··")
            style = self.style("dim" if not value else "text")
            if self._changed(address, value):
                style = self.style("changed")
            elif address == self.address:
                style = self.style("accent")
            parts.append(((" " if address % 8 else "  ")[: 1 + (address % 8 == 0 and address != start)] + text, style))
            data.append(value if value is not None else 0)
        parts.append(("  " + ascii_column(bytes(data)), self.style("string")))
        return parts
