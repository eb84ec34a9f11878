"""Forms of attributes, and the abbreviations that list them (DWARF 5, section 7.5.3 to 7.5.6)."""

from __future__ import annotations

from typing import Protocol

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, block, sleb, uleb, unsigned


class Sizes(Protocol):
    """What the sizes of forms depend on: a unit."""

    version: int
    offset_size: int


MAX_ATTRIBUTES = 1_000
"""Attributes of an entry; compilers emit some twenty."""

_FIXED_FORMS = {
    D.FORM_ADDR: 8,
    D.FORM_DATA1: 1,
    D.FORM_DATA2: 2,
    D.FORM_DATA4: 4,
    D.FORM_DATA8: 8,
    D.FORM_DATA16: 16,
    D.FORM_FLAG: 1,
    D.FORM_FLAG_PRESENT: 0,
    D.FORM_IMPLICIT_CONST: 0,
    D.FORM_REF1: 1,
    D.FORM_REF2: 2,
    D.FORM_REF4: 4,
    D.FORM_REF8: 8,
    D.FORM_REF_SIG8: 8,
    D.FORM_REF_SUP4: 4,
    D.FORM_REF_SUP8: 8,
    D.FORM_STRX1: 1,
    D.FORM_STRX2: 2,
    D.FORM_STRX3: 3,
    D.FORM_STRX4: 4,
    D.FORM_ADDRX1: 1,
    D.FORM_ADDRX2: 2,
    D.FORM_ADDRX3: 3,
    D.FORM_ADDRX4: 4,
}
_OFFSET_FORMS = (
    D.FORM_STRP,
    D.FORM_LINE_STRP,
    D.FORM_SEC_OFFSET,
    D.FORM_STRP_SUP,
    D.FORM_GNU_REF_ALT,
    D.FORM_GNU_STRP_ALT,
)
_LEB_FORMS = (
    D.FORM_SDATA,
    D.FORM_UDATA,
    D.FORM_REF_UDATA,
    D.FORM_STRX,
    D.FORM_ADDRX,
    D.FORM_LOCLISTX,
    D.FORM_RNGLISTX,
    D.FORM_GNU_ADDR_INDEX,
    D.FORM_GNU_STR_INDEX,
)
_BLOCK_LENGTHS = {D.FORM_BLOCK1: 1, D.FORM_BLOCK2: 2, D.FORM_BLOCK4: 4}
STRX = (D.FORM_STRX, D.FORM_STRX1, D.FORM_STRX2, D.FORM_STRX3, D.FORM_STRX4, D.FORM_GNU_STR_INDEX)
ADDRX = (D.FORM_ADDRX, D.FORM_ADDRX1, D.FORM_ADDRX2, D.FORM_ADDRX3, D.FORM_ADDRX4, D.FORM_GNU_ADDR_INDEX)
LOCAL_REFS = (D.FORM_REF1, D.FORM_REF2, D.FORM_REF4, D.FORM_REF8, D.FORM_REF_UDATA)
BLOCKS = (D.FORM_BLOCK1, D.FORM_BLOCK2, D.FORM_BLOCK4, D.FORM_BLOCK, D.FORM_EXPRLOC)
OFFSET_CLASSES = (D.FORM_SEC_OFFSET, D.FORM_LOCLISTX, D.FORM_RNGLISTX)
INTEGERS = (
    D.FORM_DATA1,
    D.FORM_DATA2,
    D.FORM_DATA4,
    D.FORM_DATA8,
    D.FORM_DATA16,
    D.FORM_SDATA,
    D.FORM_UDATA,
    D.FORM_IMPLICIT_CONST,
)

# steps over an attribute whose size its form does not say
_LEB, _STRING, _BLOCK1, _BLOCK2, _BLOCK4, _BLOCKU, _INDIRECT = -1, -2, -3, -4, -5, -6, -7
_STEPS = {
    D.FORM_STRING: _STRING,
    D.FORM_BLOCK1: _BLOCK1,
    D.FORM_BLOCK2: _BLOCK2,
    D.FORM_BLOCK4: _BLOCK4,
    D.FORM_BLOCK: _BLOCKU,
    D.FORM_EXPRLOC: _BLOCKU,
    D.FORM_INDIRECT: _INDIRECT,
    **dict.fromkeys(_LEB_FORMS, _LEB),
}

RawValue = int | bytes
"""An attribute as it stands: a number, an offset, an index, or a block's bytes."""


def fixed_size(form: int, offset_size: int) -> int | None:
    """Return the bytes of a form; None: they differ."""
    return offset_size if form in _OFFSET_FORMS else _FIXED_FORMS.get(form)


class Abbreviation:
    """The shape of entries."""

    __slots__ = ("attributes", "children", "names", "plan", "size", "tag")

    def __init__(
        self, tag: int, children: bool, attributes: tuple[tuple[int, int, int], ...], offset_size: int, ref_addr: int
    ) -> None:
        self.tag = tag
        """Its entries' tag."""
        self.children = children
        """Whether its entries may have children."""
        self.attributes = attributes
        """Attribute, form, and the value of FORM_IMPLICIT_CONST."""
        self.names = frozenset(name for name, _, _ in attributes)
        """The attributes."""
        self.plan = _plan(attributes, offset_size, ref_addr)
        """How to step over an entry: bytes, or one of the negative steps."""
        self.size = sum(self.plan) if all(step >= 0 for step in self.plan) else -1
        """Bytes of an entry; -1: they differ."""


