"""`rrdbg dump`: the chunks of a trace, and what is in them. It also looks into traces that cannot be replayed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.cli.terminal import count
from rrdbg.symbols.escape import harmless, harmless_bytes

if TYPE_CHECKING:
    from rrdbg_core.trace.frame import Chunk
    from rrdbg_core.trace.scan import ChunkFile

_ROW = "{:>5} {:>12} {:<9} {:>10} {:>10} {:>16} {:>16}  {}"
_WIDTH = 16
_MAX_PAGES = 1 << 32


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "dump",
        help="list the chunks of a trace, or decode some",
        description="List every chunk of a trace: number, offset, kind, bytes in the file, bytes of its content, first "
        "and last icount, and what it holds. With chunk numbers, decode everything in those. docs/format.md "
        "explains the fields.",
        **kwargs,
    )
    parser.add_argument("trace", help="a .rrt file")
    parser.add_argument("chunk", nargs="*", type=int, metavar="CHUNK", help="number of a chunk to decode")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    _take_options_anywhere(parser)
    return parser


def _take_options_anywhere(parser: argparse.ArgumentParser) -> None:
    """Allow `dump TRACE --json 3`: before Python 3.13, argparse takes the chunks to be none when an option follows."""
    parse = parser.parse_known_args

    def options_first(args: Any = None, namespace: Any = None) -> Any:
        # none of the options has a value
        return parse(sorted(args, key=lambda arg: not arg.startswith("-")), namespace)

    parser.parse_known_args = options_first  # type: ignore[method-assign]


def run(args: argparse.Namespace) -> int:
    """List or decode chunks."""
    from rrdbg_core.trace.scan import ChunkFile

    wanted = frozenset(args.chunk)
    missing = set(wanted)
    file = ChunkFile(args.trace)
    code = ExitCode.OK
    try:
        if not wanted and not args.json:
            print(_ROW.format("chunk", "offset", "kind", "bytes", "content", "first", "last", "holds"))
        for row in _rows(file, wanted):
            if "error" in row:
                code = ExitCode.BAD_TRACE
                print(f"rrdbg: {file.shown}: {row['where']}: {row['error']}", file=sys.stderr)
            if wanted and row["chunk"] not in wanted:
                continue
            missing.discard(row["chunk"])
            where = row.pop("where")
            if args.json:
                print(json.dumps(row))
            elif wanted:
                print("\n".join([harmless(where), *_render(row.get("contents", {}), "  ")]))
            else:
                print(_line(row))
        return max(code, _finish(file, missing))
    finally:
        file.close()


def _finish(file: ChunkFile, missing: set[int]) -> int:
    """Say what was lost; complain about chunks that are not there."""
    code = ExitCode.OK
    if file.fault and not (file.cut_off and file.recording):
        lost = file.size - file.offset
        print(
            f"rrdbg: {file.shown}: chunk {file.number} at offset {file.offset} {file.fault}; the last {lost} bytes of "
            "the file are lost",
            file=sys.stderr,
        )
        if not file.cut_off:
            code = ExitCode.BAD_TRACE
    if missing:
        raise RrdbgError(
            f"there is no chunk {min(missing)} in {file.shown}",
            hint=f"it has chunks 0 to {file.number - 1}" if file.number else "it has no whole chunk",
            exit_code=ExitCode.NOT_FOUND,
        )
    return code


def _rows(file: ChunkFile, wanted: frozenset[int]) -> Iterator[dict[str, Any]]:
    """Return each chunk as values that JSON can hold, the wanted ones decoded."""
    from rrdbg_core.trace import describe
    from rrdbg_core.trace.frame import unpack
    from rrdbg_core.trace.varint import Malformed

    pages = _MAX_PAGES
    for chunk, stored in file.walk():
        row = _header(chunk)
        try:
            payload = unpack(chunk, stored)
            row["holds"] = describe.summary(chunk, payload)
            if chunk.number == 0:
                pages = _ram_pages(payload)
            if chunk.number in wanted:
                row["contents"] = describe.describe(chunk, payload, pages)
        except Malformed as error:
            row["error"] = str(error)
        yield row


def _header(chunk: Chunk) -> dict[str, Any]:
    return {
        "where": chunk.where,
        "chunk": chunk.number,
        "offset": chunk.offset,
        "kind": chunk.name,
        "bytes": chunk.end - chunk.offset,
        "content_bytes": chunk.raw,
        "first_icount": chunk.first,
        "last_icount": chunk.last,
    }


def _ram_pages(manifest: bytes) -> int:
    """Return the machine's number of RAM pages; a manifest that makes no sense allows any page."""
    from rrdbg_core.checked import Invalid
    from rrdbg_core.trace import Manifest

    try:
        return Manifest.from_json(manifest).config.ram_bytes // 4096
    except Invalid:
        return _MAX_PAGES


def _line(row: dict[str, Any]) -> str:
    return _ROW.format(
        row["chunk"],
        count(row["offset"]),
        row["kind"],
        count(row["bytes"]),
        count(row["content_bytes"]),
        count(row["first_icount"]),
        count(row["last_icount"]),
        harmless(row.get("holds") or f"cannot be decoded: {row['error']}"),
    ).rstrip()


def _render(values: dict[str, Any], indent: str) -> Iterator[str]:
    """Return decoded content as lines."""
    for key, value in values.items():
        name = harmless(key)
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _render(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{name}: {len(value)}"
            yield from _render_list(value, indent + "  ")
        elif key == "data" and isinstance(value, str):
            yield f"{indent}{name}:"
            yield from _hex_dump(bytes.fromhex(value), indent + "  ")
        else:
            yield f"{indent}{name}: {_scalar(key, value)}"


def _render_list(values: list[Any], indent: str) -> Iterator[str]:
    if values and not any(isinstance(value, dict | list) for value in values):
        words = [_scalar("", value) for value in values]
        per_line = max(1, (100 - len(indent)) // (max(map(len, words)) + 1))
        for start in range(0, len(words), per_line):
            yield indent + " ".join(words[start : start + per_line])
        return
    for value in values:
        flat = {key: part for key, part in value.items() if not isinstance(part, dict | list)}
        yield indent + " ".join(f"{harmless(key)}={_scalar(key, part, text=True)}" for key, part in flat.items())
        yield from _render({key: part for key, part in value.items() if key not in flat}, indent + "  ")


def _scalar(key: str, value: Any, *, text: bool = False) -> str:
    if text and key in ("payload", "data"):
        return f'"{harmless_bytes(bytes.fromhex(value))}"'
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value)
    return harmless(json.dumps(value) if value is None or isinstance(value, bool) else str(value))


def _hex_dump(data: bytes, indent: str) -> Iterator[str]:
    for start in range(0, len(data), _WIDTH):
        row = data[start : start + _WIDTH]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{indent}{start:08x}  {row.hex(' '):<{3 * _WIDTH}} {shown}"
