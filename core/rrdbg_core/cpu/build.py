"""Compile the kernel with numba, keep its object code on disk, and load it without numba.

Importing numba costs half a second and compiling the kernel many; loading the object code through llvmlite is quick.
The cache holds executable code: its directory is ours alone (mode 0700, owner checked), a file's name carries a hash of
everything that went into it, files are written whole under a lock, and a damaged one is compiled anew.
"""

from __future__ import annotations

import ast
import ctypes
import hashlib
import os
import struct
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from rrdbg_core.errors import ExitCode, RrdbgError

if TYPE_CHECKING:
    from collections.abc import Iterator

Progress = Callable[[str], None]

_HERE = Path(__file__).parent
_SOURCES = ("layout.py", "slow.py", "intrinsics.py", "generator.py", "build.py")
_MAGIC = b"rrdbg-kernel-1\n"


def cache_directory() -> Path:
    """Return the directory of compiled kernels, made if need be.

    Raises:
        RrdbgError: It cannot be made, or is not ours alone.
    """
    root = os.environ.get("RRDBG_CACHE")
    if not root:
        import platformdirs

        root = platformdirs.user_cache_dir("rrdbg")
    path = Path(root) / "kernels"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.stat()
        if hasattr(os, "getuid") and (info.st_uid != os.getuid() or info.st_mode & 0o022):
            raise RrdbgError(
                f"{path} can be written by others, and what lies there is executed",
                hint="remove it, or name another directory in RRDBG_CACHE",
                exit_code=ExitCode.HOST_IO,
            )
    except OSError as error:
        raise RrdbgError(
            f"cannot use {path} for compiled kernels: {error.strerror}",
            hint="name another directory in RRDBG_CACHE",
            exit_code=ExitCode.HOST_IO,
        ) from error
    return path


def _key() -> str:
    """Return a hash of all that the object code depends on."""
    import llvmlite.binding as llvm

    digest = hashlib.sha256()
    isa = sorted((_HERE.parent / "isa").glob("*.py"))
    for path in [*isa, *(_HERE / name for name in _SOURCES)]:
        digest.update(path.read_bytes())
    for package in ("numba", "llvmlite"):
        digest.update(version(package).encode())
    digest.update(llvm.get_host_cpu_name().encode())
    digest.update(llvm.get_host_cpu_features().flatten().encode())
    return digest.hexdigest()[:32]


