"""Compile the device tree that Spike writes for itself, so that no `dtc` has to be installed.

Spike pipes its generated source through the program `dtc` and refuses to start without it. This module
understands just what Spike prints: nodes, labels, strings, cells and references to a label's phandle.
Run as a program it reads source on stdin and writes a flattened tree (Devicetree Specification 0.4, chapter 5).
"""

from __future__ import annotations

import itertools
import re
import struct
import sys

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|/dts-v1/|<|>|\{|\}|;|=|,(?=\s)|:|&\w+|[\w#,.@+\-/]+')
_BEGIN, _END, _PROP, _FINISH = 1, 2, 3, 9


def compile_dts(source: str) -> bytes:
    """Return the flattened device tree of `source`."""
    tokens = _TOKEN.findall(source)
    labels = [t for t, after in itertools.pairwise(tokens) if after == ":"]
    phandles = {label: i for i, label in enumerate(labels, 1)}
    strings = bytearray()
    offsets: dict[str, int] = {}
    body = bytearray()
    at = 0

    def u32(*values: int) -> bytes:
        return struct.pack(f">{len(values)}I", *values)

    def prop(name: str, value: bytes) -> None:
        if name not in offsets:
            offsets[name] = len(strings)
            strings.extend(name.encode() + b"\0")
        body.extend(u32(_PROP, len(value), offsets[name]) + value + bytes(-len(value) % 4))

    def node(name: str, label: str | None) -> None:
        nonlocal at
        raw = name.encode() + b"\0"
        body.extend(u32(_BEGIN) + raw + bytes(-len(raw) % 4))
        if label:
            prop("phandle", u32(phandles[label]))
        at += 1  # the opening brace
        while tokens[at] != "}":
            child_label = None
            if tokens[at + 1] == ":":
                child_label, at = tokens[at], at + 2
            child = tokens[at]
            at += 1
            if tokens[at] == "{":
                node(child, child_label)
                continue
            value = b""
            while tokens[at] != ";":
                token = tokens[at]
                if token[0] == '"':
                    value += token[1:-1].encode() + b"\0"
                elif token[0] == "&":
                    value += u32(phandles[token[1:]])
                elif token not in "<>=,":
                    value += u32(int(token, 0))
                at += 1
            at += 1
            prop(child, value)
        at += 2  # the closing brace and its semicolon
        body.extend(u32(_END))

    at = tokens.index("{")
    node("", None)
    body.extend(u32(_FINISH))
    header_bytes, reserve = 40, bytes(16)
    structure = header_bytes + len(reserve)
    text = structure + len(body)
    total = text + len(strings)
    header = u32(0xD00DFEED, total, structure, text, header_bytes, 17, 16, 0, len(strings), len(body))
    return header + reserve + bytes(body) + bytes(strings)


if __name__ == "__main__":
    sys.stdout.buffer.write(compile_dts(sys.stdin.read()))
