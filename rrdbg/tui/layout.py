"""Where the panes go: one pure function from the size of the screen to regions, and the Textual layout that applies it.

Each slot of the screen holds one or more panes; the slot shows one of them and names the others in its title. Small
screens have few slots with many panes, large ones show nearly everything at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from rrdbg_core.frozen import Frozen
from textual.geometry import NULL_OFFSET, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement

if TYPE_CHECKING:
    from textual.widget import Widget

PANES = (
    "source", "code", "stack", "locals", "watches", "registers", "memory", "console", "events", "marks", "breaks",
    "diff", "csrs", "log",
)  # fmt: skip
"""All panes, in tab order."""


class Slot(Frozen):
    """A rectangle of the screen and the panes that share it."""

    region: Region
    """Cells, relative to the area of the panes."""
    panes: tuple[str, ...]
    """Pane ids; the first one is shown until another is chosen."""


def plan(width: int, height: int, program: bool = False) -> tuple[Slot, ...]:
    """Return the slots of an area of `width` x `height` cells.

    Args:
        width: Of the area.
        height: Of the area.
        program: Whether the guest's program is known: source, stack and variables then come before the machine.
    """
    if width < 100 or height < 20:
        return _compact(width, height, program)
    if width < 170 or height < 36:
        return _normal(width, height, program)
    return _wide(width, height, program)


def _compact(width: int, height: int, program: bool) -> tuple[Slot, ...]:
    # 80x24: the code and one pane beside it stay visible, the rest takes turns below them.
    below = min(max(height * 2 // 5, 5), 14) if height >= 11 else 0
    above = height - below
    code = ("source", "code") if program else ("code", "source")
    beside: tuple[str, ...]
    rest: tuple[str, ...]
    if program:
        beside, aside = ("locals", "stack", "watches"), 34 if width >= 76 else width // 2
        rest = ("console", "registers", "memory", "events", "marks", "breaks", "diff", "csrs", "log")
    else:
        beside, aside = ("registers", "stack", "locals", "watches"), 42 if width >= 76 else width // 2
        rest = ("console", "memory", "events", "marks", "breaks", "diff", "csrs", "log")
    if not below:
        return (Slot(Region(0, 0, width, height), (*code, *beside, *rest)),)
    return (
        Slot(Region(0, 0, width - aside, above), code),
        Slot(Region(width - aside, 0, aside, above), beside),
        Slot(Region(0, above, width, below), rest),
    )


def _normal(width: int, height: int, program: bool) -> tuple[Slot, ...]:
    above = max(height * 11 // 20, min(18, height - 8))
    aside = max(width * 2 // 5, 46)
    left = width - aside
    if not program:
        return (
            Slot(Region(0, 0, left, above), ("code", "source")),
            Slot(Region(left, 0, aside, above), ("registers", "stack", "locals", "csrs")),
            Slot(Region(0, above, left, height - above), ("console", "log", "diff")),
            Slot(Region(left, above, aside, height - above), ("memory", "events", "marks", "breaks", "watches")),
        )
    stack = max(height // 4, 5)
    variables = max(height // 3, 6)
    rest = height - stack - variables
    return (
        Slot(Region(0, 0, left, above), ("source", "code")),
        Slot(Region(left, 0, aside, stack), ("stack", "breaks")),
        Slot(Region(left, stack, aside, variables), ("locals", "watches", "diff")),
        Slot(Region(left, stack + variables, aside, rest), ("registers", "memory", "events", "marks", "csrs")),
        Slot(Region(0, above, left, height - above), ("console", "log")),
    )


def _wide(width: int, height: int, program: bool) -> tuple[Slot, ...]:
    above = height * 11 // 20
    below = height - above
    middle, right = 46, max(width * 2 // 5, 78)
    left = width - middle - right
    upper = min(above, 18)
    if not program:
        return (
            Slot(Region(0, 0, left, above), ("code", "source")),
            Slot(Region(left, 0, middle, upper), ("registers",)),
            Slot(Region(left, upper, middle, above - upper), ("csrs", "locals", "watches")),
            Slot(Region(left + middle, 0, right, above), ("memory",)),
            Slot(Region(0, above, left, below), ("console",)),
            Slot(Region(left, above, middle, below), ("marks", "breaks", "stack")),
            Slot(Region(left + middle, above, right, below), ("events", "log", "diff")),
        )
    middle = 48
    left = width - middle - right
    source = height * 3 // 5
    code = max(height - 19 - max(height // 4, 8), 8)
    registers = min(19, height - code - 4)
    stack, variables, watches = height // 6, height // 4, height // 6
    rest = height - stack - variables - watches
    memory = rest // 2
    top = [0, stack, stack + variables, stack + variables + watches]
    return (
        Slot(Region(0, 0, left, source), ("source",)),
        Slot(Region(left, 0, middle, code), ("code",)),
        Slot(Region(left + middle, top[0], right, stack), ("stack",)),
        Slot(Region(left + middle, top[1], right, variables), ("locals",)),
        Slot(Region(left + middle, top[2], right, watches), ("watches", "breaks", "marks")),
        Slot(Region(left, code, middle, registers), ("registers",)),
        Slot(Region(left + middle, top[3], right, memory), ("memory", "diff")),
        Slot(Region(0, source, left, height - source), ("console",)),
        Slot(Region(left, code + registers, middle, height - code - registers), ("csrs",)),
        Slot(Region(left + middle, top[3] + memory, right, rest - memory), ("events", "log")),
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
        self._picked: list[str] = []
        self.program = False
        """Whether the guest's program is known."""

    def measure(self, size: Size) -> None:
        """Take a new size of the area."""
        slots = plan(max(size.width, 1), max(size.height, 1), self.program)
        if [slot.panes for slot in slots] != [slot.panes for slot in self.slots]:
            # What was asked for stays on the screen; where two of it share a slot now, what was asked for last.
            where = {pane: i for i, slot in enumerate(slots) for pane in slot.panes}
            self.chosen = {where[pane]: pane for pane in self._picked}
        self.slots = slots

    def know_program(self, known: bool) -> None:
        """Take whether the guest's program is known."""
        self.program = known

    def slot_of(self, pane: str) -> int:
        """Return the number of the slot that holds a pane."""
        return next(i for i, slot in enumerate(self.slots) if pane in slot.panes)

    def choose(self, pane: str) -> None:
        """Show a pane in its slot."""
        self._picked = [*(other for other in self._picked if other != pane), pane]
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
