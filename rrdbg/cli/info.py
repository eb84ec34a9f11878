"""`rrdbg info`: what a trace holds, in a screenful or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rrdbg_core.errors import ExitCode

from rrdbg.cli.terminal import count, size, virtual
from rrdbg.symbols.escape import harmless

if TYPE_CHECKING:
    from rrdbg_core.trace import Trace

NOT_ENDED = "not ended: the recorder was killed or is still running"


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "info",
        help="say what a trace holds",
        description="Say what a trace holds: the machine, the images, how far it goes, how it ended, what was lost.",
        **kwargs,
    )
    parser.add_argument("trace", help="a .rrt file")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print what the trace holds."""
    from rrdbg_core.trace import Trace

    with Trace.open(args.trace) as trace:
        values = gather(trace)
        print(json.dumps(values, indent=2) if args.json else "\n".join(_lines(values)))
        return say_damage(trace)


def say_damage(trace: Trace) -> int:
    """Say on stderr what was lost, and return the exit code: a torn end is no error, wrong bytes are."""
    if trace.damage:
        print(f"rrdbg: {trace.path}: {trace.damage}", file=sys.stderr)
    return ExitCode.BAD_TRACE if trace.corrupt else ExitCode.OK


def gather(trace: Trace) -> dict[str, Any]:
    """Return what a trace holds, as values that JSON can hold."""
    manifest = trace.manifest
    steps = trace.end_icount - trace.start_icount
    kinds = Counter(trace.size_by_kind)
    epochs = trace.epochs
    ending = trace.ending
    virtual_ns, exact = _virtual_ns(trace)
    return {
        "trace": str(trace.path),
        "file_id": trace.file_id.hex(),
        "format": trace.format_version,
        "created": manifest.created,
        "creator": manifest.creator,
        "parent": manifest.parent.values() if manifest.parent else None,
        "machine": _without(manifest.config.values(), "images", "devices"),
        "images": [image.values() | {"size": len(trace.images[image.digest])} for image in manifest.config.images],
        "sources": [
            {"name": ref.name, "size": len(trace.images[ref.digest])}
            for ref in manifest.sources
            if ref.digest in trace.images
        ],
        "devices": [_without(device.values(), "source") for device in manifest.config.devices],
        "media": {name: asdict(info) for name, info in trace.media.items()},
        "start_icount": trace.start_icount,
        "end_icount": trace.end_icount,
        "steps": steps,
        "virtual_ns": virtual_ns,
        "virtual_ns_is_exact": exact,
        "ended": ending.reason if ending else None,
        "exit_code": ending.exit_code if ending else None,
        "recording": trace.recording,
        "events": len(trace.events),
        "events_by_kind": dict(sorted(Counter(event.kind.name.lower() for event in trace.events).items())),
        "events_by_device": dict(sorted(Counter(event.device for event in trace.events if event.device).items())),
        "snapshots": len(trace.snapshots),
        "digests": len(trace.digests),
        "check_words": len(trace.checks),
        "index": {
            "epochs": len(epochs),
            "exceptions": sum(int(epoch.exceptions.sum()) for epoch in epochs),
            "interrupts": sum(int(epoch.interrupts.sum()) for epoch in epochs),
            "console_bytes": sum(len(data) for epoch in epochs for _, data in epoch.console),
        },
        "size": trace.size,
        "size_by_kind": dict(kinds.most_common()),
        "bytes_per_million_steps": round(trace.size / steps * 1e6, 1) if steps else None,
        "journal_bytes_per_million_steps": round(kinds["journal"] / steps * 1e6, 1) if steps else None,
        "damage": trace.damage,
    }


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _virtual_ns(trace: Trace) -> tuple[int, bool]:
    """Return the virtual time at the end, and whether it is known exactly: what is lost may hold more idle time."""
    if trace.ending and trace.ending.virtual_ns is not None:
        return trace.ending.virtual_ns, True
    warps = [trace.events[-1].warp_ns] if trace.events else []
    if trace.snapshots:
        warps += [int(word) for word in trace.snapshots[-1].state.get("mach", [])[1:2]]
    return (trace.end_icount << trace.manifest.config.shift) + max(warps, default=0), False


