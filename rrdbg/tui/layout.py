"""Where the panes go: one pure function from the size of the screen to regions, and the Textual layout that applies it.

Each slot of the screen holds one or more panes; the slot shows one of them and names the others in its title. Small
screens have few slots with many panes, large ones show nearly everything at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.geometry import NULL_OFFSET, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement

if TYPE_CHECKING:
    from textual.widget import Widget

PANES = ("code", "registers", "memory", "console", "events", "marks", "csrs", "log")
"""All panes, in the order of their number keys and of the tab order."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A rectangle of the screen and the panes that share it."""

    region: Region
    """Cells, relative to the area of the panes."""
    panes: tuple[str, ...]
    """Pane ids; the first one is shown until another is chosen."""


def plan(width: int, height: int) -> tuple[Slot, ...]:
    """Return the slots of an area of `width` x `height` cells."""
    if width < 100 or height < 20:
        return _compact(width, height)
    if width < 170:
        return _normal(width, height)
    return _wide(width, height)


def _compact(width: int, height: int) -> tuple[Slot, ...]:
    # 80x24: code and registers stay visible, the rest takes turns below them.
    below = min(max(height * 2 // 5, 5), 14) if height >= 11 else 0
    above = height - below
    registers = 42 if width >= 76 else width // 2
    rest = ("console", "memory", "events", "marks", "csrs", "log")
    if not below:
        return (Slot(Region(0, 0, width, height), ("code", "registers", *rest)),)
    return (
        Slot(Region(0, 0, width - registers, above), ("code",)),
        Slot(Region(width - registers, 0, registers, above), ("registers",)),
        Slot(Region(0, above, width, below), rest),
    )


def _normal(width: int, height: int) -> tuple[Slot, ...]:
    above = max(height * 11 // 20, min(18, height - 8))
    left = width - max(width * 2 // 5, 46)
    return (
        Slot(Region(0, 0, left, above), ("code",)),
        Slot(Region(left, 0, width - left, above), ("registers", "csrs")),
        Slot(Region(0, above, left, height - above), ("console", "log")),
        Slot(Region(left, above, width - left, height - above), ("memory", "events", "marks")),
    )


def _wide(width: int, height: int) -> tuple[Slot, ...]:
    above = height * 11 // 20
    below = height - above
    middle, right = 46, max(width * 2 // 5, 78)
    left = width - middle - right
    upper = min(above, 18)
    return (
        Slot(Region(0, 0, left, above), ("code",)),
        Slot(Region(left, 0, middle, upper), ("registers",)),
        Slot(Region(left, upper, middle, above - upper), ("csrs",)),
        Slot(Region(left + middle, 0, right, above), ("memory",)),
        Slot(Region(0, above, left, below), ("console",)),
        Slot(Region(left, above, middle, below), ("marks",)),
        Slot(Region(left + middle, above, right, below), ("events", "log")),
    )


class DeckLayout(Layout):
    """Places every shown pane in its slot; the maximised one gets everything."""

    name: ClassVar[str] = "deck"

    def __init__(self) -> None:
        self.slots: tuple[Slot, ...] = ()
        """The slots of the last arrangement."""
        self.chosen: dict[int, str] = {}
        """Pane shown by slot number, where it is not the first one."""
        self.maximised: str | None = None
        """The pane that covers all others, if any."""

    def measure(self, size: Size) -> None:
        """Take a new size of the area."""
        slots = plan(max(size.width, 1), max(size.height, 1))
        if [slot.panes for slot in slots] != [slot.panes for slot in self.slots]:
            shown = self.shown().values()
            self.chosen = {i: p for i, slot in enumerate(slots) for p in slot.panes[1:] if p in shown and i > 0}
        self.slots = slots

    def slot_of(self, pane: str) -> int:
        """Return the number of the slot that holds a pane."""
        return next(i for i, slot in enumerate(self.slots) if pane in slot.panes)

    def choose(self, pane: str) -> None:
        """Show a pane in its slot."""
        self.chosen[self.slot_of(pane)] = pane
        if self.maximised is not None:
            self.maximised = pane

    def shown(self) -> Mapping[int, str]:
        """Return the visible pane of each slot."""
        if self.maximised is not None:
            return {0: self.maximised}
        return {
            i: self.chosen[i] if self.chosen.get(i) in slot.panes else slot.panes[0]
            for i, slot in enumerate(self.slots)
        }

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        """Return the placement of the visible panes."""
        parent.pre_layout(self)
        self.measure(size)
        by_id = {child.id: child for child in children}
        if self.maximised is not None:
            regions = {self.maximised: Region(0, 0, size.width, size.height)}
        else:
            regions = {pane: self.slots[number].region for number, pane in self.shown().items()}
        return [
            WidgetPlacement(region, NULL_OFFSET, by_id[pane].styles.margin, by_id[pane])
            for pane, region in regions.items()
            if pane in by_id
        ]
