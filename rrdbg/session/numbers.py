"""Plain numbers as the session hands them out, and the names of C's integer types."""

from __future__ import annotations

from rrdbg_core.frozen import Frozen

M64 = (1 << 64) - 1


class Type(Frozen):
    """An integer type."""

    size: int
    """Bytes."""
    signed: bool
    """Whether it is signed."""

    def fit(self, value: int) -> int:
        """Return `value` as the type holds it."""
        value &= (1 << 8 * self.size) - 1
        return value - (1 << 8 * self.size) if self.signed and value >> (8 * self.size - 1) else value


class Value(Frozen):
    """A number with its type."""

    number: int
    """As its type holds it: negative for signed ones."""
    type: Type
    """Its own type."""
    target: Type | None = None
    """What it points to, for pointers to integers."""
    is_address: bool = False
    """Whether it is an address, to be shown in hex and by name."""

    @property
    def bits(self) -> int:
        """The number as 64 unsigned bits."""
        return self.number & M64


I64, U64 = Type(8, True), Type(8, False)
TYPES: dict[str, Type] = {
    **{f"{sign}{bits}": Type(bits // 8, sign == "i") for sign in "iu" for bits in (8, 16, 32, 64)},
    **{f"int{bits}_t": Type(bits // 8, True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": Type(bits // 8, False) for bits in (8, 16, 32, 64)},
    "char": Type(1, False),
    "short": Type(2, True),
    "int": Type(4, True),
    "long": I64,
    "long long": I64,
    "signed char": Type(1, True),
    "unsigned char": Type(1, False),
    "unsigned short": Type(2, False),
    "unsigned int": Type(4, False),
    "unsigned long": U64,
    "unsigned long long": U64,
    "__int128": Type(16, True),
    "unsigned __int128": Type(16, False),
    "size_t": U64,
    "ssize_t": I64,
    "uintptr_t": U64,
    "intptr_t": I64,
    "ptrdiff_t": I64,
    "bool": Type(1, False),
    "_Bool": Type(1, False),
}
"""Types by name. `char` is unsigned, as in the RISC-V calling convention."""

_WORDS = ("unsigned", "signed", "char", "short", "int", "long", "float", "double", "void", "_Bool", "__int128")


def canonical(name: str) -> str | None:
    """Return the name of one of C's types as gdb writes it: `long unsigned int` is `unsigned long`.

    None: it is no name of one of C's types, nor u8 and the like.
    """
    words = name.split()
    if len(words) == 1 and (name in TYPES or name in ("void", "float", "double")):
        return name
    if not words or any(word not in _WORDS for word in words):
        return None
    if sorted(words) == ["double", "long"]:
        return "long double"
    unsigned, signed = "unsigned" in words, "signed" in words
    rest = [word for word in words if word not in ("unsigned", "signed")]
    if len(rest) > 1 and "int" in rest:
        rest.remove("int")
    base = " ".join(rest) or "int"
    if unsigned and not signed:
        base = f"unsigned {base}"
    elif base == "char" and signed:
        base = "signed char"
    return base if base in TYPES else None
