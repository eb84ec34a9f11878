"""Lists of symbols as nm prints them: a kernel's System.map, and what its /proc/kallsyms says, with its modules.

A line is an address, a type and a name: `ffffffff80001234 T do_one_initcall`. In /proc/kallsyms the name of a module
may follow: `ffffffff01500000 t ext4_sync_fs [ext4]`.
"""

from __future__ import annotations

import re

from rrdbg.symbols.rows import NamedRows, rows_of

_LINE = re.compile(rb"^([0-9a-fA-F]{1,16}) ([A-Za-z]) (\S+)(?:[ \t]+\[[^\]\n]+\])?[ \t]*\r?$", re.MULTILINE)
STARTS = (b"_start", b"_text", b"_stext")
"""Names of where a kernel begins."""


class NameList:
    """A list, read.

    Args:
        text: What it says.

    Raises:
        ValueError: It is none, or says nothing; the text says which, as the end of a sentence.
    """

    def __init__(self, text: bytes) -> None:
        found = _LINE.findall(text)
        if not found or len(found) < text.count(b"\n") // 2:
            raise ValueError("is no list of symbols as nm prints them")
        places = sorted((int(address, 16), number) for number, (address, _, _) in enumerate(found))
        self._addresses = [address for address, _ in places]
        self._kinds = b"".join(found[number][1] for _, number in places)
        self._names = [found[number][2] for _, number in places]
        if self._addresses[-1] == 0:
            raise ValueError("says that all addresses are 0: /proc/kallsyms tells them to root only")
        if not len(self.rows):
            raise ValueError("names no function and no variable")

    @property
    def rows(self) -> NamedRows:
        """The symbols."""
        return rows_of(self._addresses, self._kinds, self._names)

    @property
    def start(self) -> int | None:
        """Where the kernel begins, None: it does not say."""
        by_name = dict(zip(self._names, self._addresses, strict=True))
        return next((by_name[name] for name in STARTS if name in by_name), None)