class _Constants(ast.NodeTransformer):
    """Turn `U(5)` and `L.NAME` into typed globals: numba spends most of its time typing calls otherwise."""

    def __init__(self, layout: Any, misa: int) -> None:
        self.layout, self.misa = layout, misa
        self.used: dict[str, int] = {}

    def _value(self, node: ast.expr) -> int | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "L":
            return int(getattr(self.layout, node.attr))
        if isinstance(node, ast.Name) and node.id == "MISA":
            return self.misa
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left), self._value(node.right)
            if left is None or right is None:
                return None
            match node.op:
                case ast.Add():
                    return left + right
                case ast.Sub():
                    return left - right
                case ast.LShift():
                    return left << right
                case ast.BitOr():
                    return left | right
        return None

    def _name(self, value: int) -> ast.Name:
        name = f"u{value}"
        self.used[name] = value
        return ast.Name(name, ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "U":
            value = self._value(node.args[0])
            if value is not None:
                return self._name(value)
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        value = self._value(node)
        return self.generic_visit(node) if value is None else self._name(value)


def kernel_module() -> dict[str, Any]:
    """Return the namespace that holds `kernel` and all its helpers, ready for numba."""
    import numpy as np

    from rrdbg_core.cpu import generator, intrinsics, layout
    from rrdbg_core.isa.csr import MISA

    tree = ast.parse((_HERE / "slow.py").read_text() + "\n\n" + generator.kernel_source())
    fold = _Constants(layout, MISA)
    tree.body = [fold.visit(node) if isinstance(node, ast.FunctionDef) else node for node in tree.body]
    namespace = {name: value for name, value in vars(intrinsics).items() if not name.startswith("_")}
    namespace.update({name: np.uint64(value) for name, value in fold.used.items()}, __name__="rrdbg_kernel")
    exec(compile(ast.fix_missing_locations(tree), "<kernel>", "exec"), namespace)
    return namespace


def compile_kernel() -> bytes:
    """Compile the kernel and return a cache file: magic, name of the entry, object code."""
    import numba
    from numba import types

    numba.config.LOOP_VECTORIZE = numba.config.SLP_VECTORIZE = 0
    signature = types.uint64(types.CPointer(types.uint64), types.uint64)
    library = numba.cfunc(signature)(kernel_module()["kernel"])
    name = library._wrapper_name.encode()
    code = library._library._get_compiled_object()
    return _MAGIC + struct.pack("<I", len(name)) + name + code


def _seal(body: bytes) -> bytes:
    return xxhash.xxh3_128_digest(body) + body


def _unseal(data: bytes) -> tuple[str, bytes] | None:
    body = data[16:]
    if len(data) < 64 or xxhash.xxh3_128_digest(body) != data[:16] or not body.startswith(_MAGIC):
        return None
    start = len(_MAGIC) + 4
    (length,) = struct.unpack_from("<I", body, len(_MAGIC))
    return body[start : start + length].decode(), body[start + length :]


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


def _read(path: Path) -> tuple[str, bytes] | None:
    try:
        return _unseal(path.read_bytes())
    except FileNotFoundError:
        return None


def object_code(progress: Progress | None = None) -> tuple[str, bytes]:
    """Return name and object code of the kernel, compiled if it is not in the cache.

    Args:
        progress: Called once with what is going to take long.
    """
    directory = cache_directory()
    path = directory / f"{_key()}.o"
    found = _read(path)
    if found is not None:
        return found
    with _locked(directory):
        found = _read(path)
        if found is not None:
            return found
        if progress:
            progress("compiling the guest CPU, once")
        data = _seal(compile_kernel())
        descriptor, temporary = tempfile.mkstemp(dir=directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError:
            # no room for the cache: the kernel works all the same
            with suppress(OSError):
                os.unlink(temporary)
    unsealed = _unseal(data)
    assert unsealed is not None
    return unsealed


# numba's error path, which nothing in the kernel takes
_UNUSED = (
    *("NRT_Free", "PyBytes_FromStringAndSize", "PyErr_Clear", "PyErr_SetNone", "PyErr_SetString"),
    *("PyErr_WriteUnraisable", "PyExc_RuntimeError", "PyExc_StopIteration", "PyExc_SystemError"),
    *("PyUnicode_FromString", "Py_DecRef", "numba_do_raise", "numba_gil_ensure", "numba_gil_release"),
    *("numba_runtime_build_excinfo_struct", "numba_unpickle"),
)
SYMBOLS: dict[str, Any] = {
    # LLVM makes calls of these out of loops
    "memset": ctypes.memset,
    "memcpy": ctypes.memmove,
    "memmove": ctypes.memmove,
    **dict.fromkeys(_UNUSED, ctypes.pythonapi.Py_IsInitialized),
}
"""All that the object code may name. One name that is not found leaves every one of them at address 0, unsaid."""

_loaded: list[Any] = []


def load(progress: Progress | None = None) -> Callable[[int, int], int]:
    """Return the kernel: (address of the table of pointers, icount to run to) to why it came back."""
    import llvmlite.binding as llvm

    if not _loaded:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        name, code = object_code(progress)
        machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        for symbol, function in SYMBOLS.items():
            llvm.add_symbol(symbol, ctypes.cast(function, ctypes.c_void_p).value)
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        prototype = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)
        _loaded.extend((prototype(engine.get_function_address(name)), engine))
    kernel: Callable[[int, int], int] = _loaded[0]
    return kernel
