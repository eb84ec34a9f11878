"""Devices that users write: `path/file.py:Class`, or the name of an entry point in the group `rrdbg.devices`."""

from __future__ import annotations

import types
from importlib.metadata import entry_points
from pathlib import Path

from rrdbg_core.devices.contract import Board, Device
from rrdbg_core.errors import ExitCode, RrdbgError

GROUP = "rrdbg.devices"


def read_source(spec: str) -> str | None:
    """Return the source text behind `file.py:Class`, or None for an entry point.

    Raises:
        RrdbgError: The file cannot be read.
    """
    if ":" not in spec:
        return None
    path = spec.rpartition(":")[0]
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RrdbgError(f"{path}: cannot read the device: {error}", exit_code=ExitCode.NOT_FOUND) from error


def load_user_class(spec: str, source: str | None = None) -> type[Device]:
    """Return the class behind a specification.

    Args:
        spec: `file.py:Class`, or the name of an entry point.
        source: Text of the file, where a trace carries it; else the file is read.

    Raises:
        RrdbgError: There is none, or it is no device.
    """
    if ":" in spec:
        path, _, name = spec.rpartition(":")
        text = read_source(spec) if source is None else source
        assert text is not None
        module = types.ModuleType(f"rrdbg_device_{Path(path).stem}")
        module.__file__ = path
        try:
            exec(compile(text, path, "exec"), module.__dict__)
        except Exception as error:
            raise RrdbgError(
                f"{path}: the device does not load: {type(error).__name__}: {error}", exit_code=ExitCode.NOT_FOUND
            ) from error
        found = module.__dict__.get(name)
    else:
        points = [point for point in entry_points(group=GROUP) if point.name == spec]
        if not points:
            raise RrdbgError(
                f"no device is called {spec!r}",
                hint="virtio-rng, file.py:Class, or the name of an installed device",
                exit_code=ExitCode.NOT_FOUND,
            )
        found = points[0].load()
    if not (isinstance(found, type) and issubclass(found, Device)):
        raise RrdbgError(f"{spec}: not a subclass of Device", exit_code=ExitCode.NOT_FOUND)
    return found


def load_user_device(spec: str, name: str, board: Board, source: str | None = None) -> Device:
    """Return a new device of a user's class."""
    return load_user_class(spec, source)(name, board)
