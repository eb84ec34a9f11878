"""Annotated traces for other tools."""
