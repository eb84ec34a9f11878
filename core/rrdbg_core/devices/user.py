"""Devices that users write: `path/file.py:Class`, or the name of an entry point in the group `rrdbg.devices`.

A recording with a device from a file carries the file's text, so that it replays wherever it goes. That text is code,
and a trace may come from a stranger: it runs only if the user vouches for it. What the user named a file for in this
process is vouched for; so is what the environment variable `RRDBG_TRUST_DEVICES` allows: `1` for any text, or paths of
files whose text the trace may carry. The variable reaches the processes that rrdbg starts.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

from rrdbg_core.devices.contract import Board, Device
from rrdbg_core.errors import ExitCode, RrdbgError

GROUP = "rrdbg.devices"
TRUST = "RRDBG_TRUST_DEVICES"
EVERYTHING = "1"

_vouched: set[str] = set()
"""Texts that the user named files for."""


class Untrusted(RrdbgError):
    """A trace carries a device that nobody vouched for."""

    exit_code = ExitCode.USAGE


def trust(*paths: str) -> None:
    """Let traces carry the devices in these files; without arguments, any device at all. Lasts for the process."""
    if not paths:
        os.environ[TRUST] = EVERYTHING
    elif os.environ.get(TRUST) != EVERYTHING:
        os.environ[TRUST] = os.pathsep.join([*filter(None, [os.environ.get(TRUST)]), *paths])


def is_trusted(source: str) -> bool:
    """Return whether the user vouches for a device's text."""
    allowed = os.environ.get(TRUST, "")
    if allowed == EVERYTHING or source in _vouched:
        return True
    return any(read_source(f"{path}:") == source for path in allowed.split(os.pathsep) if path)


def read_source(spec: str) -> str | None:
    """Return the source text behind `file.py:Class`, which the user named, or None for an entry point.

    Raises:
        RrdbgError: The file cannot be read.
    """
    if ":" not in spec:
        return None
    path = spec.rpartition(":")[0]
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RrdbgError(f"{path}: cannot read the device: {error}", exit_code=ExitCode.NOT_FOUND) from error
    _vouched.add(text)
    return text


def load_user_class(spec: str, source: str | None = None) -> type[Device]:
    """Return the class behind a specification that the user gave.

    Args:
        spec: `file.py:Class`, or the name of an entry point.
        source: Text of the file, if it was read already.

    Raises:
        RrdbgError: There is none, or it is no device.
    """
    if ":" in spec:
        found = _from_text(spec, read_source(spec) if source is None else source)
    else:
        from importlib.metadata import entry_points  # 20 ms, for a device that is installed

        points = [point for point in entry_points(group=GROUP) if point.name == spec]
        if not points:
            raise RrdbgError(
                f"no device is called {spec!r}",
                hint="virtio-rng, file.py:Class, or the name of an installed device",
                exit_code=ExitCode.NOT_FOUND,
            )
        try:
            found = points[0].load()
        except Exception as error:
            raise _does_not_load(spec, error) from error
    if not (isinstance(found, type) and issubclass(found, Device)):
        raise RrdbgError(f"{spec}: not a subclass of Device", exit_code=ExitCode.NOT_FOUND)
    if not isinstance(vars(found).get("State") or getattr(found, "State", None), type):
        raise RrdbgError(f"{spec}: the device has no State class", exit_code=ExitCode.DEVICE_BROKEN)
    return found


def _from_text(spec: str, text: str | None) -> object:
    assert text is not None
    path, _, name = spec.rpartition(":")
    module = types.ModuleType(f"rrdbg_device_{Path(path).stem}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses and type hints look there
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    except Exception as error:
        raise _does_not_load(path, error) from error
    if name not in module.__dict__:
        raise RrdbgError(f"{path}: there is no class {name!r} in it", exit_code=ExitCode.NOT_FOUND)
    return module.__dict__[name]


def _does_not_load(what: str, error: Exception) -> RrdbgError:
    return RrdbgError(
        f"{what}: the device does not load: {type(error).__name__}: {error}", exit_code=ExitCode.NOT_FOUND
    )


def load_user_device(spec: str, name: str, board: Board, source: str | None = None) -> Device:
    """Return a new device, as a machine's configuration asks for it; that may come from a stranger's trace.

    Raises:
        Untrusted: The text of the device comes with the trace, and the user does not vouch for it.
        RrdbgError: There is no such device.
    """
    if ":" in spec:
        if source is None:
            raise RrdbgError(f"device {name}: the trace lacks its text", exit_code=ExitCode.BAD_TRACE)
        if not is_trusted(source):
            raise Untrusted(
                f"the trace carries the program of a device, {spec} (called {name}), which would run on this computer",
                hint=f"if you trust where the trace comes from: --trust-devices, or {TRUST}=1 in the environment; "
                f"{TRUST}=path/to/{Path(spec.rpartition(':')[0]).name} allows your own copy only",
            )
    return load_user_class(spec, source)(name, board)