def _plan(attributes: tuple[tuple[int, int, int], ...], offset_size: int, ref_addr: int) -> list[int]:
    plan: list[int] = []
    for _, form, _ in attributes:
        step = _FIXED_FORMS.get(form)
        if step is None:
            step = offset_size if form in _OFFSET_FORMS else ref_addr if form == D.FORM_REF_ADDR else _STEPS.get(form)
        if step is None:
            raise DwarfError(f"form {form:#x} is unknown")
        if step >= 0 and plan and plan[-1] >= 0:
            plan[-1] += step
        else:
            plan.append(step)
    return plan


class Abbreviations:
    """A table of abbreviations, read as far as it is asked."""

    def __init__(self, data: bytes, offset: int, offset_size: int, ref_addr: int) -> None:
        self._data = data
        self._at = offset
        self._sizes = offset_size, ref_addr
        self._rows: dict[int, Abbreviation] = {}

    def __getitem__(self, code: int) -> Abbreviation:
        row = self._rows.get(code)
        while row is None:
            found, row = self._next()
            if found == 0 or row is None:
                raise DwarfError(f"abbreviation {code} is not in its table")
            self._rows.setdefault(found, row)
            if found != code:
                row = None
        return row

    def all(self) -> dict[int, Abbreviation]:
        """Return the whole table."""
        while True:
            try:
                code, row = self._next()
            except DwarfError:
                return self._rows  # what uses the damaged part cannot be read
            if row is None:
                return self._rows
            self._rows.setdefault(code, row)

    def _next(self) -> tuple[int, Abbreviation | None]:
        data, start = self._data, self._at
        code, at = uleb(data, start)
        if code == 0:
            return 0, None
        tag, at = uleb(data, at)
        if at >= len(data):
            raise DwarfError("its abbreviations are cut off")
        children = data[at] != 0
        at += 1
        attributes: list[tuple[int, int, int]] = []
        while True:
            name, at = uleb(data, at)
            form, at = uleb(data, at)
            if name == 0 and form == 0:
                break
            constant = 0
            if form == D.FORM_IMPLICIT_CONST:
                constant, at = sleb(data, at)
            attributes.append((name, form, constant))
            if len(attributes) > MAX_ATTRIBUTES:
                raise DwarfError("an abbreviation has no end")
        self._at = at
        return code, Abbreviation(tag, children, tuple(attributes), *self._sizes)


def skip(data: bytes, at: int, plan: list[int], unit: Sizes) -> int:
    for step in plan:
        if step >= 0:
            at += step
        elif step == _LEB:
            while data[at] >= 0x80:
                at += 1
            at += 1
        elif step == _BLOCKU:
            size = data[at]
            at += 1
            if size >= 0x80:
                size, at = uleb(data, at - 1)
            at += size
        elif step == _STRING:
            end = data.find(b"\0", at)
            if end < 0:
                raise DwarfError("it ends within a text")
            at = end + 1
        elif step == _BLOCK1:
            at += 1 + data[at]
        elif step in (_BLOCK2, _BLOCK4):
            length = 2 if step == _BLOCK2 else 4
            at += length + unsigned(data, at, length)
        else:
            form, at = uleb(data, at)
            if form in (D.FORM_INDIRECT, D.FORM_IMPLICIT_CONST):
                raise DwarfError("a form is damaged")
            at = skip(data, at, _plan(((0, form, 0),), unit.offset_size, _ref_addr(unit)), unit)
    return at


def _ref_addr(unit: Sizes) -> int:
    return 8 if unit.version == 2 else unit.offset_size


def read(data: bytes, at: int, form: int, unit: Sizes) -> tuple[RawValue, int]:
    size = _FIXED_FORMS.get(form)
    if size is not None:
        if form == D.FORM_FLAG_PRESENT:
            return 1, at
        return unsigned(data, at, size), at + size
    if form in _OFFSET_FORMS or form == D.FORM_REF_ADDR:
        size = unit.offset_size if form != D.FORM_REF_ADDR else _ref_addr(unit)
        return unsigned(data, at, size), at + size
    if form == D.FORM_SDATA:
        return sleb(data, at)
    if form in _LEB_FORMS:
        return uleb(data, at)
    if form == D.FORM_STRING:
        end = data.find(b"\0", at)
        if end < 0:
            raise DwarfError("it ends within a text")
        return data[at:end], end + 1
    if form in (D.FORM_BLOCK, D.FORM_EXPRLOC):
        size, at = uleb(data, at)
    elif form in _BLOCK_LENGTHS:
        length = _BLOCK_LENGTHS[form]
        size = unsigned(data, at, length)
        at += length
    else:
        raise DwarfError(f"form {form:#x} is unknown")
    return block(data, at, size), at + size
