"""Keep the compiled kernel on disk, and load it without numba.

Importing numba costs half a second and compiling the kernel many; loading the object code through llvmlite is quick.
The cache holds executable code: its directory is ours alone (mode 0700, owner checked), a file's name carries a hash of
everything that went into it, files are written whole under a lock, and a damaged one is compiled anew. Where nothing
can be written the kernel is compiled every time.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from rrdbg_core.errors import ExitCode, RrdbgError

if TYPE_CHECKING:
    from collections.abc import Iterator

Progress = Callable[[str], None]

_HERE = Path(__file__).parent
_SOURCES = (
    *("layout", "emitter", "handler", "float_handlers", "region_entries", "dispatch", "host_floats", "ops"),
    *("intrinsics", "pipeline", "frontend", "stencils"),
)
_MAGIC = b"rrdbg-kernel-2\n"
_DIGEST_BYTES = 16
_KEPT_SECONDS = 90 * 24 * 3600
"""Age at which a kernel is dropped when another is written."""
_TAKERS = ("take_written", "take_run", "take_touched", "take_unsaved")
ENTRIES = {name: f"rrdbg_{name}" for name in ("kernel", "dirty", *_TAKERS, "digest", "forget", "flush_banks")}
"""Symbols of the functions of cpu/native that are called from outside: u64 (table of pointers, u64)."""
HANDLERS = "rrdbg_handlers"
"""Symbol of the table of handlers, see cpu/dispatch.py."""
DISPATCH = "rrdbg_dispatch"
"""Symbol of the dispatch loop, see cpu/dispatch.py."""
RVC, DECODE, VARIANTS, STENCILS = "rrdbg_rvc", "rrdbg_decode", "rrdbg_variants", "rrdbg_stencils"
"""Symbols of the tables that the kernel decodes and makes blocks by: u32[65536], u64[n], u8[512], u64[m]."""
SYMBOLS: dict[str, Any] = {"memset": ctypes.memset, "memcpy": ctypes.memmove, "memmove": ctypes.memmove}
"""All that the object code may name; LLVM makes calls of these out of loops.

