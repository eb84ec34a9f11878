"""One table of commands for scripts, prompts and servers."""

from rrdbg.commands.interpreter import CommandError, Completion, Interpreter
from rrdbg.commands.table import Command, Output, table

__all__ = ["Command", "CommandError", "Completion", "Interpreter", "Output", "table"]
