"""How a run of the machine comes back, and whose fault it is if it fails."""

from __future__ import annotations

from enum import Enum

from rrdbg_core.devices.contract import Device
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.frozen import Frozen


class StopReason(Enum):
    """Why `Machine.run` came back."""

    LIMIT = "limit"
    """The icount asked for is reached."""
    BREAKPOINT = "breakpoint"
    """pc stands at a breakpoint."""
    WATCHPOINT = "watchpoint"
    """The last step hit a watch; `Core.hit` tells which."""
    EXIT = "exit"
    """The guest ended the run."""
    IDLE = "idle"
    """The guest sleeps for ever and no input is left."""
    INTERRUPTED = "interrupted"
    """The caller asked to stop, or the recording ends here."""


class Accesses(Frozen):
    """What devices did in one step, for reports."""

    icount: int
    """The step."""
    device: str
    """Device."""
    text: str
    """What was read or written."""


class DeviceBroken(RrdbgError):
    """A device breaks the device contract."""

    exit_code = ExitCode.DEVICE_BROKEN


def blame(device: Device, what: str, icount: int, error: BaseException) -> None:
    """Raise `DeviceBroken` if a user's device failed; built-in ones and the machine's callers speak for themselves."""
    if isinstance(error, RrdbgError) or not isinstance(error, Exception):
        return
    if not type(device).__module__.startswith("rrdbg_core."):
        raise DeviceBroken(
            f"at icount {icount}: device {device.name} fails in {what}: {type(error).__name__}: {error}",
            hint="a guest's mistake is a BusFault or a guest_error; see `rrdbg check-device`",
        ) from error


class Blame:
    """Context in which what fails is a device's fault."""

    def __init__(self, device: Device, what: str, icount: int) -> None:
        self._device, self._what, self._icount = device, what, icount

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            blame(self._device, self._what, self._icount, error)
