"""Argument types of the command line: sizes, counts and durations as people write them."""

from __future__ import annotations

import argparse
import re

_SIZE = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_COUNT = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_TIME_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}


def add_symbols(parser: argparse.ArgumentParser) -> None:
    """Add the option that names files with symbols; the value is what `rrdbg.open` takes as `symbols`."""
    parser.add_argument(
        "--symbols",
        "--debug-file",
        dest="symbols",
        action="append",
        default=[],
        metavar="FILE[@ADDRESS]",
        help="take symbols and debug information from this ELF file too, or names from a System.map; "
        "ADDRESS: where its .text was loaded, or the kernel",
    )


def size_bytes(text: str) -> int:
    """Parse a size in bytes: 4096, 128M, 1GiB."""
    match = re.fullmatch(r"(\d[\d_]*)\s*([kmg]?)(?:i?b)?", text.strip(), re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; try 4096, 128M or 1G")
    return int(match[1].replace("_", "")) * _SIZE[match[2].lower()]


def step_count(text: str) -> int:
    """Parse a number of steps: 1_000_000, 20k, 5M, 1G."""
    match = re.fullmatch(r"(\d[\d_]*)\s*([kmg]?)", text.strip(), re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of steps; try 1_000_000, 20k or 5M")
    return int(match[1].replace("_", "")) * _COUNT[match[2].lower()]


def natural(text: str) -> int:
    """Parse a number that is not negative: 0, 10_000."""
    if not re.fullmatch(r"\d[\d_]*", text.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; try 100")
    return int(text.replace("_", ""))


def duration_ns(text: str) -> int:
    """Parse a duration with its unit: 500ms, 2.5s, 10min."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|min)", text.strip())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; try 500ms, 2.5s or 10min")
    return round(float(match[1]) * _TIME_NS[match[2]])


def address(text: str) -> int:
    """Parse an address: 0x80000000 or decimal."""
    try:
        value = int(text.replace("_", ""), 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address; try 0x80000000")
    return value


def seed(text: str) -> int:
    """Parse a seed: an unsigned 64-bit number."""
    try:
        value = int(text.replace("_", ""), 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed; try a number below 2^64")
    return value


def until(text: str) -> tuple[str, int | str]:
    """Parse where a recording ends: ("icount", steps), ("virtual", ns) or ("text", pattern)."""
    if text.startswith("text:") and len(text) > 5:
        return "text", text[5:]
    for kind, parse in (("icount", step_count), ("virtual", duration_ns)):
        try:
            return kind, parse(text)
        except argparse.ArgumentTypeError:
            continue
    raise argparse.ArgumentTypeError(f"{text!r} is no end; try an icount (5M), virtual time (2.5s) or text:PATTERN")


def date_ns(text: str) -> int:
    """Parse a date, ISO 8601 and UTC unless it says otherwise, or `now`, into ns since 1970."""
    import time
    from datetime import UTC, datetime

    if text == "now":
        return time.time_ns()
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        date = None
    if date is None or (date := date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date since 1970; try 2026-01-31T12:00:00 or now")
    # integers only: a float has no room for ns
    delta = date - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000
