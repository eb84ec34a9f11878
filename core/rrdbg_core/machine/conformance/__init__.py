"""The conformance kit: does a device keep the device contract? `rrdbg check-device` is its face."""

from rrdbg_core.machine.conformance.report import Report, Result
from rrdbg_core.machine.conformance.run import check_device

__all__ = ["Report", "Result", "check_device"]
