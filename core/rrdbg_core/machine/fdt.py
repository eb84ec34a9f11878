"""Flattened device trees: reading and writing (Devicetree Specification 0.4, chapter 5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

MAGIC, VERSION, LAST_COMPATIBLE = 0xD00DFEED, 17, 16
_BEGIN_NODE, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9
_HEADER = struct.Struct(">10I")
_MEMORY_RESERVATIONS = bytes(16)  # none

Value = bytes | str | int | tuple[int | str, ...] | None
"""A property: bytes as they are, text, 32-bit cells, a list of texts, or None for one that is empty."""


class BadTree(ValueError):
    """The bytes are no device tree."""


class Node:
    """A node: its properties and the nodes below it, in order."""

    def __init__(self, properties: Mapping[str, Value] | None = None) -> None:
        self.properties: dict[str, bytes] = {}
        """Content by name."""
        self.children: dict[str, Node] = {}
        """Nodes by name, unit address included."""
        self.set(properties or {})

    def set(self, properties: Mapping[str, Value]) -> None:
        """Set properties."""
        self.properties |= {name: _bytes(value) for name, value in properties.items()}

    def child(self, name: str, properties: Mapping[str, Value] | None = None) -> Node:
        """Return the node of that name below this one, made if need be, with these properties set."""
        node = self.children.setdefault(name, Node())
        node.set(properties or {})
        return node


def cells(*numbers: int) -> tuple[int, ...]:
    """Return 64-bit numbers as pairs of cells."""
    return tuple(half for number in numbers for half in (number >> 32, number & 0xFFFF_FFFF))


def _bytes(value: Value) -> bytes:
    match value:
        case None:
            return b""
        case bytes():
            return value
        case str():
            return value.encode() + b"\0"
        case int():
            return struct.pack(">I", value)
    return b"".join(_bytes(part) for part in value)


def pack(root: Node) -> bytes:
    """Return a tree as a blob."""
    names: dict[str, int] = {}
    strings = bytearray()
    parts: list[bytes] = []

    def walk(name: str, node: Node) -> None:
        parts.append(struct.pack(">I", _BEGIN_NODE) + _padded(name.encode() + b"\0"))
        for key, content in node.properties.items():
            if key not in names:
                names[key] = len(strings)
                strings.extend(key.encode() + b"\0")
            parts.append(struct.pack(">III", _PROP, len(content), names[key]) + _padded(content))
        for key, child in node.children.items():
            walk(key, child)
        parts.append(struct.pack(">I", _END_NODE))

    walk("", root)
    structure = b"".join(parts) + struct.pack(">I", _END)
    reservations = _HEADER.size
    at = reservations + len(_MEMORY_RESERVATIONS)
    strings_at = at + len(structure)
    total = strings_at + len(strings)
    header = (MAGIC, total, at, strings_at, reservations, VERSION, LAST_COMPATIBLE, 0, len(strings), len(structure))
    return _HEADER.pack(*header) + _MEMORY_RESERVATIONS + structure + bytes(strings)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def unpack(blob: bytes) -> Node:
    """Read a tree.

    Raises:
        BadTree: It is none.
    """
    if len(blob) < _HEADER.size or blob[:4] != struct.pack(">I", MAGIC):
        raise BadTree("it does not begin with 0xd00dfeed")
    try:
        return _read(blob)
    except (struct.error, ValueError, IndexError) as error:
        raise BadTree("it is cut off or malformed") from error


def _read(blob: bytes) -> Node:
    _, total, structure, strings = struct.unpack_from(">4I", blob)
    if total > len(blob):
        raise ValueError
    path: list[Node] = []
    for kind, name, content in _tokens(blob, structure, strings):
        if kind == _BEGIN_NODE:
            path.append(path[-1].child(name) if path else Node())
        elif kind == _PROP:
            path[-1].properties[name] = content
        else:
            node = path.pop()
            if not path:
                return node
    raise ValueError


def _tokens(blob: bytes, at: int, strings: int) -> Iterator[tuple[int, str, bytes]]:
    """Yield what kind of token, a name, and a property's content."""
    while True:
        (kind,) = struct.unpack_from(">I", blob, at)
        at += 4
        if kind == _BEGIN_NODE:
            end = blob.index(b"\0", at)
            yield kind, blob[at:end].decode(), b""
            at = (end + 4) & ~3
        elif kind == _PROP:
            size, name = struct.unpack_from(">II", blob, at)
            at += 8
            if at + size > len(blob):
                raise ValueError
            key = blob[strings + name : blob.index(b"\0", strings + name)].decode()
            yield kind, key, blob[at : at + size]
            at = (at + size + 3) & ~3
        elif kind == _END_NODE:
            yield kind, "", b""
        elif kind != _NOP:
            raise ValueError
