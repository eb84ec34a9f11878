"""What the kit found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one check."""

    check: str
    """Name of the check."""
    ok: bool | None
    """True: kept; False: broken; None: not run, because a check that it builds on failed."""
    text: str
    """What was looked at, or what is wrong and where."""
    hint: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        word = {True: "ok  ", False: "FAIL", None: "--  "}[self.ok]
        return f"{word}  {self.check:<13}  {self.text}" + (f"\n      {'':<13}  {self.hint}" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Report:
    """Outcome of all checks of one device."""

    device: str
    """What was checked, as the user named it."""
    seed: int
    """Seed of the traffic."""
    steps: int
    """Accesses and other happenings in the traffic."""
    results: tuple[Result, ...]
    """The checks, in order."""

    @property
    def ok(self) -> bool:
        """True if the device keeps the contract."""
        return all(result.ok for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {**asdict(self), "ok": self.ok}