def _lines(values: dict[str, Any]) -> list[str]:
    machine, index = values["machine"], values["index"]
    entropy = f"seed {machine['seed']}" if machine["seed"] is not None else "the host's entropy"
    rows = [
        ("trace", f"{values['trace']}, format version {values['format']}"),
        ("recorded", " by ".join(part for part in (values["created"], values["creator"]) if part) or "?"),
        (
            "machine",
            f"{machine['machine']}, {size(machine['ram_bytes'])} of RAM, {machine['harts']} hart, "
            f"{1 << machine['shift']} ns per step, {entropy}",
        ),
    ]
    for image in values["images"]:
        rows.append(("image", f"{image['name']}: {image['kind']}, {count(image['size'])} bytes, {image['digest']}"))
    if values["sources"]:
        total = sum(source["size"] for source in values["sources"])
        rows.append(("sources", f"{count(len(values['sources']))} files, {size(total)}"))
    for device in values["devices"]:
        at = f"in slot {device['slot']}" if device["slot"] is not None else f"at 0x{device['address'] or 0:x}"
        rows.append(("device", f"{device['name']}: {device['kind']} {at}{_drive(device, values['media'])}"))
    if values["parent"]:
        rows.append(("parent", f"{values['parent']['file_id']} at icount {count(values['parent']['icount'])}"))
    about = "" if values["virtual_ns_is_exact"] else "at least "
    span = f", from {count(values['start_icount'])} to {count(values['end_icount'])}" if values["start_icount"] else ""
    rows += [
        ("steps", f"{count(values['steps'])}{span}; {about}{virtual(values['virtual_ns'])} of virtual time"),
        ("ended", _ended(values)),
        ("events", _counted(values["events"], values["events_by_kind"])),
        (
            "holds",
            f"{_number(values['snapshots'], 'snapshot')}, {_number(values['digests'], 'digest')}, "
            f"{_number(values['check_words'], 'check word')}",
        ),
        (
            "index",
            f"{_number(index['epochs'], 'epoch')}: {_number(index['exceptions'], 'exception')}, "
            f"{_number(index['interrupts'], 'interrupt')}, {_number(index['console_bytes'], 'byte')} of console output",
        ),
        ("size", size(values["size"]) + _rate(values["bytes_per_million_steps"])),
    ]
    for kind, part in values["size_by_kind"].items():
        rate = _rate(values["journal_bytes_per_million_steps"]) if kind == "journal" else ""
        rows.append(("", f"{kind:<10}{size(part):>12}  {part / values['size']:6.1%}{rate}"))
    return [f"{label:<10}{harmless(text)}" for label, text in rows]


def _drive(device: dict[str, Any], media: dict[str, Any]) -> str:
    """Return what is in a block device, and how much of it the trace holds."""
    drive = device["drive"]
    if drive is None:
        return ""
    held = media.get(device["name"], {"blocks": 0, "unreadable": 0})
    how = ", read-only" if drive["readonly"] else ""
    lost = f", {count(held['unreadable'])} of them unreadable" if held["unreadable"] else ""
    return (
        f", {drive['name']} of {size(drive['size_bytes'])}{how}; {_number(held['blocks'], 'block')} of 4 KiB read{lost}"
    )


def _number(n: int, what: str) -> str:
    return f"{count(n)} {what}{'' if n == 1 else 's'}"


def _ended(values: dict[str, Any]) -> str:
    if values["ended"] is None:
        return "not yet: it is being recorded" if values["recording"] else NOT_ENDED
    code = values["exit_code"]
    return f"{values['ended']}" + (f", the guest's exit code is {code}" if code is not None else "")


def _counted(total: int, parts: dict[str, int]) -> str:
    return count(total) + (": " + ", ".join(f"{count(n)} {kind}" for kind, n in parts.items()) if parts else "")


def _rate(rate: float | None) -> str:
    return f", {rate:_} bytes per million steps" if rate is not None else ""
