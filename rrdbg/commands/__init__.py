"""One table of commands for scripts, prompts and servers."""
