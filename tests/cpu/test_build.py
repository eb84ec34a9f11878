"""The kernel's cache, and what it is made of: types, symbols, whose files are trusted."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
import pytest
from rrdbg_core.cpu import build
from rrdbg_core.errors import ExitCode, RrdbgError

PRINT_RUN = """
import sys
from rrdbg_core.cpu import build, frontend
made = []
def compile_kernel(progress=None):
    made.append(1)
    return open(sys.argv[1], "rb").read()
frontend.compile_kernel = compile_kernel
from rrdbg_core.cpu.core import Core
core = Core(1 << 16)
core.write(0x80000000, bytes.fromhex("13051500 6ff0dfff".replace(" ", "")))
core.hart[33] = 0x80000000
core.run(7)
print(len(made), int(core.hart[10]))
"""
"""A process that compiles by copying, counts how often, and runs a loop on what it got."""


@pytest.fixture(scope="module")
def object_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the real kernel's object code."""
    path = tmp_path_factory.mktemp("code") / "kernel.o"
    path.write_bytes(build.object_code())
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RRDBG_CACHE", str(tmp_path))
    yield tmp_path / "kernels"
    for path in (tmp_path, tmp_path / "kernels"):
        if path.exists():
            path.chmod(0o700)


def start(object_file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRINT_RUN, str(object_file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> tuple[int, int]:
    """Return how often the process compiled, and the guest's a0."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    compiled, a0 = out.split()
    return int(compiled), int(a0)


@pytest.fixture
def compilations(object_file: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Compile by copying; the list grows by one each time."""
    code, made = object_file.read_bytes(), list[int]()

    def compile_kernel(progress: build.Progress | None) -> bytes:
        made.append(1)
        return code

    monkeypatch.setattr(build, "_compile", compile_kernel)
    return made


def test_the_second_start_compiles_nothing(cache: Path, compilations: list[int]) -> None:
    code = build.object_code()
    assert len(compilations) == 1
    assert build.object_code() == code
    assert len(compilations) == 1
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_file_is_compiled_anew(cache: Path, compilations: list[int], damage: str) -> None:
    code = build.object_code()
    [path] = cache.glob("*.o")
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "cut":
        del data[-1:]
    elif damage == "empty":
        data.clear()
    else:
        data[:] = b"something else that is long enough to hold a checksum" * 10
    path.write_bytes(data)
    assert build.object_code() == code
    assert len(compilations) == 2
    assert build.object_code() == code
    assert len(compilations) == 2


def test_two_processes_at_once_compile_once(cache: Path, object_file: Path) -> None:
    both = [start(object_file) for _ in range(2)]
    ends = [outcome(process) for process in both]
    assert sorted(ends) == [(0, 4), (1, 4)]
    assert [path.suffix for path in cache.iterdir() if path.name != "lock"] == [".o"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners and modes on this system")
def test_a_directory_that_others_can_write_is_refused(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o770)
    with pytest.raises(RrdbgError, match="can be written by others") as caught:
        build.object_code()
    assert caught.value.exit_code == ExitCode.HOST_IO
    assert "RRDBG_CACHE" in str(caught.value.hint)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners and modes on this system")
def test_a_directory_of_somebody_else_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(mode=0o700)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(RrdbgError, match="can be written by others"):
        build.object_code()


@pytest.mark.parametrize("function", ["mkdir", "_locked", "replace"])
def test_where_nothing_can_be_written_the_kernel_works_all_the_same(
    cache: Path, compilations: list[int], monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(cache))

    said: list[str] = []
    owner: Any = {"mkdir": Path, "_locked": build, "replace": os}[function]
    monkeypatch.setattr(owner, function, full)
    assert len(build.object_code(said.append)) > 100_000
    assert len(compilations) == 1
    assert "cannot be kept: No space left on device" in said[-1]
    assert not list(cache.parent.rglob("*.o"))
    if cache.exists():
        assert [path.name for path in cache.iterdir() if path.name != "lock"] == []


def test_the_key_changes_with_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path(build.__file__).parent
    names = ("layout", "emitter", "handler", "float_handlers", "region_entries", "dispatch", "host_floats", "ops")
    names += ("intrinsics", "frontend", "pipeline")
    paths = [*(here / "native").glob("*.py"), *(here / f"{name}.py" for name in names)]
    paths += list((here.parent / "isa").glob("*.py"))
    assert len(paths) > 20
    read = Path.read_bytes
    keys = {build.key()}
    for edited in paths:
        monkeypatch.setattr(Path, "read_bytes", lambda path, edited=edited: read(path) + b"\n" * (path == edited))
        keys.add(build.key())
    assert len(keys) == len(paths) + 1


def test_the_key_has_the_versions_that_are_installed() -> None:
    assert build._numba_version() == version("numba")
    assert llvmlite.__version__ == version("llvmlite")


def test_the_object_code_names_only_what_is_given_to_it(object_file: Path) -> None:
    """One name more, and none would be found: LLVM then calls address 0."""
    elffile = pytest.importorskip("elftools.elf.elffile")
    with object_file.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            pytest.skip("object code is not ELF on this system")
        symbols = elffile.ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        named = {symbol.name for symbol in symbols if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name}
        assert named <= set(build.SYMBOLS)


def test_numba_never_leaves_64_bit_unsigned_integers() -> None:
    """A u64 that meets an i64 becomes a float without a word: the compiler's own check looks at every variable."""
    from numba.core.errors import TypingError
    from rrdbg_core.cpu import frontend, pipeline

    results = frontend.compile_functions()
    assert sum(result.metadata["words"] for result in results.values()) > 1000

    signed, zero, one = np.int64(1), np.uint64(0), np.uint64(1)
    pointer = types_of_the_table()
    for function in (
        lambda c: c[zero] + signed,
        lambda c: c[zero] + 1,
        lambda c: np.uint64(c[zero] * 0.5),
        lambda c: c[zero] / c[one],
        lambda c: c[signed],
    ):
        with pytest.raises((TypeError, TypingError), match="not u64"):
            pipeline.njit(function).compile((pointer,))
    pipeline.njit(lambda c: c[zero] + c[one]).compile((pointer,))


def types_of_the_table() -> Any:
    """Return numba's type of the table of pointers."""
    from numba import types

    return types.CPointer(types.uint64)


@pytest.mark.parametrize("collects", [True, False])
def test_the_front_end_leaves_things_as_they_were(collects: bool) -> None:
    from numba.core import config
    from rrdbg_core.cpu.pipeline import front_end_alone

    before = gc.isenabled(), config.OPT
    (gc.enable if collects else gc.disable)()
    try:
        with front_end_alone():
            assert not gc.isenabled()
        with pytest.raises(ZeroDivisionError), front_end_alone():
            _ = 1 // 0
        assert (gc.isenabled(), config.OPT) == (collects, before[1])
    finally:
        (gc.enable if before[0] else gc.disable)()
