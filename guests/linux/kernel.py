"""A kernel's modules: which ones a module needs, and in which order they are loaded.

The list that `depmod` makes (modules.dep) is not part of a package; what a module needs stands in the module.
"""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Iterable
from pathlib import Path

from apt import FetchError

IMAGE_MAGIC = b"RISCV\0\0\0"
"""At byte 48 of a kernel image (Documentation/arch/riscv/boot-image-header.rst)."""
_NEEDS = re.compile(rb"\0depends=([^\0]*)\0")
_WANTS = re.compile(rb"\0softdep=pre: ([^\0]*)\0")


class Modules:
    """The modules of a kernel.

    Args:
        folder: The folder with its modules, /usr/lib/modules/VERSION.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.rglob("*.ko*") if path.is_file())
        self._paths = {_plain(path.name.partition(".ko")[0]): path for path in paths}
        self._built_in = set()
        listed = folder / "modules.builtin"
        if listed.exists():
            self._built_in = {_plain(Path(line).stem) for line in listed.read_text().splitlines()}
        self._contents: dict[str, bytes] = {}

    def content(self, name: str) -> bytes:
        """Return a module, as insmod takes it.

        Raises:
            FetchError: The kernel has none of that name.
        """
        if name not in self._contents:
            path = self._paths.get(name)
            if path is None:
                raise FetchError(f"the kernel has no module {name}; it may have got another name")
            data = path.read_bytes()
            if path.suffix == ".xz":
                data = lzma.decompress(data)
            elif path.suffix == ".gz":
                data = gzip.decompress(data)
            elif path.suffix != ".ko":
                raise FetchError(f"module {path.name} is compressed in a way that is not known here")
            self._contents[name] = data
        return self._contents[name]

    def order(self, names: Iterable[str]) -> list[str]:
        """Return modules and all that they need, each behind what it needs. What is built into the kernel is left out.

        Raises:
            FetchError: The kernel lacks one.
        """
        order: list[str] = []

        def visit(name: str, *, needed: bool) -> None:
            if name in order or name in self._built_in or (not needed and name not in self._paths):
                return
            data = b"\0" + self.content(name)
            for found in _WANTS.findall(data):
                for other in found.decode().split():
                    # crypto-crc32c, say, stands for any module with that algorithm; the generic one works everywhere
                    visit(_plain(other), needed=False)
                    visit(f"{_plain(other).removeprefix('crypto_')}_generic", needed=False)
            for found in _NEEDS.findall(data):
                for other in filter(None, found.decode().split(",")):
                    visit(_plain(other), needed=True)
            order.append(name)

        for name in names:
            visit(_plain(name), needed=True)
        return order


def _plain(name: str) -> str:
    return name.replace("-", "_")


def image(path: Path) -> bytes:
    """Return a kernel as firmware takes it.

    Raises:
        FetchError: It is no RISC-V kernel.
    """
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    if data[48:56] != IMAGE_MAGIC:
        raise FetchError(f"{path.name} is no image of a RISC-V kernel")
    return data
