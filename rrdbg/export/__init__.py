"""Annotated traces for other tools."""

from rrdbg.export.stream import FORMATS, export

__all__ = ["FORMATS", "export"]
