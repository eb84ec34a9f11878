"""`rrdbg cache`: it says what is there, and drops that and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from rrdbg_core.cpu import build
from rrdbg_core.cpu.regions.record import Record, seal
from rrdbg_core.cpu.regions.store import Store
from rrdbg_core.errors import ExitCode

from tests.cli.support import Cli
from tests.cpu.region_records import plan_at, record_at


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache that is not there yet."""
    path = tmp_path / "cache"
    monkeypatch.setenv("RRDBG_CACHE", str(path))
    return path


@pytest.fixture
def filled(cache: Path) -> Path:
    """Return a cache with a kernel, an old one, and regions of two programs and of another version."""
    kernels = build.cache_directory()
    a_file(kernels / f"{build.key()}.o", 3000, 5)
    a_file(kernels / "0123.o", 2000, 50 * 24 * 3600)
    a_file(kernels / "lock", 0, 5)
    for program, numbers in ((b"one", (1, 2, 3)), (b"two", (4,))):
        store = Store(program)
        for number in numbers:
            assert store.add(seal(store.salt, record_at(number, number + 100)))
    refused = Record(record_at(9).plans, b"")
    assert store.add(seal(store.salt, refused))
    other = Store(b"one", version=b"another version!")
    assert other.add(seal(other.salt, record_at(1)))
    a_file(cache / "regions" / "notes.txt", 10, 5)
    return cache


def a_file(path: Path, size: int, age_s: float) -> None:
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age_s,) * 2)


def info(cli: Cli, *words: str) -> dict[str, Any]:
    """Return what `cache info --json` says."""
    outcome = cli("cache", "info", "--json", *words)
    assert (outcome.code, outcome.err) == (0, "")
    values: dict[str, Any] = json.loads(outcome.out)
    return values


def names(cache: Path) -> set[str]:
    return {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}


def test_nothing_is_there_and_nothing_is_made(cli: Cli, cache: Path) -> None:
    outcome = cli("cache", "info")
    assert outcome.code == 0
    assert outcome.out.decode().split() == [
        *("kernels", str(cache / "kernels"), "nothing", "regions", str(cache / "regions"), "nothing")
    ]
    assert info(cli)["regions"] == {"directory": str(cache / "regions"), "problem": None, "size": 0, "files": []}
    assert cli("cache", "clear").out.decode().splitlines() == [
        "kernels   0 files dropped, 0 bytes",
        "regions   0 files dropped, 0 bytes",
    ]
    assert not cache.exists()


def test_what_is_there(cli: Cli, filled: Path) -> None:
    before = {path: path.stat().st_mtime for path in filled.rglob("*")}
    lines = cli("cache", "info").out.decode().splitlines()
    assert lines[0] == f"kernels   {filled / 'kernels'}"
    assert lines[1].startswith("          of this version: 1 file, 2.9 KiB, used ")
    assert lines[2] == "          of others: 1 file, 2.0 KiB, used 50 days ago"
    assert lines[3] == f"regions   {filled / 'regions'}"
    assert lines[4].startswith("          of this version: 8 regions of 2 programs, ")
    assert lines[5].startswith("          of others: 1 region of 1 program, ")
    assert len(lines) == 6
    assert {path: path.stat().st_mtime for path in filled.rglob("*")} == before


def test_what_is_there_for_programs(cli: Cli, filled: Path) -> None:
    values = info(cli)
    assert set(values) == {"kernels", "regions"}
    for kind in values.values():
        assert kind["size"] == sum(file["size"] for file in kind["files"])
        assert [file["used"] for file in kind["files"]] == sorted(file["used"] for file in kind["files"])
        assert all(file["size"] == Path(file["path"]).stat().st_size for file in kind["files"])
    files = values["regions"]["files"]
    assert sorted((file["current"], file["regions"], file["refused"]) for file in files) == [
        *((False, 1, 0), (True, 2, 1), (True, 6, 0))
    ]
    assert set(info(cli, "--regions")) == {"regions"}


def test_clear_drops_what_is_kept_and_nothing_else(cli: Cli, filled: Path) -> None:
    a_file(filled / "kernels" / "tmpabcd1234", 7, 5)
    outcome = cli("cache", "clear", "--json")
    assert json.loads(outcome.out)["kernels"] == {"files": 3, "size": 5007}
    assert json.loads(outcome.out)["regions"]["files"] == 3
    assert names(filled) == {"kernels/lock", "regions/notes.txt"}


def test_clear_regions_keeps_kernels(cli: Cli, filled: Path) -> None:
    outcome = cli("cache", "clear", "--regions")
    assert outcome.out.decode().startswith("regions   3 files dropped, ")
    assert len(outcome.out.splitlines()) == 1
    assert names(filled) == {"kernels/lock", "regions/notes.txt", f"kernels/{build.key()}.o", "kernels/0123.o"}
    store = Store(b"one")
    assert store.load() == []
    assert store.add(seal(store.salt, record_at(1)))


def test_a_link_is_left_alone(cli: Cli, filled: Path, tmp_path: Path) -> None:
    a_file(tmp_path / "mine.o", 10, 5)
    (filled / "kernels" / "link.o").symlink_to(tmp_path / "mine.o")
    cli("cache", "clear")
    assert (tmp_path / "mine.o").exists()
    assert (filled / "kernels" / "link.o").is_symlink()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners and modes on this system")
def test_a_directory_that_others_can_write(cli: Cli, filled: Path) -> None:
    (filled / "regions").chmod(0o777)
    lines = cli("cache", "info").out.decode().splitlines()
    assert "not used: " in lines[4]
    assert "can be written by others" in lines[4]
    assert "of others: 9 regions of 3 programs" in lines[5]
    before = names(filled)
    cli("cache", "clear", "--regions").told(ExitCode.HOST_IO, "can be written by others", "RRDBG_CACHE")
    assert names(filled) == before


@pytest.mark.parametrize("data", [b"", b"R", b"RgnA", b"RgnA" + b"\xff" * 60, b"other" * 20])
def test_files_of_anything(cli: Cli, filled: Path, data: bytes) -> None:
    for path in (filled / "regions").glob("*.regions"):
        path.write_bytes(path.read_bytes()[:-1] + data)
    assert sum(file["regions"] for file in info(cli)["regions"]["files"]) <= 9


def test_every_prefix_of_a_file(cli: Cli, cache: Path) -> None:
    store = Store(b"one")
    store.add(seal(store.salt, record_at(1, 2)))
    store.add(seal(store.salt, Record((plan_bytes := record_at(3).plans), b"")))
    assert plan_bytes
    [path] = (cache / "regions").glob("*.regions")
    data = path.read_bytes()
    seen = set()
    for size in range(0, len(data) + 1, 3):
        path.write_bytes(data[:size])
        [file] = info(cli, "--regions")["regions"]["files"]
        seen.add((file["regions"], file["refused"]))
    assert seen <= {(0, 0), (2, 0), (2, 1)}
    assert plan_at(1) != plan_at(2)


def test_a_wrong_command_line(cli: Cli) -> None:
    for words in ([], ["drop"], ["info", "--all"]):
        assert cli("cache", *words).code == ExitCode.USAGE
