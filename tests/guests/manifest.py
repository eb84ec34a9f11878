"""The guests' manifest, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GUESTS = Path(__file__).resolve().parents[2] / "guests"
BIN = GUESTS / "bin"
ROWS: dict[str, dict[str, Any]] = {
    row["name"]: row for row in json.loads((BIN / "MANIFEST.json").read_text(encoding="utf-8"))["guests"]
}
LONG = {name for name, row in ROWS.items() if row["steps"] > 500_000_000}
"""Guests that run for seconds."""


def elf(name: str) -> Path:
    """Return the path of a guest."""
    return BIN / f"{name}.elf"
