"""One table of commands for scripts, prompts and servers."""

from rrdbg.commands.interpreter import CommandError, Completion, Interpreter
from rrdbg.commands.table import Command, Output, table

COMMANDS = table()
"""Every command, in the order in which the help lists them."""

__all__ = ["COMMANDS", "Command", "CommandError", "Completion", "Interpreter", "Output"]
