"""Fetching a distribution's kernel, without a network: apt's files, the archive, modules in order."""

from __future__ import annotations

import importlib
import lzma
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.guests.manifest import GUESTS

LINUX = GUESTS / "linux"


def _module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(LINUX))
    return importlib.import_module(name)


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return _module("apt", monkeypatch)


def test_mirrors_of_lines_and_stanzas(apt: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example/debian bookworm main\n"
        "deb http://one.example/debian bookworm main contrib # a comment\n"
        "deb-src http://source.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/keys/k.gpg] http://two.example/mirror/debian/ bookworm main\n"
        "deb http://security.example/debian-security bookworm-security main\n"
        "deb http://other.example/debian bookworm contrib\n"
    )
    (tmp_path / "sources.list.d" / "three.sources").write_text(
        "Types: deb deb-src\nURIs: http://three.example/debian\n http://four.example/debian\nSuites: bookworm\n"
        "Components: main\nSigned-By: /keys/three.gpg\n\n"
        "# off\nEnabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n"
    )
    (tmp_path / "sources.list.d" / "ignored.save").write_text("deb http://no.example/debian bookworm main\n")
    found = [(mirror.uri, mirror.signed_by) for mirror in apt.mirrors(tmp_path)]
    assert found == [
        ("http://one.example/debian", ""),
        ("http://two.example/mirror/debian/", "/keys/k.gpg"),
        ("http://three.example/debian", "/keys/three.gpg"),
        ("http://four.example/debian", "/keys/three.gpg"),
    ]


def test_the_public_mirror_where_there_is_none(apt: ModuleType, tmp_path: Path) -> None:
    assert [mirror.uri for mirror in apt.mirrors(tmp_path)] == [apt.FALLBACK]


def test_the_archive_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Read by another reader, written from the format's description."""
    cpio = _module("cpio", monkeypatch)
    entries = [
        cpio.folder("dev"),
        cpio.character_device("dev/console", 5, 1),
        cpio.file("init", b"#!/bin/sh\n", executable=True),
        cpio.link("sh", "init"),
        cpio.file("empty", b""),
        *(cpio.file(f"f{size}", bytes([size]) * size) for size in range(1, 9)),
    ]
    data = cpio.archive(entries)
    assert data == cpio.archive(entries)
    at, found = 0, []
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        start = at + 110 + fields[11] + -(110 + fields[11]) % 4
        content = data[start : start + fields[6]]
        at = start + fields[6] + -fields[6] % 4
        if name == "TRAILER!!!":
            break
        found.append((name, fields[1], content, (fields[9], fields[10])))
    assert at == len(data)
    assert found == [(entry.name, entry.mode, entry.data, entry.device) for entry in entries]


def _make_module(folder: Path, name: str, *strings: bytes, packed: bool = False) -> None:
    data = b"\x7fELF" + b"\0".join((b"", *strings, b""))
    (folder / f"{name}.ko{'.xz' if packed else ''}").write_bytes(lzma.compress(data) if packed else data)


def test_modules_come_behind_what_they_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = _module("kernel", monkeypatch)
    _make_module(tmp_path, "ext4", b"softdep=pre: crypto-crc32c missing", b"depends=jbd2,mbcache", packed=True)
    _make_module(tmp_path, "jbd2", b"depends=crc-16")
    _make_module(tmp_path, "mbcache", b"depends=")
    _make_module(tmp_path, "crc-16", b"depends=built-in")
    _make_module(tmp_path, "crc32c_generic", b"depends=")
    (tmp_path / "modules.builtin").write_text("kernel/lib/built_in.ko\n")
    modules = kernel.Modules(tmp_path)
    assert modules.order(["mbcache", "ext4"]) == ["mbcache", "crc32c_generic", "crc_16", "jbd2", "ext4"]
    assert modules.content("ext4").startswith(b"\x7fELF")
    with pytest.raises(kernel.FetchError, match="no module virtio_blk"):
        modules.order(["virtio-blk"])


def test_what_is_no_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = _module("kernel", monkeypatch)
    (tmp_path / "vmlinux").write_bytes(bytes(100))
    with pytest.raises(kernel.FetchError, match="no image of a RISC-V kernel"):
        kernel.image(tmp_path / "vmlinux")
    good = bytes(48) + b"RISCV\0\0\0" + bytes(8)
    (tmp_path / "vmlinux").write_bytes(good)
    assert kernel.image(tmp_path / "vmlinux") == good


def test_nothing_to_be_had_is_said_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, str(LINUX / "fetch.py"), "--into", str(tmp_path), "--offline"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "nothing was fetched into" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("layout", ["boot/vmlinux-9.1-riscv64", "usr/lib/modules/9.1-riscv64/vmlinuz"])
def test_kernels_in_boot_and_beside_their_modules(layout: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    modules = files / "usr/lib/modules/9.1-riscv64"
    contents = {
        layout: bytes(48) + b"RISCV\0\0\0" + bytes(8),
        "usr/bin/busybox": b"\x7fELF",
        "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin": b"dynamic",
        "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin": b"jump",
        str(Path(layout).with_name("config" if "modules" in layout else "config-9.1-riscv64")): b"CONFIG_SMP=y\n",
    }
    for name, content in contents.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(content)
    modules.mkdir(parents=True, exist_ok=True)
    for name in ("virtio_mmio", "virtio_blk", "virtio_rng", "ext4"):
        _make_module(modules, name, b"depends=")
    (tmp_path / "versions.json").write_text("{}")
    command = [sys.executable, str(LINUX / "fetch.py"), "--into", str(tmp_path), "--offline"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Linux 9.1-riscv64 is in" in done.stderr
    assert (tmp_path / "Image").read_bytes() == contents[layout]
    assert (tmp_path / "config").read_bytes() == b"CONFIG_SMP=y\n"
