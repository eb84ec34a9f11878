"""Fetch a distribution's kernel for RISC-V, and what it needs to boot: `python guests/linux/fetch.py`.

Debian's kernel, its firmware and its busybox come through this machine's own apt, from the release that carries them.
Nothing of this machine is changed, and nothing of it is committed: all goes into one folder, with

    Image            the kernel                  initramfs.cpio.gz   its first file system, with init.sh as /init
    fw_dynamic.bin   OpenSBI                     config              of the kernel
    fw_jump.bin                                  versions.json       what came from where

Needs Python and Debian's apt and dpkg, no root.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
from pathlib import Path

from apt import Apt, FetchError, unpack
from cpio import Entry, archive, character_device, file, folder
from kernel import Modules, image

HERE = Path(__file__).resolve().parent
SUITE, ARCHITECTURE = "trixie", "riscv64"
KERNEL, BUSYBOX, FIRMWARE = "linux-image-riscv64", "busybox-static", "opensbi"
MODULES = ("virtio_mmio", "virtio_blk", "virtio_rng", "ext4")
"""What the initramfs loads, with all that they need."""
OPENSBI = "usr/lib/riscv64-linux-gnu/opensbi/generic"


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--into", type=Path, default=HERE / "build", help="the folder (guests/linux/build)")
    parser.add_argument("--suite", default=SUITE, help=f"Debian's release ({SUITE})")
    parser.add_argument("--program", type=Path, metavar="FILE", help="a static program for /init to run, not a shell")
    parser.add_argument("--offline", action="store_true", help="use what was fetched before")
    args = parser.parse_args()
    try:
        fetch(args.into, args.suite, args.program, offline=args.offline)
    except FetchError as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        print("fetch.py: it needs a mirror of Debian that apt can reach; --offline uses what is here", file=sys.stderr)
        return 1
    return 0


def fetch(into: Path, suite: str = SUITE, program: Path | None = None, *, offline: bool = False) -> None:
    """Fetch everything and put it together.

    Args:
        into: The folder.
        suite: Debian's release.
        program: A static program for the guest.
        offline: Use what was fetched before.

    Raises:
        FetchError: Something cannot be had, or is not what it should be.
    """
    files = into / "files"
    versions = into / "versions.json"
    if not offline:
        packages = _download(into, suite)
        if not versions.exists() or json.loads(versions.read_text()) != packages or not files.exists():
            shutil.rmtree(files, ignore_errors=True)
            for name in packages["files"].values():
                _say(f"unpacking {name}")
                unpack(into / "apt" / "packages" / name, files)
            versions.write_text(json.dumps(packages, indent=1) + "\n")
    if not versions.exists() or not files.exists():
        raise FetchError(f"nothing was fetched into {into} yet")
    _assemble(into, files, program)


def _download(into: Path, suite: str) -> dict[str, dict[str, str]]:
    apt = Apt(into / "apt", suite, ARCHITECTURE)
    _say(f"asking for the packages of Debian {suite} ({ARCHITECTURE})")
    apt.update()
    kernels = [name for name in apt.depends(KERNEL) if name.startswith("linux-image-")]
    if not kernels:
        raise FetchError(f"{KERNEL} of Debian {suite} names no kernel")
    # from Linux 7 on, image, modules and configuration are packages of their own, which that one needs
    release = kernels[0].removeprefix("linux-image-")
    parts = [name for name in apt.depends(kernels[0]) if name.startswith("linux-") and name.endswith(f"-{release}")]
    names = [kernels[0], *parts, BUSYBOX, FIRMWARE]
    _say(f"fetching {', '.join(names)}")
    found = apt.fetch(names)
    return {
        "versions": {name: apt.version(name) for name in names},
        "files": {name: path.name for name, path in zip(names, found, strict=True)},
    }


def _assemble(into: Path, files: Path, program: Path | None) -> None:
    """Make the files that a machine boots from."""
    libraries = [path for path in (files / "usr/lib/modules", files / "lib/modules") if path.is_dir()]
    if not libraries:
        raise FetchError(f"the kernel's package has no modules in {files}")
    kernels = sorted([*(files / "boot").glob("vmlinu?-*"), *libraries[0].glob("*/vmlinuz")])
    if not kernels:
        raise FetchError(f"there is no kernel in {files / 'boot'} or {libraries[0]}")
    kernel = kernels[-1]
    beside = kernel.name == "vmlinuz"
    release = kernel.parent.name if beside else kernel.name.partition("-")[2]
    (into / "Image").write_bytes(image(kernel))
    shutil.copyfile(kernel.with_name("config" if beside else f"config-{release}"), into / "config")
    for name in ("fw_dynamic.bin", "fw_jump.bin"):
        shutil.copyfile(files / OPENSBI / name, into / name)
    busybox = next((path for path in (files / "usr/bin/busybox", files / "bin/busybox") if path.is_file()), None)
    if busybox is None:
        raise FetchError(f"package {BUSYBOX} has no busybox in it")
    own = None if program is None else _program(program)
    content = archive(initramfs(busybox.read_bytes(), Modules(libraries[0] / release), own))
    (into / "initramfs.cpio.gz").write_bytes(gzip.compress(content, 6, mtime=0))
    _say(f"Linux {release} is in {into}")


def _program(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FetchError(f"cannot read {path}: {error.strerror}") from error
    # ELF, 64 bits, little endian; machine 243 is RISC-V
    if data[:6] != b"\x7fELF\2\1" or int.from_bytes(data[18:20], "little") != 243:
        raise FetchError(f"{path} is no program for riscv64")
    return data


def initramfs(busybox: bytes, modules: Modules, program: bytes | None = None) -> list[Entry]:
    """Return the files of the guest's first file system."""
    order = modules.order(MODULES)
    entries = [folder(name) for name in ("bin", "dev", "mnt", "modules", "proc", "root", "sys", "tmp")]
    entries += [character_device("dev/console", 5, 1), file("bin/busybox", busybox, executable=True)]
    entries.append(file("init", (HERE / "init.sh").read_bytes(), executable=True))
    entries += [file(f"modules/{name}.ko", modules.content(name)) for name in order]
    entries.append(file("modules/order", "".join(f"{name}\n" for name in order).encode()))
    if program is not None:
        entries.append(file("program", program, executable=True))
    return entries


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