One name that is not found leaves every one of them at address 0, without a word.
"""


def cache_root() -> Path:
    """Return the directory of all that is kept; it may not be there."""
    root = os.environ.get("RRDBG_CACHE")
    if not root:
        import platformdirs

        root = platformdirs.user_cache_dir("rrdbg")
    return Path(root)


def cache_directory(kind: str = "kernels") -> Path:
    """Return the directory of one kind of compiled code, made if need be.

    Raises:
        OSError: It cannot be made.
        RrdbgError: It is not ours alone.
    """
    path = cache_root() / kind
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = path.stat()
    if hasattr(os, "getuid") and (info.st_uid != os.getuid() or info.st_mode & 0o022):
        raise RrdbgError(
            f"{path} can be written by others, and what lies there is executed",
            hint="remove it, or name another directory in RRDBG_CACHE",
            exit_code=ExitCode.HOST_IO,
        )
    return path


def key() -> str:
    """Return a hash of all that the object code depends on."""
    import llvmlite
    import llvmlite.binding as llvm

    digest = hashlib.sha256(_MAGIC)
    sources = sorted((_HERE.parent / "isa").glob("*.py")) + sorted((_HERE / "native").glob("*.py"))
    for path in [*sources, *(_HERE / f"{name}.py" for name in _SOURCES)]:
        digest.update(path.read_bytes())
    digest.update(_numba_version().encode())
    digest.update(llvmlite.__version__.encode())
    digest.update(llvm.get_host_cpu_name().encode())
    digest.update(llvm.get_host_cpu_features().flatten().encode())
    return digest.hexdigest()[:32]


def _numba_version() -> str:
    """Return the version of numba, which is not imported."""
    # from what versioneer writes: importing importlib.metadata costs every start 20 ms
    spec = find_spec("numba")
    if spec is not None and spec.origin is not None:
        with suppress(OSError):
            found = re.search(r'"version": "([^"]+)"', Path(spec.origin).with_name("_version.py").read_text())
            if found:
                return found[1]
    from importlib.metadata import version

    return version("numba")


def _compile(progress: Progress | None) -> bytes:
    from rrdbg_core.cpu import frontend

    return frontend.compile_kernel(progress)


def seal(code: bytes) -> bytes:
    """Return object code as a cache file holds it."""
    body = _MAGIC + code
    return xxhash.xxh3_128_digest(body) + body


def _unseal(data: bytes) -> bytes | None:
    body = data[_DIGEST_BYTES:]
    if xxhash.xxh3_128_digest(body) != data[:_DIGEST_BYTES] or not body.startswith(_MAGIC):
        return None
    return body[len(_MAGIC) :]


def _read(path: Path) -> bytes | None:
    try:
        return _unseal(path.read_bytes())
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    """Write a file whole, or not at all; drop kernels of old versions."""
    import tempfile  # what it imports takes longer than all else here, and this is needed once

    for old in path.parent.glob("*.o"):
        if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
            old.unlink(missing_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one process at a time compile."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes may both compile; the files are replaced whole
        yield
        return
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def object_code(progress: Progress | None = None) -> bytes:
    """Return the kernel's object code, compiled if it is not in the cache.

    Args:
        progress: Told what is being done when it takes long.

    Raises:
        RrdbgError: The cache is not ours alone.
    """
    code = None
    try:
        path = cache_directory() / f"{key()}.o"
        code = _read(path)
        if code is None:
            with _locked(path.parent):
                code = _read(path)
                if code is None:
                    code = _compile(progress)
                    _write(path, seal(code))
    except OSError as error:
        if progress:
            progress(f"the compiled guest CPU cannot be kept: {error.strerror}: {error.filename}")
    return _compile(progress) if code is None else code


Entry = Callable[[int, int], int]
"""A function of the kernel: of the address of the table of pointers and a number."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The compiled kernel in this process."""

    run: Entry
    """Run to an icount; returns why it came back."""
    dirty: Entry
    """List what was written since a generation, see cpu/native/collect.py."""
    take_written: Entry
    """Take what was written since a generation, likewise."""
    take_run: Entry
    """Take what was run since a generation, likewise."""
    take_touched: Entry
    """Take both, and list what was read, likewise."""
    take_unsaved: Entry
    """Take the lines that no snapshot has, likewise."""
    digest: Entry
    """Hash the state of a machine, see cpu/digest.py: this one has another table of pointers."""
    forget: Entry
    """Forget the block that a slot belongs to, see cpu/native/blocks.py."""
    flush_banks: Entry
    """Forget what banks of the TLBs hold, see cpu/native/caches.py."""
    rvc: int
    """Address of the expansions of compressed instructions."""
    decode: int
    """Address of the decoder's table."""
    variants: int
    """Address of the table of compressed and near ops."""
    stencils: int
    """Address of the table of stencils."""
    handlers: int
    """Address of the table of handlers, in which regions have their places."""
    engine: Any
    """What owns the memory."""


_loaded: list[Kernel] = []


def load(progress: Progress | None = None) -> Kernel:
    """Return the kernel, compiled first if it is not in the cache; see `object_code`."""
    import llvmlite.binding as llvm

    if not _loaded:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        code = object_code(progress)
        machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        for symbol, function in SYMBOLS.items():
            llvm.add_symbol(symbol, ctypes.cast(function, ctypes.c_void_p).value)
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        prototype = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)
        addresses = map(engine.get_function_address, ENTRIES.values())
        run, dirty, *takers, digest, forget, flush_banks = map(prototype, addresses)
        written, ran, touched, unsaved = takers
        names = RVC, DECODE, VARIANTS, STENCILS, HANDLERS
        rvc, decode, variants, stencils, handlers = map(engine.get_global_value_address, names)
        entries = run, dirty, written, ran, touched, unsaved, digest, forget, flush_banks
        _loaded.append(Kernel(*entries, rvc, decode, variants, stencils, handlers, engine))
    return _loaded[0]
