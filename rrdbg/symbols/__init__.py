"""ELF symbols and source lines."""
