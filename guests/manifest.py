"""Write bin/MANIFEST.json: what each guest is for, its hash, and what it prints and how it ends on rrdbg.

The purpose is the first line of the source. What a run gives is measured only for a guest whose ELF has changed (or
for all with --all), and needs rrdbg; a run has no input and no devices beside those of the board. `make guests` calls
this.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "bin" / "MANIFEST.json"
LIMIT = 3_000_000_000
"""Steps after which a guest would not end any more."""
MAX_TEXT = 1500
"""Longer output, or what is no text, is kept as its hash alone."""
TIMED = {
    "race",
    "shell",
    "storm",
    "tiny/garbage",
    "tiny/idle",
    "bugs/data-race",
    "bugs/lost-interrupt",
    "bugs/wrong-csr-bit",
}
"""What these print or how they end depends on time or input."""
SUPERVISOR = {
    f"tiny/{name}"
    for name in ("codedata", "fetchcross", "mprv", "nested", "pagecross", "paging", "ptes", "stimer", "superpage")
}
"""These want a hart with S mode."""


def main() -> int:
    """Bring the manifest up to date."""
    old = {row["name"]: row for row in json.loads(MANIFEST.read_text())["guests"]} if MANIFEST.exists() else {}
    rows = []
    for elf in sorted(HERE.glob("bin/**/*.elf"), key=lambda path: (len(path.parts), path)):
        name = str(elf.relative_to(HERE / "bin").with_suffix(""))
        digest = hashlib.sha256(elf.read_bytes()).hexdigest()
        row = old.get(name, {})
        if row.get("sha256") != digest or "--all" in sys.argv:
            print(f"measuring {name}", file=sys.stderr)
            row = {"name": name, "purpose": "", "sha256": digest, **measure(elf)}
        row["purpose"] = purpose(name)
        rows.append(row)
    MANIFEST.write_text(json.dumps({"guests": rows}, indent=1) + "\n")
    return 0


def purpose(name: str) -> str:
    """Return the first line of a guest's source."""
    line = (HERE / f"{name}.c").read_text().split("\n", 1)[0]
    return line.removeprefix("// ").removeprefix(f"{name}: ")


def measure(elf: Path) -> dict[str, Any]:
    """Run a guest and return what it did."""
    try:
        from rrdbg_core.machine.config import ImageRef, MachineConfig
        from rrdbg_core.machine.machine import Machine
        from rrdbg_core.machine.source import FOREVER, ReplaySource
    except ImportError:
        sys.exit("to measure guests, rrdbg must be installed: make setup, or make PYTHON=... guests")
    name = str(elf.relative_to(HERE / "bin").with_suffix(""))
    privilege = "msu" if name in SUPERVISOR else "mu"
    image = ImageRef(kind="elf", digest="image", name=elf.name)
    config = MachineConfig(isa="rv64gc", privilege=privilege, images=(image,))
    machine = Machine(config, {"image": elf.read_bytes()}, ReplaySource([], FOREVER))
    output = bytearray()
    machine.on_console = lambda _, data: output.extend(data)
    reason = machine.run(LIMIT)
    return {
        **({"privilege": privilege} if name in SUPERVISOR else {}),
        "timed": name in TIMED,
        "end": reason.value,
        "exit_code": machine.exit_code,
        "steps": machine.icount,
        "output_sha256": hashlib.sha256(output).hexdigest(),
        "output": output.decode() if output.isascii() and len(output) <= MAX_TEXT else None,
    }


if __name__ == "__main__":
    sys.exit(main())
