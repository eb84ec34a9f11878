"""The numbers of C on RV64 (LP64D psABI), by the names that people write."""

from __future__ import annotations

from collections.abc import Sequence

from rrdbg.symbols.types import VOID, BaseType, Encoding, Type

_SIGNED, _UNSIGNED, _FLOAT = Encoding.SIGNED, Encoding.UNSIGNED, Encoding.FLOAT


def _row(names: str, kind: Type) -> list[tuple[tuple[str, ...], Type]]:
    return [(tuple(sorted(name.split())), kind) for name in names.split(",")]


_BY_WORDS: dict[tuple[str, ...], Type] = dict(
    [
        *_row("void", VOID),
        *_row("char", BaseType("char", 1, Encoding.UNSIGNED_CHAR)),  # unsigned, as the psABI says
        *_row("signed char", BaseType("signed char", 1, Encoding.SIGNED_CHAR)),
        *_row("unsigned char", BaseType("unsigned char", 1, Encoding.UNSIGNED_CHAR)),
        *_row("short,short int,signed short,signed short int", BaseType("short", 2, _SIGNED)),
        *_row("unsigned short,unsigned short int", BaseType("unsigned short", 2, _UNSIGNED)),
        *_row("int,signed,signed int", BaseType("int", 4, _SIGNED)),
        *_row("unsigned,unsigned int", BaseType("unsigned int", 4, _UNSIGNED)),
        *_row("long,long int,signed long,signed long int", BaseType("long", 8, _SIGNED)),
        *_row("unsigned long,unsigned long int", BaseType("unsigned long", 8, _UNSIGNED)),
        *_row("long long,long long int,signed long long,signed long long int", BaseType("long long", 8, _SIGNED)),
        *_row("unsigned long long,unsigned long long int", BaseType("unsigned long long", 8, _UNSIGNED)),
        *_row("__int128,signed __int128", BaseType("__int128", 16, _SIGNED)),
        *_row("unsigned __int128", BaseType("unsigned __int128", 16, _UNSIGNED)),
        *_row("float", BaseType("float", 4, _FLOAT)),
        *_row("double", BaseType("double", 8, _FLOAT)),
        *_row("long double", BaseType("long double", 16, _FLOAT)),
        *_row("_Bool", BaseType("_Bool", 1, Encoding.BOOLEAN)),
        *_row("bool", BaseType("bool", 1, Encoding.BOOLEAN)),
    ]
)


def named_base_type(words: Sequence[str]) -> Type | None:
    """Return the base type that some words mean in any order, by the name gdb gives it: `long unsigned int`."""
    return _BY_WORDS.get(tuple(sorted(words)))


_CANONICAL = frozenset(("unsigned", "signed", "long", "short", "int", "char"))


def canonical_name(name: str) -> str:
    """Return a compiler's name of a number as gdb writes it: `unsigned long` for `long unsigned int`."""
    words = name.split()
    if len(words) < 2 or not _CANONICAL.issuperset(words):
        return name
    found = named_base_type(words)
    return found.name if isinstance(found, BaseType) else name
