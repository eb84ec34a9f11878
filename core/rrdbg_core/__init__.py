"""The deterministic machine, its trace file and its replay."""

__version__ = "0.1.0"
